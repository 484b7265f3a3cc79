"""What waits to be written to a printer, and what an emergency may pass."""


class Outgoing:
    """Bytes in the order in which they go out; urgent ones go first.

    It remembers how the last transmitted byte left the line, because an emergency must
    never be glued to half a line: firmware would take both together for one unknown
    command. Urgent bytes are never dropped, not even by later urgent ones.

    Attributes:
        last_was_urgent: the last transmitted byte was urgent, so flushing what the
            kernel holds could throw an emergency away.

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

    def append(self, data: bytes) -> None:
        """Add bytes behind all others."""
        self._ordinary += data

    def urge(self, data: bytes, *, flushed: bool = False) -> None:
        """Drop all ordinary bytes and add urgent ones, on a line of their own.

        Args:
            data: whole lines.
            flushed: transmitted bytes were thrown away as well, nobody knows where.

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
        """Return the next bytes to transmit, at most ``size``."""
        return bytes((self._urgent or self._ordinary)[:size])

    def taken(self, count: int) -> None:
        """Note that the first ``count`` bytes of :meth:`head` were transmitted."""
        if count == 0:
            return
        self.last_was_urgent = bool(self._urgent)
        lane = self._urgent or self._ordinary
        self._mid_line = lane[count - 1] != ord("\n")
        del lane[:count]

    def clear(self) -> None:
        """Drop everything."""
        self._urgent.clear()
        self._ordinary.clear()
