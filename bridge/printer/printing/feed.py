"""The lines of a file as they are sent: which one is next, and where sending stops.

Blocks of bytes from the file go in; lines in canonical form come out, one at a time and
only when the next one can be sent. What is not meant for the firmware (comments,
blanks, a pause of the host) never comes out.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from bridge.errors import RejectedError
from bridge.gcode.codes import Argument, Sets
from bridge.gcode.dialects import Dialect
from bridge.gcode.file_lines import (
    LONGEST_LINE,
    card_problem,
    command_of,
    host_command,
    is_for_screens,
    is_host_command,
    object_name,
)
from bridge.gcode.line import MOVES, Line, LineError, format_number, of_file
from bridge.printer.printing.objects import CODES, Objects
from bridge.printer.printing.tracker import HeadPosition, Tracker

HOST_PAUSES = frozenset({"M0", "M1", "M25", "M601", "PAUSE"})
"""Codes in a file at which the bridge pauses. They are not sent: a firmware would wait
for a button at the printer (``M0``, ``M1``), or pause its card (``M25``)."""

HANDLED = HOST_PAUSES | {"M600"}
"""Codes in a file that the bridge may execute itself."""

_LETTERS = frozenset("GMT")
"""First letters of most lines, which go straight to the parser."""

_TEXTS = frozenset({Argument.DISPLAY, Argument.ECHO})
_RETRACTIONS = frozenset({"G10", "G11"})
_TRAVEL, _RETRACTION = 3000.0, 1800.0
"""Feedrates, in mm/min, of the moves that replace those of an excluded object."""

Because = Literal["end", "asked", "layer", "pause", "tool", "after_tool", "error"]
"""Why no more lines come: the end of the file; a request; the beginning of a layer, on
request; a pause in the file; a script that runs before or after a tool change; a line
that cannot be sent."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where sending has stopped.

    Attributes:
        because: why.
        text: the reason of a pause, or what is wrong, as a sentence.
        tools: the tools before and after the change.

    """

    because: Because
    text: str = ""
    tools: tuple[int, int] = (0, 0)


Clean = Callable[[Line, str], Line]
"""Checks a line that is not a move, and returns it as it is sent, with offsets.

Its arguments are the line and the words for where it is.

Raises:
    RejectedError: It must not be sent.

