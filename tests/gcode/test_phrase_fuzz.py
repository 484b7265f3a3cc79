"""Real phrases recombined, cut, doubled and in other orders mean nothing new."""

import os
import random
import re
from pathlib import Path

import pytest

from bridge.config import Profile
from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.firmware_errors import FATAL_REASONS
from bridge.gcode.reply_parser import ECHOED, RULES, parse_reply
from bridge.gcode.reply_types import (
    Fatal,
    FileListBegin,
    FileListEnd,
    PrintDone,
    PrintPaused,
    PrintProgress,
    TemperatureReport,
)
from bridge.printer.link.replay import read_any
from bridge.printer.link.wire_log import Direction, WireLogEntry, read_log
from tests.support.knowing import Knowing

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
ROUNDS = int(os.environ.get("GCODE2MQTT_FUZZ", "1500"))
SENSORS = re.compile(r"[A-Z]\d{0,3}|pinda|ambient", re.ASCII)
ERROR_MARKS = ("error", "!!", "fatal:", "alarm", "halt", ": extruder")


def corpus() -> list[str]:
    """Return every line that a firmware says in the logs, once, and the examples."""
    entries: list[WireLogEntry] = []
    for log in sorted(TRANSCRIPTS.rglob("*.txt")):
        entries += read_log(log.read_text().splitlines())
    for log in sorted(TRANSCRIPTS.rglob("*.log")):
        entries += read_any(log.read_text().splitlines())
    heard = [entry for entry in entries if entry.direction is Direction.RECEIVED]
    said = {entry.data.decode("latin-1").strip() for entry in heard}
    for rules in (ECHOED, *RULES.values()):
        said |= {rule.example for rule in rules}
    return sorted(said - {""})


CORPUS = corpus()
WORDS = sorted({word for line in CORPUS for word in line.split()})


def mutated(chance: random.Random) -> str:
    """Return a line that no firmware says, made of what firmwares say."""
    line, other = chance.choice(CORPUS), chance.choice(CORPUS)
    words = line.split()
    chance.shuffle(words)
    return chance.choice(
        [
            line[chance.randrange(len(line)) :],
            line[: chance.randrange(len(line) + 1)],
            "".join(letter * chance.choice((1, 1, 2)) for letter in line),
            " ".join(words),
            line[: len(line) // 2] + other[len(other) // 2 :],
            " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 6))),
            line + other,
        ]
    )


def is_halt(text: str) -> bool:
    """Return whether a text has the words of a halt, and is marked as an error."""
    lower = text.lower()
    marked = any(mark in lower for mark in ERROR_MARKS)
    return marked and ("!!" in lower or any(word in lower for word in FATAL_REASONS))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_nothing_is_heard_that_no_firmware_said(dialect: Dialect) -> None:
    chance = random.Random(dialect.name)  # noqa: S311 - the same lines each time
    for _ in range(ROUNDS):
        text = mutated(chance)
        for reply in parse_reply(text, dialect):
            if isinstance(reply, Fatal):
                alarm = text.lower().startswith(dialect.alarm_prefixes or ("fatal",))
                assert is_halt(text) or alarm, text
            elif isinstance(reply, TemperatureReport):
                named = {name for name in reply.readings if not dialect.names_sensors}
                assert all(SENSORS.fullmatch(name) for name in named), text


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_no_print_and_no_file_comes_of_it(dialect: Dialect) -> None:
    chance = random.Random(f"state {dialect.name}")  # noqa: S311
    profile = Profile(heated_bed=True)
    for _ in range(ROUNDS // 20):
        printer = Knowing(profile=profile, dialect=dialect)
        heard: list[object] = []
        for _ in range(20):
            text = mutated(chance)
            heard += parse_reply(text, dialect)
            printer.at(printer.now + 1).says(text)
        told = {type(reply) for reply in heard}
        if not told & {PrintProgress, PrintDone, PrintPaused}:
            assert not printer.state.job.active
            assert not any(name.startswith("print_") for name in printer.happened())
        if not {FileListBegin, FileListEnd} <= told:
            assert printer.state.files == ()
        assert len(printer.state.sensors) <= 32
