"""The form in which slicers upload a file, read piece by piece; pure.

It is ``multipart/form-data`` (RFC 7578) with one part called ``file`` and a few short
ones. The file is passed on as it arrives, so its size costs no memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import multipart  # type: ignore[import-untyped]  # it has annotations, but no py.typed

from bridge.errors import quoted
from bridge.upload.messages import HttpError

MAX_PARTS = 16
"""Parts of a form. Slicers send two to six: ``print``, ``path``, ``select``,
``plateindex``, ``userdata`` and ``file``."""

MAX_FIELD = 4096
"""Bytes of each part other than the file."""

MAX_PREAMBLE = 4096
"""Bytes before the first boundary. RFC 2046 allows any number, no slicer sends any, and
without a limit they would be a way around the limits of the parts."""

MAX_BOUNDARY = 70
"""Characters of a boundary (RFC 2046, 5.1.1)."""

FILE = "file"
"""The name of the part with the file."""

_FORM = "multipart/form-data"

_EXTENDED = re.compile(r";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
"""A file name as RFC 8187 writes it. RFC 7578 forbids it here, and older versions of
some HTTP libraries send it for names that are not ASCII."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A short part, complete."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileStart:
    """The part with the file begins; its bytes follow.

    Attributes:
        filename: without the folders that its sender may have in it.

    """

    filename: str


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file is complete; further fields may follow."""


FormEvent = FormField | FileStart | bytes | FileEnd


class FormParser:
    """Reads one form.

    Args:
        content_type: the request's header of this name.

    Raises:
        HttpError: It is not a form (415), or has no usable boundary (400).

    """

    def __init__(self, content_type: str) -> None:
        kind, options = multipart.parse_options_header(content_type)
        if kind.lower() != _FORM:
            raise HttpError(415, f"send the file as {_FORM}, as slicers do")
        boundary = options.get("boundary", "")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise HttpError(400, "the header Content-Type has no usable boundary")
        try:
            self._parser = multipart.PushMultipartParser(
                boundary.encode("latin-1", "replace"),
                max_header_size=MAX_FIELD,
                max_segment_count=MAX_PARTS,
            )
        except multipart.MultipartError as error:
            raise HttpError(400, f"the form is damaged: {error}") from None
        self._preamble = 0
        self._seen: set[str] = set()
        self._field: str | None = None  # None: the current part is the file
        self._value = bytearray()

    def feed(self, data: bytes | bytearray) -> Iterator[FormEvent]:
        """Yield what some bytes of the body complete.

        Args:
            data: the next bytes, at least one.

        Raises:
            HttpError: The form is damaged, has a part twice, or is not one that uploads
                a file (400).

        """
        try:
            for event in self._parser.parse(data):
                if isinstance(event, bytes):
                    yield from self._content(event)
                elif event is None:
                    yield self._end()
                else:
                    yield from self._start(event)
        except multipart.MultipartError as error:
            raise HttpError(400, f"the form is damaged: {error}") from None
        if not self._seen:
            self._preamble += len(data)
            if self._preamble > MAX_PREAMBLE + MAX_FIELD:
                raise HttpError(400, "the form does not begin with its boundary")

    def close(self) -> None:
        """Check that the form is complete.

        Raises:
            HttpError: It ends too early, or has no file (400).

        """
        try:
            self._parser.close()
        except multipart.MultipartError:
            raise HttpError(400, "the form ends before its last boundary") from None
        if FILE not in self._seen:
            raise HttpError(400, f"the form has no part called {FILE}")

    def _start(self, part: multipart.MultipartSegment) -> Iterator[FormEvent]:
        name = part.name
        if name in self._seen:
            raise HttpError(400, f"the form has the part {quoted(name[:20])} twice")
        self._seen.add(name)
        filename = _filename(part)
        if (name == FILE) != (filename is not None):
            raise HttpError(
                400, f"the part {FILE}, and no other one, must have a filename"
            )
        if filename is None:
            self._field, self._value = name, bytearray()
            return
        self._field = None
        yield FileStart(filename)

    def _content(self, data: bytes) -> Iterator[FormEvent]:
        if self._field is None:
            yield data
        elif len(self._value) + len(data) > MAX_FIELD:
            raise HttpError(400, f"the part {quoted(self._field[:20])} is too long")
        else:
            self._value += data

    def _end(self) -> FormEvent:
        if self._field is None:
            return FileEnd()
        try:
            return FormField(self._field, self._value.decode())
        except UnicodeDecodeError:
            raise HttpError(
                400, f"the part {quoted(self._field[:20])} is not text in UTF-8"
            ) from None


def _filename(part: multipart.MultipartSegment) -> str | None:
    extended = _EXTENDED.search(part.header("Content-Disposition", ""))
    name: str | None = unquote(extended[1]) if extended else part.filename
    # Some senders name the whole path; only its last part is the file's name.
    return None if name is None else re.split(r"[/\\]", name)[-1]
