"""Loads the configuration from a file and the environment, and checks it."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from bridge.config import Config
from bridge.config.values import NO_VARIABLES
from bridge.config_file import document, schema
from bridge.config_file.document import Document, Value
from bridge.config_file.environment import overlay
from bridge.errors import ConfigError
from bridge.schema_words import Schema
from bridge.validation_errors import (
    SHARED,
    Key,
    likeliest,
    number_otherwise,
    sentence,
    shown,
    written,
)

SEARCHED = (Path("config.yaml"), Path("/etc/gcode2mqtt/config.yaml"))
"""Where a configuration is looked for when none is named."""

_MAX_BYTES = 1_048_576  # a larger file is not a configuration
_MAX_PASSWORD_BYTES = 4096


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration of a file, overridden by ``BRIDGE_`` variables.

    Relative paths in it are taken from the file's folder. Without ``path`` the first
    of :data:`SEARCHED` that exists is read.

    Raises:
        ConfigError: One line that names the file, the line or variable, and the key.

    """
    file = _found() if path is None else path
    return checked(overlay(read(file), environ), file.absolute().parent)


def written_at(path: Path | None, environ: Mapping[str, str]) -> Callable[[Key], str]:
    """Return a function that says where a setting is written, for messages.

    Args:
        path: as for :func:`load`, which accepts the file.
        environ: likewise.

    """
    return overlay(read(_found() if path is None else path), environ).place


def read(file: Path) -> Document:
    """Return what is written in a file.

    Raises:
        ConfigError: It cannot be read, or it is no YAML; one line with the place.

    """
    return document.parse(_text(file), str(file))


def checked(written: Document, folder: Path) -> Config:
    """Return the configuration that is written in a document.

    Args:
        written: the settings, and where each is written.
        folder: where relative paths start.

    Raises:
        ConfigError: One line that names the place and the key.

    """
    written = Document(_without_empty_sections(written.value, ()), written.places)
    try:
        config = Config.model_validate(written.value, context={"folder": folder})
    except ValidationError as error:
        raise _config_error(error, written) from None
    return _with_password(config, written)


def locate(path: Path | None) -> Path:
    """Return the absolute path of the file that :func:`load` reads, links resolved.

    Raises:
        ConfigError: None is named, and there is none.

    """
    return Path(os.path.realpath(_found() if path is None else path))


def find() -> Path | None:
    """Return the first of :data:`SEARCHED` that exists."""
    for path in SEARCHED:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass  # it is there; opening it gives the reason
        return path
    return None


def _found() -> Path:
    if path := find():
        return path
    places = " nor ".join(map(str, SEARCHED))
    raise ConfigError(
        f"there is neither {places}; name a file with --config, or copy "
        "config.example.yaml and adapt it"
    )


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{file}: longer than {_MAX_BYTES} bytes; is it the one?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: this is not UTF-8 text") from None


def _without_empty_sections(value: Value, key: Key) -> Value:
    """Treat a section whose keys are all commented out as one without keys."""
    if value is None and schema.keys(schema.at(key) or {}):
        return {}
    if isinstance(value, dict):
        return {
            name: _without_empty_sections(inner, (*key, name))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [
            _without_empty_sections(inner, (*key, index))
            for index, inner in enumerate(value)
        ]
    return value


def _with_password(config: Config, written: Document) -> Config:
    file = config.mqtt.password_file
    if file is None:
        return config
    place = written.place(("mqtt", "password_file"))
    if config.mqtt.password is not None:
        raise ConfigError(
            f"{place}: mqtt.password and mqtt.password_file are both given; keep one"
        )
    password = _first_line(file, f"{place}: mqtt.password_file")
    if not password:
        # For a broker without accounts, the file of a systemd credential is empty.
        if config.mqtt.username is None:
            return config
        raise ConfigError(
            f"{place}: mqtt.password_file has an empty first line, where the password "
            f"belongs: {file}"
        )
    mqtt = config.mqtt.model_copy(update={"password": SecretStr(password)})
    return config.model_copy(update={"mqtt": mqtt})


def _first_line(file: Path, place: str) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_PASSWORD_BYTES)
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {file}: {error.strerror}") from None
    try:
        line = content.partition(b"\n")[0].decode("utf-8-sig")
        # Editors on Windows begin a file with a byte order mark and end lines with CR.
        return line.removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{place} is not UTF-8 text: {file}") from None


