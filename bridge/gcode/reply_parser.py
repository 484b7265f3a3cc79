"""What a line of the firmware means: one line of text to typed replies.

A dialect decides where firmwares differ. What firmwares say is known from logs
(tests/transcripts) and the sources that docs/adr/0015 names. The rules are found by a
line's first letter, because every line that arrives is matched here. A rule is narrower
than the message needs where a file's name could match as well: files are called "ok
then.gcode" and "fatal: error.gcode", and each is a line of the card's list.
"""

import re
from collections.abc import Callable, Mapping, Sequence

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
    NotPrinting,
    Ok,
    OtherText,
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
Rule = tuple[re.Pattern[str], Builder]

# What follows is not the name of a file.
_NO_FILE = rf"(?!.*{ENDING})"
# Nine digits are more than any firmware counts to, and cheap to convert.
_OK_NUMBER = re.compile(
    r"(?:N\s*(-?\d{1,9})\b(?: P\d{1,4} B(\d{1,4})$)?|(\d{1,9})$)", re.ASCII
)


def parse_report(text: str, dialect: Dialect) -> list[Reply]:
    """Return the position or temperatures that a text reports, if it reports any."""
    if found := report_parser.parse_position(text):
        return [found]
    if heat := report_parser.parse_temperatures(text, dialect):
        return [heat]
    return []


def _ok(match: re.Match[str], dialect: Dialect) -> list[Reply]:
    rest = match["rest"].strip()
    if not rest:
        return [Ok()]
    if number := _OK_NUMBER.match(rest):
        room = number[2]
        return [Ok(int(number[1] or number[3]), room=int(room) if room else None)]
    said = parse_report(rest, dialect)
    if not said and (named := report_parser.parse_firmware(rest)):
        said = [named]
    temperature = any(isinstance(reply, TemperatureReport) for reply in said)
    if dialect.reports_state:
        said = [reply for reply in said if not _is_placeholder(reply)]
    return [*said, Ok(temperature=temperature)]


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
    return [firmware_errors.parse_bang(match["text"], dialect)]


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
    for pattern, build in _ECHOED:
        if found := pattern.match(said):
            return build(found, dialect)
    return [OtherText(match[0])]


def _is(reply: Reply) -> Builder:
    return lambda _match, _dialect: [reply]


def _rule(pattern: str, build: Builder) -> Rule:
    return re.compile(pattern, re.ASCII | re.IGNORECASE | re.DOTALL), build


_ECHOED: Sequence[Rule] = [
    _rule(r"busy:\s*(?P<reason>.*)", _busy),
    _rule(r"(?P<text>SD card (?:ok|(?P<gone>released|unmounted)))$", _card),
    _rule(r"(?P<text>No media|No SD card|SD init fail.*)$", _no_card),
    _rule(r"(?P<text>Unknown (?:\w )?(?:command|code).*)", _refusal),
    _rule(r"(?P<text>(?:[MTG]\d{1,4} )?Invalid (?:extruder|hotend|tool).*)", _refusal),
    _rule(r"(?P<text>.{0,20}extrusion prevented.*)", _refusal),
    _rule(r"(?P<text>Home [XYZ ]{1,9}First)$", _refusal),
    _rule(r"E(?P<tool>\d{1,3}) Flow:\s*(?P<percent>\d{1,9})%", _flow_factor),
    _rule(r"FR:\s*(?P<percent>\d{1,9})%", _speed_factor),
    _rule(
        r"(?:M73 )?(?:Progress|Percent done):\s*(?P<percent>\d{1,3}(?:\.\d{0,9})?)%?"
        r"(?:;[^:]*:\s*(?P<minutes>\d{1,9}))?",
        _progress,
    ),
]

