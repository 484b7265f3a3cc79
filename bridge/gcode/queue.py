"""The lines that wait for a number."""

from collections import deque

from bridge.gcode.window import Line


class Queue:
    """First come, first served; except for those that go ahead."""

    def __init__(self) -> None:
        self._ahead: deque[Line] = deque()
        self._behind: deque[Line] = deque()

    def push(self, line: Line, *, ahead: bool) -> None:
        """Have a line wait."""
        (self._ahead if ahead else self._behind).append(line)

    def pop(self) -> Line | None:
        """Return the next line, if there is one."""
        lines = self._ahead or self._behind
        return lines.popleft() if lines else None

    def withdraw(self, ticket: int) -> bool:
        """Have a line wait no more; tell whether it was here."""
        for lines in (self._ahead, self._behind):
            for line in lines:
                if line.ticket == ticket:
                    lines.remove(line)
                    return True
        return False

    def drain(self) -> list[Line]:
        """Return all lines in their order; none waits any more."""
        lines = [*self._ahead, *self._behind]
        self._ahead.clear()
        self._behind.clear()
        return lines
