"""``gcode2mqtt init``: asks a few questions and writes a first configuration."""

import argparse
import asyncio
import getpass
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from bridge.cli.progress import dots
from bridge.config import Mqtt, Serial
from bridge.config.values import checked_serial_port, host_and_port
from bridge.config_file import SEARCHED, load
from bridge.config_file.writer import Answers, starter
from bridge.errors import BrokerError, ConfigError, LinkError
from bridge.mqtt.one_shot import subscribed_to
from bridge.printer.link.probe import FoundPrinter, probe
from bridge.printer.port.errors import permission_problem
from bridge.printer.port.ports import list_ports

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Account:
    host: str
    port: int
    username: str
    password: str


def init(chosen: argparse.Namespace) -> int:
    """Ask questions, look for the printer and write a configuration; return 0.

    Raises:
        ConfigError: There is no terminal, the file exists or cannot be written, or
            somebody stopped it. Nothing was written in that case.

    """
    file: Path = chosen.config or Path("config.yaml")
    if not sys.stdin.isatty():
        raise ConfigError(
            "init asks questions, and there is no terminal; copy config.example.yaml"
        )
    secret = file.with_suffix(".password")
    for path in (file, secret):
        if os.path.lexists(path):
            raise ConfigError(f"{path} exists already; name another with --config")
    try:
        account = _ask_broker()
        answers = _ask_printer(account)
    except (EOFError, KeyboardInterrupt):
        print()
        raise ConfigError("stopped; nothing was written") from None
    if account.password:
        _write(secret, account.password + "\n", 0o600)
        answers = replace(answers, password_file=secret.name)
    _write(file, starter(answers), 0o644)
    config = load(file, {})
    base = config.base(config.printers[0])
    here = "" if file in SEARCHED else f" --config {file}"
    print(
        f"\n{file} is written, with the topic {base}. Next:\n"
        f"  gcode2mqtt run{here}\n"
        "and then, in another terminal:\n"
        f"  gcode2mqtt doctor{here}\n"
        f"  gcode2mqtt watch{here}\n"
        f"  gcode2mqtt send{here} request/state"
    )
    return 0


def _ask_broker() -> _Account:
    while True:
        where = _ask("MQTT broker", "localhost:1883", _address)
        username = _ask("  account there (empty: none)", "", str)
        password = getpass.getpass("  its password (not shown): ") if username else ""
        account = _Account(*where, username, password)
        mqtt = Mqtt(
            host=account.host,
            port=account.port,
            username=username or None,
            password=SecretStr(password) if password else None,
        )
        try:
            _show(f"  {account.host}:{account.port}", _greet(mqtt))
        except BrokerError as error:
            print(f"  {error}")
            if _ask("  keep it anyway? (y/n)", "n", _yes):
                return account
        else:
            print("  the broker accepts the account")
            return account


async def _greet(mqtt: Mqtt) -> None:
    # A bridge may read topics below this, whatever else the access rules forbid.
    async with subscribed_to(mqtt, ["printers/init/availability"]):
        pass


def _ask_printer(account: _Account) -> Answers:
    name = _ask("What is the printer called?", "3D printer", _name)
    answers = Answers(
        host=account.host,
        port=account.port,
        username=account.username,
        id=_ask("Its id, in topics", short_id(name), _id),
        name=name,
        serial_port=_ask_port(),
    )
    question = "Ask it what it is? It opens the port, which resets most boards (y/n)"
    if not _ask(question, "y", _yes):
        return answers
    try:
        found = _show("  asking", probe(Serial(port=answers.serial_port)))
    except LinkError as error:
        print(f"  {error}\n  the file will need correcting")
        return answers
    return _with(answers, found)


def _with(answers: Answers, found: FoundPrinter) -> Answers:
    firmware = found.firmware or "a firmware that does not say its name"
    bed, chamber = "B" in found.heaters, "C" in found.heaters
    print(
        f"  {firmware} at {found.baudrate} baud; tools: {found.extruders}, "
        f"heated bed: {_word(there=bed)}, heated chamber: {_word(there=chamber)}"
    )
    return replace(
        answers,
        baudrate=found.baudrate,
        firmware=firmware,
        extruders=found.extruders,
        heated_bed=bed,
        heated_chamber=chamber,
    )


def _ask_port() -> str:
    ports = list_ports()
    print("Serial ports:" if ports else "No serial port is attached.")
    for number, port in enumerate(ports, 1):
        print(f"  {number}  {port.best_name}  {port.description}".rstrip())
    names = [port.best_name for port in ports]
    hint = "Number or path" if ports else "Path, or auto to look for it each time"

    def choice(text: str) -> str:
        if text.isascii() and text.isdecimal():
            if not 1 <= int(text) <= len(names):
                raise ValueError("there is no such number")
            return names[int(text) - 1]
        return checked_serial_port(text)

    while True:
        chosen = _ask(hint, "1" if ports else "auto", choice)
        problem = port_problem(chosen)
        if problem is None:
            return chosen
        print(f"  {problem}")
        if _ask("  keep it anyway? (y/n)", "n", _yes):
            return chosen


def port_problem(port: str) -> str | None:
    """Return why a port cannot be used at the moment; a URL is tried later."""
    if "://" in port or port == "auto":
        return None
    if not os.path.exists(port):  # noqa: PTH110 - never raises
        return f"there is no {port}; is the printer plugged in and switched on?"
    if not Path(port).is_char_device():
        return f"{port} is a {'folder' if Path(port).is_dir() else 'file'}, no port"
    return permission_problem(port)


_LIGATURES = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae"})
_LIGATURES |= str.maketrans({"ø": "oe", "å": "aa", "œ": "oe", "ł": "l", "đ": "d"})
"""ASCII spellings of letters whose base letter would be wrong or does not exist."""


def short_id(name: str) -> str:
    """Return an id for a printer's name: ``Größe 3`` gives ``groesse-3``."""
    letters = unicodedata.normalize("NFKD", name.lower().translate(_LIGATURES))
    ascii_only = "".join(mark for mark in letters if not unicodedata.combining(mark))
    short = re.sub(r"[^a-z0-9_-]+", "-", ascii_only).strip("-")
    return short[:64].strip("-") or "printer"


def _ask(question: str, default: str, read: Callable[[str], Result]) -> Result:
    """Ask until the answer is valid, and return it; an empty one means the default."""
    hint = f" [{default}]" if default else ""
    while True:
        text = input(f"{question}{hint}: ").strip() or default
        try:
            return read(text)
        except ValueError as error:
            print(f"  {error}")


def _address(text: str) -> tuple[str, int]:
    return host_and_port(text, 1883)


def _name(text: str) -> str:
    if not text.isprintable() or len(text) > 100:  # noqa: PLR2004 - the model's own
        raise ValueError("a name has up to 100 characters that can be shown")
    return text


def _id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", text):
        raise ValueError("an id is made of a-z, 0-9, _ and -, 64 at the most")
    return text


def _yes(text: str) -> bool:
    if text.lower() not in {"y", "yes", "n", "no"}:
        raise ValueError("y or n")
    return text.lower().startswith("y")


def _word(*, there: bool) -> str:
    return "yes" if there else "no"


def _show(what: str, work: Coroutine[Any, Any, Result]) -> Result:
    """Run something, and print a dot for each second that it takes."""

    async def dotted() -> Result:
        async with dots(what):
            return await work

    return asyncio.run(dotted())


def _write(path: Path, text: str, mode: int) -> None:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(path, flags, mode), "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
