"""A configuration back as YAML, without its secrets."""

from pathlib import Path

import yaml
from pydantic import BaseModel, SecretStr

from bridge.config import Config
from bridge.config_file.document import Key
from bridge.config_file.problems import written


def dump(config: Config) -> str:
    """Return every setting in force as YAML; secrets are only said to be there."""
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
