"""Names of files: what may be one, and how it is written.

A path is relative to the printer's folder, with ``/`` between its folders. It must mean
the same on each disk and in each program: the folder may be shared with Windows, or be
on a memory stick, and slicers, browsers and MQTT clients show the name.
"""

import re
import unicodedata

from bridge.files.stored import BGCODE, FileError

MOST_BYTES = 200
"""Bytes of UTF-8 in one part of a path. Most file systems allow 255; some that encrypt
names allow fewer."""

MOST_PARTS = 8
"""Parts of a path: the folders and the file."""

EXTENSIONS = (".gcode", ".gco", ".g")
"""Endings of G-code files, the same that OctoPrint accepts."""

# These are refused with a text that says what to do: models must be sliced, packages
# unpacked or exported as plain G-code.
_MODELS = (".stl", ".3mf", ".obj", ".step", ".stp", ".amf")
_PACKAGES = (".ufp", ".zip", ".gz", ".x3g", ".s3g", ".makerbot", ".ctb", ".gx")
# Characters that Windows does not allow in names; the folder may be shared with it.
_WINDOWS = re.compile(r'[<>:"|?*]')
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?=\.|$)", re.IGNORECASE
)
"""Names of devices in Windows, with or without an ending
(https://learn.microsoft.com/windows/win32/fileio/naming-a-file)."""


def clean(path: str) -> str:
    r"""Return a path as files are stored under it.

    Blanks are tidied up, ``\`` becomes ``/``, characters that Windows forbids become
    ``_``, and invisible ones are left out. Cleaning a clean path changes nothing.

    Raises:
        FileError: ``invalid_name``: it leads out of the folder, is hidden, empty, too
            long or too deep, or has control characters.

    """
    parts = [part for part in path.replace("\\", "/").split("/") if part.strip()]
    if not parts:
        raise FileError.invalid_name(path, "is empty")
    if len(parts) > MOST_PARTS:
        raise FileError.invalid_name(path, f"has more than {MOST_PARTS} parts")
    return "/".join([_part(part, path) for part in parts])


def _part(part: str, path: str) -> str:
    if part.strip() in {".", ".."}:
        raise FileError.invalid_name(path, "leads to another folder")
    categories = {unicodedata.category(sign) for sign in part}
    if not categories.isdisjoint({"Cc", "Cs"}):
        raise FileError.invalid_name(path, "has control characters, or is not UTF-8")
    # Invisible marks, which also turn the direction of the text around them.
    shown = "".join(sign for sign in part if unicodedata.category(sign) != "Cf")
    text = " ".join(unicodedata.normalize("NFC", shown).split())
    text = _WINDOWS.sub("_", text).strip(" ").rstrip(". ")
    if not text or text[0] == ".":
        raise FileError.invalid_name(path, "begins with a dot")
    if _RESERVED.match(text):
        text = f"_{text}"
    if len(text.encode()) > MOST_BYTES:
        raise FileError.invalid_name(
            path, f"has a part of more than {MOST_BYTES} bytes"
        )
    return text


def same(path: str) -> str:
    """Return a key that is the same for paths that are one file on some disks.

    Disks of Windows, macOS and memory sticks do not distinguish upper and lower case.
    """
    return unicodedata.normalize("NFC", path.casefold())


def check_type(path: str) -> None:
    """Refuse a name that is not that of a plain G-code file.

    Raises:
        FileError: ``unsupported_type``.

    """
    name = path.rpartition("/")[2].lower()
    if name.endswith(EXTENSIONS):
        return
    raise FileError.unsupported_type(path, _why_not(name))


def _why_not(name: str) -> str:
    if name.endswith((".bgcode", ".bgc")):
        return BGCODE
    if name.endswith(".gcode.3mf"):
        return "this is a package of Bambu's; use Export G-code in the slicer"
    if name.endswith(_MODELS):
        return "this is a model; a slicer turns it into G-code"
    if name.endswith(_PACKAGES):
        return "this is a package or a binary format; have the slicer save G-code"
    return f"the name must end in {', '.join(EXTENSIONS[:-1])} or {EXTENSIONS[-1]}"


_MAGIC = (
    (b"GCDE", BGCODE),
    (b"PK\x03\x04", "this is a ZIP archive, such as .3mf or .ufp, and not G-code"),
    (b"\x1f\x8b", "this is compressed (gzip); upload the G-code itself"),
    (b"\xff\xfe", "this is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "this is UTF-16; save it as UTF-8"),
)
"""First bytes of files that are not plain text, and the message for each. ``GCDE`` is
binary G-code
(https://github.com/prusa3d/libbgcode/blob/main/doc/specifications.md)."""


def check_beginning(path: str, head: bytes) -> None:
    """Refuse a file that does not begin as text.

    Args:
        path: its name.
        head: its first bytes.

    Raises:
        FileError: ``unsupported_type``.

    """
    for magic, why in _MAGIC:
        if head.startswith(magic):
            raise FileError.unsupported_type(path, why)
    if b"\0" in head:
        raise FileError.unsupported_type(path, "this is a binary file, and not G-code")
