"""``gcode2mqtt check``."""

import argparse
import os

from bridge.config_file import dump, load


def check(chosen: argparse.Namespace) -> int:
    """Print the configuration in force; return 0.

    Raises:
        ConfigError: It cannot be used.

    """
    print(dump(load(chosen.config, os.environ)), end="")
    return 0
