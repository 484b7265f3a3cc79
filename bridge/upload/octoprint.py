"""The part of OctoPrint's HTTP interface that slicers use: paths and documents; pure.

The names and the shapes are those of OctoPrint's REST API (docs.octoprint.org/en/1.11).
What each slicer calls, and which answers it understands, is in ``docs/printing.md`` and
``docs/adr/0044-an-http-server-for-slicers.md``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from bridge.files.stored import StoredFile
from bridge.upload.messages import HttpError
from bridge.upload.targets import Submitted

Document = Mapping[str, Any]

OCTOPRINT = "1.11.0"
"""The version that is reported. Slicers compare it with the oldest version that they
support: PrusaSlicer needs 1.1, Cura's plugin 1.3."""

_OF_MOONRAKER = frozenset({"server", "machine", "access"})
_ROOTS = frozenset({"api", "plugin"}) | _OF_MOONRAKER
"""What the paths of OctoPrint and Moonraker begin with. With one printer its id may be
left out; what begins otherwise is a wrong id."""

LOCAL = "api/files/local"
"""The resource with the files of a printer
(https://docs.octoprint.org/en/master/api/files.html)."""

ONE_FILE = f"{LOCAL}/*"
"""The resource of one file, which :attr:`Route.path` names."""

_TEXTS = {
    "offline": "Offline",
    "connecting": "Connecting",
    "operational": "Operational",
    "starting": "Starting",
    "printing": "Printing",
    "pausing": "Pausing",
    "paused": "Paused",
    "resuming": "Resuming",
    "cancelling": "Cancelling",
    "finishing": "Finishing",
    "error": "Error",
}
"""The states as OctoPrint's interface shows them; Cura's plugin compares the texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request is about.

    Attributes:
        printer: its id.
        prefix: what comes before ``/api``: ``/<id>``, or nothing where there is only
            one printer and its id was left out.
        resource: such as ``api/version``.
        path: of a file, where the resource is :data:`ONE_FILE`.

    """

    printer: str
    prefix: str
    resource: str
    path: str = ""


def route(target: str, printers: Collection[str]) -> Route:
    """Return the resource that the target of a request means.

    Args:
        target: a path with or without a query, or a whole URL.
        printers: the ids of all printers.

    Raises:
        HttpError: It cannot be a path (400), or names no printer (404).

    """
    steps = _steps(target)
    if steps and steps[0] in printers and steps[1:]:
        printer, prefix, steps = steps[0], f"/{steps[0]}", steps[1:]
    elif len(printers) == 1 and steps and steps[0] in _ROOTS:
        (printer,), prefix = printers, ""
    else:
        known = ", ".join(f"/{printer}" for printer in sorted(printers)[:5])
        raise HttpError(404, f"the URL in the slicer must end with a printer: {known}")
    resource = "/".join(steps)
    if resource.startswith(f"{LOCAL}/"):
        path = resource.removeprefix(f"{LOCAL}/")
        return Route(printer=printer, prefix=prefix, resource=ONE_FILE, path=path)
    return Route(printer=printer, prefix=prefix, resource=resource)


def _steps(target: str) -> list[str]:
    """Return the parts of a path, decoded one by one."""
    try:
        path = urlsplit(target).path if "://" in target else target.partition("?")[0]
        parts = [unquote_to_bytes(part).decode() for part in path.split("/")]
    except ValueError:
        raise HttpError(400, "the path of the URL is not text in UTF-8") from None
    # An encoded slash must not become a folder, and nothing may lead out of one.
    if any("/" in part or "\0" in part or part in {".", ".."} for part in parts):
        raise HttpError(400, "the path of the URL has a part that no file can have")
    return [part for part in parts if part]


def unknown(resource: str) -> str:
    """Return what to say about a resource that there is not.

    A slicer that is set to Moonraker asks for ``server/info`` first; one that is set to
    PrusaLink goes on as with OctoPrint without ``api/v1/storage``.
    """
    if resource.partition("/")[0] in _OF_MOONRAKER:
        return "this is not Moonraker; choose OctoPrint as the host type in the slicer"
    return "there is no such resource"


