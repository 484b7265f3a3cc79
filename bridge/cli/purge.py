"""``gcode2mqtt purge``."""

import argparse
import asyncio
import os
from pathlib import Path

from bridge.app.retained_cleanup import Purge
from bridge.app.retained_cleanup import purge as clear
from bridge.cli.progress import dots
from bridge.config import Config
from bridge.config_file import load, locate
from bridge.logs import escaped


def purge(chosen: argparse.Namespace) -> int:
    """Clear all retained topics; return 0, or 1 if the broker refused some.

    Raises:
        ConfigError: The configuration cannot be used.
        BrokerError: The broker cannot be reached, or the bridge is still running.

    """
    config = load(chosen.config, os.environ)
    done = asyncio.run(_clear(config, locate(chosen.config)))
    for topic in done.refused:
        print(escaped(f"not cleared, the account may not write it: {topic}"))
    print(f"{len(done.cleared)} topics cleared, {len(done.refused)} refused")
    return 1 if done.refused else 0


async def _clear(config: Config, origin: Path) -> Purge:
    async with dots():
        return await clear(config, origin)
