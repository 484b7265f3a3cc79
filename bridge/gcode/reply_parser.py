"""Parses one line of text from the firmware into typed replies.

Where firmwares differ, the dialect decides. Each rule names its source: a log in
tests/transcripts, documentation, or a public thread; docs/gcode.md is generated from
the rules. They are found by the first letter of a line, because every line that arrives
is matched here. Where the name of a file could match as well, a rule is narrower than
the message needs: files are called "ok then.gcode" and "fatal: error.gcode", and each
of them is a line of the card's file list.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.gcode import firmware_errors, report_parser
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.file_list import ENDING
from bridge.gcode.firmware_errors import parse_unmarked
from bridge.gcode.reply_types import (
    Action,
    ActiveTool,
    Busy,
    Capability,
    CardState,
    CurrentFile,
    Fatal,
    FileListBegin,
    FileListEnd,
    FileOpened,
    FileSelected,
    FlowFactor,
    ForeignFirmware,
    Locked,
    NotPrinting,
    Ok,
    OtherText,
    PrintCancelled,
    PrintDone,
    PrintPaused,
    PrintProgress,
    Progress,
    Readiness,
    Refusal,
    Reply,
    Resend,
    SpeedFactor,
    Started,
    TemperatureReport,
    Wait,
)

Builder = Callable[[re.Match[str], Dialect], list[Reply]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One phrase and its meaning.

    Attributes:
        pattern: matches the whole line, or its beginning.
        build: returns the replies.
        example: a line as the firmware says it.
        families: the dialects that are known to say it; empty: most do.
        source: where it was found: a log, documentation, or a public thread.

    """

    pattern: re.Pattern[str]
    build: Builder
    example: str
    families: tuple[str, ...]
    source: str


# What follows is not the name of a file.
_NO_FILE = rf"(?!.*{ENDING})"
# Nine digits are more than any line number here (framing.LONGEST_NUMBER), and cheap to
# convert.
_OK_NUMBER = re.compile(
    r"(?:N\s*:?\s*(?P<marked>-?\d{1,9})\b|(?P<bare>\d{1,9})(?=\s*$|\s+[A-Z]+\d*[: ]))?"
    r"(?:\s*\b(?:P\d{1,4}|B(?P<room>\d{1,4}))\b(?!:))*\s*",
    re.ASCII,
)
"""What may follow ``ok``.

* ``ok N2 P15 B3``: the line number, the free places in the planner, and those in the
  command buffer (Marlin's ``ADVANCED_OK``,
  tests/transcripts/marlin/m21-advok-lines.txt).
* ``ok N5 P7 B15 T:153.4 /0.0``: with temperatures (Malyan,
  tests/transcripts/reports/octoprint-malyan.log).
* ``ok N:7395``: with a colon (Anycubic,
  tests/transcripts/reports/octoprint-anycubic-numbered.log).
* ``ok 2``: the number alone (Repetier).
"""


_NUMBERED_OK = re.compile(r"ok N(\d{1,9}) P\d{1,4} B(\d{1,4})", re.ASCII)
"""How Marlin with ``ADVANCED_OK`` answers a line in a print, as above."""


def parse_numbered_ok(text: str) -> Ok | None:
    """Return an ``ok`` that names its line, as :func:`parse_reply` would; or ``None``.

    It is found here without the rules, because a print has hundreds of them a second.
    """
    found = _NUMBERED_OK.fullmatch(text)
    return Ok(int(found[1]), room=int(found[2])) if found else None


def parse_report(text: str, dialect: Dialect) -> list[Reply]:
    """Return the position or temperatures that a text reports, if it reports any."""
    if found := report_parser.parse_position(text):
        return [found]
    if heat := report_parser.parse_temperatures(text, dialect):
        return [heat]
    return []


def _ok(match: re.Match[str], dialect: Dialect) -> list[Reply]:
    number, room, rest = _counted(match["rest"].strip())
    if not rest:
        return [Ok(number, room=room)]
    said = parse_report(rest, dialect)
    if not said and (named := report_parser.parse_firmware(rest)):
        said = [named]
    room = room if said else None
    temperature = any(isinstance(reply, TemperatureReport) for reply in said)
    if dialect.reports_state:
        said = [reply for reply in said if not _is_placeholder(reply)]
    return [*map(_as_answer, said), Ok(number, temperature=temperature, room=room)]


