"""Configurations as users write them."""

from collections.abc import Mapping
from pathlib import Path

from bridge.config import Config
from bridge.config_file import load

ONE_PRINTER = "printers:\n  - id: printer\n"


def load_text(
    folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None
) -> Config:
    """Return what `load` makes of a file ``config.yaml`` with this content."""
    file = folder / "config.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(file, environ or {})
