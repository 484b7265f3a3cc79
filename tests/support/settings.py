"""Every setting of the configuration, with a value that differs from its default."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config import Config, PrinterConfig

PRINTER = "printers."
"""What the names of a printer's settings begin with."""

OTHERS: dict[str, object] = {
    "mqtt.host": "other.lan",
    "mqtt.hosts": ["other.lan"],
    "mqtt.path": "/other",
    "home_assistant.prefix": "other",
    "files.fetch_hosts": ["other.lan"],
    "log.levels": {"mqtt": "debug"},
    "upload.listen": "127.0.0.1:5001",
    "printers.serial.port": "/dev/other",
    "printers.profile.light.kind": "case",
    "printers.blocked": {},
    "printers.scripts": {"a": "M117"},
}
"""Values that cannot be made from the type; ``printers.scripts_folder`` needs one that
exists."""


def settings() -> dict[str, object]:
    """Return another value for each setting, by its name, such as ``mqtt.host``."""
    return {name: OTHERS.get(name, _other(field)) for name, field in _fields(Config)}


def config_with(name: str, value: object) -> dict[str, Any]:
    """Return a configuration of one printer in which one setting is set."""
    keys = name.removeprefix(PRINTER).split(".")
    section: Any = value
    for key in reversed(keys):
        section = {key: section}
    if name.startswith(PRINTER):
        return {"printers": [section]}
    return {"printers": [{}], **section}


def _fields(
    model: type[BaseModel], prefix: str = ""
) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        of = PrinterConfig if f"{name}." == PRINTER else field.annotation
        if isinstance(of, type) and issubclass(of, BaseModel):
            yield from _fields(of, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _other(field: FieldInfo) -> object:
    default = field.default
    choices = [
        choice
        for kind in _kinds(field.annotation)
        if get_origin(kind) is Literal
        for choice in get_args(kind)
        if choice != default
    ]
    if field.examples or choices:
        return (field.examples or choices)[-1]
    return _other_value(default)


def _other_value(default: object) -> object:
    match default:
        case bool():
            return not default
        case int() | float():
            return default + 1
        case tuple():
            return ["other"]
        case "auto" | "keep":
            return 9600
        case _:
            return "other"


def _kinds(annotation: object) -> Iterator[object]:
    if get_origin(annotation) in {Union, UnionType}:
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield annotation
