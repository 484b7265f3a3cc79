"""The documents that are written from the code; as a program this writes them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.config_file.reference import example, reference

ROOT = Path(__file__).parent.parent.parent

GENERATED: Mapping[str, Callable[[], str]] = {
    "config.example.yaml": example,
    "docs/configuration.md": reference,
}

if __name__ == "__main__":
    for name, write in GENERATED.items():
        (ROOT / name).write_text(write())
