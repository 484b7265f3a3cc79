"""Explains the configuration in documents that are generated from the models.

``config.example.yaml`` and ``docs/configuration.md`` come from these functions; a
test compares them, so that no setting is forgotten and no default is wrong.
"""

import json
import textwrap
from collections.abc import Iterator

import yaml

from bridge.config_file import schema
from bridge.config_file.environment import variable
from bridge.schema_words import Schema
from bridge.validation_errors import Key, written

_WIDTH = 88

_EXAMPLE_HEAD = """\
# All settings of gcode2mqtt. A setting with a value shows its default; one that is
# commented out has no default and shows an example. A configuration contains only what
# differs from the defaults, for example:
#
#   mqtt:
#     host: broker.lan
#   printers:
#     - id: ender
#       serial:
#         port: /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0
#
# To check it and print all settings in effect: gcode2mqtt check --config FILE
# Environment variables override it: BRIDGE_MQTT__PASSWORD, BRIDGE_PRINTERS__0__NAME, …
# Relative paths are relative to the folder of this file.
"""

_REFERENCE_HEAD = """\
# Configuration

Generated from the code by `scripts/documents`; do not edit.

The configuration is one YAML file, by default `./config.yaml` or
`/etc/gcode2mqtt/config.yaml`. All settings have defaults, but at least one printer is
required. This is a complete configuration:

```yaml
mqtt:
  host: broker.lan
printers:
  - id: ender
    serial:
      port: /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0
```

`gcode2mqtt check --config FILE` prints every setting in effect, or each error with its
place. [config.example.yaml](../config.example.yaml) has every setting with its default.

* Relative paths are relative to the folder of the file; `~` is the home folder.
* Environment variables override the file; the tables show their names below each key.
  Write lists and sections as YAML (`BRIDGE_LOG__LEVELS='{mqtt: debug}'`). An empty
  variable is ignored, and an unknown one that starts with `BRIDGE_` is an error.
* The variables of the second printer have a `1` where those of the first have a `0`.
* Secrets can come from a file (`password_file`), so that they are neither in the
  configuration nor in the environment.
"""


def example() -> str:
    """Return all settings with comments: a YAML file that means the defaults."""
    return _EXAMPLE_HEAD + "\n".join(_example(schema.documented(), "")) + "\n"


def reference() -> str:
    """Return the table of all settings, in Markdown."""
    return _REFERENCE_HEAD + "\n".join(_sections(schema.documented(), ())) + "\n"


def _example(section: Schema, indent: str) -> Iterator[str]:
    for name in schema.keys(section):
        child = schema.child(section, name)
        if not indent:
            yield ""
        yield from _comment(child, indent)
        if schema.keys(child):
            yield f"{indent}{name}:"
            yield from _example(child, indent + "  ")
        elif item := schema.section_of_list(child):
            yield f"{indent}{name}:"
            first, *others = _example(item, indent + "    ")
            yield first
            dash = next(
                n for n, x in enumerate(others) if not x.lstrip().startswith("#")
            )
            line = others[dash]
            others[dash] = f"{indent}  - {line.lstrip()}"
            yield from others
        else:
            yield from (indent + line for line in _setting(name, child))


def _setting(name: str, child: Schema) -> Iterator[str]:
    value = child.get("default")
    if value is None:
        yield f"# {name}: {_yaml(child['examples'][0])}"
    elif isinstance(value, dict) and value:
        yield f"{name}:"
        yield from (f"  {inner}: {_yaml(value[inner])}" for inner in value)
    else:
        yield f"{name}: {_yaml(value)}"


def _comment(child: Schema, indent: str) -> Iterator[str]:
    text = schema.description(child)
    for line in textwrap.wrap(text, _WIDTH - len(indent) - 2):
        yield f"{indent}# {line}"


def _yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return text.removesuffix("...").strip()


def _sections(section: Schema, key: Key) -> Iterator[str]:
    settings: list[str] = []
    inner: list[str] = []
    for name in schema.keys(section):
        child = schema.child(section, name)
        if schema.keys(child):
            inner += _titled(child, (*key, name))
        elif item := schema.section_of_list(child):
            inner += _titled(item, (*key, name, 0))
        else:
            settings.append(_row((*key, name), child))
    if settings:
        yield ""
        yield "| key | value | default | meaning |"
        yield "|---|---|---|---|"
        yield from settings
    yield from inner


def _titled(section: Schema, key: Key) -> Iterator[str]:
    yield ""
    yield f"{'#' * (1 + len([k for k in key if isinstance(k, str)]))} `{written(key)}`"
    yield ""
    yield schema.description(section)
    yield from _sections(section, key)


def _row(key: Key, child: Schema) -> str:
    default = child.get("default")
    shown = "" if default is None else f"`{_shown(default)}`"
    cells = [
        f"`{key[-1]}`<br>`{variable(key)}`",
        schema.wanted(child),
        shown,
        schema.description(child),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: object) -> str:
    if isinstance(value, dict) and value:
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)
