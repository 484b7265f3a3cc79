"""The benchmark of floods and takeovers, in a short form: no stop is lost."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [(("flood", "--count", "6"), 3), (("takeover", "--minutes", "0.1"), 1)],
)
async def test_no_stop_is_lost(arguments: tuple[str, ...], parts: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "attacks.py", *arguments),
        cwd=BENCHMARKS,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode()
    assert re.findall(r": (\d+) of \d+ stops lost", text) == ["0"] * parts, text
