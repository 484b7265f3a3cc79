"""``gcode2mqtt run``."""

import argparse
import os

from bridge import app, logs
from bridge.cli.until_signal import run_until_signal
from bridge.config_file import load, locate


def run(chosen: argparse.Namespace) -> int:
    """Run the daemon until a signal; return 0.

    Raises:
        ConfigError: The configuration cannot be used.
        BridgeError: It cannot go on.

    """
    config = load(chosen.config, os.environ)
    logs.configure(config.log, logs.secrets(config))
    run_until_signal(app.run(config, origin=locate(chosen.config)))
    return 0
