"""``gcode2mqtt doctor``."""

import argparse
import asyncio
import json
import os
from dataclasses import asdict

from bridge import logs
from bridge.app.doctor import examine
from bridge.cli.progress import dots
from bridge.config import Config, Log
from bridge.config_file import load
from bridge.findings import Finding

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def doctor(chosen: argparse.Namespace) -> int:
    """Print what is in order and what is not; return 0, or 1 if something is wrong.

    Raises:
        ConfigError: The configuration cannot be used.

    """
    config = load(chosen.config, os.environ)
    logs.configure(Log(level="error"), logs.secrets(config))
    return asyncio.run(_print_all(config, chosen))


async def _print_all(config: Config, chosen: argparse.Namespace) -> int:
    wrong = False
    async with dots() as end_row:
        async for finding in examine(config, printers=not chosen.no_printer):
            wrong = wrong or finding.verdict == "wrong"
            end_row()
            print(_json(finding) if chosen.json else _line(finding), flush=True)
    return int(wrong)


def _json(finding: Finding) -> str:
    return json.dumps(asdict(finding), ensure_ascii=False)


def _line(finding: Finding) -> str:
    what = f"{finding.printer} {finding.check}" if finding.printer else finding.check
    text = "".join(char if char.isprintable() else "�" for char in finding.text)
    return f"{_MARKS[finding.verdict]} {what}: {text}"