def joined(folder: str, filename: str) -> str:
    """Return the path of an uploaded file.

    Args:
        folder: the form's ``path``; often empty.
        filename: the name of the file.

    Raises:
        HttpError: There is no name, or the path leads out of the printer's folder
            (400).

    """
    steps = [step for step in folder.replace("\\", "/").split("/") if step]
    if not filename or {".", ".."} & {*steps, filename}:
        raise HttpError(400, "the file has no usable name, or its path leads elsewhere")
    return "/".join([*steps, filename])


def version(ours: str) -> Document:
    """Return what ``GET api/version`` answers; ``text`` must begin with OctoPrint."""
    text = f"OctoPrint (gcode2mqtt {ours})"
    return {"api": "0.1", "server": OCTOPRINT, "text": text}


def file_url(base: str, path: str) -> str:
    """Return the URL of a file.

    Args:
        base: scheme, host and prefix, such as ``http://pi:5000/left``.
        path: the file's.

    """
    return f"{base}/{LOCAL}/{quote(path)}"


def file_document(file: StoredFile, base: str) -> Document:
    """Return the description of a stored file."""
    said = file.metadata
    filament = {
        f"tool{used.tool}": {"length": used.length}
        for used in said.filament
        if used.length is not None
    }
    analysis = {"estimatedPrintTime": said.seconds, "filament": filament}
    return {
        "name": file.name,
        "display": file.name,
        "path": file.path,
        "origin": "local",
        "type": "machinecode",
        "typePath": ["machinecode", "gcode"],
        "size": file.size,
        "date": int(file.added),
        "gcodeAnalysis": {name: value for name, value in analysis.items() if value},
        "refs": {"resource": file_url(base, file.path)},
    }


def files_document(files: Iterable[StoredFile], free: int, base: str) -> Document:
    """Return what ``GET api/files`` answers: all files in one list, without folders.

    Args:
        files: the printer's.
        free: bytes that are free on the disk.
        base: as for :func:`file_url`.

    """
    listed = [file_document(file, base) for file in files]
    return {"files": listed, "free": free}


def uploaded(
    file: StoredFile, submitted: Submitted, base: str, *, selected: bool
) -> Document:
    """Return what ``POST api/files/local`` answers.

    OctoPrint has no word for what happened to a print that did not begin at once, nor
    for what the check of the file found; both are in ``gcode2mqtt``.

    Args:
        file: what was stored.
        submitted: whether it is printed.
        base: as for :func:`file_url`.
        selected: ``POST api/job`` with ``start`` prints it.

    """
    begun = submitted.state == "printing"
    return {
        "done": True,
        "effectivePrint": begun,
        "effectiveSelect": begun or selected,
        "files": {
            "local": {
                "name": file.name,
                "display": file.name,
                "path": file.path,
                "origin": "local",
                "refs": {"resource": file_url(base, file.path)},
            }
        },
        "gcode2mqtt": {
            "state": submitted.state,
            "position": submitted.position,
            "reason": submitted.reason,
            "warnings": [str(warning) for warning in file.report.warnings],
            "warning_count": file.report.warning_count,
        },
    }


def job(state: Document, work: Document) -> Document:
    """Return what ``GET api/job`` answers.

    Args:
        state: the content of the topic ``state``.
        work: the content of the topic ``job/state``.

    """
    path = work["file"]
    name = work["display"] or (path or "").rpartition("/")[2] or None
    elapsed, left = work["elapsed"], work["remaining"]
    known = elapsed is not None and left is not None
    return {
        "job": {
            "file": {
                "name": name,
                "display": name,
                "path": path,
                "origin": {"card": "sdcard"}.get(work["origin"], work["origin"]),
                "size": work["size"],
                "date": None,
            },
            "estimatedPrintTime": elapsed + left if known else None,
            "filament": None,
            "user": None,
        },
        "progress": {
            "completion": work["progress"],
            "filepos": work["position"],
            "printTime": elapsed,
            "printTimeLeft": left,
            "printTimeLeftOrigin": None if left is None else "estimate",
        },
        "state": _text(state),
        **({"error": state["error"]} if state["error"] else {}),
    }


