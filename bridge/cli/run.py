"""``gcode2mqtt run``."""

import argparse
import gc
import os
import resource
from contextlib import suppress
from functools import partial

from bridge import logs
from bridge.app.service import Service
from bridge.cli.signals import run_until_signal
from bridge.config import Config
from bridge.config_file import load, locate
from bridge.notify import Notifier


def run(chosen: argparse.Namespace) -> int:
    """Run the daemon until a signal; return 0.

    Raises:
        ConfigError: The configuration cannot be used.
        BridgeError: It cannot go on.

    """
    config = load(chosen.config, os.environ)
    logs.configure(config.log, logs.secrets(config))
    # Always the same file, also where another one appears that is looked for first.
    origin = locate(chosen.config)
    read = partial(load, chosen.config or origin, os.environ)
    serve(config, Service(read, origin, Notifier(os.environ)))
    return 0


def serve(config: Config, service: Service) -> None:
    """Serve the printers until a signal.

    Raises:
        BridgeError: It cannot go on.

    """
    raise_descriptor_limit()
    # What is loaded stays. Looked through again and again by the garbage collector, it
    # would hold up commands for a tenth of a second on a small machine.
    gc.collect()
    gc.freeze()
    run_until_signal(service.run(config), on_hangup=service.reload)


def raise_descriptor_limit() -> None:
    """Allow as many open files as the service manager allows at most.

    A printer needs three: its port, and two for its connection to the broker. The soft
    limit is 1,024 nearly everywhere, for programs that use ``select(2)``, which has no
    room for more; the event loop uses ``epoll(7)``.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
