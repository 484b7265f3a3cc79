"""How firmwares differ: every quirk is a field here; no other file names a firmware.

The standard behaviour (Marlin 2 with what its documentation promises) is each field's
default. Facts come from logs of real firmware (``tests/transcripts``) and from
OctoPrint's catalogue of quirks, whose numbers (Q-n) the fields carry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.gcode import words


class Bang(Enum):
    """What a line that starts with ``!!`` means."""

    REFUSAL = "refusal"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one firmware family says and understands.

    Times are in seconds.

    Attributes:
        name: how the configuration calls it.
        detect: substrings of the lower-case firmware name (Q-1 … Q-7).
        numbered: understands ``N…*checksum`` and asks to resend.
        resend_ok: follows ``Resend: n`` with an ``ok`` that acknowledges nothing; the
            protocol waits ``resend_wait`` for it, then goes on without (Q-9).
        busy: says ``busy:`` while it works; otherwise any line is a sign of life.
        ok_timeout: how long a short line may stay unanswered before it is probed.
        long_timeout: the same for the lines of ``long_codes`` (Q-25).
        max_probes: unanswered probes before the link is given up.
        bang: what ``!!`` means.
        ok_before_output: the ``ok`` comes first, the output after it (Q-13); such
            output is collected for ``output_wait`` after the ``ok``.
        wait_is_ok: an idle ``wait`` while a line is in flight tells that its ``ok`` was
            lost (Q-15).
        reports_state: says ``// Klipper state: …`` and goes on answering ``M105`` after
            a shutdown, so its state must be asked for with ``state_query``.
        restart: lines that bring a halted firmware back, if it listens to any.
        answers_empty: answers an empty line with ``ok``.
        e_follows_axes: G90/G91 set the extruder's mode too.
        lower_case_names: wants file names in lower case (Q-7).
        absolute_names: wants file names with a leading slash (Q-2).
        card_assumed: has a card that is always there and never announced (Q-3).
        repetier_targets: reports targets as ``TargetExtr0:`` and ``TargetBed:`` (Q-1).
        tool_zero_is_bare: ``T:`` beside ``T1:`` is tool 0 (Q-8).
        extra_sensors: readings that are sensors, not heaters, and are named so.
        default_feedrate: the feedrate after a reset, in mm/min.
        capabilities: what it can do although it does not say so (``M115`` has no
            ``Cap:`` lines).

    """

    name: str
    detect: tuple[str, ...] = ()
    numbered: bool = True
    resend_ok: bool = True
    resend_wait: float = 0.5
    busy: bool = True
    ok_timeout: float = 10.0
    long_timeout: float = 300.0
    max_probes: int = 3
    bang: Bang = Bang.FATAL
    ok_before_output: bool = False
    output_wait: float = 0.3
    wait_is_ok: bool = False
    reports_state: bool = False
    state_query: str = ""
    restart: tuple[str, ...] = ()
    answers_empty: bool = False
    e_follows_axes: bool = True
    lower_case_names: bool = False
    absolute_names: bool = False
    card_assumed: bool = False
    repetier_targets: bool = False
    tool_zero_is_bare: bool = False
    extra_sensors: Mapping[str, str] = field(default_factory=dict)
    default_feedrate: float = 1500.0
    capabilities: frozenset[str] = frozenset()
    long_codes: frozenset[str] = frozenset(
        [
            "G4",
            "G28",
            "G29",
            "G30",
            "G32",
            "G33",
            "G34",
            "G76",
            "M0",
            "M1",
            "M48",
            "M109",
            "M116",
            "M190",
            "M191",
            "M226",
            "M303",
            "M400",
            "M600",
            "M701",
            "M702",
            "M997",
        ]
    )

    def patience(self, line: str) -> float:
        """Return how long this line may stay unanswered, in seconds."""
        said = words.parse(line)
        if said.code == "G4":
            milliseconds = said.values.get("P") or 0.0
            seconds = said.values.get("S") or 0.0
            return self.ok_timeout + seconds + milliseconds / 1000
        if said.code in self.long_codes:
            return self.long_timeout
        return self.ok_timeout


MARLIN = Dialect(name="marlin", detect=("marlin",))
KLIPPER = Dialect(
    name="klipper",
    detect=("klipper",),
    numbered=False,
    busy=False,
    ok_timeout=60.0,
    long_timeout=900.0,
    bang=Bang.REFUSAL,
    reports_state=True,
    state_query="STATUS",
    restart=("FIRMWARE_RESTART",),
    answers_empty=True,
    e_follows_axes=False,
)
UNKNOWN = Dialect(name="unknown", busy=False, long_timeout=600.0, bang=Bang.REFUSAL)

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect for dialect in (MARLIN, KLIPPER, UNKNOWN)
}


def detect(firmware: str) -> Dialect:
    """Return the dialect of a firmware by the name that its ``M115`` gives."""
    name = firmware.lower()
    for dialect in DIALECTS.values():
        if any(mark in name for mark in dialect.detect):
            return dialect
    return UNKNOWN
