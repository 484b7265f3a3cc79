"""``gcode2mqtt run``."""

import argparse
import asyncio
import gc
import importlib
import logging
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bridge import logs
from bridge.app.service import Service
from bridge.cli.signals import run_until_signal
from bridge.config import Config
from bridge.config_file import load, locate
from bridge.errors import ConfigError
from bridge.notify import Notifier

log = logging.getLogger("bridge.app")


def run(chosen: argparse.Namespace) -> int:
    """Run the daemon until a signal; return 0.

    Raises:
        ConfigError: The configuration cannot be used.
        BridgeError: It cannot continue.

    """
    config = load(chosen.config, os.environ)
    logs.configure(config.log, logs.secrets(config))
    # Always the same file, even if one appears that would have been found first.
    origin = locate(chosen.config)
    read = partial(load, chosen.config or origin, os.environ)
    make_loop = event_loop(chosen.event_loop)
    serve(config, Service(read, origin, Notifier(os.environ)), make_loop)
    return 0


def event_loop(choice: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the function that makes the event loop; ``None``: asyncio's own.

    On a busy machine uvloop takes less processor time than asyncio's event loop for a
    line on the wire. It is a compiled library, and nothing depends on it.

    Args:
        choice: ``asyncio`` or ``uvloop``.

    Raises:
        ConfigError: uvloop cannot be imported.

    """
    if choice == "asyncio":
        return None
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError as error:
        raise ConfigError(
            f"--event-loop uvloop: it cannot be imported ({error}); install it with: "
            'pip install "gcode2mqtt[uvloop]"'
        ) from error
    log.debug("event loop: uvloop %s", uvloop.__version__)
    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make


def serve(
    config: Config,
    service: Service,
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Serve the printers until a signal, on asyncio's event loop or another one.

    Raises:
        BridgeError: It cannot continue.

    """
    raise_descriptor_limit()
    # What is loaded stays loaded. If the garbage collector looked through it again and
    # again, it would delay commands by a tenth of a second on a small machine.
    gc.collect()
    gc.freeze()
    run_until_signal(service.run(config), on_hangup=service.reload, make_loop=make_loop)


def raise_descriptor_limit() -> None:
    """Allow as many open files as the service manager allows at most.

    A printer needs three: its port, and two for its connection to the broker. The soft
    limit is 1,024 nearly everywhere, for programs that use ``select(2)``, which has no
    room for more; the event loop uses ``epoll(7)``.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
