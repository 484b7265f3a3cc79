"""What a bad cable does to a conversation: a plan, random or written down.

A fault hits one *unit*: a line with its line break, or what follows the last one in a
chunk. Corruption changes exactly one byte, but neither removes nor adds a line break,
so an XOR checksum over the line always notices it. The exception is the ``N`` at the
beginning, without which no checksum is expected: it is as weak as on a real line. Loss
takes a unit or a byte.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import repeat

_LINE_BREAKS = b"\r\n"
_MASK = (1 << 64) - 1


class FaultKind(Enum):
    """What happens to a unit."""

    LOSE = "lose"  # all of it
    LOSE_BYTE = "lose_byte"  # one byte, at ``where``
    CORRUPT = "corrupt"  # one byte, at ``where``
    MERGE = "merge"  # its line break is lost: it fuses with the next one
    SPLIT = "split"  # it comes in two pieces, ``seconds`` apart
    DUPLICATE = "duplicate"  # it comes twice
    DELAY = "delay"  # it and everything after it come later
    SILENCE = "silence"  # it and everything that follows for ``seconds`` is lost
    RESET = "reset"  # the printer is reset before it arrives


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: what it is.
        where: which byte of the unit, modulo its length.
        seconds: how long it lasts, if it does.
        change: what a corrupted byte is XORed with.

    """

    kind: FaultKind
    where: int = 0
    seconds: float = 0.2
    change: int = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrives, and when; ``reset`` presses the printer's reset button first."""

    at: float
    data: bytes
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """How often a unit suffers each fault, as a probability from 0 to 1."""

    lose: float = 0.0
    lose_byte: float = 0.0
    corrupt: float = 0.0
    merge: float = 0.0
    split: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    silence: float = 0.0
    reset: float = 0.0
    seconds: float = 0.2

    def of(self, kind: FaultKind) -> float:
        """Return the probability of a kind."""
        value: float = getattr(self, kind.value)
        return value


def draw(rates: FaultRates, seed: int) -> Iterator[Fault | None]:
    """Yield what happens to each unit, without end; the seed decides the plan."""
    numbers = _numbers(seed)
    while True:
        left = next(numbers)
        chosen = None
        for kind in FaultKind:
            left -= rates.of(kind)
            if left < 0:
                where, change = int(next(numbers) * 96), 1 + int(next(numbers) * 255)
                chosen = Fault(kind, where, rates.seconds, change)
                break
        yield chosen


def _numbers(seed: int) -> Iterator[float]:
    """Yield pseudo-random numbers from 0 to 1 (SplitMix64, as published by Vigna)."""
    state = seed & _MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield (mixed ^ (mixed >> 31)) / 2**64


def units(data: bytes) -> list[bytes]:
    r"""Split a chunk after each ``\n``."""
    pieces = data.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


@dataclass(slots=True)
class Channel:
    """One direction of a line; what goes in comes out in order, or not at all.

    Attributes:
        plan: what happens to each unit in turn; after its end, nothing happens.

    """

    plan: Iterator[Fault | None] = field(default_factory=lambda: repeat(None))
    _free_at: float = -math.inf
    _silent_until: float = -math.inf

    @classmethod
    def of(cls, faults: Iterable[Fault | None]) -> "Channel":
        """Return a channel with this plan."""
        return cls(iter(faults))

    def carry(self, data: bytes, now: float) -> list[Delivery]:
        """Return what becomes of bytes that are sent now."""
        deliveries: list[Delivery] = []
        for unit in units(data):
            fault = next(self.plan, None)
            if fault is not None and fault.kind is FaultKind.SILENCE:
                self._silent_until = now + fault.seconds
            if now < self._silent_until:
                continue
            for delivery in _suffer(unit, fault, now):
                at = max(delivery.at, self._free_at)
                self._free_at = at
                deliveries.append(Delivery(at, delivery.data, delivery.reset))
        return deliveries


def _suffer(unit: bytes, fault: Fault | None, now: float) -> list[Delivery]:
    if fault is None:
        return [Delivery(now, unit)]
    if fault.kind is FaultKind.RESET:
        return [Delivery(now, unit, reset=True)]
    pieces = _pieces(unit, fault, now)
    return [Delivery(at, data) for at, data in pieces if data]


def _pieces(unit: bytes, fault: Fault, now: float) -> list[tuple[float, bytes]]:
    later = now + fault.seconds
    place = fault.where % len(unit)
    pieces = [(now, unit)]
    match fault.kind:
        case FaultKind.LOSE | FaultKind.SILENCE:
            pieces = []
        case FaultKind.DUPLICATE:
            pieces *= 2
        case FaultKind.DELAY:
            pieces = [(later, unit)]
        case FaultKind.SPLIT:
            pieces = [(now, unit[:place]), (later, unit[place:])]
        case FaultKind.MERGE:
            pieces = [(now, unit.rstrip(_LINE_BREAKS))]
        case FaultKind.LOSE_BYTE:
            pieces = [(now, unit[:place] + unit[place + 1 :])]
        case _:  # FaultKind.CORRUPT
            pieces = [(now, corrupt(unit, place, fault.change))]
    return pieces


def corrupt(unit: bytes, place: int, change: int) -> bytes:
    """Return the unit with one byte changed, which is not its line break."""
    text = unit.rstrip(_LINE_BREAKS)
    if not text:
        return unit
    place %= len(text)
    byte = text[place] ^ (change % 256 or 1)
    while byte in _LINE_BREAKS or byte == text[place]:
        byte = (byte + 1) % 256
    return unit[:place] + bytes([byte]) + unit[place + 1 :]


@dataclass(slots=True)
class Faults:
    """Both directions of a line.

    Attributes:
        to_printer: what the host sends.
        to_host: what the printer says.

    """

    to_printer: Channel = field(default_factory=Channel)
    to_host: Channel = field(default_factory=Channel)

    @classmethod
    def random(cls, rates: FaultRates, seed: int) -> "Faults":
        """Return faults at the same rates in both directions.

        Resets come from the host's side only: there is one printer.
        """
        quiet = FaultRates(
            **{
                kind.value: rates.of(kind)
                for kind in FaultKind
                if kind is not FaultKind.RESET
            },
            seconds=rates.seconds,
        )
        return cls(Channel(draw(rates, seed)), Channel(draw(quiet, ~seed)))
