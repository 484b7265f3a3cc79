"""Turns the options of the app for Home Assistant OS into settings; pure.

The Supervisor writes what the user entered into ``options.json``
(https://developers.home-assistant.io/docs/apps/configuration), and names its broker at
``/services/mqtt`` (https://developers.home-assistant.io/docs/api/supervisor/endpoints).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.errors import ConfigError
from bridge.validation_errors import Key

PRINTER: Mapping[str, Key] = {
    "id": ("id",),
    "name": ("name",),
    "port": ("serial", "port"),
    "url": ("serial", "port"),
    "topic": ("topic",),
    "baudrate": ("serial", "baudrate"),
    "firmware": ("serial", "firmware"),
    "extruders": ("profile", "extruders"),
    "heated_bed": ("profile", "heated_bed"),
    "heated_chamber": ("profile", "heated_chamber"),
    "max_tool": ("profile", "max_temperature", "tool"),
    "max_bed": ("profile", "max_temperature", "bed"),
    "max_chamber": ("profile", "max_temperature", "chamber"),
}
"""The setting in our configuration for each option of a printer. The Supervisor shows
two levels at most, so the options are flat."""

OTHERS = ("log_level", "upload", "config_file")
"""The options besides ``printers``."""

UPLOAD_PORT = 5000
"""The port in the container to which slicers upload; the user maps it to another."""

Tree = dict[str, Any]


def settings(options: object, data: str, folder: str) -> tuple[Tree, dict[Key, str]]:
    """Return the settings that the options mean, and the place of each.

    Args:
        options: the content of ``options.json``.
        data: the folder that only the app has; it is part of a backup.
        folder: the folder that the user can open, for the file with the slicers' keys.

    Raises:
        ConfigError: The options have another form, or contradict each other.

    """
    if not isinstance(options, dict):
        raise ConfigError("the app's options are not an object; save them again")
    tree: Tree = {"mqtt": {"state_folder": f"{data}/state"}}
    places: dict[Key, str] = {(): "the app's options"}
    if level := options.get("log_level"):
        tree["log"] = {"level": level}
        places["log", "level"] = "the app's option log_level"
    if options.get("upload"):
        tree["upload"] = {
            "listen": f"0.0.0.0:{UPLOAD_PORT}",
            "keys_file": f"{folder}/upload-keys",
        }
        places["upload",] = "the app's option upload"
    tree["printers"] = []
    for index, printer in enumerate(options.get("printers") or ()):
        tree["printers"].append({})
        for name, key, value in _set(printer, index):
            _put(tree["printers"][index], key, value)
            places["printers", index, *key] = _option(index, name)
    return tree, places


def _set(printer: object, index: int) -> Iterator[tuple[str, Key, Any]]:
    """Yield option, key and value; the form keeps an emptied field as empty text."""
    if not isinstance(printer, dict):
        raise ConfigError(f"the app's option printers[{index}] is not an object")
    given = {name: value for name, value in printer.items() if value not in (None, "")}
    if "port" in given and "url" in given:
        raise ConfigError(
            f"{_option(index, 'url')}: port and url are both given; keep one"
        )
    for name, key in PRINTER.items():
        if name in given:
            yield name, key, given[name]


def _option(index: int, name: str) -> str:
    return f"the app's option printers[{index}].{name}"


def _put(tree: Tree, key: Key, value: object) -> None:
    *sections, last = map(str, key)
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[last] = value


def broker(service: Mapping[str, Any]) -> Tree:
    """Return the section ``mqtt`` for the broker that the Supervisor names.

    Args:
        service: ``data`` of its response: ``host``, ``port``, and perhaps ``ssl``,
            ``username`` and ``password``. Its ``protocol`` is not needed.

    """
    section: Tree = {"host": service["host"], "port": service["port"]}
    section |= {
        key: service[key] for key in ("username", "password") if service.get(key)
    }
    if service.get("ssl"):
        section["tls"] = {"enabled": True}
    return section


def has_broker(written: object) -> bool:
    """Return whether the user's own file names a broker."""
    section = written.get("mqtt") if isinstance(written, dict) else None
    return isinstance(section, dict) and bool(section.get("host"))


def merged(below: Any, above: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Return one document in which the values of ``above`` replace those of ``below``.

    Sections are merged; a list, such as the printers, replaces the whole list.
    """
    if above is None:
        return below
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    both = {key: merged(below.get(key), value) for key, value in above.items()}
    return {**below, **both}


def places_of(
    below: Mapping[Key, str], above: Mapping[Key, str], *, printers: bool
) -> dict[Key, str]:
    """Return the places of a merged document; ``printers``: they are those above."""
    kept = {
        key: place
        for key, place in below.items()
        if not (printers and key[:1] == ("printers",))
    }
    return {**kept, **above}


def endpoint(port: int) -> Tree:
    """Return the section ``metrics``; no file changes it, for the watchdog's sake."""
    # Inside the container: no port of the machine leads to it.
    return {"port": port, "host": "0.0.0.0"}  # noqa: S104 - see above
