"""A conversation while somebody uses the printer's panel and the host keeps polling."""

from collections.abc import Iterable, Sequence

from tests.support.conversation import STEPS, Conversation, Told

INTERVAL = 1.0  # seconds between polls; only one is outstanding at a time

Press = tuple[float, str, str]
"""Seconds after the connection, and an action at the panel with its argument."""


class Attended(Conversation):
    """Runs until the printer has done what was requested at its own panel."""

    questions: Sequence[str] = ("M27", "M105", "M114")
    _begun: float | None = None
    _ask_at = 0.0
    _asked = 0
    _unanswered = True
    _presses: list[Press]

    def attend(self, script: Iterable[str], presses: Iterable[Press]) -> Told:
        """Send each of these lines once while people use the panel."""
        lines, self._presses = list(script), sorted(presses)
        self._say(self.firmware.reset(self.now))
        for _ in range(STEPS):
            if self.protocol.connected:
                self._use_panel()
                self._ask()
                while lines and len(self._tickets) < 2:
                    self._type(lines.pop(0))
                    self._unanswered = True
            if not lines and self._over():
                return self.told
            self._step()
        raise AssertionError(f"no end: {self.events[-20:]}")

    def _use_panel(self) -> None:
        self._begun = begun = self.now if self._begun is None else self._begun
        while self._presses and begun + self._presses[0][0] <= self.now:
            _, action, argument = self._presses.pop(0)
            self._unanswered = True
            self._say(self.firmware.panel(action, argument, now=self.now))

    @property
    def _asking(self) -> bool:
        return any(line in self.questions for line in self._tickets.values())

    def _ask(self) -> None:
        if not self._asking and self.now >= self._ask_at:
            self._ask_at = self.now + INTERVAL
            self._unanswered = False
            self._type(self.questions[self._asked % len(self.questions)])
            self._asked += 1

    def _over(self) -> bool:
        # It answers no poll while it is still executing an earlier line.
        works = self.firmware.printing or self._unanswered
        return not (self._presses or works or self._tickets)

    def _wakes(self) -> float | None:
        if not self.protocol.connected or self._begun is None:
            return None
        times = [self._begun + press[0] for press in self._presses[:1]]
        times += [] if self._asking else [self._ask_at]
        return min(times, default=None)
