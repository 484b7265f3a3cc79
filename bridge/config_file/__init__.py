"""The configuration file: YAML and environment in, a checked `Config` out, and back."""

from bridge.config_file.loader import SEARCHED, load
from bridge.config_file.writer import dump

__all__ = ["SEARCHED", "dump", "load"]
