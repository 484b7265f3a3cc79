"""``gcode2mqtt schema``."""

import argparse
import json

from bridge import __version__
from bridge.app.documentation import published
from bridge.commands.documentation import document, schemas


def schema(chosen: argparse.Namespace) -> int:
    """Print the JSON Schemas, or the AsyncAPI document; return 0."""
    whole = schemas()
    if chosen.form == "asyncapi":
        whole = document(__version__, published())
    print(json.dumps(whole, indent=2, ensure_ascii=False))
    return 0
