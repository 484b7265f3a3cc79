"""How firmwares differ: each quirk is a field here, and no other file names a firmware.

The default of a field is the standard behaviour: that of Marlin 2, as documented. What
is known of a firmware comes from logs (tests/transcripts), its documentation, and from
OctoPrint's catalogue of quirks, whose numbers (Q-n) docs/adr/0015 explains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.gcode.codes import Argument
from bridge.gcode.framing import MAX_COMMAND
from bridge.gcode.line import MOVES, Line, code_of, read

TUNING_CYCLES = 5
"""Cycles of ``M303`` without ``C``, Marlin's default."""


class Bang(Enum):
    """What a line that starts with ``!!`` means."""

    REFUSAL = "refusal"
    """The line was not carried out; the printer goes on. Klipper answers an unhomed
    move with ``!! Must home axis first``, and then ``ok``."""
    FATAL = "fatal"
    """The printer has stopped and needs a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one firmware family says and understands. Times are in seconds."""

    name: str
    """What the configuration calls it."""
    detect: tuple[str, ...] = ()
    """Substrings of the lower-case firmware name that ``M115`` returns (Q-1 to Q-7)."""

    # The line protocol

    numbered: bool = True
    """Understands ``N…*checksum``, and asks for a damaged line again. Klipper does not:
    it executes lines whatever their number and checksum, and never says ``Resend:``
    (tests/transcripts/klipper/03_line_numbers_checksums.txt)."""
    longest_line: int = MAX_COMMAND
    """Bytes that a line of a file must stay below: what exceeds Marlin's buffer of a
    command is cut off without a word (:data:`~bridge.gcode.framing.MAX_COMMAND`).
    Klipper reads pieces of 4096 bytes and keeps what has no line end yet."""
    checks_sequence: bool | None = True
    """Asks for a line that is missing, and drops one that it has. Where a firmware only
    checks sums, a lost line cannot be distinguished from a lost ``ok``, and nothing
    but the line in flight is ever sent again (docs/adr/0014). ``None``: that is not
    known until it says ``Last Line: n``."""
    resend_ok: bool = True
    """Sends an ``ok`` after ``Resend: n`` that acknowledges nothing (Q-9). Marlin does;
    some firmwares do so only in some versions, so it is awaited but not relied on."""
    resend_wait: float = 0.5
    """How long to wait for that ``ok``. Marlin sends it in the same millisecond."""
    wait_means_idle: bool = False
    """Says ``wait`` every second while it has nothing to do (Q-15). With a line in
    flight that shows that the line or its ``ok`` was lost. It is never taken for an
    ``ok``."""
    ok_before_output: bool = False
    """Sends the ``ok`` when a line is accepted, and its output later (Q-13),
    as Repetier does. Elsewhere the ``ok`` is the end of the output."""
    refuses_late: bool = False
    """Refuses an unknown line after its ``ok``. So the first line with a code that is
    not in its table waits for that (``output_wait``)."""
    output_wait: float = 0.3
    """How long after an ``ok`` or the last output more output may follow, where
    ``ok_before_output``."""
    reliable: bool = False
    """Its link loses and damages nothing, such as Klipper's pseudo-terminal, so several
    lines may be in flight although it does not number them."""
    numbers_oks: bool = False
    """A build with ``ADVANCED_OK`` says ``ok N12 P15 B3``: the line's number, and the
    free places in its planner and in its buffer of commands
    (tests/transcripts/marlin/m21-advok-lines.txt). Then several lines may be in flight:
    the ``ok`` of a request to send again has no number, so it is not taken for that of
    a line."""
    max_probes: int = 3
    """Unanswered probes before the link is given up. A single one may be lost; three
    in a row, ``ok_timeout`` apart, are not lost by a link of any use."""

    # How long lines take

    sends_busy: bool = True
    """Says ``echo:busy: processing`` every 2 s while it works (Marlin's
    ``HOST_KEEPALIVE_FEATURE``; tests/transcripts/marlin/m21-motion.txt). Where it does
    not, any reply at all shows that the firmware is running (Q-24)."""
    ok_timeout: float = 10.0
    """How long a short line may stay unanswered until it is probed. Marlin answers
    within milliseconds, or says ``busy:`` within 2 s; a full planner delays ``G1`` by
    the time of one move."""
    long_timeout: float = 300.0
    """The same for the lines of ``long_codes`` (Q-25)."""
    tuning_cycle: float = 1200.0
    """How long one cycle of ``M303`` may take. A bed that cools by itself takes up to
    20 minutes; meanwhile there are no other reports than those that come anyway."""
    runs_macros: bool = False
    """Runs macros of its owner, which may home and heat, so these lines are long ones:
    whatever is no G or M code, and a tool change (Q-5)."""
    reports_while_heating: bool = False
    """Reports temperatures unsolicited only while a command waits for them (Klipper,
    once a second, without ``W:``), so such a report shows that it is running (Q-22)."""

    # What its texts mean

    bang: Bang = Bang.FATAL
    """What ``!!`` means. RepRap's convention is a fatal error."""
    alarm_prefixes: tuple[str, ...] = ()
    """How lines begin, in lower case, that report a stop without being an error, such
    as Smoothieware's ``ALARM: Kill button pressed`` (Q-36)."""
    reports_state: bool = False
    """Says ``// Klipper state: Shutdown`` and then goes on answering ``M105``, with
    stale temperatures (tests/transcripts/klipper/06_M112_firmware_restart.txt), so its
    state must be asked for."""
    state_query: str = ""
    """The command for that."""
    repetier_targets: bool = False
    """Reports targets as ``TargetExtr0:200`` and ``TargetBed:60`` (Q-1)."""
    bare_t_is_tool_zero: bool = False
    """``T:`` beside ``T1:`` is tool 0; elsewhere it is the current tool (Q-8)."""
    extra_sensors: Mapping[str, str] = field(default_factory=dict)
    """Letters of a temperature report that are sensors, not heaters, with their names:
    Prusa's PINDA probe ``P:`` and its ambient ``A:`` (Q-42)."""

    names_sensors: bool = False
    """Its owner gives sensors names, which appear in temperature reports (Klipper's
    ``gcode_id``, Smoothieware's ``designator``); others have the letters that the
    firmware gives them."""

    # What to send for what

    buttons_are_commands: bool = False
    """The buttons of its dialogs are commands of its own, which a host sends to press
    one; elsewhere ``M876 S<n>`` presses the n-th."""
    respond: str = ""
    """The command that echoes its ``MSG``, behind ``PREFIX`` or what its ``TYPE``
    stands for: with it a line could forge any reply (Klipper's ``RESPOND``)."""
    restart: tuple[str, ...] = ()
    """Lines that bring a halted firmware back. After ``kill()`` Marlin ignores
    everything, also ``M999`` (tests/transcripts/marlin/m21-misc.txt), and needs its
    reset button."""
    pause: tuple[str, ...] = ("M25",)
    """Lines that pause a print from the SD card."""
    resume: tuple[str, ...] = ("M24",)
    """Lines that resume it."""
    cancel: tuple[str, ...] = ("M25", "M26 S0")
    """Lines that end it: pausing and rewinding works everywhere. Empty: none of its
    commands leaves the printer ready."""

    named_outputs: bool = False
    """Pins, lights and further fans have names: ``SET_PIN``, ``SET_LED``,
    ``SET_FAN_SPEED`` (https://www.klipper3d.org/G-Codes.html); elsewhere numbers."""
    babystep: str = ""
    """The line that moves the nozzle by ``{mm}`` along z and keeps that offset for all
    later moves; empty: it has none, as far as is known."""

    # What it keeps in mind

    g90_sets_extruder: bool = True
    """``G90`` and ``G91`` set the extruder's mode as well (Marlin 2)."""
    only_m82_sets_extruder: bool | None = False
    """Only ``M82`` and ``M83`` set it. ``None``: not known. Of those with ``False``
    some versions obey the last code, others are relative while ``G91`` or ``M83`` holds
    (docs/adr/0012)."""
    workspaces: bool = False
    """Certainly has workspaces (``G54``, ``G10 L2``). In Marlin they depend on how it
    was built, and where it has none it reports no error either."""
    homing_ends_shifts: bool = True
    """``G28`` ends the shift of ``G92`` for the axes that it homes (Marlin, Klipper).
    Where it does not, or that is not known, an axis that was shifted stays unknown."""
    own_g0_feedrate: bool = False
    """``G0`` without ``F`` has the feedrate of the last ``G0``, not of the last move:
    Smoothieware has a ``default_seek_rate`` beside its ``default_feed_rate``."""
    default_feedrate: float = 1500.0
    """The feedrate after a reset, in mm/min (Marlin: 25 mm/s)."""

    heater_timeout: str = ""
    """The timeout of its own after which it turns heaters off, for people, who read in
    ``info`` what still protects the printer without the bridge; empty: none is known
    (https://marlinfw.org/docs/gcode/M086.html,
    https://www.klipper3d.org/Config_Reference.html#idle_timeout)."""

    # Its SD card

    answers_during_print: bool = True
    """Answers between two lines of a print from the card, not in the middle of one, so
    a byte counter that stands still shows a pause."""
    done_is_certain: bool = True
    """``Done printing file`` is not said of a print that was cancelled."""
    lower_case_names: bool = False
    """Wants file names in lower case (Q-7)."""
    card_always_present: bool = False
    """Has a card that is always there and never announced (Q-3)."""

    sees_stops: bool | None = None
    """Acts on a stop while it executes a command, without saying so in a ``Cap:``
    line; ``None``: that depends on how it was built. Klipper looks for a bare ``M112``
    in what waits (tests/transcripts/klipper/06b_M112_variants.txt)."""
    capabilities: frozenset[str] = frozenset()
    """What it can do without a ``Cap:`` line that says so."""
    long_codes: frozenset[str] = frozenset()
    """Codes of lines that take ``long_timeout`` beside those of the table of codes."""

    def timeout_for(self, line: str) -> float:
        """Return how long a line may stay unanswered, in seconds.

        A dwell (``G4 S2``, ``G4 P2000``) says its time itself, and ``M303`` its cycles
        (``C`` in Marlin, ``R`` in Repetier). Other lines that take minutes are marked
        in the table of codes (Q-25): without ``busy:`` nothing is received meanwhile.
        Klipper answers many seconds of ``G28`` or ``M400`` with silence, and then
        everything at once (tests/transcripts/klipper/04_move_home_jog.txt).
        """
        code = code_of(line)
        if code in MOVES and code not in self.long_codes:
            return self.ok_timeout
        said = read(line, self.name)
        if said.row.dwell:
            return self.ok_timeout + _dwell(said)
        if said.row.cycles:
            cycles = max(said.values.get(key) or 0.0 for key in said.row.cycles)
            seconds = max(cycles, TUNING_CYCLES) * self.tuning_cycle
            return max(self.long_timeout, seconds)
        return self.long_timeout if self._takes_long(said) else self.ok_timeout

    def _takes_long(self, said: Line) -> bool:
        if said.row.long or said.code in self.long_codes:
            return True
        return self.runs_macros and self._is_macro(said)

    def _is_macro(self, said: Line) -> bool:
        if said.row.argument is Argument.NAMES:
            return not said.row.reads
        is_code = said.code[:1] in {"G", "M"} and said.code[1:2].isdigit()
        return not is_code


