"""A configuration back as YAML, without its secrets."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, SecretStr

from bridge.config import Config
from bridge.validation_errors import Key, written


def dump(config: Config) -> str:
    """Return every setting in force as YAML; of secrets, only that they are set."""
    secrets: list[str] = []
    plain = _plain(config, (), secrets)
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=88)
    notes = "".join(f"# {name} is set, and not shown\n" for name in secrets)
    return notes + text


def _plain(value: object, key: Key, secrets: list[str]) -> object:
    match value:
        case BaseModel():
            return _plain(dict(value), key, secrets)
        case dict():
            secrets += [
                written((*key, name))
                for name, inner in value.items()
                if isinstance(inner, SecretStr)
            ]
            return {
                name: _plain(inner, (*key, name), secrets)
                for name, inner in value.items()
                if not isinstance(inner, SecretStr)
            }
        case tuple() | list():
            return [
                _plain(inner, (*key, index), secrets)
                for index, inner in enumerate(value)
            ]
        case Path():
            return str(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What `gcode2mqtt init` has asked and found out.

    Attributes:
        host: the broker's.
        port: the broker's.
        username: the account at the broker; ``""``: none.
        password_file: the file with its password; ``""``: none.
        id: the printer's.
        name: what people call it.
        serial_port: where the printer is, or ``auto``.
        baudrate: bits per second; ``None``: it was not found out.
        firmware: what the printer says it is; ``""``: it was not found out.
        extruders: number of tools; ``None``: it was not found out.
        heated_bed: there is one.
        heated_chamber: there is one.

    """

    host: str
    port: int
    username: str = ""
    password_file: str = ""
    id: str
    name: str
    serial_port: str
    baudrate: int | None = None
    firmware: str = ""
    extruders: int | None = None
    heated_bed: bool = True
    heated_chamber: bool = False


def starter(answers: Answers) -> str:
    """Return a commented configuration in YAML."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: Answers) -> Iterator[str]:
    yield "# Written by gcode2mqtt init. All other settings have defaults; they are in"
    yield "# docs/configuration.md and config.example.yaml. To see what is in effect:"
    yield "#   gcode2mqtt check --config FILE"
    yield "mqtt:"
    yield f"  host: {_text(answers.host)}"
    yield f"  port: {answers.port}"
    if answers.username:
        yield f"  username: {_text(answers.username)}"
    if answers.password_file:
        yield "  # Its first line is the password. The path is relative to this folder."
        yield f"  password_file: {_text(answers.password_file)}"
    yield "printers:"
    yield "  # Short and permanent; Home Assistant's entities are named after it."
    yield f"  - id: {answers.id}"
    yield f"    name: {_text(answers.name)}"
    yield "    # All topics of this printer begin with it. A second printer needs"
    yield "    # another one, such as printers/second."
    yield "    topic: printer"
    yield "    serial:"
    yield f"      port: {_text(answers.serial_port)}"
    if answers.baudrate is not None:
        yield f"      baudrate: {answers.baudrate}"
    yield from _profile(answers)


def _profile(answers: Answers) -> Iterator[str]:
    said = answers.firmware.replace("\n", " ")
    yield f"    # Reported by {said}." if said else "    # Not detected; correct it."
    yield "    profile:"
    yield f"      extruders: {answers.extruders or 1}"
    yield f"      heated_bed: {str(answers.heated_bed).lower()}"
    yield f"      heated_chamber: {str(answers.heated_chamber).lower()}"
    yield "      # Highest targets in °C; commands with higher ones are rejected."
    yield "      max_temperature: {tool: 275, bed: 120, chamber: 70}"
    yield "      # Range of each axis in mm; it is not checked until it is set."
    yield "      # volume: {x: [0, 220], y: [0, 220], z: [0, 250]}"


def _text(value: str) -> str:
    # JSON's texts are YAML's, and hold whatever was typed.
    return json.dumps(value, ensure_ascii=False)
