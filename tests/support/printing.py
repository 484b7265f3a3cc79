"""Files to print, and a printer that prints them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.printer.knowledge.print_table import PrintResult
from bridge.printer.printing.print_file import PrintFile
from tests.support.live import Live, live
from tests.support.waiting import until

FAST = "simulator://marlin?speed=1000"


def layers(count: int, moves: int = 10, *, height: float = 0.2) -> list[str]:
    """Return the lines of a small print of so many layers, as PrusaSlicer writes it."""
    lines = ["G28", "G90", "M82", "G92 E0"]
    e = 0.0
    for number in range(1, count + 1):
        z = round(number * height, 3)
        lines += [";LAYER_CHANGE", f";Z:{z:g}", f"G1 Z{z:g} F7800"]
        for move in range(moves):
            e = round(e + 0.05, 5)
            lines.append(f"G1 X{50 + move} Y{60 + number} E{e:g}")
    return lines


def sent_of(lines: Iterable[str]) -> list[str]:
    """Return what of these lines is sent: neither comments nor blank lines."""
    bare = (line.partition(";")[0].strip() for line in lines)
    return [line for line in bare if line]


def file_of(path: Path, lines: Sequence[str], **known: Any) -> PrintFile:  # noqa: ANN401 - fields
    """Write a file; return what a printer has to know of it."""
    path.write_text("".join(f"{line}\n" for line in lines))
    size = path.stat().st_size
    return PrintFile(job="job-1", path=path, name=path.name, size=size, **known)


@dataclass
class Printing:
    """A printer that prints files.

    Attributes:
        live: the printer.
        file: what it prints.

    """

    live: Live
    file: PrintFile

    def start(self) -> None:
        """Begin to print."""
        self.live.printer.printing.start(self.file)

    async def over(self) -> PrintResult:
        """Wait for the end of the print; return it."""
        await until(lambda: not self.live.printer.printing.active)
        result = self.live.printer.state.job.result
        assert result is not None
        return result

    async def phase(self, name: str) -> None:
        """Wait until the print is in this phase."""
        await until(lambda: self.live.printer.state.job.phase == name)

    @property
    def sent(self) -> list[str]:
        """The lines that were sent, without those that keep the state up to date."""
        return self.live.sent


@asynccontextmanager
async def printing(
    folder: Path,
    lines: Sequence[str],
    port: str = FAST,
    *,
    known: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - those of `live`
) -> AsyncIterator[Printing]:
    """Run a printer with a file that it can print; it is found by its name."""
    file = file_of(folder / "part.gcode", lines, **(known or {}))
    async with live(port, **options) as running:
        running.printer.prints.stored_file = {file.name: file}.get
        yield Printing(running, file)
