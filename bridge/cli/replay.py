"""``gcode2mqtt replay``."""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from bridge.config import Profile
from bridge.errors import ConfigError
from bridge.gcode.dialects import DIALECTS, UNKNOWN, Dialect, detect
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import FirmwareReport, OtherText, Reply
from bridge.printer.knowledge import state
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.link.replay import Replay, read_any
from bridge.printer.link.wire_log import Direction, WireLogEntry
from bridge.printer.published.views import flags

_COLUMN = 60
_SHOWN = 100  # characters
_MOST = 30  # different texts
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_FRAME = re.compile(r"^N\d+ ?(.*?)\*\d+$")


def replay(chosen: argparse.Namespace) -> int:
    """Print what each line of a log means, and what has no meaning; return 0.

    Raises:
        ConfigError: The file cannot be read, or there is no such firmware.
        LogFormatError: It is not a log.

    """
    if chosen.firmware not in {"auto", *DIALECTS}:
        known = ", ".join(("auto", *DIALECTS))
        raise ConfigError(f"--firmware: no {chosen.firmware!r}; there are {known}")
    try:
        with chosen.file.open(encoding="utf-8") as lines:
            summary = Summary()
            for line in explained(read_any(lines), chosen.firmware, summary):
                if not chosen.summary:
                    print(line)
        for line in summary.lines():
            print(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"{chosen.file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{chosen.file}: this is not a text in UTF-8") from error
    return 0


class Summary:
    """Counts what a log says, and what of it means nothing to the bridge."""

    def __init__(self) -> None:
        self.family = UNKNOWN.name
        self._sent = 0
        self._understood: Counter[str] = Counter()
        self._others: Counter[str] = Counter()

    def sent(self) -> None:
        """Count a line of the host."""
        self._sent += 1

    def received(self, replies: Iterable[Reply]) -> None:
        """Count what a line of the firmware means; texts may differ in numbers."""
        for reply in replies:
            if isinstance(reply, OtherText):
                self._others[_NUMBER.sub("#", reply.text)[:_SHOWN]] += 1
            else:
                self._understood[type(reply).__name__] += 1

    def lines(self) -> Iterator[str]:
        """Yield the summary."""
        known, others = self._understood.total(), self._others.total()
        yield ""
        yield f"family {self.family}: {self._sent} lines sent; received:"
        yield f"{known:>8} understood"
        for name, count in self._understood.most_common():
            yield f"{count:>16} {name}"
        yield f"{others:>8} without a meaning for the bridge"
        for text, count in self._others.most_common(_MOST):
            yield f"{count:>16} {text}"
        if len(self._others) > _MOST:
            yield f"{'':>16} and {len(self._others) - _MOST} other texts"


def explained(
    entries: Iterable[WireLogEntry],
    firmware: str = "auto",
    summary: Summary | None = None,
) -> Iterator[str]:
    """Yield each entry, with what the bridge makes of it, and what changes by it.

    Args:
        entries: of the log.
        firmware: the family's name, or ``auto``.
        summary: counts what was understood.

    """
    summary = summary or Summary()
    dialect = DIALECTS.get(firmware, UNKNOWN)
    replay = Replay(dialect)
    profile = Profile()
    known = state.connected(state.initial(profile), dialect=dialect)
    for entry in entries:
        before = known
        text = entry.data.decode("ascii", "backslashreplace").rstrip("\r\n")
        line = f"{entry.time:10.3f} {entry.direction.value} {text}"
        if entry.direction is Direction.SENT:
            code = _FRAME.sub(r"\1", text)
            known = state.sent(
                known, code, now=entry.time, dialect=dialect, profile=profile
            )
            summary.sent()
            yield line
            yield from map(_noted, replay.take(entry))
            yield from _changes(before, known)
            continue
        replies = parse_reply(text, dialect)
        if firmware == "auto":
            dialect = replay.dialect = _dialect(replies, dialect)
        summary.family = dialect.name
        summary.received(replies)
        for reply in replies:
            known = state.apply(
                known, reply, now=entry.time, dialect=dialect, profile=profile
            )
        yield f"{line:<{_COLUMN}} {'; '.join(map(repr, replies))}".rstrip()
        yield from map(_noted, replay.take(entry))
        yield from _changes(before, known)


def _dialect(replies: Iterable[object], dialect: Dialect) -> Dialect:
    names = [reply.name for reply in replies if isinstance(reply, FirmwareReport)]
    return detect(names[0]) if names else dialect


def _changes(before: PrinterState, after: PrinterState) -> Iterator[str]:
    old, new = (flags(one).model_dump() for one in (before, after))
    for name, value in new.items():
        if value != old[name]:
            yield _noted(f"{name}: {str(value).lower()}")


def _noted(text: str) -> str:
    return f"{'':>10} = {text}"
