"""Environment variables that override the configuration file.

``BRIDGE_<SECTION>__<KEY>``, such as ``BRIDGE_MQTT__PASSWORD`` or
``BRIDGE_PRINTERS__0__SERIAL__PORT``. Lists and mappings are written as YAML. An empty
variable counts as absent, because Compose files cannot leave one out.
"""

from collections.abc import Mapping
from copy import deepcopy

from bridge.config_file import document, schema
from bridge.config_file.document import Document, Value
from bridge.errors import ConfigError
from bridge.validation_errors import Key, likeliest

PREFIX = "BRIDGE_"
_RIVALS = {"password": "password_file", "password_file": "password"}


def overlay(base: Document, environ: Mapping[str, str]) -> Document:
    """Return the document with the values that the environment overrides.

    Raises:
        ConfigError: A ``BRIDGE_`` variable names no setting, or its YAML is wrong.

    """
    names = sorted(n for n in environ if n.startswith(PREFIX) and environ[n])
    assigned = {_key(name): name for name in names}
    value = deepcopy(base.value)
    places = dict(base.places)
    for key, name in assigned.items():
        found = _value(key, name, environ[name])
        value = _put(value, key, found.value, name)
        for depth in range(1, len(key)):
            places.setdefault(key[:depth], name)
        places.update({(*key, *inner): name for inner in found.places})
        # If only one way to give the password is overridden, it replaces the other.
        rival = (*key[:-1], _RIVALS.get(str(key[-1]), ""))
        if rival not in assigned:
            _drop(value, rival)
    return Document(value, places)


def variable(key: Key) -> str:
    """Return the name of the variable that overrides a setting."""
    return PREFIX + "__".join(str(step).upper() for step in key)


def _key(name: str) -> Key:
    steps = name.removeprefix(PREFIX).lower().split("__")
    key = tuple(int(step) if step.isdecimal() else step for step in steps)
    if schema.at(key) is not None and not _inside_mapping(key):
        return key
    if _inside_mapping(key):
        hint = f"write {variable(key[:-1])}='{{{key[-1]}: VALUE}}'"
    elif key == ("config",):
        hint = "name the file with --config"
    elif close := _likeliest(name, key):
        hint = f"did you mean {close}?"
    else:
        hint = "see config.example.yaml"
    raise ConfigError(f"{name} is set, but there is no such setting; {hint}")


def _inside_mapping(key: Key) -> bool:
    """Return whether a variable names a key of a free mapping.

    Such a mapping is given whole, because the case of its keys would be lost.
    """
    owner = schema.at(key[:-1]) if len(key) > 1 else None
    return owner is not None and schema.is_free_mapping(owner)


def _likeliest(name: str, key: Key) -> str | None:
    index = next((step for step in key if isinstance(step, int)), 0)
    known = [
        variable(tuple(index if step == 0 else step for step in setting))
        for setting, _ in schema.leaves(schema.root())
    ]
    for other in known:  # the number of a printer was left out
        if other.replace(f"__{index}__", "__") == name:
            return other
    return likeliest(name, known)


def _value(key: Key, name: str, text: str) -> Document:
    if schema.is_compound(schema.at(key) or {}):
        return document.parse(text, name)
    return Document(text, {(): name})


def _put(owner: Value, key: Key, value: Value, name: str) -> Value:
    if not key:
        return value
    step, *rest = key
    if isinstance(step, int):
        items = list(owner) if isinstance(owner, list) else []
        if step > len(items):
            raise ConfigError(
                f"{name} is set, but number {len(items)} is missing before it; number "
                "them from 0, without a gap"
            )
        before = items[step] if step < len(items) else None
        items[step : step + 1] = [_put(before, tuple(rest), value, name)]
        return items
    entries = dict(owner) if isinstance(owner, dict) else {}
    entries[step] = _put(entries.get(step), tuple(rest), value, name)
    return entries


def _drop(owner: Value, key: Key) -> None:
    for step in key[:-1]:
        if isinstance(owner, dict) and isinstance(step, str):
            owner = owner.get(step)
        elif isinstance(owner, list) and isinstance(step, int):
            owner = owner[step]
    if isinstance(owner, dict):
        owner.pop(str(key[-1]), None)
