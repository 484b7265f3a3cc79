"""Bytes that wait to be written to a printer; an emergency stop goes first."""

_LINE_FEED = ord("\n")


class WriteBuffer:
    """Bytes in the order in which they are written; urgent ones go first.

    It remembers whether the last byte that was written ended a line. An emergency stop
    that followed half a line would be one unknown command together with it, so it gets
    a line break before it. Urgent bytes are never dropped, not even by later urgent
    ones.

    Attributes:
        last_was_urgent: the last byte that was written was urgent, so flushing the
            kernel's buffer could throw away an emergency stop.

    """

    __slots__ = ("_mid_line", "_ordinary", "_urgent", "last_was_urgent")

    def __init__(self) -> None:
        self._ordinary = bytearray()
        self._urgent = bytearray()
        self._mid_line = False
        self.last_was_urgent = False

    def __len__(self) -> int:
        """Return how many bytes wait."""
        return len(self._urgent) + len(self._ordinary)

    def written_at_once(self, data: bytes, count: int) -> None:
        """Note that so many of these bytes were written while none waited."""
        if count:
            self.last_was_urgent = False
            self._mid_line = data[count - 1] != _LINE_FEED
        if count < len(data):
            self._ordinary += data[count:]

    def append(self, data: bytes) -> None:
        """Add bytes after all others."""
        self._ordinary += data

    def put_first(self, data: bytes, *, flushed: bool = False) -> None:
        """Drop all ordinary bytes and add urgent ones, on a line of their own.

        Args:
            data: whole lines.
            flushed: written bytes were thrown away as well, perhaps within a line.

        """
        self._ordinary.clear()
        continues = self.last_was_urgent and bool(self._urgent)
        if flushed or (self._mid_line and not continues):
            self._end_line()
        self._urgent += data

    def _end_line(self) -> None:
        if not self._urgent.startswith(b"\n"):
            self._urgent[:0] = b"\n"

    def head(self, size: int) -> bytes:
        """Return the next bytes to write, at most ``size``."""
        return bytes((self._urgent or self._ordinary)[:size])

    def written(self, count: int) -> None:
        """Note that the first ``count`` bytes of :meth:`head` were written."""
        if count == 0:
            return
        self.last_was_urgent = bool(self._urgent)
        lane = self._urgent or self._ordinary
        self._mid_line = lane[count - 1] != _LINE_FEED
        del lane[:count]

    def clear(self) -> None:
        """Drop everything."""
        self._urgent.clear()
        self._ordinary.clear()
