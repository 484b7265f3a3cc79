"""How a heater behaves: a lump of metal with a heater in it, in a room.

The temperature follows ``dT/dt = rate * power - (T - ambient) / tau``. The controller
gives full power up to the target and then exactly what holds it, so each phase has a
closed form: reading a heater takes the same time after a millisecond and after a day.
"""

import math
from dataclasses import dataclass, field

AMBIENT = 21.0
FULL_POWER = 127  # as firmwares print it after ``@:``
WATCH_PERIOD = 40.0  # how long a heater may do nothing before the firmware gives up
WATCH_HYSTERESIS = 4.0


@dataclass(frozen=True, slots=True)
class Build:
    """What a heater is made of.

    Attributes:
        rate: how fast it heats from cold with full power, in °C per second.
        tau: how slowly it cools: the time constant in seconds.
        maximum: the highest target that the firmware accepts, in °C.
        period: seconds of a swing around the target.
        share: how far it swings, compared with a hotend.

    """

    rate: float
    tau: float
    maximum: float
    period: float = 60.0
    share: float = 1 / 3

    @property
    def reach(self) -> float:
        """How far above ambient full power brings it in the end, in °C."""
        return self.rate * self.tau


HOTEND = Build(rate=5.0, tau=80.0, maximum=260.0, period=23.0, share=1.0)
BED = Build(rate=0.8, tau=200.0, maximum=140.0)
CHAMBER = Build(rate=0.3, tau=400.0, maximum=70.0)


@dataclass(slots=True)
class SimulatedHeater:
    """One heater with its sensor. Times in seconds, temperatures in °C.

    Attributes:
        label: how Marlin names it in errors: ``E0``, ``bed``.
        build: what it is made of.
        speed: how much faster than in reality it heats and cools.
        actual: the temperature at ``time``.
        target: what the controller holds; 0 is off.
        swing: °C by which the readings of a hotend swing around a target that is held.
        broken: the cartridge is dead: it only cools.
        trips_at: when the firmware's thermal protection will act, if ever.

    """

    label: str
    build: Build
    speed: float = 1.0
    ambient: float = AMBIENT
    actual: float = AMBIENT
    target: float = 0.0
    time: float = 0.0
    swing: float = 0.0
    broken: bool = False
    trips_at: float | None = field(default=None)

    def advance(self, now: float) -> float:
        """Let time pass and return the temperature."""
        elapsed = (now - self.time) * self.speed
        if elapsed > 0:
            self.time = now
            self.actual = self._after(elapsed)
        return self.actual

    def reading(self, now: float) -> float:
        """Let time pass and return what the sensor says.

        It swings as a heater under control does, with a ripple for the noise.
        """
        actual = self.advance(now)
        if not self.swing or self.target <= self.ambient or actual != self.target:
            return actual
        wave = math.sin(now * math.tau / self.build.period)
        ripple = math.sin(now * math.tau / 3.1) / 6
        return actual + self.swing * self.build.share * (wave + ripple)

    def _after(self, elapsed: float) -> float:
        decay = math.exp(-elapsed / self.build.tau)
        if self.target > self.actual and not self.broken:
            hot = self.ambient + self.build.reach
            return min(self.target, hot + (self.actual - hot) * decay)
        cooled = self.ambient + (self.actual - self.ambient) * decay
        if self.broken or self.target <= self.ambient:
            return cooled
        return max(self.target, cooled)

    def set_target(self, target: float, now: float) -> None:
        """Take a new target, at most what the firmware allows."""
        self.advance(now)
        self.target = min(max(target, 0.0), self.build.maximum)
        self._watch(now)

    def set_broken(self, now: float, *, broken: bool) -> None:
        """Break the heater cartridge, or fix it."""
        self.advance(now)
        self.broken = broken
        self._watch(now)

    def _watch(self, now: float) -> None:
        self.trips_at = None
        if self.broken and self.target > self.ambient:
            cold_at = 0.0
            if self.actual > self.target - WATCH_HYSTERESIS:
                cold_at = self.seconds_to(self.target - WATCH_HYSTERESIS)
            self.trips_at = now + cold_at + WATCH_PERIOD / self.speed

    @property
    def near(self) -> bool:
        """Whether it is within a degree of its target."""
        return abs(self.actual - self.target) <= 1.0

    @property
    def power(self) -> int:
        """What the controller gives at the moment, 0 to 127."""
        if self.target <= self.ambient or self.actual > self.target:
            return 0
        if self.actual < self.target:
            return FULL_POWER
        return round(FULL_POWER * (self.target - self.ambient) / self.build.reach)

    def seconds_to(self, value: float) -> float:
        """Return how long it takes from now to a temperature; inf if it never does."""
        if value == self.actual:
            return 0.0
        heats = self.target > self.actual and not self.broken
        goal = self.ambient + (self.build.reach if heats else 0.0)
        left, ahead = goal - value, goal - self.actual
        if left == 0 or ahead == 0 or left / ahead <= 0 or left / ahead > 1:
            return math.inf
        return self.build.tau * math.log(ahead / left) / self.speed