"""


class Feed:
    """Turns the bytes of one file into the lines that are sent.

    Args:
        tracker: follows the lines.
        objects: the objects of the file.
        dialect: the firmware's.
        clean: checks a line that is not a move.
        tool_scripts: whether scripts have to run at a change of the tool.
        host_changes_filament: whether ``M600`` is a pause of the bridge.
        line: how many lines of the file precede the first byte.
        byte: how many bytes precede it.

    Attributes:
        stop: where the last :meth:`source` has ended; ``None``: it has not.
        asked: stop before the next line.
        asked_at_layer: stop before the next layer.
        layer_began: how many lines and bytes precede the present layer.
        line: how many lines precede the one that will be acknowledged next, including
            comments; as ``byte``.
        byte: how many bytes precede it.

    """

    def __init__(  # noqa: PLR0913 - what it asks while it continues
        self,
        tracker: Tracker,
        objects: Objects,
        dialect: Dialect,
        *,
        clean: Clean,
        tool_scripts: Callable[[], bool] = lambda: False,
        host_changes_filament: Callable[[], bool] = lambda: False,
        line: int = 0,
        byte: int = 0,
    ) -> None:
        self._tracker = tracker
        self.objects = objects
        self._family = dialect.name
        self._clean = clean
        self._tool_scripts = tool_scripts
        self._host_changes_filament = host_changes_filament
        self._rest = b""
        self._texts: deque[str] = deque()
        self._over = False
        self._read_to = (line, byte)  # up to the end of the text that was read last
        self._read_from = (line, byte)  # and up to its beginning
        self._next: deque[Line | str | Stop] = deque()  # before the next text
        self._left: tuple[HeadPosition, float] | None = (
            None  # where the first omitted move began
        )
        self._pulled: deque[tuple[int, int]] = deque()
        self.stop: Stop | None = None
        self.asked = False
        self.asked_at_layer = False
        self.layer_began = (line, byte)
        self.line, self.byte = line, byte

    @property
    def place(self) -> HeadPosition:
        """The position and modes of the head after the lines that were yielded."""
        return self._tracker.place if self._left is None else self._left[0]

    def done(self) -> None:
        """Note that the oldest yielded line was acknowledged."""
        self.line, self.byte = self._pulled.popleft()

    def source(
        self, more: Callable[[], bytes | None]
    ) -> Iterator[tuple[str, int] | None]:
        """Yield lines with their ends in the file; ``None`` if none is there yet.

        It ends at the end of the file and at each :class:`Stop`; then another one goes
        on with the next line.

        Args:
            more: returns the next bytes, ``None`` if there are none yet, and ``b""`` at
                the end.

        """
        self.stop = None
        while self.stop is None:
            if self.asked:
                self.asked = False
                self.stop = Stop("asked")
            elif self._next:
                item = self._next.popleft()
                if isinstance(item, Stop):
                    self.stop = item
                elif isinstance(item, str):
                    self._pulled.append(self._read_from)
                    yield item, self._read_from[1]
                else:
                    yield self._out(item)
            elif self._texts:
                line = self._read(self._texts.popleft())
                if line is not None:
                    yield self._out(line)
            elif self._over:
                self.line, self.byte = self._read_to
                self.stop = Stop("end")
            else:
                block = more()
                if block is None:
                    yield None
                else:
                    self._take(block)

    def _out(self, line: Line) -> tuple[str, int]:
        """Return the line that is sent now."""
        self._tracker.apply(line)
        self._pulled.append(self._read_to)
        return line.text, self._read_to[1]

    def _take(self, block: bytes) -> None:
        """Add the next bytes of the file; no bytes mean its end."""
        if not block:
            self._over = True
            if self._rest:
                self._texts.append(self._rest.decode("latin-1"))
                self._rest = b""
        elif b"\n" in block:
            # One character is one byte, so lengths of texts are lengths in the file.
            *texts, rest = (self._rest + block).decode("latin-1").split("\n")
            self._texts.extend(texts)
            self._rest = rest.encode("latin-1")
        else:
            self._rest += block
            if len(self._rest) > LONGEST_LINE:
                line, byte = self._read_to
                self._read_to = (line + 1, byte)
                self._fail(f"it is longer than {LONGEST_LINE} bytes")

    # One line of the file

    def _read(self, text: str) -> Line | None:
        """Return the line in a text, as it is sent, if it is sent at once."""
        line, byte = self._read_from = self._read_to
        self._read_to = (line + 1, byte + len(text) + 1)
        text = text.strip()
        if text[:1] == ";":
            self._comment(text.encode("latin-1").decode("utf-8", "replace"))
            return None
        if text[:1] not in _LETTERS or not text.isascii():
            text = command_of(text.encode("latin-1"))
        if not text:
            return None
        if is_host_command(text):
            if host_command(text) == "pause":
                self._next.append(Stop("pause", "@pause"))
            return None
        try:
            found = of_file(text, self._family)
        except LineError as error:
            self._cannot_be_read(text, error)
            return None
        assert found is not None  # noqa: S101 - it is neither blank nor a comment
        return self._move(found) if found.code in MOVES else self._special(found)

    def _fail(self, text: str) -> None:
        self._next.append(Stop("error", f"line {self._read_to[0]}: {text}"))

    def _cannot_be_read(self, text: str, error: LineError) -> None:
        """Fail, unless nothing depends on the line."""
        if not is_for_screens(text):
            self._fail(str(error))
        elif name := object_name(text):
            self.objects.label(name)
            self._object_changed()

    def _comment(self, text: str) -> None:
        if self.objects.comment(text):
            self._object_changed()
        elif self._tracker.comment(text):
            self._layer_begins(self._read_to)

    def _layer_begins(self, at: tuple[int, int]) -> None:
        self.layer_began = at
        if self.asked_at_layer:
            self.asked_at_layer = False
            self._next.append(Stop("layer"))

    def _move(self, line: Line) -> Line | None:
        if self.objects.left_out:
            self._tracker.apply(line)
            return None
        if self._left is not None:
            self._rejoin()
        if self._tracker.begins_layer(line):
            self._layer_begins(self._read_from)
        return self._in_turn(line)

    def _in_turn(self, line: Line) -> Line | None:
        """Return a line, unless something must be sent before it."""
        if not self._next:
            return line
        self._next.append(line)
        return None

    def _special(self, line: Line) -> Line | None:
        """Return a line that is not a move, unless it is handled in another way."""
        if line.code in HANDLED and self._pauses(line):
            self._next.append(Stop("pause", _why(line)))
            return None
        if problem := card_problem(line):
            self._fail(problem)
            return None
        if line.code in CODES:
            self.objects.code(line)
            self._object_changed()
        elif self.objects.left_out and _moves_filament(line):
            self._tracker.apply(line)
            return None
        if self._left is not None and not self.objects.left_out and line.code == "G92":
            self._rejoin()
        checked = self._checked(line)
        return None if checked is None else self._with_scripts(checked)

    def _pauses(self, line: Line) -> bool:
        return line.code != "M600" or self._host_changes_filament()

    def _checked(self, line: Line) -> Line | None:
        """Return a line as it may be sent; a text that is too long is omitted.

        A filament change that must not be sent, because the operator blocks it or the
        firmware is not known to have it, is a pause of the bridge.
        """
        try:
            line = self._clean(line, where := f"line {self._read_to[0]}")
        except RejectedError as error:
            if line.code == "M600":
                self._next.append(Stop("pause", _why(line)))
            elif line.row.argument not in _TEXTS:
                self._fail(str(error).removeprefix(f"{where}: "))
            return None
        return line

    def _with_scripts(self, line: Line) -> Line | None:
        """Return a line, with stops around it if scripts run at a tool change."""
        if line.row.sets is Sets.TOOL and line.code[1:].isdigit():
            tools = (self._tracker.tool, int(line.code[1:]))
            if tools[0] != tools[1] and self._tool_scripts():
                before, after = Stop("tool", "", tools), Stop("after_tool", "", tools)
                self._next.extend((before, line, after))
                return None
        return self._in_turn(line)

    # Objects that are left out

    def exclude(self, name: str) -> None:
        """Leave an object out, from the next line on if it is being printed."""
        self.objects.exclude(name)
        self._object_changed()

    def _object_changed(self) -> None:
        if self.objects.left_out and self._left is None:
            self._left = (self._tracker.place, self._tracker.filament)

    def _rejoin(self) -> None:
        """Add the lines from where moves began to be left out to where they would be.

        The filament has to be pulled back as far as the lines that were left out have
        done it, and the extruder's position is what they have left.
        """
        assert self._left is not None  # noqa: S101 - whoever calls has seen to it
        (before, used), self._left = self._left, None
        after = self._tracker.place
        self._tracker.forget_filament(used)
        self._next.extend(rejoining(before, after))


def rejoining(before: HeadPosition, after: HeadPosition) -> Iterator[str]:
    """Yield the lines that bring the head and the modes from one place to another.

    It travels at the greater of both heights. Modes that only other lines set are the
    same at both places.
    """
    wanted = [axis for axis in ("x", "y", "z") if getattr(after, axis) is not None]
    moved = [a for a in wanted if getattr(before, a) != getattr(after, a)]
    pulled = after.retracted - before.retracted
    if pulled > _TINY:
        yield from _filament(after, -pulled)
    if moved:
        yield "G90"
        yield from _travel(before, after, moved)
        if after.relative:
            yield "G91"
        if after.relative_e:
            yield "M83"
        else:
            yield "M82"
    if pulled < -_TINY:
        yield from _filament(after, -pulled)
    if after.e is not None and after.e != before.e:
        yield f"G92 E{format_number(after.e)}"
    if after.feedrate is not None:
        yield f"G1 F{format_number(after.feedrate)}"


def _filament(after: HeadPosition, length: float) -> Iterator[str]:
    yield "M83"
    yield f"G1 E{format_number(length)} F{format_number(_RETRACTION)}"
    if not after.relative_e:
        yield "M82"


def _travel(
    before: HeadPosition, after: HeadPosition, moved: list[str]
) -> Iterator[str]:
    up = before.z is None or (after.z is not None and after.z > before.z)
    z = "" if after.z is None else f"G0 Z{format_number(after.z)} F{_SPEED}"
    if "z" in moved and up and z:
        yield z
    words = [
        f"{axis.upper()}{format_number(getattr(after, axis))}"
        for axis in moved
        if axis != "z"
    ]
    if words:
        yield f"G0 {' '.join(words)} F{_SPEED}"
    if "z" in moved and not up and z:
        yield z


def _why(line: Line) -> str:
    """Return the reason of a pause that a line of the file asks for."""
    return "filament_change" if line.code == "M600" else line.argument or line.code


def _moves_filament(line: Line) -> bool:
    """Return whether a line that is not a move belongs to the moves of an object."""
    if line.code == "G92":
        return set(line.values) <= {"E"}
    return line.code in _RETRACTIONS and not line.values


_TINY = 1e-6
_SPEED = format_number(_TRAVEL)
