"""The configuration file: YAML and environment in, a checked `Config` out, and back."""

from bridge.config_file.loader import SEARCHED, find, load, locate
from bridge.config_file.writer import dump

__all__ = ["SEARCHED", "dump", "find", "load", "locate"]
