"""How firmwares differ: every quirk is a field here; no other file names a firmware.

The standard behaviour (Marlin 2 with what its documentation promises) is each field's
default. Facts come from logs of real firmware (``tests/transcripts``) and from
OctoPrint's catalogue of quirks, whose numbers (Q-n) the fields carry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.gcode import words

LONG_CODES = {
    "G4": "dwell",
    "G28": "home",
    "G29": "probe the bed",
    "G30": "probe a point",
    "G32": "probe several points",
    "G33": "calibrate a delta",
    "G34": "align the z axis",
    "G76": "calibrate a probe's temperature",
    "M0": "wait for the user",
    "M1": "wait for the user",
    "M48": "measure the probe",
    "M98": "run a macro",
    "M109": "wait for a hotend",
    "M116": "wait for all heaters",
    "M190": "wait for the bed",
    "M191": "wait for the chamber",
    "M226": "wait for a pin",
    "M303": "tune a heater",
    "M400": "wait for all moves",
    "M600": "change the filament",
    "M701": "load filament",
    "M702": "unload filament",
    "M997": "update the firmware",
}
"""Lines that take minutes, with what they do (Q-25)."""

TUNING_CYCLES = 5
"""How often tuning heats and cools where the line says nothing else."""


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
        numbered: understands ``N…*checksum`` and asks to resend a damaged line.
        checks_sequence: asks for a line that is missing, and drops one that it has;
            otherwise a lost line cannot be told from a lost ``ok``.
        resend_ok: follows ``Resend: n`` with an ``ok`` that acknowledges nothing; the
            protocol waits ``resend_wait`` for it, then goes on without (Q-9).
        sends_busy: says ``busy:`` while it works; otherwise any line is a sign of life.
        reports_while_heating: reports temperatures unasked only while a command waits
            for them.
        ok_timeout: how long a short line may stay unanswered before it is probed.
        long_timeout: the same for the lines of ``long_codes`` (Q-25).
        tuning_cycle: how long one heating and cooling of ``M303`` may take; its reports
            are no other than those that come anyway.
        runs_macros: runs macros of its owner, which may home and heat: behind a change
            of the tool, and behind each name that is no code.
        max_probes: unanswered probes before the link is given up.
        bang: what ``!!`` means.
        alarm_prefixes: how lines begin, in lower case, that report a stop without being
            an error; its buttons and end switches stop it like this.
        ok_before_output: the ``ok`` comes first, the output after it (Q-13); such
            output is collected for ``output_wait`` after the ``ok``.
        wait_means_idle: an idle ``wait`` while a line is in flight tells that its
            ``ok`` was lost (Q-15).
        reports_state: says ``// Klipper state: …`` and goes on answering ``M105`` after
            a shutdown, so its state must be asked for with ``state_query``.
        respond: the command that says ``MSG`` back, behind ``PREFIX`` or what its
            ``TYPE`` stands for.
        restart: lines that bring a halted firmware back, if it listens to any.
        pause: lines that pause a print from the SD card.
        resume: lines that go on with it.
        cancel: lines that end it; none: it has none that leaves the printer ready.
        g90_sets_extruder: G90/G91 set the extruder's mode too.
        only_m82_sets_extruder: only M82/M83 set it, surely; ``None``: it may be so. Of
            the others some versions obey the last code, some are relative while G91 or
            M83 holds.
        answers_during_print: answers between two lines of a print that it reads from
            its card, so that a byte counter that stands still tells of a pause.
        lower_case_names: wants file names in lower case (Q-7).
        card_always_present: has a card that is always there and never announced (Q-3).
        repetier_targets: reports targets as ``TargetExtr0:`` and ``TargetBed:`` (Q-1).
        bare_t_is_tool_zero: ``T:`` beside ``T1:`` is tool 0 (Q-8).
        extra_sensors: readings that are sensors, not heaters, and are named so.
        default_feedrate: the feedrate after a reset, in mm/min.
        capabilities: what it can do although it does not say so (``M115`` has no
            ``Cap:`` lines).

    """

    name: str
    detect: tuple[str, ...] = ()
    numbered: bool = True
    checks_sequence: bool = True
    resend_ok: bool = True
    resend_wait: float = 0.5
    sends_busy: bool = True
    reports_while_heating: bool = False
    ok_timeout: float = 10.0
    long_timeout: float = 300.0
    tuning_cycle: float = 1200.0
    runs_macros: bool = False
    max_probes: int = 3
    bang: Bang = Bang.FATAL
    alarm_prefixes: tuple[str, ...] = ()
    ok_before_output: bool = False
    output_wait: float = 0.3
    wait_means_idle: bool = False
    reports_state: bool = False
    state_query: str = ""
    respond: str = ""
    restart: tuple[str, ...] = ()
    pause: tuple[str, ...] = ("M25",)
    resume: tuple[str, ...] = ("M24",)
    cancel: tuple[str, ...] = ("M25", "M26 S0")
    g90_sets_extruder: bool = True
    only_m82_sets_extruder: bool | None = False
    answers_during_print: bool = True
    lower_case_names: bool = False
    card_always_present: bool = False
    repetier_targets: bool = False
    bare_t_is_tool_zero: bool = False
    extra_sensors: Mapping[str, str] = field(default_factory=dict)
    default_feedrate: float = 1500.0
    capabilities: frozenset[str] = frozenset()
    long_codes: frozenset[str] = frozenset(LONG_CODES)

    def timeout_for(self, line: str) -> float:
        """Return how long this line may stay unanswered, in seconds."""
        said = words.parse(line)
        if said.code == "G4":
            milliseconds = said.values.get("P") or 0.0
            seconds = said.values.get("S") or 0.0
            return self.ok_timeout + seconds + milliseconds / 1000
        if said.code == "M303":
            cycles = max(said.values.get(key) or 0.0 for key in "CR")
            seconds = max(cycles, TUNING_CYCLES) * self.tuning_cycle
            return max(self.long_timeout, seconds)
        if said.code in self.long_codes or self._is_macro(said.code):
            return self.long_timeout
        return self.ok_timeout

    def _is_macro(self, code: str) -> bool:
        is_code = code[:1] in {"G", "M"} and code[1:].isdigit()
        return self.runs_macros and not is_code and code != self.state_query


