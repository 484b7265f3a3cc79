"""The SD card: files, the one that is selected, printing and writing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_UPLOAD = 4_000_000  # bytes of a file, because it is kept in memory


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file as the firmware lists it.

    Attributes:
        name: the short name, with its folder.
        data: what is in it.
        display: the long name.
        date: the FAT time stamp as ``M20 T`` prints it, such as ``0x56aa6083``.

    """

    name: str
    data: bytes
    display: str = ""
    date: str = ""


def _square(side: int, layers: int) -> bytes:
    lines = ["G28", "G90", "M83"]
    for layer in range(layers):
        lines.append(f"G1 Z{(layer + 1) * 0.2:.2f} F600")
        corners = ((0, 0), (side, 0), (side, side), (0, side), (0, 0))
        lines += [f"G1 X{20 + x} Y{20 + y} F3000" for x, y in corners]
    return ("\n".join([*lines, "M84"]) + "\n").encode()


LONG_FILE = CardFile(
    "ARATHE~1.GCO", _square(60, 100), "A rather long file name.gcode", "0x5a2b6c00"
)
MARLIN_FILES = (
    CardFile(
        "SMALL.GCO", b"G28\nG1 X10 Y10 F3000\nG1 X20\nM84 ; done\n", "", "0x5a2b6a83"
    ),
    LONG_FILE,
    CardFile("SUB/PARTON~1.GCO", b"G28\nG1 X5 F3000\nM84\n", "Sub/part one.gcode"),
)
KLIPPER_FILES = (
    CardFile("bad.gcode", b"G28\nG1 X999 F3000\nG1 X5\n"),
    CardFile("long_job.gcode", _square(60, 40)),
    CardFile("notes.txt", b"some text\n"),
    CardFile("square.gcode", _square(10, 3)),
    CardFile("With Space Name.gcode", b"G28\nG1 X10 F3000\n"),
)


@dataclass(slots=True)
class Card:
    """The card in the slot.

    Attributes:
        inserted: a card is in the slot.
        mounted: the firmware uses it.
        selected: the file that M23 chose.
        position: the next byte of it that will be read.
        printing: the selected file is being read.
        paused: it was being read, and may continue.
        writing: the name of the file that M28 opened.

    """

    files: Mapping[str, CardFile]
    inserted: bool = True
    mounted: bool = True
    selected: CardFile | None = None
    position: int = 0
    printing: bool = False
    paused: bool = False
    writing: str = ""
    written: bytearray = field(default_factory=bytearray)

    @classmethod
    def of(cls, files: Iterable[CardFile], *, inserted: bool = True) -> "Card":
        """Return a card with these files."""
        return cls(
            {file.name.upper(): file for file in files},
            inserted=inserted,
            mounted=inserted,
        )

    def find(self, name: str) -> CardFile | None:
        """Return a file by its short name, whatever its case and leading slash."""
        return self.files.get(name.strip().lstrip("/").upper())

    def select(self, file: CardFile) -> None:
        """Choose the file to print."""
        self.selected, self.position = file, 0
        self.printing = self.paused = False

    @property
    def at_end(self) -> bool:
        """Whether nothing of the selected file is left to read."""
        return self.selected is None or self.position >= len(self.selected.data)

    def next_line(self) -> str | None:
        """Read a line of the file that is being printed; ``None`` at its end."""
        if self.selected is None or self.at_end:
            return None
        data = self.selected.data
        end = data.find(b"\n", self.position)
        end = len(data) if end < 0 else end + 1
        line = data[self.position : end]
        self.position = end
        return line.split(b";")[0].decode("latin-1").strip()

    def close(self) -> None:
        """Forget the file that was selected or printed."""
        self.printing = self.paused = False
        self.selected, self.position = None, 0

    def write(self, line: str) -> None:
        """Append a line to the file that M28 opened; beyond the limit, it is lost."""
        if len(self.written) < MAX_UPLOAD:
            self.written += line.encode("latin-1", "replace") + b"\n"

    def save(self) -> None:
        """Close the file that M28 opened."""
        name = self.writing
        file = CardFile(name, bytes(self.written), name)
        self.files = {**self.files, name.upper(): file}
        self.writing = ""
        self.written = bytearray()

    def delete(self, name: str) -> bool:
        """Remove a file; return whether there was one."""
        file = self.find(name)
        if file is None:
            return False
        self.files = {k: v for k, v in self.files.items() if v is not file}
        return True

    def eject(self, *, inserted: bool) -> None:
        """Unmount: by M22, or because the card was removed."""
        self.close()
        self.writing = ""
        self.inserted, self.mounted = inserted, False
