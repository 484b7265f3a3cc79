"""The daemon's log: one line for each event, on standard error."""

import json
import logging
import os
import select
import sys
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import Context, ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import TextIO

from bridge.config import Config, Log
from bridge.log_dedupe import LogDedupe

ROOT = "bridge"
_SHORTEST_SECRET = 4  # characters; a shorter one would be replaced within other words
# Characters; at most 4,096 bytes. A pipe that poll(2) calls writable has room for as
# many (PIPE_BUF, pipe(7)).
_PIECE = 1024
_COLOURS = {"WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m"}
_PLAIN = "\033[0m"
# syslog's levels; journald reads them in angle brackets at the start of a line, as
# the manual page sd-daemon(3) describes.
_SYSLOG = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}

_printer: ContextVar[str | None] = ContextVar("printer", default=None)


def about(printer: str) -> None:
    """Add a printer's id to what the current task and its callbacks log."""
    _printer.set(printer)


def printer(context: Context) -> str | None:
    """Return the id of the printer that a task or a callback works for.

    The context is read, not entered: from CPython 3.12 on, asyncio calls its exception
    handler in the context of the callback that failed.
    """
    return context.get(_printer)


def escaped(text: str) -> str:
    """Return a text with its control characters escaped.

    What others send must neither fake lines nor control the terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


class Handler(logging.StreamHandler[TextIO]):
    """Writes each record once, and of repeated ones the number.

    What is logged at the level `debug` is written always, because its order matters. A
    warning lets the next message of a lower level through, because that may say that
    the warning is over ("connected to …").

    It never waits. If nobody reads the pipe or terminal that it writes to, records are
    left out, and their number is written as soon as somebody does.

    Args:
        stream: where to.
        every: seconds in which the same text is written only once.
        clock: returns the time in seconds.

    """

    def __init__(
        self,
        stream: TextIO,
        every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to a stream."""
        super().__init__(stream)
        self._every = every
        self._clock = clock
        self._repeats: dict[tuple[int, str, str | None], LogDedupe] = {}
        self._piece = _writer_of(stream)
        self._left_out = 0
        self._release: Callable[[], object] = lambda: None
        if (own := _own_terminal(stream)) is not None:
            self._piece = partial(_write_to_terminal, own)
            self._release = weakref.finalize(self, os.close, own)

    def close(self) -> None:
        """Close what it has opened itself; the stream stays open."""
        self._release()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the same one was written a moment ago."""
        printer = getattr(record, "printer", None) or _printer.get()
        vars(record)["printer"] = printer
        if record.levelno <= logging.DEBUG:
            self._write(record)
            return
        subject = (record.levelno, record.name, printer)
        repeats = self._repeats.setdefault(subject, LogDedupe(self._every))
        now = self._clock()
        text = repeats.filter(record.getMessage(), now)
        self._write_counts(subject, now)
        if text is None:
            return
        for other, lower in self._repeats.items():
            if other[1:] == subject[1:] and other[0] < record.levelno:
                lower.forget()
        record.msg, record.args = text, ()
        self._write(record)

    def write_counts(self) -> None:
        """Write how often messages were repeated that have stopped since."""
        now = self._clock()
        for subject in self._repeats:
            self._write_counts(subject, now)

    def _write_counts(self, subject: tuple[int, str, str | None], now: float) -> None:
        level, name, printer = subject
        for text in self._repeats[subject].overdue(now):
            fields = {
                "levelno": level,
                "levelname": logging.getLevelName(level),
                "name": name,
                "printer": printer,
                "msg": text,
            }
            self._write(logging.makeLogRecord(fields))

    def _write(self, record: logging.LogRecord) -> None:
        if self._left_out:
            text = "%d log records are missing here: nobody has read them"
            fields = {**vars(record), "msg": text, "args": (self._left_out,)}
            missing = logging.makeLogRecord({**fields, "exc_info": None})
            if not self._put(missing):
                self._left_out += 1
                return
            self._left_out = 0
        if not self._put(record):
            self._left_out += 1

    def _put(self, record: logging.LogRecord) -> bool:
        """Write a record, in pieces for which there is room; return whether there was.

        A record that does not fit in whole is cut off.
        """
        try:
            text = self.format(record) + self.terminator
            return all(
                self._piece(text[begin : begin + _PIECE])
                for begin in range(0, len(text), _PIECE)
            )
        except Exception:  # noqa: BLE001 - as logging.StreamHandler.emit does
            self.handleError(record)
            return True


class Formatter(logging.Formatter):
    """Makes a record one line, without secrets and without control characters."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """Hide ``secrets``, except very short ones, which could be part of any word."""
        super().__init__()
        self._secrets = [text for text in secrets if len(text) >= _SHORTEST_SECRET]

    def clean(self, text: str) -> str:
        """Return a text without secrets, and with its control characters escaped.

        What a printer or a client sends can be part of a message, and must neither fake
        lines nor control the terminal.
        """
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return escaped(text)

    def trace(self, record: logging.LogRecord) -> list[str]:
        """Return the lines of the exception that belongs to a record."""
        if not record.exc_info:
            return []
        return [
            self.clean(x) for x in self.formatException(record.exc_info).split("\n")
        ]


class Text(Formatter):
    """For people: time, level, part, printer, message."""

    def __init__(
        self, secrets: Collection[str] = (), *, journal: bool, colour: bool
    ) -> None:
        """Choose the format.

        Args:
            secrets: texts to hide.
            journal: put the level in front, and no time: journald adds it.
            colour: mark warnings and errors for a terminal.

        """
        super().__init__(secrets)
        self._journal = journal
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, and those of the exception under it."""
        printer = getattr(record, "printer", None)
        words = [
            f"{record.levelname:<7}",
            f"{_part(record)}:",
            f"[{printer}]" if printer else "",
            self.clean(record.getMessage()),
        ]
        lines = [" ".join(filter(None, words)), *self.trace(record)]
        if self._journal:
            level = _SYSLOG.get(record.levelname, 6)
            return "\n".join(f"<{level}>{line}" for line in lines)
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        text = f"{moment:%Y-%m-%d %H:%M:%S} " + "\n".join(lines)
        colour = _COLOURS.get(record.levelname, "") if self._colour else ""
        return f"{colour}{text}{_PLAIN}" if colour else text


