"""``gcode2mqtt simulate``."""

import argparse
import asyncio

from bridge.cli.signals import run_until_signal
from bridge.errors import ConfigError
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import pty_server, tcp_server


def simulate(chosen: argparse.Namespace) -> int:
    """Run a simulated printer until a signal; return 0.

    Raises:
        ConfigError: There is no such firmware.
        LinkError: The port cannot be created.

    """
    try:
        firmware = Firmware(chosen.firmware, speed=chosen.speed)
    except ValueError as error:
        raise ConfigError(f"--firmware: {error}") from error
    run_until_signal(_serve(firmware, chosen))
    return 0


async def _serve(firmware: Firmware, chosen: argparse.Namespace) -> None:
    name = firmware.personality.name
    if chosen.pty is not None:
        async with pty_server(firmware, chosen.pty):
            await _wait(f"{name} at {chosen.pty}")
    else:
        async with tcp_server(firmware, *chosen.tcp) as server:
            await _wait(f"{name} at socket://{chosen.tcp[0]}:{server.port}")


async def _wait(what: str) -> None:
    print(f"{what}, until Ctrl-C", flush=True)
    await asyncio.Event().wait()
