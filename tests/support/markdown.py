"""The contents of the documents."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_FENCE = re.compile(
    r"^```(?P<language>\w*)[ ]*(?P<label>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")

_MENTIONED = re.compile(
    r"`(?P<text>(?:gcode2mqtt|mosquitto_pub|scripts/\w[\w-]*) [^`]+)`"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        place: file and line.
        language: ``json``, ``yaml``, ``sh``, …
        label: what follows the language.
        text: what stands in it.

    """

    place: str
    language: str
    label: str
    text: str


def documents() -> list[Path]:
    """Return every document of the repository."""
    folders = [
        ROOT.glob("*.md"),
        ROOT.glob("docs/**/*.md"),
        ROOT.glob("deploy/**/*.md"),
        ROOT.glob("benchmarks/*.md"),
        ROOT.glob("tests/**/*.md"),
    ]
    return sorted(path for folder in folders for path in folder)


def blocks(language: str) -> list[Block]:
    """Return all blocks in a language."""
    return [
        block
        for path in documents()
        for block in _blocks(path)
        if block.language == language
    ]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Return each call of a program in the shell blocks: its place and arguments."""
    return [
        (block.place, words[1:])
        for block in blocks("sh")
        for words in calls(block)
        if words[0] == program
    ]


def calls(block: Block) -> Iterator[list[str]]:
    """Yield program and arguments of each line of a shell block."""
    for line in block.text.replace("\\\n", " ").splitlines():
        split = shlex.split(line, comments=True)
        if words := list(dropwhile(lambda word: "=" in word, split)):
            yield words


def mentioned() -> Iterator[tuple[str, list[str]]]:
    """Yield each of our commands in running text: the place, and all its words."""
    for path in documents():
        # A fenced block leaves its line breaks, so that the lines are counted right.
        text = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), path.read_text())
        for match in _MENTIONED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            place = f"{path.relative_to(ROOT)}:{line}"
            yield place, shlex.split(match["text"], comments=True)


def links(path: Path) -> Iterator[str]:
    """Yield the targets of a document's links, without anchors."""
    for match in _LINK.finditer(path.read_text()):
        yield match["target"]


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text()
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        place = f"{path.relative_to(ROOT)}:{line}"
        yield Block(place, match["language"], match["label"].strip(), match["text"])
