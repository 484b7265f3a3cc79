"""The simulator says what the real firmware said, line by line.

Numbers and versions may differ; order, wording and everything about line numbers not.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from bridge.simulator.card import KLIPPER_FILES, CardFile
from bridge.simulator.firmware import Firmware
from bridge.simulator.options import Options
from tests.support import transcripts
from tests.support.talk import lines
from tests.support.transcripts import Exchange

_BY_ITSELF = re.compile(
    r" T:|echo:busy|B:[\d.]+ /|SD printing byte .*\r|Error:SD read|echo:SD card ok"
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_EXACT = ("Resend", "Error:", "ok N", "!! Must", "!! Requested")
_BACK = "//action:notification Media Inserted"
_TIMEOUT = 900.0

MARLIN_FILES = (
    CardFile("SMALL.GCO", b"G28\nG1 X10 Y10 F3000\nG1 X20\n".ljust(51, b"\n")),
    CardFile(
        "ARATHE~1.GCO",
        b"G28\n" + b"G1 X100 Y100 F600\nG1 X10 Y10\n" * 5000,
        "A rather long file name.gcode",
    ),
    CardFile("SUB/PARTON~1.GCO", b"G28\n".ljust(51, b"\n"), "Sub/part one.gcode"),
)

UNLIKE = {
    ("m21-2e", b"M503\n"): "the settings of a second extruder",
    ("m21-burst", b"N7 G1 X7 F60"): "how a real port cut the burst into pieces",
    ("m21-heating", b"M190 S45\n"): "that bed overshoots, ours does not",
    ("m21-heating", b"M303 E0 S100"): "no tuning of controllers",
    ("m21-misc", b"M73 P10\n"): "that build has no display, ours shows the progress",
    ("m21-misc", b"M428\n"): "no home offsets",
    ("m21-misc", b"G27\n"): "no parking by G27",
    ("m21-misc", b"M81\n"): "no power supply to switch",
    ("m21-misc", b"M524\n"): "that firmware believed that it printed",
    ("m21-misc", b"M540\n"): "waits for what M524 did there",
    ("m21-misc", b"M553\n"): "waits for what M524 did there",
    ("m21-misc", b"M569\n"): "waits for what M524 did there",
    ("m21-misc", b"M593\n"): "waits for what M524 did there",
    ("m21-misc", b"M603\n"): "waits for what M524 did there",
    ("m21-misc", b"M672\n"): "a slow moment of that machine",
    ("m21-misc", b"M701\n"): "a slow moment of that machine",
    ("m21-motion", b"M999\n"): "ours has not seen a numbered line yet",
    ("m21-motion", b"M154 S0\n"): "one report more or less",
    ("m21-sd", b"M27\n"): "how long homing takes",
    ("m21-sd", b"M105\n"): "how long homing takes",
    ("m21-sd", b"N6 M29*30\n"): "a slow card",
    ("m21-sd", b"M20\n"): "a slow card",
    ("m21-sd", b"M30 up.gco\n"): "a slow card",
    ("m21-sd", b"N1 M524*33\n"): "the log ends",
    ("04_move_home_jog", b"M119\n"): "which switches are pressed",
    ("04_move_home_jog", b"QUERY_ENDSTOP"): "which switches are pressed",
    ("06_M112_firmware_restart", b"HELP\n"): "the texts of the help",
    ("07b_sd_pause_resume_cancel", b"CANCEL_PRINT"): "a second cancel after a pause",
    ("08_extended_unknown", b"ECHO abc def\n"): "an extended command that ours lacks",
    ("08_extended_unknown", b"SET_VELOCITY"): "an extended command that ours lacks",
    ("08_extended_unknown", b"SET_IDLE_TIM"): "an extended command that ours lacks",
    ("08_extended_unknown", b"EXCLUDE_OBJE"): "an extended command that ours lacks",
    ("08_extended_unknown", b"PID_CALIBRAT"): "an extended command that ours lacks",
    ("08_extended_unknown", b"HELP\n"): "the texts of the help",
}
"""What is not compared, by log and how the line begins, and why."""


def is_unlike(name: str, sent: bytes) -> bool:
    return any(name == log and sent.startswith(line) for log, line in UNLIKE)


def normal(line: str) -> str:
    if line.startswith(_EXACT):
        return line
    if "FIRMWARE_NAME:" in line:
        return re.sub(r"(FIRMWARE_NAME:\w+).*", r"\1", line)
    return _NUMBER.sub("#", line)


def said(replies: list[str]) -> list[str]:
    """Return the answers: without what firmware says by itself, numbers as ``#``."""
    return [normal(line) for line in replies if not _BY_ITSELF.match(line)]