class Json(Formatter):
    """For machines: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a JSON object in one line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        document = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": _part(record),
            "printer": getattr(record, "printer", None),
            "message": self.clean(record.getMessage()),
            "exception": "\n".join(self.trace(record)) or None,
        }
        return json.dumps({k: v for k, v in document.items() if v is not None})


def secrets(config: Config) -> list[str]:
    """Return the texts that must never be logged."""
    password = config.mqtt.password
    return [] if password is None else [password.get_secret_value()]


def configure(
    log: Log,
    hidden: Iterable[str] = (),
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Send all records to a stream, as the configuration says.

    Args:
        log: how much, and in which form.
        hidden: texts that are replaced by ``***``.
        stream: where to; by default standard error.
        environ: ``JOURNAL_STREAM`` and ``NO_COLOR`` are read.

    """
    stream = sys.stderr if stream is None else stream
    handler = Handler(stream)
    if log.format == "json":
        handler.setFormatter(Json(tuple(hidden)))
    else:
        colour = stream.isatty() and not environ.get("NO_COLOR")
        journal = _is_journal(stream, environ)
        handler.setFormatter(Text(tuple(hidden), journal=journal, colour=colour))
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, Handler):
            old.close()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # After a reload, parts that the configuration no longer names lose their level.
    for name in list(root.manager.loggerDict):
        if name.startswith(f"{ROOT}."):
            logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger(ROOT).setLevel(log.level.upper())
    for part, level in log.levels.items():
        logging.getLogger(f"{ROOT}.{part}").setLevel(level.upper())


def write_counts() -> None:
    """Write how often messages were repeated that have stopped since."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Handler):
            handler.write_counts()


def _part(record: logging.LogRecord) -> str:
    return record.name.removeprefix(f"{ROOT}.")


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream leads to journald; systemd.exec(5), JOURNAL_STREAM."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _writer_of(stream: TextIO) -> Callable[[str], bool]:
    """Return what writes a piece of a record where that does not have to wait."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return partial(_write_if, lambda: True, stream)  # it only exists in memory
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    # Also where it has failed: then writing fails at once.
    return partial(_write_if, lambda: bool(poll.poll(0)), stream)


def _write_if(room: Callable[[], bool], stream: TextIO, piece: str) -> bool:
    if not room():
        return False
    stream.write(piece)
    stream.flush()
    return True


def _own_terminal(stream: TextIO) -> int | None:
    """Return a descriptor of our own for a terminal, which never waits; None: no other.

    A terminal that poll(2) calls writable may have room for a single byte, and writing
    more waits until somebody reads. The descriptor of the stream cannot be told not to
    wait, because the shell that started us shares it.
    """
    try:
        descriptor = stream.fileno()
        if not os.isatty(descriptor):
            return None
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except (OSError, ValueError):  # for example, the terminal belongs to another user
        return None


def _write_to_terminal(descriptor: int, piece: str) -> bool:
    data = piece.encode("utf-8", "backslashreplace")
    try:
        return os.write(descriptor, data) == len(data)
    except BlockingIOError:
        return False