def printer(state: Document, temperatures: Document) -> Document:
    """Return what ``GET api/printer`` answers.

    Args:
        state: the content of the topic ``state``.
        temperatures: the content of the topic ``temperature``.

    Raises:
        HttpError: The printer is not connected, or has stopped (409).

    """
    if not state["flags"]["operational"]:
        raise HttpError(409, "Printer is not operational")
    heaters = {
        name: value
        for name, value in temperatures.items()
        if name.startswith("tool") or name in {"bed", "chamber"}
    }
    return {
        "temperature": heaters,
        "sd": {"ready": state["sd"]["ready"]},
        "state": {
            "text": _text(state),
            "flags": state["flags"],
            "error": state["error"],
        },
    }


def connection(state: Document) -> Document:
    """Return what ``GET api/connection`` answers; ports are the bridge's business."""
    current = {"state": _text(state), "port": None, "baudrate": None}
    options = {"ports": [], "baudrates": [], "autoconnect": True}
    return {"current": current, "options": options}


def settings(name: str) -> Document:
    """Return what ``GET api/settings`` answers: what Cura's plugin reads.

    ``sdSupport`` is off: with it, Cura would offer to store files on the card.
    """
    return {
        "api": {"enabled": True},
        "appearance": {"name": name, "color": "default"},
        "feature": {"sdSupport": False, "temperatureGraph": True},
        "webcam": {
            "webcamEnabled": False,
            "streamUrl": "",
            "snapshotUrl": "",
            "flipH": False,
            "flipV": False,
            "rotate90": False,
        },
        "plugins": {},
    }


def login() -> Document:
    """Return what ``POST api/login`` answers to a client with a key."""
    return {"name": "_api", "active": True, "admin": False, "user": True, "groups": []}


def profiles(name: str, extruders: int, *, bed: bool, chamber: bool) -> Document:
    """Return what ``GET api/printerprofiles`` answers."""
    profile = {
        "id": "_default",
        "name": name,
        "model": name,
        "default": True,
        "current": True,
        "heatedBed": bed,
        "heatedChamber": chamber,
        "extruder": {"count": extruders, "sharedNozzle": False},
    }
    return {"profiles": {"_default": profile}}


def _text(state: Document) -> str:
    word: str = state["state"]
    return _TEXTS.get(word, word.capitalize())


def file_command(document: Document) -> bool:
    """Return whether ``POST api/files/local/<path>`` asks to print the file.

    Raises:
        HttpError: It asks for something else than to select it (400).

    """
    if document.get("command") != "select":
        raise HttpError(400, "the command for a file must be select")
    return is_true(document.get("print"))


def is_true(value: object) -> bool:
    """Return whether a field of a form or a document means yes.

    OctoPrint takes these words (``valid_boolean_trues``), and everything else means no.
    """
    return str(value).strip().lower() in {"true", "yes", "y", "1"}


def selection(path: str) -> Document:
    """Return the payload of the topic ``job`` that selects a stored file."""
    return {"command": "select", "file": path, "origin": "local"}


def job_command(document: Document, phase: str) -> str:
    """Return the command of the topic ``job`` that ``POST api/job`` asks for.

    Args:
        document: the body, such as ``{"command": "pause", "action": "toggle"}``.
        phase: the printer's state in one word, by which a toggle is decided.

    Raises:
        HttpError: There is no such command (400), or nothing to toggle (409).

    """
    command, action = document.get("command"), document.get("action", "toggle")
    if command in {"start", "cancel", "restart"}:
        return str(command)
    if command != "pause" or action not in {"pause", "resume", "toggle"}:
        raise HttpError(400, "the command must be start, pause, cancel or restart")
    if action == "toggle":
        return "resume" if phase in {"pausing", "paused"} else "pause"
    return str(action)


COMMANDS = {
    "api/printer/printhead": "head",
    "api/printer/tool": "tool",
    "api/printer/bed": "bed",
    "api/printer/chamber": "chamber",
    "api/printer/command": "command",
    "api/connection": "link",
}
"""Resources whose bodies are the payloads of a command topic, to that topic."""
