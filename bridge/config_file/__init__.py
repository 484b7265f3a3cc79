"""The configuration file: YAML and environment in, a checked `Config` out, and back."""

from bridge.config_file.loader import SEARCHED, load, locate
from bridge.config_file.writer import dump

__all__ = ["SEARCHED", "dump", "load", "locate"]
