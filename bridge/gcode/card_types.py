"""What a firmware can say about its SD card and the print from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileListBegin:
    """The list of an SD card begins (``Begin file list``)."""


@dataclass(frozen=True, slots=True)
class FileListEnd:
    """The list of an SD card is complete (``End file list``)."""


@dataclass(frozen=True, slots=True)
class CardState:
    """The SD card was mounted (``SD card ok``), or it is not there (``No media``)."""

    ready: bool
    text: str


@dataclass(frozen=True, slots=True)
class FileOpened:
    """A file was selected (``File opened: small.gco Size: 51``)."""

    name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileSelected:
    """The selection is complete (``File selected``)."""


@dataclass(frozen=True, slots=True)
class PrintProgress:
    """How far an SD print is, in bytes (``SD printing byte 17/107``)."""

    position: int
    size: int


@dataclass(frozen=True, slots=True)
class NotPrinting:
    """No SD print is under way (``Not SD printing``)."""


@dataclass(frozen=True, slots=True)
class PrintPaused:
    """An SD print is paused (Prusa answers ``M27`` with ``SD print paused``)."""


@dataclass(frozen=True, slots=True)
class PrintDone:
    """An SD print came to its end (``Done printing file``)."""


@dataclass(frozen=True, slots=True)
class CurrentFile:
    """Which file is selected (``M27 C``); ``None``: none is."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a print is, as its slicer said with ``M73`` and the firmware repeats.

    Attributes:
        percent: 0 to 100.
        remaining: seconds to go; ``None``: not said.

    """

    percent: float
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file on the SD card; an entry of its list, not a reply of its own.

    Attributes:
        path: how the firmware wants it named.
        size: in bytes; ``None``: not said.
        display: the long name, where the firmware has one; else the path's last part.
        date: ISO 8601 without a zone, in the printer's local time; ``None``: not said.

    """

    path: str
    size: int | None = None
    display: str = ""
    date: str | None = None
