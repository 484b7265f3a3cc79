"""The published documents about stored files."""

from collections.abc import Sequence

from bridge.field_docs import PublishedDocument
from bridge.files.check import CheckFinding, CheckReport
from bridge.files.stored import StoredFile
from bridge.timestamps import Time

RECENT = 10
"""Files that ``files/state`` has with their metadata."""

LISTED = 200
"""Files whose paths ``files/state`` has, which is sent to each new subscriber."""


class LineFinding(PublishedDocument):
    """What the check of a file found in a line."""

    line: int
    """The number of the line, counted from 1; 0: the file as a whole."""
    code: str
    """The kind of finding as a word for programs, such as `placeholder`,
    `two_commands`, `out_of_limits`, `no_such_tool`, `card_command`, `blocked` or
    `unknown_code`."""
    text: str
    """The finding as a sentence for people."""


class FileReport(PublishedDocument):
    """What the check of a file found."""

    printable: bool
    """Whether it has no errors; a file with errors is not printed."""
    errors: int
    """How many errors there are."""
    warnings: int
    """How many warnings there are."""
    lines: int
    """How many lines are sent to the printer."""


class FullReport(FileReport):
    """What the check of a file found, with the lines."""

    first_errors: tuple[LineFinding, ...]
    """The first 20 errors."""
    first_warnings: tuple[LineFinding, ...]
    """The first 20 warnings."""


class FilamentUse(PublishedDocument):
    """How much filament one tool uses."""

    tool: int
    """The tool's number."""
    length: float | None
    """In mm."""
    weight: float | None
    """In g."""
    material: str | None
    """Such as `PLA`."""


class LocalFile(PublishedDocument):
    """A file that the bridge stores, with what its slicer says about it."""

    path: str
    """Its name, and the folders that it is in."""
    size: int
    """In bytes."""
    added: Time
    """When it was stored."""
    slicer: str | None
    """The slicer and its version."""
    time: int | None
    """The slicer's estimate of the print time, in seconds."""
    layers: int | None
    """The number of layers."""
    filament: tuple[FilamentUse, ...]
    """The filament of each tool that is used."""
    report: FileReport
    """What the check of its lines found."""


class FullFile(LocalFile):
    """A file that the bridge stores, with everything that is known of it."""

    sha256: str
    """The SHA-256 of its content."""
    layer_height: float | None
    """In mm."""
    first_layer_height: float | None
    """In mm."""
    max_z: float | None
    """The height of the part, in mm."""
    tool_temperature: float | None
    """The first target of a hotend, in °C."""
    bed_temperature: float | None
    """The first target of the bed, in °C."""
    chamber_temperature: float | None
    """The first target of the chamber, in °C."""
    objects: tuple[str, ...]
    """The names of the objects, in their order."""
    thumbnails: int
    """How many thumbnails it has."""
    report: FullReport
    """What the check of its lines found."""


class FilesState(PublishedDocument):
    """What `files/state` holds."""

    count: int
    """How many files there are."""
    bytes: int
    """Their total size in bytes."""
    free: int
    """How many bytes are free for files, without `files.keep_free`."""
    recent: tuple[LocalFile, ...]
    """The 10 most recent files, the newest first."""
    files: tuple[str, ...]
    """The paths of all files, in alphabetical order; the first 200. `request/files`
    with `origin: local` returns all of them with their metadata."""
    checking: bool
    """Whether files that were found in the folder are still being checked."""
    problem: str
    """Why no file can be stored, or empty."""


class FileList(PublishedDocument):
    """The response to `request/files` with `origin: local`."""

    count: int
    """How many files there are in all."""
    files: tuple[LocalFile, ...]
    """The files, in alphabetical order of their paths."""
    next: str | None
    """What to ask for `after` next; null after the last file."""


def local_file(file: StoredFile) -> LocalFile:
    """Return a file with the most important of its metadata."""
    return LocalFile.model_validate({**_brief(file), "report": _report(file.report)})


def full_file(file: StoredFile) -> FullFile:
    """Return everything that is known of a file."""
    metadata, report = file.metadata, file.report
    return FullFile.model_validate(
        {
            **_brief(file),
            "sha256": file.sha256,
            "layer_height": metadata.layer_height,
            "first_layer_height": metadata.first_layer_height,
            "max_z": metadata.max_z,
            "tool_temperature": metadata.tool_temperature,
            "bed_temperature": metadata.bed_temperature,
            "chamber_temperature": metadata.chamber_temperature,
            "objects": metadata.objects,
            "thumbnails": len(metadata.thumbnails),
            "report": {
                **_report(report),
                "first_errors": _findings(report.errors),
                "first_warnings": _findings(report.warnings),
            },
        }
    )


def files_state(
    files: Sequence[StoredFile], *, free: int, checking: bool, problem: str
) -> FilesState:
    """Return what ``files/state`` holds.

    Args:
        files: all files, by path.
        free: bytes that are free for files.
        checking: more of them may follow.
        problem: why no file can be stored, or ``""``.

    """
    newest = sorted(files, key=lambda file: file.added, reverse=True)
    return FilesState(
        count=len(files),
        bytes=sum(file.size for file in files),
        free=free,
        recent=tuple(local_file(file) for file in newest[:RECENT]),
        files=tuple(file.path for file in files[:LISTED]),
        checking=checking,
        problem=problem,
    )


def file_list(files: Sequence[StoredFile], *, after: str, limit: int) -> FileList:
    """Return a part of the list of files.

    Args:
        files: all files, by path.
        after: only files whose paths follow this one.
        limit: how many of them at most.

    """
    rest = [file for file in files if file.path > after]
    page = rest[:limit]
    more = len(rest) > limit
    return FileList(
        count=len(files),
        files=tuple(local_file(file) for file in page),
        next=page[-1].path if more else None,
    )


def _brief(file: StoredFile) -> dict[str, object]:
    metadata = file.metadata
    seconds = metadata.seconds
    return {
        "path": file.path,
        "size": file.size,
        "added": file.added,
        "slicer": metadata.slicer,
        "time": None if seconds is None else round(seconds),
        "layers": metadata.layers,
        "filament": tuple(
            FilamentUse(
                tool=one.tool,
                length=one.length,
                weight=one.weight,
                material=one.material or None,
            )
            for one in metadata.filament
        ),
    }


def _report(report: CheckReport) -> dict[str, object]:
    return {
        "printable": report.printable,
        "errors": report.error_count,
        "warnings": report.warning_count,
        "lines": report.lines,
    }


def _findings(findings: Sequence[CheckFinding]) -> tuple[LineFinding, ...]:
    return tuple(
        LineFinding(line=one.line, code=one.code, text=one.text) for one in findings
    )
