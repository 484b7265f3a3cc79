"""What an HTTP request and its answer consist of; pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_TEXT, MAX_CURA_TEXT = 1000, 100
"""Characters of an error's text, in general and for Cura. Cura's OctoPrint plugin
(3.7.3) shows only texts of at most 100 characters, and only as ``text/plain``; the
other slicers show whatever they receive."""

TEXT = "text/plain"
"""The type of an error's text. It has no ``charset``, because Cura's plugin compares
the whole header; the text is in UTF-8, as that plugin expects."""

JSON = "application/json"


class HttpError(Exception):
    """A request ends with this status.

    Attributes:
        status: the HTTP status.
        text: what a person is told: one sentence without a full stop.

    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request without its body.

    Attributes:
        method: such as ``GET``.
        target: the path and the query, as they were sent.
        headers: the values by name; the names are in lower case, and repeated values
            are separated by commas (RFC 9110, 5.3).
        repeated: the names of headers that came more than once.

    """

    method: str
    target: str
    headers: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def header(self, name: str) -> str:
        """Return a header's value, or an empty text."""
        return self.headers.get(name, "")

    @property
    def length(self) -> int | None:
        """Bytes of the body; ``None``: it comes in chunks, or there is none."""
        given = self.headers.get("content-length")
        return None if given is None else int(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What is sent back.

    Attributes:
        status: the HTTP status.
        kind: the type of the body.
        body: the body.
        headers: further headers.

    """

    status: int
    kind: str = TEXT
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return an answer with a JSON document."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return HttpResponse(status=status, kind=JSON, body=body, headers=headers or {})


def error_answer(status: int, text: str, head: Head | None = None) -> HttpResponse:
    """Return the answer to a request that failed.

    Args:
        status: the HTTP status.
        text: what a person is told.
        head: the request, if it could be read.

    """
    headers = {"Retry-After": "10"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if head is not None and JSON in head.header("accept"):
        return json_answer({"error": text}, status, headers)
    cura = head is not None and "cura" in head.header("user-agent").lower()
    body = _short(text, MAX_CURA_TEXT if cura else MAX_TEXT).encode()
    return HttpResponse(status=status, body=body, headers=headers)


def _short(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