def _config_error(error: ValidationError, document: Document) -> ConfigError:
    """Return everything that is wrong, in the order in which it should be fixed."""
    problems: dict[Key, str] = {}
    # An unknown key is often the reason why another one is missing.
    for details in sorted(error.errors(include_url=False), key=_is_known):
        key = _key(details)
        # pydantic calls a list with wrong items too short as well: nothing to fix.
        if not any(known[: len(key)] == key for known in problems):
            problems[key] = _sentence(details, key)
    return ConfigError(
        *(f"{document.place(key)}: {text}" for key, text in problems.items())
    )


def _is_known(details: ErrorDetails) -> bool:
    return details["type"] != "extra_forbidden"


def _key(details: ErrorDetails) -> Key:
    if details["type"] == SHARED:
        index, what = details["ctx"]["index"], details["ctx"]["what"]
        return ("printers", index, *what.split("."))
    key: Key = details["loc"]
    if details["type"] == "extra_forbidden":
        return key
    # After the key, pydantic names the alternative of a union that it tried.
    while schema.at(key) is None:
        key = key[:-1]
    return key


def _sentence(details: ErrorDetails, key: Key) -> str:
    name = written(key) or "the configuration"
    if details["type"] == SHARED:
        return sentence(details)
    if details["type"] == "extra_forbidden":
        return f"{name} is not a known key; {_meant(key)}"
    wanted, given = schema.at(key) or {}, details["input"]
    shown_ = "" if schema.is_secret(wanted) else _shown(given)
    words = sentence(details, schema.wanted(wanted), shown_)
    if details["type"] == "value_error":
        # What is wrong with a whole section begins with the name of a setting in it.
        return f"{name}: {words}" if schema.keys(wanted) else f"{name} {words}"
    text = f"{name} {words}"
    if details["type"] == "missing":
        return text
    return text + (_remedy(name, wanted, given) or _choice(key, wanted, given))


_SWITCHES = {"true", "false", "yes", "no", "on", "off"}


def _remedy(name: str, wanted: Schema, given: Value) -> str:
    """Return what to write for a section or a list, in common cases."""
    if known := schema.keys(wanted):
        return _section_remedy(name, known, given)
    if isinstance(given, str | list) and schema.is_free_mapping(wanted):
        return "; write its entries below it, each as NAME: VALUE"
    if isinstance(given, str) and schema.is_list_of_texts(wanted):
        items = [item.strip() for item in given.split(",")]
        return f"; write [{', '.join(items)}]"
    if isinstance(given, dict) and schema.section_of_list(wanted) is not None:
        return "; begin each of its entries with a hyphen and a space"
    if isinstance(given, str):
        return _text_remedy(wanted, given)
    return ""


def _text_remedy(wanted: Schema, given: str) -> str:
    """Return what to write instead of a text that is not one of the valid values."""
    if "${" in given:
        return f"; {NO_VARIABLES}"
    if given and given[0] in _TYPOGRAPHIC:
        return '; write straight quotation marks (") or none'
    if not schema.is_numeric(wanted):
        if schema.is_pair(wanted) and _PLAIN.fullmatch(given):
            return f"; write [0, {given}]"
        return ""
    if re.fullmatch(r"\d{1,3}(,\d{3})+", given) and schema.is_numeric(wanted):
        return f"; write {given.replace(',', '')}"
    return number_otherwise(given, "") if not _PLAIN.fullmatch(given) else ""


_TYPOGRAPHIC = "\u201c\u201d\u201e\u2018\u2019"
_MAIN = {"mqtt": "host", "serial": "port", "log": "level", "metrics": "port"}
"""The setting that people mean when they give the whole section a value."""