class Replay:
    """Plays the host of a log to the simulator."""

    def __init__(self, firmware: Firmware, *, real_time: bool) -> None:
        self.firmware = firmware
        self.real_time = real_time
        self.now = 0.0
        firmware.reset(0.0)

    def play(self, exchange: Exchange, pause: float) -> list[str]:
        """Return what comes until it is as much as in the log, or long enough."""
        heard = self._begin(exchange)
        enough = len(said(exchange.replies))
        least = self.now + pause if self.real_time or not enough else self.now
        limit = max(least, self.now + (_TIMEOUT if enough else min(1.0, pause)))
        while True:
            due = self.firmware.next_event(self.now)
            if len(said(heard)) >= enough > 0 and (due is None or due > least):
                break
            if due is None or due > limit:
                break
            self.now = due
            heard += lines(self.firmware.handle_time(due))
        self.now = max(self.now, least if enough else limit) + 0.001
        return said(heard)

    def _begin(self, exchange: Exchange) -> list[str]:
        firmware, now = self.firmware, self.now
        if exchange.sent:
            heard = lines(firmware.receive_data(exchange.sent, now))
            if _BACK in exchange.replies:
                heard += lines(firmware.panel("insert", now=now))
            return heard
        if "reset" in exchange.remark:
            return lines(firmware.reset(now))
        action = "pull" if "pulled" in exchange.remark else "insert"
        return lines(firmware.panel(action, now=now))


def cases() -> Iterator[tuple[str, str, Options]]:
    marlin = Options(files=MARLIN_FILES, filament_change=False)
    for name in ("basic", "lines", "burst", "motion", "heating", "misc", "sd"):
        yield "marlin", f"m21-{name}", marlin
    yield "marlin", "m21-2e", Options(extruders=2)
    yield "marlin", "m21-advok", Options(advanced_ok=True)
    yield "marlin", "m21-advok-lines", Options(advanced_ok=True)
    yield "marlin", "m21-NUL-in-line-acts-as-M1", marlin
    klipper = Options(files=KLIPPER_FILES)
    for name in (
        "01b_connect_ready",
        "02_basic_queries",
        "03_line_numbers_checksums",
        "04_move_home_jog",
        "05_temperature",
        "06_M112_firmware_restart",
        "06b_M112_variants",
        "07b_sd_pause_resume_cancel",
        "07c_sd_error_in_file",
        "08_extended_unknown",
    ):
        yield "klipper", name, klipper


@pytest.mark.parametrize(
    ("family", "name", "options"), list(cases()), ids=lambda value: str(value)[:40]
)
def test_it_answers_as_the_real_one(family: str, name: str, options: Options) -> None:
    real_time = "firmware_restart" in name
    replay = Replay(Firmware(family, **options), real_time=real_time)
    exchanges = transcripts.read(family, name)[1:]
    pauses = [after.at - before.at for before, after in pairwise(exchanges)]
    different = []
    compared = 0
    for exchange, pause in zip(exchanges, [*pauses, 1.0], strict=True):
        heard = replay.play(exchange, pause)
        was_reset = not exchange.sent or "start" in exchange.replies
        if was_reset or is_unlike(name, exchange.sent):
            continue
        compared += 1
        expected = said(exchange.replies)
        if heard != expected:
            different.append((exchange.at, exchange.sent, expected, heard))
    assert not different, "\n".join(map(str, different[:5]))
    assert compared >= 3, "the log was hardly read"


def test_every_log_is_the_copy_of_a_real_one() -> None:
    names = {path.name for path in transcripts.ROOT.rglob("*.txt")}
    assert len(names) >= 33
    for family in ("marlin", "klipper"):
        for path in (transcripts.ROOT / family).glob("*.txt"):
            assert len(transcripts.read(family, path.stem)) > 1, path.name


@pytest.mark.parametrize(
    ("log", "line"), list(UNLIKE), ids=lambda value: str(value)[:40]
)
def test_what_is_not_compared_is_in_its_log(log: str, line: bytes) -> None:
    family = "marlin" if log.startswith("m2") else "klipper"
    assert any(
        exchange.sent.startswith(line) for exchange in transcripts.read(family, log)
    )
