"""The documents that are generated from the code; run as a program, it writes them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge import __version__
from bridge.app.documentation import (
    codes_markdown,
    inserted,
    prints_markdown,
    topics_markdown,
)
from bridge.commands.documentation import markdown
from bridge.config_file.reference import example, reference
from tests.support.flow import flow

ROOT = Path(__file__).parent.parent.parent


def _gcode() -> str:
    """Return the document about G-code with its tables of what is understood."""
    return inserted((ROOT / "docs/gcode.md").read_text())


def _app() -> str:
    """Return the app for Home Assistant OS with the package's version in it."""
    text = (ROOT / APP).read_text()
    return re.sub(r"(?m)^version: \S+", f"version: {__version__}", text)


APP = "deploy/home-assistant-os/config.yaml"

GENERATED: Mapping[str, Callable[[], str]] = {
    "config.example.yaml": example,
    APP: _app,
    "deploy/node-red/flow.json": flow,
    "docs/codes.md": codes_markdown,
    "docs/commands.md": markdown,
    "docs/configuration.md": reference,
    "docs/gcode.md": _gcode,
    "docs/prints.md": prints_markdown,
    "docs/topics.md": topics_markdown,
}

if __name__ == "__main__":
    for name, write in GENERATED.items():
        (ROOT / name).write_text(write())
