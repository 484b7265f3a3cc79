"""``gcode2mqtt replay``."""

import argparse
import re
from collections.abc import Iterable, Iterator

from bridge.config import Profile
from bridge.errors import ConfigError
from bridge.gcode.dialects import DIALECTS, UNKNOWN, Dialect, detect
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import FirmwareReport
from bridge.printer.knowledge import state
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.link.replay import Replay
from bridge.printer.link.wire_log import Direction, Entry, read_log
from bridge.printer.published.views import flags

_COLUMN = 60
_FRAME = re.compile(r"^N\d+ ?(.*?)\*\d+$")


def replay(chosen: argparse.Namespace) -> int:
    """Print what each line of a log means; return 0.

    Raises:
        ConfigError: The file cannot be read, or there is no such firmware.
        LogFormatError: It is not a log.

    """
    if chosen.firmware not in {"auto", *DIALECTS}:
        known = ", ".join(("auto", *DIALECTS))
        raise ConfigError(f"--firmware: no {chosen.firmware!r}; there are {known}")
    try:
        with chosen.file.open(encoding="utf-8") as lines:
            for line in explained(read_log(lines), chosen.firmware):
                print(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"{chosen.file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{chosen.file}: this is not a text in UTF-8") from error
    return 0


def explained(entries: Iterable[Entry], firmware: str = "auto") -> Iterator[str]:
    """Yield each entry, with what the bridge makes of it, and what changes by it."""
    dialect = DIALECTS.get(firmware, UNKNOWN)
    fates = Replay(dialect)
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
            yield line
            yield from map(_noted, fates.take(entry))
            yield from _changes(before, known)
            continue
        replies = parse_reply(text, dialect)
        if firmware == "auto":
            dialect = fates.dialect = _dialect(replies, dialect)
        for reply in replies:
            known = state.apply(
                known, reply, now=entry.time, dialect=dialect, profile=profile
            )
        yield f"{line:<{_COLUMN}} {'; '.join(map(repr, replies))}".rstrip()
        yield from map(_noted, fates.take(entry))
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
