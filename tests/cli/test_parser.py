import argparse
import re
import shlex

import pytest

from bridge.cli import parser
from bridge.cli.main import COMMANDS


def examples() -> list[str]:
    commands = next(
        action
        for action in parser.build()._actions  # noqa: SLF001 - there is no other way
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    texts = [parser.build().epilog, *(p.epilog for p in commands.choices.values())]
    return [
        line.strip().split("   ")[0]
        for text in texts
        for line in (text or "").splitlines()
        if line.startswith("  ") and "gcode2mqtt " in line
    ]


@pytest.mark.parametrize("line", examples())
def test_what_the_help_shows_can_be_typed(line: str) -> None:
    words = shlex.split(re.split(r" >>? ", line)[0])
    words = words[words.index("gcode2mqtt") + 1 :]
    assert parser.build().parse_args(words).command in COMMANDS


def test_every_command_has_an_example_in_the_help() -> None:
    shown = {
        shlex.split(line)[1] for line in examples() if line.startswith("gcode2mqtt")
    }
    assert shown == set(COMMANDS)