def _dwell(said: Line) -> float:
    """Return for how long a line waits, in seconds."""
    milliseconds = said.values.get("P") or 0.0
    seconds = said.values.get("S") or 0.0
    return seconds + milliseconds / 1000


MARLIN = Dialect(
    name="marlin",
    babystep="M290 Z{mm}",
    detect=("marlin",),
    cancel=("M524",),
    numbers_oks=True,
    heater_timeout="HOTEND_IDLE_TIMEOUT if it was built with it (M86 from 2.2 on)",
)
"""Measured: 2.0.9 and 2.1 (tests/transcripts/marlin). ``M524`` aborts a print, and is
itself not acknowledged while one runs, which a probe finds out."""

MARLIN1 = Dialect(
    name="marlin1",
    babystep="M290 Z{mm}",
    detect=("marlin 1.0", "marlin v1;", "marlin_v1"),
    sends_busy=False,
    g90_sets_extruder=False,
    resend_wait=0.2,
    long_timeout=600.0,
)
"""Marlin 1.0, still on many printers. ``busy:`` came with 1.1, ``M524`` with 2.0."""

PRUSA = Dialect(
    name="prusa",
    babystep="M290 Z{mm}",
    detect=("prusa-firmware",),
    lower_case_names=True,
    extra_sensors={"P": "pinda", "A": "ambient"},
    heater_timeout="the safety timer, 30 minutes without a print by default",
)
"""Prusa's fork of Marlin 1 for the MK3 and its kin, with ``busy:`` of its own."""