MARLIN = Dialect(name="marlin", detect=("marlin",), cancel=("M524",))
MARLIN1 = Dialect(
    name="marlin1",
    detect=("marlin 1.0", "marlin v1;", "marlin_v1"),
    sends_busy=False,
    g90_sets_extruder=False,
    resend_wait=0.2,
    long_timeout=600.0,
)
PRUSA = Dialect(
    name="prusa",
    detect=("prusa-firmware",),
    lower_case_names=True,
    extra_sensors={"P": "pinda", "A": "ambient"},
)
KLIPPER = Dialect(
    name="klipper",
    detect=("klipper",),
    numbered=False,
    checks_sequence=False,
    sends_busy=False,
    reports_while_heating=True,
    ok_timeout=60.0,
    long_timeout=900.0,
    runs_macros=True,
    bang=Bang.REFUSAL,
    reports_state=True,
    state_query="STATUS",
    respond="RESPOND",
    restart=("FIRMWARE_RESTART", "RESTART"),
    pause=("PAUSE",),
    resume=("RESUME",),
    cancel=("CANCEL_PRINT",),
    g90_sets_extruder=False,
    only_m82_sets_extruder=True,
)
REPRAPFIRMWARE = Dialect(
    name="reprapfirmware",
    detect=("reprapfirmware", "reprap firmware"),
    cancel=(),  # M0 does it, and much more
    g90_sets_extruder=False,
    only_m82_sets_extruder=True,
    answers_during_print=False,
    checks_sequence=False,
    sends_busy=False,
    long_timeout=600.0,
    runs_macros=True,
    bang=Bang.REFUSAL,
)
REPETIER = Dialect(
    name="repetier",
    detect=("repetier", "anet_a8"),
    sends_busy=False,
    ok_before_output=True,
    wait_means_idle=True,
    repetier_targets=True,
    g90_sets_extruder=False,
    long_timeout=600.0,
)
SMOOTHIEWARE = Dialect(
    name="smoothieware",
    detect=("smoothie",),
    sends_busy=False,
    bare_t_is_tool_zero=True,
    long_timeout=600.0,
    bang=Bang.FATAL,
    alarm_prefixes=("alarm:", "halt asserted"),
)
MALYAN = Dialect(
    name="malyan",
    detect=("malyan",),
    sends_busy=False,
    wait_means_idle=True,
    card_always_present=True,
    long_timeout=600.0,
)
TEACUP = Dialect(
    name="teacup",
    detect=("teacup",),
    sends_busy=False,
    resend_ok=False,
    long_timeout=600.0,
)
UNKNOWN = Dialect(
    name="unknown",
    only_m82_sets_extruder=None,
    checks_sequence=False,
    sends_busy=False,
    answers_during_print=False,
    respond="RESPOND",  # what is new may descend from one that has it
    ok_before_output=True,  # or the answer to M115 is missed where it comes late
    wait_means_idle=True,
    long_timeout=600.0,
    bang=Bang.REFUSAL,
)

# The first whose mark is in the name: the particular before the general.
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        PRUSA,
        KLIPPER,
        REPRAPFIRMWARE,
        REPETIER,
        SMOOTHIEWARE,
        MALYAN,
        TEACUP,
        MARLIN1,
        MARLIN,
        UNKNOWN,
    )
}


def detect(firmware: str) -> Dialect:
    """Return the dialect of a firmware by the name that its ``M115`` gives."""
    name = firmware.lower()
    for dialect in DIALECTS.values():
        if any(mark in name for mark in dialect.detect):
            return dialect
    return UNKNOWN
