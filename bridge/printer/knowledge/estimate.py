"""The remaining time of a print, estimated from its progress over time.

A share of the file is not a share of the time: the first bytes are heating, homing and
probing, and layers differ. So the time in which the print heated up at its beginning is
left out, and an estimate is valid only if the last ones agree.
"""

from dataclasses import dataclass, replace

EVERY = 20.0
"""Seconds between two estimates that are compared."""

KEPT = 6
"""How many of them are compared, so they span about two minutes."""

LEAST_TIME, LEAST_SHARE = 60.0, 0.01
"""Seconds of printing, and share of the file, before the first estimate."""

HEATING_COUNTS = 0.02
"""Share of the file after which waiting for a heater counts as printing time, for
example at a tool change; before, the print is still starting."""

SPREAD, LEAST_SPREAD = 0.15, 60.0
"""How far the compared estimates may differ: by this share of the remaining time, or by
this many seconds."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a print will end, in seconds of its running time (without pauses).

    Attributes:
        origin: the running time and the share of the file from which it is counted:
            where the heating at the beginning ended.
        totals: the last estimates of the whole running time, the newest last.
        made_at: the running time at the last one.

    """

    origin: tuple[float, float] | None = None
    totals: tuple[float, ...] = ()
    made_at: float = 0.0

    def heated(self, share: float) -> "Estimate":
        """Return the estimate while the print waits for a heater.

        Args:
            share: of the file that was read, from 0 to 1.

        """
        begun = self.origin is None or share - self.origin[1] < HEATING_COUNTS
        return Estimate() if begun or not self.totals else self

    def add(self, ran: float, share: float) -> "Estimate":
        """Return the estimate after the print has come this far.

        Args:
            ran: the running time in seconds.
            share: of the file that was read, from 0 to 1.

        """
        if self.origin is None:
            return Estimate(origin=(ran, share))
        time, done = ran - self.origin[0], share - self.origin[1]
        if time < LEAST_TIME or done < LEAST_SHARE or ran < self.made_at + EVERY:
            return self
        total = ran + time * (1.0 - share) / done
        return replace(self, totals=(*self.totals, total)[-KEPT:], made_at=ran)

    def remaining(self, ran: float) -> float | None:
        """Return the remaining seconds at a running time; ``None``: not known yet."""
        if len(self.totals) < KEPT:
            return None
        left = max(0.0, sum(self.totals) / KEPT - ran)
        spread = max(self.totals) - min(self.totals)
        return left if spread <= max(LEAST_SPREAD, SPREAD * left) else None
