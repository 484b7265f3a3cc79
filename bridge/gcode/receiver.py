"""Bytes from a firmware, cut into lines."""

MAX_LINE = 4096  # no firmware says more in one line; noise has no line ends


class Receiver:
    """Collects bytes until a line ends; its memory is bounded."""

    def __init__(self) -> None:
        self._partial = b""
        self.noise = 0
        """Bytes thrown away, and lines that no firmware would say."""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that these bytes complete, without their ends and blanks."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_LINE:
            self.noise += len(self._partial)
            self._partial = b""
        return [text for line in lines if (text := self._decode(line))]

    def _decode(self, line: bytes) -> str:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.noise += 1
            text = line.decode("latin-1")
        return text.replace("\0", "").strip()