KLIPPER = Dialect(
    name="klipper",
    babystep="SET_GCODE_OFFSET Z_ADJUST={mm} MOVE=1",
    named_outputs=True,
    detect=("klipper", "kalico"),
    sees_stops=True,
    numbered=False,
    longest_line=4096,
    checks_sequence=False,
    reliable=True,
    sends_busy=False,
    reports_while_heating=True,
    ok_timeout=60.0,
    long_timeout=900.0,
    runs_macros=True,
    bang=Bang.REFUSAL,
    reports_state=True,
    state_query="STATUS",
    names_sensors=True,
    buttons_are_commands=True,
    respond="RESPOND",
    restart=("FIRMWARE_RESTART", "RESTART"),
    pause=("PAUSE",),
    resume=("RESUME",),
    heater_timeout="[idle_timeout], 10 minutes by default, also in a paused print",
    cancel=("CANCEL_PRINT",),
    g90_sets_extruder=False,
    only_m82_sets_extruder=True,
)
"""Measured: v0.13 (tests/transcripts/klipper); its fork Kalico, formerly Danger
Klipper, speaks the same (https://docs.kalico.gg). Slicers give it lines of several
hundred bytes, ``EXCLUDE_OBJECT_DEFINE`` with the outline of an object. It answers lines
in their order and says nothing while one takes its time, so even ``M105`` may wait
behind a move for a minute. The commands for a print need its ``pause_resume`` section,
as most configurations have it."""