def _section_remedy(name: str, known: list[str], given: Value) -> str:
    if isinstance(given, list) and any(isinstance(item, dict) for item in given):
        return "; write its settings without hyphens before them"
    if isinstance(given, str):
        main = _MAIN.get(name.rpartition(".")[2])
        if "enabled" in known and given.lower() in _SWITCHES:
            return f"; set {name}.enabled to {given}"
        if re.match(r"[a-z_]+:\S", given):
            return "; a colon needs a space after it"
        if re.match(r"[a-z_]+ *=", given):
            return "; a setting is written as NAME: VALUE"
        if main is not None and given.lower() not in _SWITCHES:
            return f"; set {name}.{main} to {given}"
    return f"; its settings are {', '.join(known)}"


def _choice(key: Key, wanted: Schema, given: Value) -> str:
    """Return what may be meant by a word that is not one of the choices."""
    words = schema.choices(wanted)
    if not isinstance(given, str) or not words:
        return ""
    word = given.lower().removeprefix("mqtt").strip().removeprefix("v")
    known = (word, _OTHER_NAMES.get(given.lower()), likeliest(given.lower(), words))
    if close := next((one for one in known if one in words), None):
        return f"; did you mean {close}?"
    # Encryption is a section besides the transport, not one of the transports.
    beside = (*key[:-1], _OTHER_NAMES.get(given.lower(), given.lower()))
    if "enabled" in schema.keys(schema.at(beside) or {}):
        return f"; set {written(beside)}.enabled to true"
    return ""


_OTHER_NAMES = {
    "address": "host",
    "base_topic": "topic",
    "baud": "baudrate",
    "bed_size": "volume",
    "broker": "mqtt",
    "ca": "ca_file",
    "cafile": "ca_file",
    "cert": "cert_file",
    "certfile": "cert_file",
    "device": "port",
    "discovery": "home_assistant",
    "discovery_prefix": "prefix",
    "friendly_name": "name",
    "hostname": "host",
    "hotend": "tool",
    "ip": "host",
    "key": "key_file",
    "keyfile": "key_file",
    "log_level": "level",
    "login": "username",
    "loglevel": "level",
    "macros": "scripts",
    "mqtts": "tls",
    "nozzle": "tool",
    "pass": "password",
    "passwd": "password",
    "port": "listen",
    "server": "host",
    "ssl": "tls",
    "topic_prefix": "topic",
    "tty": "port",
    "url": "host",
    "user": "username",
    "ws": "websockets",
    "wss": "websockets",
}
"""What other programs call a setting, and its name here."""


def _meant(key: Key) -> str:
    name = str(key[-1])
    if "\N{NO-BREAK SPACE}" in name:
        return "there is a no-break space on this line; write ordinary spaces"
    known = schema.keys(schema.at(key[:-1]) or {})
    other = _OTHER_NAMES.get(name.lower(), name)
    if close := other if other in known else likeliest(name, known):
        return f"did you mean {written((*key[:-1], close))}?"
    if "." in name and schema.at(tuple(name.split("."))) is not None:
        section, _, last = name.rpartition(".")
        return f"write {last} below {section}, indented by two spaces"
    for word in dict.fromkeys((name, other)):
        if place := _elsewhere(word, key):
            return f"did you mean {place}?"
    return f"known here are {', '.join(known)}"


def _elsewhere(word: str, key: Key) -> str | None:
    """Return the setting of that name in the same section, or the only one anywhere."""
    found = {
        written(setting[: setting.index(word) + 1]): setting[:1] == key[:1]
        for setting, _ in schema.leaves(schema.root())
        if word in setting
    }
    near = [place for place, is_near in found.items() if is_near]
    if not near and len(key) == 1:  # host: broker.lan without mqtt: above it
        near = [place for place in found if place == f"mqtt.{word}"]
    return next(iter(near), None) or (next(iter(found)) if len(found) == 1 else None)


# Every scalar is a text here; people wrote these without quotation marks.
_PLAIN = re.compile(r"[-+]?(\d{1,20}|\d{0,20}\.\d{1,20})|true|false", re.IGNORECASE)


def _shown(value: Value | float) -> str:
    """Return a value of a file, or one of JSON, which also has numbers."""
    if value is None:  # a bare key
        return "empty"
    if isinstance(value, list):
        return f"a list of {len(value)} {'entry' if len(value) == 1 else 'entries'}"
    if isinstance(value, dict):
        return "a section"
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) is not None
    return str(value) if plain else shown(value)
