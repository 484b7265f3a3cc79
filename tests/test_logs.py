import contextvars
import io
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TextIO

import pytest

from bridge import logs
from bridge.config import Config, Log, Mqtt, PrinterConfig
from bridge.config.bridge import PARTS
from bridge.logs import Handler, Text, escaped
from tests.support.halves import BRIDGE, modules


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    for name in ("bridge", "bridge.mqtt"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def logged(log: Log, message: str = "hello", *, part: str = "printer") -> str:
    stream = io.StringIO()
    logs.configure(log, ["hunter2", "abc"], stream, {})
    logging.getLogger(f"bridge.{part}").warning(message, extra={"printer": "ender"})
    return stream.getvalue()


def failure() -> tuple[type[BaseException], BaseException, TracebackType | None]:
    try:
        int("hunter2")
    except ValueError as error:
        return type(error), error, error.__traceback__
    pytest.fail("that was no number")


def test_a_line_for_people_tells_when_where_and_what() -> None:
    line = logged(Log())
    assert line.endswith(" WARNING printer: [ender] hello\n")
    assert line[:4].isdecimal()


def test_an_object_for_machines() -> None:
    document = json.loads(logged(Log(format="json")))
    assert document["message"] == "hello"
    assert document["level"] == "warning"
    assert document["part"] == "printer"
    assert document["printer"] == "ender"
    assert document["time"].endswith("+00:00")


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_never_show(form: str) -> None:
    log = Log.model_validate({"format": form})
    assert "hunter2" not in logged(log, "the password is hunter2")
    assert "***" in logged(log, "the password is hunter2")


def test_a_secret_as_short_as_a_word_is_left_alone() -> None:
    assert "alphabet abc" in logged(Log(), "alphabet abc")


def test_nobody_forges_a_line_or_steers_the_terminal() -> None:
    line = logged(Log(), "echo:\n2026 ERROR fire \x1b[2J")
    assert line.count("\n") == 1
    assert r"echo:\n2026 ERROR fire \x1b[2J" in line


@pytest.mark.parametrize(
    ("log", "part", "shows"),
    [
        (Log(level="error"), "printer", False),
        (Log(level="error", levels={"mqtt": "debug"}), "mqtt", True),
        (Log(level="debug", levels={"mqtt": "error"}), "mqtt.broker", False),
        # Names that these parts had before.
        (Log(level="error", levels={"mqtt.desk": "debug"}), "mqtt.session", True),
        (Log(level="error", levels={"mqtt.memory": "debug"}), "state_files", True),
    ],
)
def test_each_part_has_its_level(log: Log, part: str, *, shows: bool) -> None:
    assert bool(logged(log, part=part)) is shows


def test_all_who_log_can_be_named_in_the_configuration() -> None:
    found = set()
    for path in modules():
        text = path.read_text("utf-8")
        own = ".".join(path.relative_to(BRIDGE.parent).with_suffix("").parts)
        names = re.findall(r"getLogger\((?:\"([\w.]+)\"|__name__)\)", text)
        found |= {name or own for name in names}
    parts = {name.removeprefix("bridge.") for name in found}
    owners = {part.partition(".")[0] for part in parts}
    assert parts | owners == set(PARTS)


def test_a_part_that_is_no_longer_named_is_as_loud_as_the_others() -> None:
    assert logged(Log(level="error", levels={"printer": "debug"}))
    assert not logged(Log(level="error"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_told_without_secrets(form: str) -> None:
    stream = io.StringIO()
    logs.configure(Log.model_validate({"format": form}), ["hunter2"], stream, {})
    logging.getLogger("bridge").error("it broke", exc_info=failure())
    assert "with base 10: '***'" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_the_journal_gets_levels_instead_of_times() -> None:
    with tempfile.TemporaryFile("w+") as stream:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        logs.configure(Log(), (), stream, environ)
        logging.getLogger("bridge.mqtt").error("gone", exc_info=failure())
        stream.seek(0)
        lines = stream.read().splitlines()
    assert lines[0] == "<3>ERROR   mqtt: gone"
    assert all(line.startswith("<3>") for line in lines)


class Terminal(io.StringIO):
    """A stream that counts as a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)]
)
def test_colour_is_for_terminals_that_want_it(
    environ: dict[str, str], *, coloured: bool
) -> None:
    stream = Terminal()
    logs.configure(Log(), (), stream, environ)
    logging.getLogger("bridge").warning("careful")
    logging.getLogger("bridge").info("fine")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("\033[33m") is coloured
    assert not second.startswith("\033")


def test_what_is_secret_comes_from_the_configuration() -> None:
    printers = (PrinterConfig(),)
    mqtt = Mqtt.model_validate({"password": "hunter2"})
    assert logs.secrets(Config(mqtt=mqtt, printers=printers)) == ["hunter2"]
    assert logs.secrets(Config(printers=printers)) == []


def test_by_default_it_goes_to_standard_error() -> None:
    logs.configure(Log())
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr


def test_what_a_printer_s_task_logs_names_the_printer() -> None:
    stream = io.StringIO()
    logs.configure(Log(), (), stream, {})

    def tell() -> None:
        logs.about("ender")
        logging.getLogger("bridge.mqtt").info("connected")

    contextvars.copy_context().run(tell)
    logging.getLogger("bridge.mqtt").info("nobody's")
    first, second = stream.getvalue().splitlines()
    assert first.endswith(" INFO    mqtt: [ender] connected")
    assert second.endswith(" INFO    mqtt: nobody's")


def test_the_same_again_is_counted_and_not_repeated() -> None:
    stream = io.StringIO()
    times = iter([0.0, 1.0, 4.9, 4.9, 4.9, 5.0])
    handler = logs.Handler(stream, every=5.0, clock=lambda: next(times))
    for part in ("mqtt", "mqtt", "mqtt", "printer"):
        handler.handle(record_of(part, "no right"))
    for text in ("something else", "no right"):
        handler.handle(record_of("mqtt", text))
    assert stream.getvalue().splitlines() == [
        "no right",
        "no right",
        "something else",
        "no right (3 more times)",
    ]


def test_what_came_often_and_stopped_is_told_with_the_next_line() -> None:
    stream = io.StringIO()
    times = iter([0.0, 1.0, 2.0, 5.0, 5.0])
    handler = logs.Handler(stream, every=5.0, clock=lambda: next(times))
    for text in ("no right", "no right", "no right", "something else", "no right"):
        handler.handle(record_of("mqtt", text))
    assert stream.getvalue().splitlines() == [
        "no right",
        "no right (2 more times)",
        "something else",
        "no right",
    ]


def test_a_line_that_ends_a_warning_is_written() -> None:
    """Although the same line was written a moment before the warning."""
    stream = io.StringIO()
    times = iter([0.0, 1.0, 1.5, 2.0, 2.5, 3.0])
    handler = logs.Handler(stream, every=5.0, clock=lambda: next(times))
    for level, text in [
        ("INFO", "connected"),
        ("WARNING", "the connection broke"),
        ("INFO", "connected"),
        ("INFO", "connected"),
        ("WARNING", "the connection broke"),
    ]:
        handler.handle(record_of("mqtt", text, level))
    assert stream.getvalue().splitlines() == [
        "connected",
        "the connection broke",
        "connected",
    ]


def test_counts_are_written_without_another_line() -> None:
    stream = io.StringIO()
    times = iter([0.0, 1.0, 2.0, 4.9, 5.0, 9.0])
    handler = logs.Handler(stream, every=5.0, clock=lambda: next(times))
    handler.setFormatter(logs.Json())
    for _ in range(3):
        handler.handle(record_of("mqtt", "no right"))
    for expected in (1, 2, 2):
        handler.write_counts()
        assert len(stream.getvalue().splitlines()) == expected
    first, count = map(json.loads, stream.getvalue().splitlines())
    assert count["message"] == "no right (2 more times)"
    assert (count["level"], count["part"]) == (first["level"], first["part"])


def test_debug_messages_are_all_written() -> None:
    stream = io.StringIO()
    handler = logs.Handler(stream)
    for _ in range(3):
        handler.handle(record_of("wire", ">>> M105", "DEBUG"))
    assert stream.getvalue().splitlines() == [">>> M105"] * 3


def record_of(part: str, text: str, level: str = "WARNING") -> logging.LogRecord:
    number = logging.getLevelNamesMapping()[level]
    fields = {"name": f"bridge.{part}", "levelname": level, "msg": text}
    return logging.makeLogRecord({**fields, "levelno": number})


@contextmanager
def unread_pipe(*, terminal: bool = False) -> Iterator[tuple[TextIO, int]]:
    """Yield a pipe, or a terminal, that nobody reads, and its other end."""
    reading, writing = os.openpty() if terminal else os.pipe()
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            yield stream, reading
    finally:
        os.close(reading)


def record(text: str) -> logging.LogRecord:
    """Return a record at a level at which each is written."""
    return logging.LogRecord("bridge.x", logging.DEBUG, "", 0, text, (), None)


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("size", [10, 1_000, 100_000])
def test_a_log_that_nobody_reads_stops_nobody(size: int, *, terminal: bool) -> None:
    """It would hang forever here; how many records are missing is told later."""
    with unread_pipe(terminal=terminal) as (stream, reading):
        handler = Handler(stream)
        handler.setFormatter(Text(journal=False, colour=False))
        for number in range(100_000 // size + 1_000):
            text = f"{number} {'é' * size}"
            handler.emit(record(text))
        said = b""
        os.set_blocking(reading, False)
        for _ in range(1_000):
            with suppress(BlockingIOError):
                said += os.read(reading, 65_536)
            handler.emit(record("later"))
        with suppress(BlockingIOError):
            said += os.read(reading, 65_536)
        handler.close()
        assert b"0 \xc3\xa9" in said
        assert b"log records are missing here" in said
        assert b"later" in said


@pytest.mark.parametrize("free", [1, 100, 4_000])
def test_a_terminal_with_little_room_stops_nobody(free: int) -> None:
    """poll(2) calls it writable, although more than that would wait."""
    with unread_pipe(terminal=True) as (stream, reading):
        handler = Handler(stream)
        handler.setFormatter(Text(journal=False, colour=False))
        filling = os.open(os.ttyname(stream.fileno()), os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(filling, b"x" * 4_096)
        os.close(filling)
        os.read(reading, free)
        for _ in range(100):
            handler.emit(record("é" * 100_000))
        handler.close()
        os.set_blocking(reading, False)
        with suppress(BlockingIOError):
            while os.read(reading, 65_536):
                pass


def test_a_new_configuration_closes_what_the_old_one_had_opened() -> None:
    with unread_pipe(terminal=True) as (stream, _):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for _ in range(3):
            logs.configure(Log(), (), stream, {})
        assert len(os.listdir("/proc/self/fd")) == before + 1  # noqa: PTH208
        logs.configure(Log(), (), io.StringIO(), {})
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_control_characters_are_escaped() -> None:
    assert escaped("plain é text") == "plain é text"
    assert escaped("\x1b[2J\n\x9b\u202e") == "\\x1b[2J\\n\\x9b\\u202e"