def _counted(text: str) -> tuple[int | None, int | None, str]:
    """Return the line's number, the room for others, and the rest of an ``ok``."""
    counted = _OK_NUMBER.match(text)
    digits = (counted["marked"] or counted["bare"]) if counted else None
    free = counted["room"] if counted and digits else None
    rest = text[counted.end() :] if counted else text
    return int(digits) if digits else None, int(free) if free else None, rest


def _as_answer(reply: Reply) -> Reply:
    return replace(reply, asked=True) if isinstance(reply, TemperatureReport) else reply


def _is_placeholder(reply: Reply) -> bool:
    return isinstance(reply, TemperatureReport) and report_parser.is_placeholder(
        reply.readings
    )


def _file_deleted(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [OtherText(match[0]), Ok()] if match["ok"] else [OtherText(match[0])]


def _resend(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Resend(int(match["number"]))]


def _error(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [firmware_errors.parse_error(match["text"])]


def _bang(match: re.Match[str], dialect: Dialect) -> list[Reply]:
    said = firmware_errors.parse_bang(match["text"], dialect)
    if dialect.reports_state and match["text"] == "Printer is not ready":
        return [Readiness("not_ready"), said]
    return [said]


def _fatal(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    text = match["text"]
    return [Fatal(text, firmware_errors.fatal_reason(text) or "fatal")]


def _refusal(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Refusal(match["text"])]


def _no_card(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [CardState(ready=False, text=match["text"]), Refusal(match["text"])]


def _card(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [CardState(ready=match["gone"] is None, text=match["text"])]


def _busy(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Busy(match["reason"])]


def _action(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Action(match["name"], match["argument"])]


def _foreign(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    if "FluidNC" in match.string:
        return [ForeignFirmware("FluidNC")]
    hal = match["name"].lower() == "grblhal"
    return [ForeignFirmware("grblHAL" if hal else "grbl")]


def _locked(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Locked(match["text"]), Refusal(match["text"])]


def _done(_match: re.Match[str], dialect: Dialect) -> list[Reply]:
    return [PrintDone(certain=dialect.done_is_certain)]


def _readiness(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Readiness(match["state"].lower().replace(" ", "_"))]


def _not_ready(match: re.Match[str], dialect: Dialect) -> list[Reply]:
    if dialect.reports_state:
        state = "shutdown" if match["state"] == "shutdown" else "not_ready"
        return [Readiness(state)]
    return [OtherText(match[0])]


def _firmware(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [report_parser.parse_firmware(match[0]) or OtherText(match[0])]


def _capability(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [Capability(match["name"].upper(), enabled=match["on"] == "1")]


def _file_opened(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    size = match["size"]
    return [FileOpened(match["name"].strip(), int(size) if size else None)]


def _sd_progress(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [PrintProgress(int(match["position"]), int(match["size"]))]


def _current_file(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    name = match["name"]
    return [CurrentFile(None if name in {"", "(no file)"} else name)]


def _progress(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    minutes = match["minutes"]
    percent = min(100.0, float(match["percent"]))
    return [Progress(percent, float(minutes) * 60 if minutes else None)]


def _speed_factor(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [SpeedFactor(float(match["percent"]))]


def _flow_factor(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [FlowFactor(int(match["tool"]), float(match["percent"]))]


def _active_tool(match: re.Match[str], _dialect: Dialect) -> list[Reply]:
    return [ActiveTool(int(match["tool"]))]


def _targets(match: re.Match[str], dialect: Dialect) -> list[Reply]:
    found = report_parser.parse_targets(match[0]) if dialect.repetier_targets else None
    return [found or OtherText(match[0])]


def _echo(match: re.Match[str], dialect: Dialect) -> list[Reply]:
    said = match["text"]
    for rule in ECHOED:
        if found := rule.pattern.match(said):
            return rule.build(found, dialect)
    return [OtherText(match[0])]


def _is(reply: Reply) -> Builder:
    return lambda _match, _dialect: [reply]


def _rule(
    pattern: str, build: Builder, example: str, source: str, families: str = ""
) -> Rule:
    compiled = re.compile(pattern, re.ASCII | re.IGNORECASE | re.DOTALL)
    return Rule(compiled, build, example, tuple(families.split()), source)


# Where the phrases were found: in logs of firmwares that ran here, in documentation,
# and in public threads, which tests/transcripts/README.md lists.
_LOG = "tests/transcripts"
_REPORTS = "tests/transcripts/reports"
_OCTOPRINT = "https://github.com/OctoPrint/OctoPrint/issues/"
_DAVINCI = "https://github.com/luc-github/Repetier-Firmware-4-Davinci/issues/"
_TEACUP = "https://github.com/Traumflug/Teacup_Firmware/issues/"
_FELIX = "https://forum.felixprinters.com/viewtopic.php?t=897"
_MARLIN_CODES = "https://marlinfw.org/docs/gcode/"
_MARLIN = "https://github.com/MarlinFirmware/Marlin/issues/"
_REPRAP_WIKI = "https://reprap.org/wiki/G-code"
_REPETIER_DOCS = "https://www.repetier.com/documentation/repetier-firmware/"
_DUET_DOCS = "https://docs.duet3d.com/en/User_manual/Reference/Gcodes"
_SMOOTHIE_DOCS = "https://smoothieware.org/on_halt"
_PRUSA_DOCS = (
    "https://help.prusa3d.com/article/prusa-firmware-specific-g-code-commands_112173"
)
_ACTIONS = "https://docs.octoprint.org/en/master/features/action_commands.html"
_GRBL_DOCS = "https://github.com/gnea/grbl/wiki/Grbl-v1.1-Interface"
_QUIRKS = "docs/adr/0015-quirks.md"

# One row for each phrase.
# fmt: off
ECHOED: Sequence[Rule] = [
    _rule(r"busy:\s*(?P<reason>.*)", _busy, "echo:busy: processing", _LOG,
          "marlin prusa"),
    _rule(r"(?P<text>SD card (?:ok|(?P<gone>released|unmounted|removed)))$", _card,
          "echo:SD card ok", _LOG, "marlin prusa"),
    _rule(r"(?P<text>No media|No SD card|SD init fail.*)$", _no_card, "echo:No SD card",
          _LOG, "marlin"),
    _rule(r"(?P<text>Printer locked!.*)", _locked,
          "echo:Printer locked! (Unlock with M511 or LCD)", _MARLIN_CODES + "M511.html",
          "marlin"),
    _rule(r"(?P<text>Unknown (?:\w )?(?:command|code).*)", _refusal,
          'echo:Unknown command: "G999"', _LOG, "marlin"),
    _rule(r"(?P<text>(?:[MTG]\d{1,4} )?Invalid (?:extruder|hotend|tool).*)", _refusal,
          "echo:T1 Invalid extruder", _LOG, "marlin"),
    _rule(r"(?P<text>.{0,20}extrusion prevented.*)", _refusal,
          "echo: cold extrusion prevented", _LOG, "marlin"),
    _rule(r"(?P<text>Homing Failed)$", _refusal, "echo:Homing Failed",
          _MARLIN + "22718", "marlin"),
    _rule(r"(?P<text>Home [XYZ ]{1,9}First)$", _refusal, "echo:Home XYZ First", _LOG,
          "marlin"),
    _rule(r"Active Extruder:\s*(?P<tool>\d{1,3})$", _active_tool,
          "echo:Active Extruder: 2", _MARLIN_CODES + "T000-T007.html", "marlin"),
    _rule(r"E(?P<tool>\d{1,3}) Flow:\s*(?P<percent>\d{1,9})%", _flow_factor,
          "echo:E0 Flow: 100%", _LOG, "marlin"),
    _rule(r"FR:\s*(?P<percent>\d{1,9})%", _speed_factor, "echo:FR:100%", _LOG,
          "marlin"),
    _rule(r"(?:M73 )?(?:Progress|Percent done):\s*(?P<percent>\d{1,3}(?:\.\d{0,9})?)%?"
          r"(?:;[^:]*:\s*(?P<minutes>\d{1,9}))?", _progress,
          "echo:Progress: 12.5%; Time left: 5m", _MARLIN_CODES + "M073.html", "marlin"),
]
"""The rules for what follows ``echo:``; the first one that matches counts."""

RULES: Mapping[str, Sequence[Rule]] = {
    "b": [
        _rule(r"busy:\s*(?P<reason>.*)", _busy, "busy: paused for user", _PRUSA_DOCS,
              "prusa"),
        _rule(r"Begin file list:?$", _is(FileListBegin()), "Begin file list", _LOG),
    ],
    "c": [
        _rule(r"Cap:(?P<name>\w+):(?P<on>[01])$", _capability, "Cap:AUTOREPORT_TEMP:1",
              _LOG, "marlin prusa repetier"),
        _rule(r"Current file:\s*(?P<name>.*)", _current_file, "Current file: SMALL.GCO",
              _LOG, "marlin"),
        _rule(r"Cancell?ed printing file\s+(?:\S*/|.*, print time)",
              _is(PrintCancelled()),
              "Cancelled printing file 0:/gcodes/cube.gcode, print time was 0h 5m",
              _REPORTS + "/octoprint-rrf-cancel.log", "reprapfirmware"),
        _rule(r"(?P<text>Cannot (?:open|enter).*)", _refusal, "Cannot open subdir foo",
              _LOG, "marlin"),
        _rule(r"(?P<text>Card successfully initialized)(?P<gone>(?!))?", _card,
              "Card successfully initialized", _QUIRKS, "repetier"),
    ],
    "d": [
        _rule(r"Done printing file\.?$", _done, "Done printing file", _LOG),
        _rule(r"(?P<text>Deletion failed.*)", _refusal, "Deletion failed, File: x.gco.",
              _LOG, "marlin"),
    ],
    "e": [
        _rule(r"echo:\s*(?P<text>.*)", _echo, "echo:hello", _LOG, "marlin"),
        _rule(r"Error:\s*(?P<text>.*)", _error, "Error:SD read error", _LOG),
        _rule(r"End file list$", _is(FileListEnd()), "End file list", _LOG),
        _rule(r"(?P<text>error writing to file.*)", _refusal, "error writing to file",
              _OCTOPRINT + "1713", "marlin1"),
        _rule(r"E:\s*(?P<text>Bad [GM]-code.*)", _refusal, "E: Bad G-code 999",
              _TEACUP + "305", "teacup"),
    ],
    "f": [
        _rule(r"FIRMWARE_NAME\s*:.*", _firmware,
              "FIRMWARE_NAME:Marlin 2.1.2 PROTOCOL_VERSION:1.0", _LOG),
        _rule(r"File opened:?\s*(?P<name>.*?)\s*(?:Size:\s*(?P<size>\d{1,15}).*)?$",
              _file_opened, "File opened: small.gco Size: 51", _LOG),
        _rule(r"File selected\.?$", _is(FileSelected()), "File selected", _LOG),
        _rule(r"Finished printing file\s+(?:\S*/|.*, print time)", _is(PrintDone()),
              "Finished printing file 0:/gcodes/cube.gcode, print time was 0h 5m",
              _REPORTS + "/miniterm-duet.log", "reprapfirmware"),
        _rule(r"File deleted.*?(?P<ok>ok)?$", _file_deleted, "File deleted:up.gco",
              _LOG),
        _rule(r"(?P<text>fatal:.*)", _fatal, "fatal:Heater/sensor error",
              _REPETIER_DOCS, "repetier"),
        _rule(r"FR:\s*(?P<percent>\d{1,9})%", _speed_factor, "FR:95%", _LOG, "marlin"),
    ],
    "g": [
        _rule(r"(?P<name>grbl(?:hal)?) (?=v?\d+\.)(?!.*\.g\w{0,4}\s+\d+$)", _foreign,
              "Grbl 1.1h ['$' for help]", _GRBL_DOCS, "(grbl)"),
    ],
    "n": [
        _rule(r"Not SD printing\.?$", _is(NotPrinting()), "Not SD printing", _LOG),
        _rule(r"NAME[.:].*", _firmware, "NAME: Malyan VER: 3.5 MODEL: M200", _QUIRKS,
              "malyan"),
        _rule(r"(?P<text>No media)$", _no_card, "No media", _LOG, "marlin"),
        _rule(r"NORMAL MODE: Percent done:\s*(?P<percent>\d{1,3})"
              r"(?:;[^:]*:\s*(?P<minutes>\d{1,9}))?", _progress,
              "NORMAL MODE: Percent done: 99; print time remaining in mins: 1",
              _PRUSA_DOCS, "prusa"),
    ],
    "o": [
        # A file may be called "ok then.gcode"; a list shows it with its size.
        _rule(r"ok(?=$|\s|:)(?!.*\.g\w{0,4}\s+\d+$)(?P<rest>.*)", _ok, "ok N7 P15 B3",
              _LOG),
        _rule(r"(?P<text>open failed.*)", _refusal, "open failed, File: nosuch.gco.",
              _LOG, "marlin"),
        _rule(r"(?P<text>openRoot failed.*)", _no_card, "openRoot failed", _QUIRKS,
              "marlin1"),
    ],
    "p": [
        _rule(rf"(?P<text>Printer stopped due to errors{_NO_FILE}.*)", _fatal,
              "Printer stopped due to errors. Fix the error and use M999 to restart.",
              _MARLIN_CODES + "M999.html", "marlin"),
        _rule(r"(?P<text>PID Autotune failed.*)", _refusal,
              "PID Autotune failed! Bad extruder number", _MARLIN_CODES + "M303.html",
              "marlin"),
        _rule(rf"(?P<text>Probing failed{_NO_FILE}.*)", _refusal, "Probing failed",
              _MARLIN_CODES + "G029-abl-bilinear.html", "marlin"),
    ],
    "r": [
        _rule(r"(?:resend\s*:?|rs\b)\s*(?:N\s*:?\s*)?(?P<number>\d{1,9})(?![\w.~-])"
              + _NO_FILE, _resend, "Resend: 23", _LOG),
    ],
    "s": [
        _rule(r"(?-i:start)$", _is(Started()), "start", _LOG),
        _rule(r"SD printing byte\s*(?P<position>\d{1,15})\s*/\s*(?P<size>\d{1,15})",
              _sd_progress, "SD printing byte 17/107", _LOG),
        _rule(r"SD print paused$", _is(PrintPaused()), "SD print paused", _PRUSA_DOCS,
              "prusa"),
        _rule(r"SD print (?:stopped|cancell?ed|aborted)(?: by user)?\.?$",
              _is(PrintCancelled()), "SD print stopped by user.",
              _REPORTS + "/repetier-host.log", "repetier"),
        _rule(r"(?P<text>SD card (?:ok|(?P<gone>released|unmounted|removed)))", _card,
              "SD card removed", _FELIX, "repetier"),
        _rule(r"(?P<text>SD init fail.*|SD card not inserted.*)", _no_card,
              "SD init fail", _QUIRKS, "marlin1 repetier"),
    ],
    "t": [
        _rule(r"Target(?:Extr|Bed).*", _targets, "TargetExtr0:200", _REPETIER_DOCS,
              "repetier"),
    ],
    "u": [
        _rule(r"(?P<text>Unknown (?:\w )?(?:command|code).*)", _refusal,
              "Unknown command:N1093 M9876", _DAVINCI + "29", "repetier prusa"),
    ],
    "v": [
        _rule(r"(?P<text>volume\.init failed.*)", _no_card, "volume.init failed",
              _QUIRKS, "marlin1"),
    ],
    "w": [
        _rule(r"(?-i:wait)$", _is(Wait()), "wait", _REPETIER_DOCS, "repetier malyan"),
        _rule(r"(?P<text>workDir open failed.*)", _refusal, "workDir open failed",
              _QUIRKS, "marlin1"),
    ],
    "a": [
        _rule(r"Active Extruder:\s*(?P<tool>\d{1,3})$", _active_tool,
              "Active Extruder: 1", _LOG, "marlin"),
    ],
    "[": [
        _rule(r"\[(?P<name>VER):\d", _foreign, "[VER:1.1h.20190825:]", _GRBL_DOCS,
              "(grbl)"),
    ],
    "i": [
        _rule(r"(?P<text>Invalid [GM] code.*)", _refusal, "Invalid M code.",
              _OCTOPRINT + "1713", "prusa"),
    ],
    "!": [
        _rule(rf"!!(?=\s|{_NO_FILE})\s*(?P<text>.*)", _bang, "!! Must home axis first",
              _LOG, "klipper smoothieware"),
    ],
    ":": [
        _rule(r":\s*(?P<text>Extruder switched off\. M(?:IN|AX)TEMP trig.*)", _fatal,
              ": Extruder switched off. MAXTEMP triggered !", _QUIRKS, "marlin1"),
    ],
    "/": [
        _rule(r"//\s*action:\s*(?P<name>\S+)\s*(?P<argument>.*)", _action,
              "//action:pause filament_runout", _ACTIONS, "marlin prusa klipper"),
        _rule(r"//\s*\w+ state:\s*(?P<state>ready|not ready|shutdown|disconnect)$",
              _readiness, "// Klipper state: Ready", _LOG, "klipper"),
        _rule(r"//\s*(?P<text>Unknown command.*)", _refusal,
              '// Unknown command:"M155"', _LOG, "klipper"),
        _rule(r"// (?:Printer is (?P<state>shutdown|halted)"
              r"|Error configuring printer)$", _not_ready, "// Printer is shutdown",
              _LOG, "klipper"),
    ],
}
# fmt: on
"""The rules for a line, by its first letter; the first one that matches counts."""


_BOOT_HINT = re.compile(
    r".+start|.*(?:PowerUp|(?:External|Brown out|Watchdog|Software) Reset)", re.DOTALL
)
"""A ``start`` with noise before it, and the cause of a reset, which Marlin reports on
the next line (``PowerUp``: tests/transcripts/marlin/m21-basic.txt; ``External Reset``:
tests/transcripts/reports/octoprint-lulzbot-torn-ok.log)."""


def parse_reply(line: str, dialect: Dialect = MARLIN) -> list[Reply]:
    """Return the replies in a line: at least one, unless the line is blank.

    ``ok T:20.1 /0.0`` contains two: reports come first, the :class:`Ok` last. What no
    rule matches is an :class:`OtherText`, unless it reports an error.

    Args:
        line: a line without its line end.
        dialect: the firmware's.

    """
    text = line.replace("\0", "").strip()
    for rule in RULES.get(text[:1].lower(), ()):
        if match := rule.pattern.match(text):
            return rule.build(match, dialect)
    if not text:
        return []
    if said := parse_report(text, dialect):
        return [*said, *_interrupting_ok(text, said)]
    return [parse_unmarked(text, dialect)]


_INTERRUPTING_OK = re.compile(
    r"(?<=[\d@:])(?:N\d{0,9})?ok(?P<rest>(?:\s+N\d{1,9})?(?:\s+[PB]\d{1,4})*)$",
    re.ASCII,
)
"""An ``ok`` in the middle of an automatic report. On some boards, Marlin 1.1 writes
both at once (``@0:127 @1:10N2ok N238 P1 B3``, ``@0:55 @N780ok``;
https://github.com/MarlinFirmware/Marlin/issues/9658,
https://github.com/OctoPrint/OctoPrint/issues/2254). No report ends that way."""


def _interrupting_ok(text: str, said: Sequence[Reply]) -> list[Reply]:
    found = _INTERRUPTING_OK.search(text)
    if found is None or not isinstance(said[0], TemperatureReport):
        return []
    number, _, _ = _counted(found["rest"].strip())
    return [Ok(number)]


def hints_at_start(text: str) -> bool:
    """Return whether the firmware may have booted, with a damaged ``start``.

    ``PID Autotune start`` looks the same, so this is only a reason to send a probe.
    """
    return _BOOT_HINT.fullmatch(text) is not None
