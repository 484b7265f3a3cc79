"""How the package is divided, in figures: sizes, complexity, importers, a jog's path.

The path is traced in a running bridge with a real broker and a simulated printer: from
the call in which paho hands the jog over, to the write of its first byte.
"""

import argparse
import ast
import asyncio
import contextlib
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import stand
import yaml
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from radon.complexity import cc_visit

from bridge.app.service import Service
from bridge.config_file.loader import load
from bridge.notify import Notifier
from bridge.timeout import timeout

ROOT = Path(__file__).parent.parent
BRIDGE = ROOT / "bridge"

SMALL = 90
"""Lines up to which a module with a single importer looks like a fragment of it."""

FIRST_BYTES = b"G91"
"""A jog begins with the change to relative positioning."""

PART_OF_A_FUNCTION = {"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"}
"""Separate functions only before Python 3.12, and therefore not counted."""


@dataclass(frozen=True, slots=True)
class Module:
    """A source file of the package."""

    path: Path
    tree: ast.Module
    lines: int

    @property
    def label(self) -> str:
        """Return its path below the package."""
        return str(self.path.relative_to(BRIDGE))

    @property
    def name(self) -> str:
        """Return the name by which others import it."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self) -> Iterator[str]:
        """Yield what it imports, ``from a import b`` as ``a`` and as ``a.b``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Module]:
    """Read every module of the package."""
    found = []
    for path in sorted(BRIDGE.rglob("*.py")):
        text = path.read_text()
        found.append(Module(path, ast.parse(text), len(text.splitlines())))
    return found


def functions(module: Module) -> Iterator[tuple[int, str]]:
    """Yield length in lines and name of each function of a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            yield end - node.lineno + 1, f"{module.label}: {node.name}"


def complexities(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the cyclomatic complexity of each function, as radon counts it."""
    for block in cc_visit(module.path.read_text()):
        if block.letter in {"F", "M"}:
            yield block.complexity, f"{module.label}: {block.fullname}"


def fragments(everything: list[Module]) -> list[str]:
    """Return the small modules that exactly one other module imports."""
    importers: dict[str, set[str]] = defaultdict(set)
    for module in everything:
        for name in module.imports():
            importers[name].add(module.name)
    return [
        module.label
        for module in everything
        if module.lines <= SMALL
        and module.path.name != "__init__.py"
        and len(importers[module.name] - {module.name}) == 1
    ]


def repeated_classes(everything: list[Module]) -> dict[str, list[str]]:
    """Return the class names that several modules define, with those modules."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in everything:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module.label)
    return {name: labels for name, labels in sorted(places.items()) if len(labels) > 1}


@dataclass(slots=True)
class Trace:
    """Which functions of the package ran between a jog's arrival and its first byte."""

    topic: str
    running: bool = False
    codes: dict[CodeType, None] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """Note a call; what :func:`sys.setprofile` calls."""
        if event != "call" or not frame.f_code.co_filename.startswith(str(BRIDGE)):
            return
        if not self.running and not self.done.is_set():
            topics = (getattr(v, "topic", None) for v in frame.f_locals.values())
            self.running = self.topic in topics
        if self.running and frame.f_code.co_name not in PART_OF_A_FUNCTION:
            self.codes[frame.f_code] = None

    def wrote(self, data: bytes) -> None:
        """Note what was handed to the kernel."""
        if self.running and FIRST_BYTES in data:
            self.running = False
            self.done.set()

    @property
    def files(self) -> list[str]:
        """Return the files on the path, in order."""
        names = (str(Path(c.co_filename).relative_to(BRIDGE)) for c in self.codes)
        return list(dict.fromkeys(names))

    def parts(self) -> Counter[str]:
        """Return how many of the functions are in which part of the package."""
        paths = (Path(c.co_filename).relative_to(BRIDGE) for c in self.codes)
        return Counter(str(path.parent) for path in paths)


async def trace_jog(folder: Path, broker: int, *, rounds: int = 5) -> Trace:
    """Trace a jog several times; return the shortest path, without chance neighbours.

    Raises:
        TimeoutError: The jog did not reach the wire.

    """
    place = stand.ports(folder, 1)[0]
    document = stand.configuration(broker, {"traced": place}, folder)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(document))
    config = load(file, {})
    service = Service(lambda: config, file, Notifier({}))
    sender = paho.Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", broker)
    sender.loop_start()
    task = asyncio.create_task(service.run(config))
    try:
        await asyncio.sleep(6)  # connected, set up and announced
        traces = [await _one(sender) for _ in range(rounds)]
    finally:
        sender.loop_stop()
        sender.disconnect()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return min(traces, key=lambda trace: len(trace.codes))


async def _one(sender: paho.Client) -> Trace:
    trace = Trace("printers/traced/head")
    write = os.write

    def watched(descriptor: int, data: bytes) -> int:
        trace.wrote(bytes(data))
        return write(descriptor, data)

    os.write = watched  # type: ignore[assignment]
    sys.setprofile(trace.profile)
    try:
        sender.publish(trace.topic, '{"command": "jog", "x": 1}')
        async with timeout(10):
            await trace.done.wait()
    finally:
        sys.setprofile(None)
        os.write = write
    await asyncio.sleep(0.5)
    return trace


def report_sizes(everything: list[Module], *, verbose: bool) -> None:
    """Print what can be read from the source alone."""
    largest = max(everything, key=lambda module: module.lines)
    longest = max(row for module in everything for row in functions(module))
    worst = max(row for module in everything for row in complexities(module))
    small = fragments(everything)
    twice = repeated_classes(everything)
    print(f"files below bridge/: {len(everything)}")
    print(f"lines: {sum(module.lines for module in everything)}")
    print(f"largest file: {largest.label}, {largest.lines} lines")
    print(f"largest function: {longest[1]}, {longest[0]} lines")
    print(f"worst complexity: {worst[1]}, {worst[0]}")
    print(f"modules of at most {SMALL} lines with one importer: {len(small)}")
    if verbose:
        print(*(f"  {label}" for label in small), sep="\n")
    print(f"class names that exist twice or more: {len(twice)}")
    if verbose:
        print(*(f"  {name}: {', '.join(at)}" for name, at in twice.items()), sep="\n")


def report_path(trace: Trace, *, verbose: bool) -> None:
    """Print a jog's path."""
    print(
        f"a jog, from paho to its first byte: {len(trace.codes)} functions "
        f"in {len(trace.files)} files"
    )
    if verbose:
        for part, count in trace.parts().most_common():
            print(f"  {count:3} in {part}")
        for code in trace.codes:
            file = Path(code.co_filename).relative_to(BRIDGE)
            print(f"  {file}:{code.co_firstlineno} {code.co_qualname}")


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="name what is counted")
    parser.add_argument("--no-trace", action="store_true", help="read the source only")
    chosen = parser.parse_args()
    report_sizes(modules(), verbose=chosen.verbose)
    if chosen.no_trace:
        return
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, broker = Path(name), stand.free_port()
        stack.enter_context(stand.mosquitto(folder, broker))
        stack.enter_context(stand.printers(folder, 1))
        trace = asyncio.run(trace_jog(folder, broker))
    report_path(trace, verbose=chosen.verbose)


if __name__ == "__main__":
    main()