RULES: Mapping[str, Sequence[Rule]] = {
    "b": [
        _rule(r"busy:\s*(?P<reason>.*)", _busy),
        _rule(r"Begin file list", _is(FileListBegin())),
    ],
    "c": [
        _rule(r"Cap:(?P<name>\w+):(?P<on>[01])$", _capability),
        _rule(r"Current file:\s*(?P<name>.*)", _current_file),
        _rule(r"(?P<text>Cannot (?:open|enter).*)", _refusal),
        _rule(r"(?P<text>Card successfully initialized)(?P<gone>(?!))?", _card),
    ],
    "d": [
        _rule(r"Done printing file", _is(PrintDone())),
        _rule(r"(?P<text>Deletion failed.*)", _refusal),
    ],
    "e": [
        _rule(r"echo:\s*(?P<text>.*)", _echo),
        _rule(r"Error:\s*(?P<text>.*)", _error),
        _rule(r"End file list", _is(FileListEnd())),
        _rule(r"(?P<text>error writing to file.*)", _refusal),
        _rule(r"E:\s*(?P<text>Bad [GM]-code.*)", _refusal),
    ],
    "f": [
        _rule(r"FIRMWARE_NAME\s*:.*", _firmware),
        _rule(
            r"File opened:?\s*(?P<name>.*?)\s*(?:Size:\s*(?P<size>\d{1,15}).*)?$",
            _file_opened,
        ),
        _rule(r"File selected", _is(FileSelected())),
        _rule(r"File deleted.*?(?P<ok>ok)?$", _file_deleted),
        _rule(r"(?P<text>fatal:.*)", _fatal),
        _rule(r"FR:\s*(?P<percent>\d{1,9})%", _speed_factor),
    ],
    "n": [
        _rule(r"Not SD printing", _is(NotPrinting())),
        _rule(r"NAME[.:].*", _firmware),
        _rule(r"(?P<text>No media)$", _no_card),
        _rule(
            r"NORMAL MODE: Percent done:\s*(?P<percent>\d{1,3})"
            r"(?:;[^:]*:\s*(?P<minutes>\d{1,9}))?",
            _progress,
        ),
    ],
    "o": [
        # A file may be called "ok then.gcode"; a list shows it with its size.
        _rule(r"ok(?=$|\s|:)(?!.*\.g\w{0,4}\s+\d+$)(?P<rest>.*)", _ok),
        _rule(r"(?P<text>open failed.*)", _refusal),
        _rule(r"(?P<text>openRoot failed.*)", _no_card),
    ],
    "p": [
        _rule(r"(?P<text>PID Autotune failed.*)", _refusal),
        _rule(rf"(?P<text>Probing failed{_NO_FILE}.*)", _fatal),
    ],
    "r": [
        _rule(
            r"(?:resend\s*:?|rs\b)\s*(?:N\s*:?\s*)?(?P<number>\d{1,9})(?![\w.~-])"
            + _NO_FILE,
            _resend,
        ),
    ],
    "s": [
        _rule(r"(?-i:start)$", _is(Started())),
        _rule(
            r"SD printing byte\s*(?P<position>\d{1,15})\s*/\s*(?P<size>\d{1,15})",
            _sd_progress,
        ),
        _rule(r"SD print paused$", _is(PrintPaused())),
        _rule(r"(?P<text>SD card (?:ok|(?P<gone>released|unmounted)))", _card),
        _rule(r"(?P<text>SD init fail.*|SD card not inserted.*)", _no_card),
    ],
    "t": [_rule(r"Target(?:Extr|Bed).*", _targets)],
    "u": [_rule(r"(?P<text>Unknown (?:\w )?(?:command|code).*)", _refusal)],
    "v": [_rule(r"(?P<text>volume\.init failed.*)", _no_card)],
    "w": [
        _rule(r"(?-i:wait)$", _is(Wait())),
        _rule(r"(?P<text>workDir open failed.*)", _refusal),
    ],
    "a": [_rule(r"Active Extruder:\s*(?P<tool>\d{1,3})$", _active_tool)],
    "i": [_rule(r"(?P<text>Invalid [GM] code.*)", _refusal)],
    "!": [_rule(rf"!!(?=\s|{_NO_FILE})\s*(?P<text>.*)", _bang)],
    ":": [_rule(r":\s*(?P<text>Extruder switched off.*)", _fatal)],
    "/": [
        _rule(r"//\s*action:\s*(?P<name>\S+)\s*(?P<argument>.*)", _action),
        _rule(
            r"//\s*\w+ state:\s*(?P<state>ready|not ready|shutdown|disconnect)$",
            _readiness,
        ),
        _rule(r"//\s*(?P<text>Unknown command.*)", _refusal),
        _rule(r"// Printer is (?P<state>shutdown|halted|not ready)", _not_ready),
    ],
}
"""The rules for a line, by its first letter; the first one that matches counts."""


_BOOT_HINT = re.compile(
    r".+start|.*(?:PowerUp|(?:External|Brown out|Watchdog|Software) Reset)", re.DOTALL
)
"""A ``start`` with noise before it, and the cause of a reset, which Marlin reports on
the next line."""


def parse_reply(line: str, dialect: Dialect = MARLIN) -> list[Reply]:
    """Return what a line means; any text means something, a blank line nothing.

    ``ok T:20.1 /0.0`` means two things: reports come first, the :class:`Ok` last. What
    no rule matches is an :class:`OtherText`, unless it reports an error.

    Args:
        line: a line without its line end.
        dialect: the firmware's.

    """
    text = line.replace("\0", "").strip()
    for pattern, build in RULES.get(text[:1].lower(), ()):
        if match := pattern.match(text):
            return build(match, dialect)
    if not text:
        return []
    return parse_report(text, dialect) or [parse_unmarked(text, dialect)]


def hints_at_start(text: str) -> bool:
    """Return whether a line may be a boot whose ``start`` arrived damaged.

    ``PID Autotune start`` looks the same, so it is only a reason to ask.
    """
    return _BOOT_HINT.fullmatch(text) is not None
