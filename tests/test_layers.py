"""Which part may know which, read from the imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.halves import BRIDGE, DOES_IO, is_pure, modules

_GROUND = {"errors", "field_docs", "schema_words", "timestamps", "validation_errors"}
_BELOW_THE_APP = _GROUND | {
    "commands",
    "config",
    "findings",
    "gcode",
    "backoff",
    "log_dedupe",
    "state_files",
    "threads",
    "timeout",
    "topics",
}
MAY_IMPORT = {
    "__init__": set[str](),
    "field_docs": set[str](),
    "schema_words": set[str](),
    "timestamps": set[str](),
    "validation_errors": {"errors", "schema_words"},
    "errors": set[str](),
    "findings": set[str](),
    "backoff": set[str](),
    "log_dedupe": set[str](),
    "state_files": {"validation_errors"},
    "threads": set[str](),
    "timeout": set[str](),
    "topics": set[str](),
    "config": _GROUND,
    "config_file": _GROUND | {"config"},
    "logs": _GROUND | {"config", "log_dedupe"},
    "notify": _GROUND,
    "gcode": _GROUND,
    "simulator": _GROUND | {"gcode.framing.checksum", "gcode.dialects", "threads"},
    "commands": _GROUND | {"config", "gcode", "topics"},
    "files": _BELOW_THE_APP | {"printer.limits"},
    "jobs": _GROUND,
    "printer": _BELOW_THE_APP | {"simulator"},
    "mqtt": _BELOW_THE_APP,
    "upload": _GROUND | {"files", "logs", "timeout", "threads"},
    "home_assistant": _BELOW_THE_APP | {"printer", "mqtt", "__init__"},
    "app": _BELOW_THE_APP
    | {
        *("home_assistant", "jobs", "printer", "mqtt", "files", "upload"),
        *("__init__", "logs", "notify"),
    },
    "demo": _BELOW_THE_APP | {"app", "printer", "mqtt", "simulator", "logs", "notify"},
    "cli": {"*"},
    "__main__": {"cli"},
}
"""A part (what follows ``bridge.``) to the parts and modules that it may import."""

IN_THE_PRINTER = {
    "port": set[str](),
    "link": {"port"},
    "limits": set[str](),
    "knowledge": {"limits", "link"},
    "published": {"knowledge"},
    "control": {"published", "knowledge", "limits", "link"},
    "printing": {"control", "published", "knowledge", "limits", "link"},
}
"""A group of ``bridge/printer`` to those that it may import; ``printer.py`` may all."""

IO_MODULES = {
    "asyncio",
    "concurrent",
    "fcntl",
    "glob",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "paho",
    "pathlib",
    "pty",
    "random",
    "secrets",
    "select",
    "selectors",
    "serial",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "termios",
    "threading",
    "time",
    "tty",
    "uuid",
    "yaml",
}
IO_CALLS = {"breakpoint", "input", "open", "print"}
CLOCKS = {"now", "today", "utcnow"}


def imports(module: Path) -> Iterator[str]:
    """Yield what a module imports anywhere; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: Path) -> str:
    """Return the part of the house a module belongs to."""
    name = module.relative_to(BRIDGE).parts[0].removesuffix(".py")
    return "app" if name.startswith("app_") else name


def allowed(importer: str, imported: str) -> bool:
    """Tell whether a part may import a module, such as `gcode.framing`."""
    imported = imported if imported != "__version__" else "__init__"
    names = MAY_IMPORT[importer] | {importer, "*" if importer == "cli" else importer}
    return "*" in names or any(
        imported == name or imported.startswith(f"{name}.") for name in names
    )


def ids(module: Path) -> str:
    return str(module.relative_to(BRIDGE))


@pytest.mark.parametrize("module", modules(), ids=ids)
def test_a_part_imports_only_what_lies_below_it(module: Path) -> None:
    inside = [
        name.removeprefix("bridge.")
        for name in imports(module)
        if name.startswith("bridge.")
    ]
    wrong = [name for name in inside if not allowed(part(module), name)]
    assert not wrong, f"{part(module)} must not know {wrong}"


def test_the_groups_of_the_printer_are_all_there_are() -> None:
    folders = {folder.name for folder in (BRIDGE / "printer").glob("[!_]*/")}
    assert folders == IN_THE_PRINTER.keys()
    assert {file.name for file in (BRIDGE / "printer").glob("*.py")} == {
        "__init__.py",
        "printer.py",
    }


