"""Real phrases recombined, cut, doubled and in other orders mean nothing new.

What a line may mean is decided here by lists of whole phrases, without the parser.
"""

import os
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bridge.config import Profile
from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.reply_parser import ECHOED, RULES, parse_reply
from bridge.gcode.reply_types import Fatal, TemperatureReport
from bridge.printer.link.replay import read_any, read_lines
from bridge.printer.link.wire_log import Direction, WireLogEntry, read_log
from tests.support.knowing import Knowing

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
ROUNDS = int(os.environ.get("GCODE2MQTT_FUZZ", "1500"))


def corpus() -> list[str]:
    """Return every line that a firmware says in the logs, once, and the examples."""
    entries: list[WireLogEntry] = []
    for log in sorted(TRANSCRIPTS.rglob("*.txt")):
        entries += read_log(log.read_text().splitlines())
    for log in sorted(TRANSCRIPTS.rglob("*.log")):
        entries += read_any(read_lines([log.read_bytes()]))
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
            line,
        ]
    )


# Sensors

NUMBER = r"[-+]?\d+(?:\.\d*)?"
LETTERS = "ABCHLMPRSX"
"""Ambient, chamber, cooler, board, probe, redundant and others of forks, and Prusa's
heatbreak; none is a letter of an axis, but for that, which has a target."""
CALLED = {("prusa", "P"): "pinda", ("prusa", "A"): "ambient"}


def sensors_meant(text: str, family: str) -> set[str]:
    """Return the sensors that a line may name."""
    if family in {
        "klipper",
        "smoothieware",
    }:  # its owner chooses the names; a target is always reported
        found: list[str] = re.findall(
            rf"(?:^|\s)=*([A-Za-z]\w*): ?{NUMBER} ?/{NUMBER}", text
        )
        return {name for name in found if name not in "XYZEW"}
    if not re.match(r"(?:ok\b[^:]*? |=*)?=*(?:T\d*|B|[A-Z]\d*):", text.strip()):
        return set()
    names: set[str] = set()
    for letter in LETTERS:
        value = r"\S+?\s*/" if letter == "X" else r"\S*\w"
        for match in re.finditer(rf"(?:^|\s)=*({letter}\d*):\s*{value}", text):
            names.add(CALLED.get((family, match[1]), match[1]))
    return names


# Halts

HALTS = (
    "thermal runaway", "thermal malfunction", "mintemp", "maxtemp", "heating failed",
    "not heating at expected rate", "watchdog", "stopped due to errors",
    "kill() called", "printer halted", "halt asserted", "kill button", "fatal:",
    "temperature runaway", "temperature took too long",
)  # fmt: skip
"""Whole phrases; behind ``Error:`` at the beginning of a line they stop a machine."""
ALARMS = ("alarm:", "halt asserted", "limit switch ", "halted, m999")
HALT_STARTS: Mapping[str, Sequence[str]] = {"smoothieware": ALARMS, "unknown": ALARMS}
ALWAYS = (
    "fatal:",
    "printer stopped due to errors",
    ": extruder switched off. mintemp trig",
    ": extruder switched off. maxtemp trig",
)
BANG_REFUSES = {"klipper", "reprapfirmware", "unknown"}


def halt_meant(text: str, family: str) -> bool:
    """Return whether a line is a whole phrase by which this family reports a halt."""
    lower = text.strip().lower()
    if lower.startswith((*ALWAYS, *HALT_STARTS.get(family, ()))):
        return True
    whole = any(phrase in lower for phrase in HALTS)
    if lower.startswith("!!"):
        return family not in BANG_REFUSES or (whole and family != "klipper")
    return lower.startswith("error:") and whole


# Prints and files

PRINT = re.compile(
    r"SD printing byte \d+/\d+|SD print paused|Done printing file\.?$"
    r"|(?:echo:)?busy:\s*paused for|(?:Finished|Cancell?ed) printing file "
    r"|//\s*action:\s*(?:paused?|out_of_filament|filament_runout|cancel)\b",
    re.IGNORECASE,
)
"""How a line begins that says that something is printed."""
LIST = re.compile(r"Begin file list:?$", re.IGNORECASE)
LIST_END = re.compile(r"End file list$", re.IGNORECASE)
ENTRY = re.compile(r'.*\.\w{1,8}|.*\s\d+(?:\s.*)?|"[^"]+"')
"""A name with its ending, with its size, or in quotes."""


def files_meant(texts: Sequence[str]) -> set[str]:
    """Return the lines of complete lists."""
    meant: set[str] = set()
    listed: set[str] | None = None
    for text in texts:
        line = text.strip()
        if LIST.match(line):
            listed = set()
        elif LIST_END.match(line) and listed is not None:
            meant, listed = meant | listed, None
        elif listed is not None and ENTRY.fullmatch(line):
            listed.add(line)
    return meant


def is_meant(path: str, entries: set[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(name in entry for entry in entries)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_nothing_is_heard_that_no_firmware_said(dialect: Dialect) -> None:
    chance = random.Random(dialect.name)  # noqa: S311 - the same lines each time
    for _ in range(ROUNDS):
        text = mutated(chance)
        for reply in parse_reply(text, dialect):
            if isinstance(reply, Fatal):
                assert halt_meant(text, dialect.name), text
            elif isinstance(reply, TemperatureReport):
                named = {
                    name
                    for name in reply.readings
                    if not re.fullmatch(r"T\d{0,3}|B", name)
                }
                assert named <= sensors_meant(text, dialect.name), text


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_each_halt_that_is_meant_is_heard(dialect: Dialect) -> None:
    chance = random.Random(f"halt {dialect.name}")  # noqa: S311
    for _ in range(ROUNDS // 5):
        line = chance.choice(CORPUS)
        if halt_meant(line, dialect.name) and ".g" not in line.lower():
            replies = parse_reply(line, dialect)
            assert any(isinstance(reply, Fatal) for reply in replies), line


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_no_print_and_no_file_comes_of_it(dialect: Dialect) -> None:
    chance = random.Random(f"state {dialect.name}")  # noqa: S311
    profile = Profile(heated_bed=True)
    for turn in range(ROUNDS // 20):
        printer = Knowing(profile=profile, dialect=dialect)
        texts = [mutated(chance) for _ in range(20)]
        if turn % 2:  # among them a list
            texts[chance.randrange(10)] = "Begin file list"
            texts[chance.randrange(10, 20)] = "End file list"
        for text in texts:
            printer.at(printer.now + 1).says(text)
        if not any(PRINT.match(text.strip()) for text in texts):
            assert not printer.state.job.active, texts
            happened = printer.happened()
            assert not any(name.startswith("print_") for name in happened), texts
        entries = files_meant(texts)
        strange = [f.path for f in printer.state.files if not is_meant(f.path, entries)]
        assert strange == [], texts
        assert len(printer.state.sensors) <= 32
