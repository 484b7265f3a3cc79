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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localhost:1883", ("localhost", 1883)),
        ("[::1]:1883", ("::1", 1883)),
        ("10.0.0.1:0", ("10.0.0.1", 0)),
    ],
)
def test_an_address(text: str, found: tuple[str, int]) -> None:
    assert parser.address(text) == found


@pytest.mark.parametrize(
    "text", ["", "host", ":1", "host:", "host:x", "host:70000", "h:-1"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not HOST:PORT"):
        parser.address(text)


def test_a_broker() -> None:
    assert parser.broker("[::1]:1883") == ("::1", 1883)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("localhost:0", "port 0 is not valid"),
        ("fe80::1:1883", "write .ADDRESS.:PORT"),
        ("localhost", "is not HOST:PORT"),
    ],
)
def test_no_broker(text: str, problem: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=problem):
        parser.broker(text)


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "nan", "inf", "11"])
def test_no_positive_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above 0 and up to 10"):
        parser.positive(10)(text)


def test_a_positive_number() -> None:
    assert parser.positive(10)("2.5") == 2.5