@pytest.mark.parametrize("module", sorted((BRIDGE / "printer").glob("*/*.py")), ids=ids)
def test_a_group_of_the_printer_imports_only_what_lies_below_it(module: Path) -> None:
    group = module.parent.name
    known = {
        name.removeprefix("bridge.printer.").partition(".")[0]
        for name in imports(module)
        if name.startswith("bridge.printer.")
    }
    wrong = known - IN_THE_PRINTER[group] - {group}
    assert not wrong, f"printer/{group} must not know {wrong}"


@pytest.mark.parametrize("module", [m for m in modules() if is_pure(m)], ids=ids)
def test_the_pure_half_does_no_io(module: Path) -> None:
    used = {name.partition(".")[0] for name in imports(module)} & IO_MODULES
    assert not used, f"a pure module must not import {used}"
    for node in ast.walk(ast.parse(module.read_text())):
        assert not isinstance(node, ast.Global | ast.Nonlocal), f"line {node.lineno}"
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), "it waits"
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else ""
            method = called.attr if isinstance(called, ast.Attribute) else ""
            assert name not in IO_CALLS, f"line {node.lineno} calls {name}"
            assert method not in CLOCKS, f"line {node.lineno} reads a clock"


def test_the_list_of_io_modules_is_true() -> None:
    for pattern in DOES_IO:
        assert list(BRIDGE.glob(pattern)), f"no module is called {pattern}"


@pytest.mark.parametrize(
    ("library", "owner"), [("paho", "mqtt"), ("serial", "printer"), ("yaml", "config")]
)
def test_a_library_has_one_owner(library: str, owner: str) -> None:
    knowing = {
        ids(module)
        for module in modules()
        if any(name.partition(".")[0] == library for name in imports(module))
    }
    assert all(name.startswith(owner) for name in knowing)


def test_connections_to_a_broker_have_one_client() -> None:
    """The long-lived ones, and one context manager for everything that is done once."""
    opening = {ids(m) for m in modules() if "paho.mqtt.client" in {*imports(m)}}
    opening |= {ids(m) for m in modules() if "paho.mqtt" in {*imports(m)}}
    assert opening <= {"mqtt/client.py", "mqtt/connect.py", "mqtt/error_text.py"}
    using = {ids(m) for m in modules() if "bridge.mqtt.client.Client" in {*imports(m)}}
    assert using - {"mqtt/session.py"} == {
        "mqtt/broker.py",
        "mqtt/emergency.py",
        "mqtt/one_shot.py",
    }


def private_parts(module: Path) -> Iterator[str]:
    """Yield the private attributes that a module reads from what is not its own."""
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match("_[a-zA-Z]", node.attr):
            of = node.value
            if not (isinstance(of, ast.Name) and of.id in {"self", "cls"}):
                yield node.attr


def test_private_parts_of_libraries_are_used_where_an_adr_says_so() -> None:
    """docs/adr/0022 for paho, docs/adr/0056 for argparse; tests notice a change."""
    using = {ids(m): {*private_parts(m)} - {"_replace"} for m in modules()}
    assert {name: parts for name, parts in using.items() if parts} == {
        "cli/completion.py": {"_actions", "_choices_actions", "_SubParsersAction"},
        "mqtt/connect.py": {"_handle_publish"},
    }


@pytest.mark.parametrize("library", ["jinja2", "prometheus_client", "h11", "multipart"])
def test_the_daemon_starts_without_what_not_everybody_needs(library: str) -> None:
    """Megabytes, for those without scripts, metrics and uploads."""
    program = f"import sys, bridge.cli.run; sys.exit({library!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_class_name_is_used_once() -> None:
    """An import or a traceback then identifies the class (docs/adr/0055)."""
    places: dict[str, list[str]] = {}
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(ids(module))
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


def test_a_wrong_import_would_be_found() -> None:
    assert not allowed("mqtt", "printer.link.session.Session")
    assert not allowed("simulator", "gcode.reply_parser")
    assert not allowed("gcode", "config.Config")
    assert allowed("simulator", "gcode.framing.checksum")
    assert not allowed("simulator", "gcode.framing.LineReceiver")
    assert allowed("app", "mqtt.broker.Broker")
