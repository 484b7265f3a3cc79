"""Who may use the HTTP server: keys, and the names under which it may be asked; pure.

The key is required for every request. A page in somebody's browser cannot know it, and
no answer allows pages of other origins (CORS) to send it. The check of the host stops
what is left: a page whose name was made to point to this machine (DNS rebinding) could
otherwise try keys.
"""

import hmac
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

MIN_KEY = 16
"""Characters that a key has at least. Keys that :mod:`bridge.app.upload_service` makes
have 32 hexadecimal digits, like OctoPrint's."""

_KEY = re.compile(r"[!-9;-~]+")
"""Printable ASCII without spaces and without the colon, which separates the printer's
id from the key."""

_LOCAL_ENDINGS = (
    ".local",
    ".lan",
    ".home",
    ".home.arpa",
    ".internal",
    ".localdomain",
    ".localhost",
)
"""Endings of names that the public name service does not have: ``.local`` (RFC 6762),
``.home.arpa`` (RFC 8375), ``.internal`` (reserved by ICANN), and what routers use."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that are accepted.

    Attributes:
        everywhere: for all printers.
        by_printer: for one printer only, by its id.

    """

    everywhere: tuple[str, ...] = ()
    by_printer: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Keys":
        """Return the keys in the text of a file.

        Each line has a key, or a printer's id, a colon and a key. Empty lines and those
        that begin with ``#`` do not count.

        Raises:
            ValueError: A line has another form, or there is no key; the message names
                the line, and not what it says.

        """
        everywhere: list[str] = []
        by_printer: list[tuple[str, str]] = []
        for number, line in enumerate(text.splitlines(), start=1):
            content = line.strip().lstrip("\ufeff")
            if not content or content.startswith("#"):
                continue
            printer, colon, key = content.rpartition(":")
            key = key.strip()
            if not _KEY.fullmatch(key):
                raise ValueError(f"line {number} is not a key in printable ASCII")
            if len(key) < MIN_KEY:
                raise ValueError(
                    f"line {number} has a key of fewer than {MIN_KEY} characters"
                )
            if colon:
                by_printer.append((printer.strip(), key))
            else:
                everywhere.append(key)
        if not everywhere and not by_printer:
            raise ValueError("there is no key in it")
        return cls(tuple(everywhere), tuple(by_printer))

    @property
    def printers(self) -> frozenset[str]:
        """The ids of the printers that have a key of their own."""
        return frozenset(printer for printer, _ in self.by_printer)

    def allows(self, key: str, printer: str | None) -> bool:
        """Return whether a key is accepted; the time does not depend on the key.

        Args:
            key: what was sent.
            printer: the id of a printer; ``None``: none of ours was named.

        """
        sent = key.encode("utf-8", "replace")
        found = False
        for known in self.everywhere:
            found |= hmac.compare_digest(known.encode(), sent)
        for owner, known in self.by_printer:
            found |= hmac.compare_digest(known.encode(), sent) and owner == printer
        return found


def sent_key(api_key: str, authorization: str) -> str:
    """Return the key of a request: ``X-Api-Key``, or else ``Authorization: Bearer``."""
    scheme, _, token = authorization.partition(" ")
    return api_key or (token.strip() if scheme.lower() == "bearer" else "")


def host_allowed(host: str, names: Collection[str]) -> bool:
    """Return whether a request may name this host.

    Addresses cannot be rebound, and names that only the local network knows cannot
    belong to a page in the Internet.

    Args:
        host: the header ``Host``, with or without a port; empty in HTTP/1.0.
        names: further names that are allowed, in any case.

    """
    name = re.sub(r":\d*$", "", host.strip()).rstrip(".").lower()
    if not name or ("." not in name and ":" not in name):
        return True
    if name in {allowed.lower().rstrip(".") for allowed in names}:
        return True
    return name.endswith(_LOCAL_ENDINGS) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