REPRAPFIRMWARE = Dialect(
    name="reprapfirmware",
    babystep="M290 S{mm}",
    detect=("reprapfirmware", "reprap firmware"),
    cancel=(),  # M0 does it, and much more
    g90_sets_extruder=False,
    only_m82_sets_extruder=True,
    answers_during_print=False,
    done_is_certain=False,
    workspaces=True,
    checks_sequence=False,
    sends_busy=False,
    long_timeout=600.0,
    runs_macros=True,
    bang=Bang.REFUSAL,
)
"""Checks sums, but not the sequence. ``G28`` and tool changes run its owner's files."""

REPETIER = Dialect(
    name="repetier",
    homing_ends_shifts=False,
    detect=("repetier", "anet_a8"),
    refuses_late=True,
    sends_busy=False,
    ok_before_output=True,
    wait_means_idle=True,
    repetier_targets=True,
    g90_sets_extruder=False,
    long_timeout=600.0,
)
"""Also the Anet A8's fork of it."""

_SMOOTHIE_ALARMS = ("alarm:", "halt asserted", "limit switch ", "halted, m999")

SMOOTHIEWARE = Dialect(
    name="smoothieware",
    homing_ends_shifts=False,
    detect=("smoothie",),
    own_g0_feedrate=True,
    sends_busy=False,
    bare_t_is_tool_zero=True,
    long_timeout=600.0,
    bang=Bang.FATAL,
    alarm_prefixes=_SMOOTHIE_ALARMS,
    names_sensors=True,  # its designators
)
"""Its buttons and end switches stop it with an ``ALARM:``, or ``Limit switch min_x was
hit``, without ``Error:``. It then answers each line with ``!!`` alone, until ``M999``
(https://smoothieware.org/stopping-smoothie)."""

MALYAN = Dialect(
    name="malyan",
    homing_ends_shifts=False,
    detect=("malyan",),
    sends_busy=False,
    wait_means_idle=True,
    card_always_present=True,
    long_timeout=600.0,
)
"""The Malyan M200, sold as Monoprice Select Mini; it says ``NAME:`` for
``FIRMWARE_NAME:``."""

TEACUP = Dialect(
    name="teacup",
    homing_ends_shifts=False,
    detect=("teacup",),
    sends_busy=False,
    resend_ok=False,
    long_timeout=600.0,
)
"""Its requests carry more numbers: ``rs N1 expected checksum 9`` (Q-4)."""

UNKNOWN = Dialect(
    name="unknown",
    own_g0_feedrate=True,
    alarm_prefixes=_SMOOTHIE_ALARMS,  # one that is halted may not answer M115
    homing_ends_shifts=False,
    only_m82_sets_extruder=None,
    checks_sequence=None,
    sends_busy=False,
    answers_during_print=False,
    respond="RESPOND",  # a firmware that is not known may descend from one that has it
    ok_before_output=True,  # or a late answer to M115 would be missed
    wait_means_idle=True,
    long_timeout=600.0,
    bang=Bang.REFUSAL,
)
"""A firmware that was not identified (yet): of each quirk the assumption that does the
least harm where it is wrong."""

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
"""By name. The first that matches a firmware is taken, so the particular ones precede
the general: Prusa's name has Marlin in it, too."""


def detect(firmware: str) -> Dialect:
    """Return the dialect of a firmware by the name that its ``M115`` gives."""
    name = firmware.lower()
    for dialect in DIALECTS.values():
        if any(mark in name for mark in dialect.detect):
            return dialect
    return UNKNOWN
