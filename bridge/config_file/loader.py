"""From a path and an environment to a checked configuration."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError

from bridge.config import Config
from bridge.config_file import document, schema
from bridge.config_file.document import Document, Key, Value
from bridge.config_file.environment import overlay
from bridge.config_file.problems import config_error
from bridge.errors import ConfigError

SEARCHED = (Path("config.yaml"), Path("/etc/gcode2mqtt/config.yaml"))
"""Where a configuration is looked for when none is named."""

_MAX_BYTES = 1_048_576
_MAX_PASSWORD_BYTES = 4096


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration of a file, overridden by ``BRIDGE_`` variables.

    Relative paths in it are taken from the file's folder. Without ``path`` the first
    of :data:`SEARCHED` that exists is read.

    Raises:
        ConfigError: One line that names the file, the line or variable, and the key.

    """
    file = _found() if path is None else path
    written = document.parse(_text(file), str(file))
    written = overlay(written, environ)
    written = Document(_without_empty_sections(written.value, ()), written.places)
    try:
        config = Config.model_validate(
            written.value, context={"folder": file.absolute().parent}
        )
    except ValidationError as error:
        raise config_error(error, written) from None
    return _with_password(config, written)


def locate(path: Path | None) -> Path:
    """Return the absolute path of the file that :func:`load` reads, links resolved.

    Raises:
        ConfigError: None is named, and there is none.

    """
    return Path(os.path.realpath(_found() if path is None else path))


def _found() -> Path:
    for path in SEARCHED:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass  # it is there; opening it gives the reason
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
        raise ConfigError(f"{file}: this is not a text in UTF-8") from None


def _without_empty_sections(value: Value, key: Key) -> Value:
    """Take a section whose every key is commented out for one with no keys."""
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
        # A unit that hands over credentials has none for a broker without accounts.
        if config.mqtt.username is None:
            return config
        raise ConfigError(
            f"{place}: mqtt.password_file has an empty first line: {file}"
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
        return content.partition(b"\n")[0].decode().removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{place} is not a text in UTF-8: {file}") from None
