"""The configuration file: YAML and environment in, a checked `Config` out, and back."""

from bridge.config_file.document import Document, Value
from bridge.config_file.loader import (
    SEARCHED,
    checked,
    find,
    load,
    locate,
    read,
    written_at,
)
from bridge.config_file.writer import dump

__all__ = [
    "SEARCHED",
    "Document",
    "Value",
    "checked",
    "dump",
    "find",
    "load",
    "locate",
    "read",
    "written_at",
]
