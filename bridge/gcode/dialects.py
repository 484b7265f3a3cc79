"""How firmwares differ: each quirk is a field here, and no other file names a firmware.

The default of each field is the documented behaviour of Marlin 2. What is known about a
firmware comes from logs (tests/transcripts), its documentation, its issue tracker, and
OctoPrint's list of quirks, whose numbers (Q-n) docs/adr/0015 explains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bridge.gcode.codes import Argument
from bridge.gcode.framing import MAX_COMMAND
from bridge.gcode.line import MOVES, Line, code_of, read

TUNING_CYCLES = 5
"""Cycles of an ``M303`` without ``C`` (https://marlinfw.org/docs/gcode/M303.html)."""


class Bang(Enum):
    """What a line that starts with ``!!`` means."""

    REFUSAL = "refusal"
    """The line was not executed, and the printer keeps running. Klipper answers a move
    before homing with ``!! Must home axis first: …``, and then ``ok``
    (tests/transcripts/klipper/04_move_home_jog.txt)."""
    FATAL = "fatal"
    """The printer has stopped and needs a reset (https://reprap.org/wiki/G-code,
    "Replies from the RepRap machine to the host computer")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one firmware family says and understands. Times are in seconds."""

    name: str
    """What the configuration calls it."""
    detect: tuple[str, ...] = ()
    """Substrings of the lower-case firmware name that ``M115`` returns (Q-1 to Q-7)."""

    # The line protocol

    numbered: bool = True
    """The firmware understands ``N…*checksum`` and requests damaged lines again.
    Klipper does neither: it executes a line whatever its number and checksum, and never
    says ``Resend:`` (tests/transcripts/klipper/03_line_numbers_checksums.txt)."""
    longest_line: int = MAX_COMMAND
    """A line of a file must be shorter than this, in bytes. Marlin cuts off what does
    not fit its command buffer, without an error
    (:data:`~bridge.gcode.framing.MAX_COMMAND`). Klipper reads up to 4096 bytes at a
    time and keeps an unfinished line for the next read (klippy/gcode.py, v0.13); one
    read is the longest line that was tried."""
    checks_sequence: bool | None = True
    """The firmware requests a missing line, and drops one that it already has. If a
    firmware only compares checksums, a lost line looks like a lost ``ok``, so nothing
    but the line in flight is ever sent again (docs/adr/0014). ``None``: unknown until
    it says ``Last Line: n``."""
    resend_ok: bool = True
    """After ``Resend: n`` the firmware sends an ``ok`` that acknowledges nothing (Q-9).
    Marlin 2 does (tests/transcripts/marlin/m21-lines.txt); other firmwares do in some
    versions only, so the ``ok`` is awaited but not required."""
    resend_wait: float = 0.5
    """Seconds to wait for that ``ok``. Marlin 2.1 sends it within 0.1 ms of the request
    (tests/transcripts/marlin/m21-lines.txt); the rest allows for USB adapters and
    networks."""
    wait_means_idle: bool = False
    """The firmware says ``wait`` every second while it has nothing to do (Q-15;
    tests/transcripts/reports/repetier-server-states.log). If a line is in flight, the
    line or its ``ok`` was lost. A ``wait`` never counts as an ``ok``."""
    ok_before_output: bool = False
    """The firmware sends ``ok`` when it accepts a line, and the output later (Q-13).
    Repetier does; in other firmwares the ``ok`` ends the output."""
    refuses_late: bool = False
    """The firmware refuses an unknown line after its ``ok``. Therefore the first line
    with a code that is not in its table waits for the refusal (``output_wait``)."""
    output_wait: float = 0.3
    """With ``ok_before_output``: seconds after the ``ok``, or after the last output, in
    which more output may follow."""
    reliable: bool = False
    """The link loses and damages nothing, so several lines may be in flight although
    they are not numbered. True for Klipper, whose port is a pseudo-terminal on the same
    machine."""
    numbers_oks: bool = False
    """A build with ``ADVANCED_OK`` says ``ok N12 P15 B3``: the number of the line, and
    the free places in the planner and in the command buffer
    (tests/transcripts/marlin/m21-advok-lines.txt). Several lines may then be in flight,
    because the ``ok`` after a resend request has no number and cannot be mistaken for
    that of a line."""
    max_probes: int = 3
    """Unanswered probes in a row after which the link is given up. Any line can be lost
    once; a link that loses three, ``ok_timeout`` apart, is unusable."""

    # How long lines take

    sends_busy: bool = True
    """The firmware says ``echo:busy: processing`` every 2 s while it works (Marlin's
    ``HOST_KEEPALIVE_FEATURE``, https://marlinfw.org/docs/gcode/M113.html; measured in
    tests/transcripts/marlin/m21-motion.txt). In other firmwares, any reply shows that
    it is running (Q-24)."""
    ok_timeout: float = 10.0
    """Seconds until an unanswered short line is followed by a probe. Marlin answers
    within milliseconds, or says ``busy:`` within 2 s; when its planner is full, a
    ``G1`` waits for the end of one move."""
    long_timeout: float = 300.0
    """The same for lines that take minutes (Q-25)."""
    tuning_cycle: float = 1200.0
    """Seconds that one cycle of ``M303`` may take. A bed without a fan needs up to 20
    minutes to cool down, and apart from automatic reports nothing is received
    meanwhile."""
    runs_macros: bool = False
    """The owner can define macros, which may home and heat. Tool changes and whatever
    is neither a G nor an M code therefore get ``long_timeout`` (Q-5)."""
    reports_while_heating: bool = False
    """The firmware reports temperatures without being asked only while a command waits
    for them, so such a report shows that it is running (Q-22). Klipper does so once a
    second, without ``W:`` (tests/transcripts/klipper/05_temperature.txt)."""

    # What its texts mean

    bang: Bang = Bang.FATAL
    """What ``!!`` means. By RepRap's convention it is a fatal error."""
    alarm_prefixes: tuple[str, ...] = ()
    """Beginnings, in lower case, of lines that report a stop without ``Error:``, such
    as Smoothieware's ``ALARM: Kill button pressed`` (Q-36)."""
    reports_state: bool = False
    """The firmware says ``// Klipper state: Shutdown`` once, and then keeps answering
    ``M105`` with stale temperatures
    (tests/transcripts/klipper/06_M112_firmware_restart.txt), so its state must be
    queried."""
    state_query: str = ""
    """The command that queries that state."""
    repetier_targets: bool = False
    """Targets are reported as ``TargetExtr0:200`` and ``TargetBed:60`` (Q-1)."""
    bare_t_is_tool_zero: bool = False
    """``T:`` beside ``T1:`` is tool 0; in other firmwares it is the selected tool
    (Q-8)."""
    extra_sensors: Mapping[str, str] = field(default_factory=dict)
    """Letters in a temperature report that are sensors without a heater, and their
    names (Q-42)."""

    names_sensors: bool = False
    """The owner names sensors, and the names appear in temperature reports: Klipper's
    ``gcode_id`` (https://www.klipper3d.org/Config_Reference.html) and Smoothieware's
    ``designator`` (https://smoothieware.org/temperaturecontrol). In other firmwares the
    letters are fixed."""

    # What to send for what

    buttons_are_commands: bool = False
    """Each button of a prompt has a G-code command, which the host sends when the
    button is pressed. In other firmwares, ``M876 S<n>`` presses the n-th button
    (https://marlinfw.org/docs/gcode/M876.html)."""
    respond: str = ""
    """The command that sends its ``MSG`` back to the host behind any prefix, with which
    a line could forge any reply (https://www.klipper3d.org/G-Codes.html#respond)."""
    restart: tuple[str, ...] = ()
    """Lines that restart a halted firmware. After ``kill()``, Marlin ignores
    everything, including ``M999``, until its reset button is pressed
    (tests/transcripts/marlin/m21-misc.txt)."""
    pause: tuple[str, ...] = ("M25",)
    """Lines that pause a print from the SD card."""
    resume: tuple[str, ...] = ("M24",)
    """Lines that resume a print from the SD card."""
    cancel: tuple[str, ...] = ("M25", "M26 S0")
    """Lines that cancel a print from the SD card. Pausing and rewinding works in every
    firmware. Empty: no command cancels a print and leaves the printer ready."""

    named_outputs: bool = False
    """Pins, lights and additional fans have names: ``SET_PIN``, ``SET_LED``,
    ``SET_FAN_SPEED`` (https://www.klipper3d.org/G-Codes.html). In other firmwares they
    have numbers."""
    babystep: str = ""
    """The line that moves the nozzle by ``{mm}`` along z and keeps this offset for all
    later moves. Empty: no such command is known."""

    # Modal state

    g90_sets_extruder: bool = True
    """``G90`` and ``G91`` also set the extruder's mode
    (https://marlinfw.org/docs/gcode/G090.html)."""
    only_m82_sets_extruder: bool | None = False
    """Only ``M82`` and ``M83`` set the extruder's mode. ``None``: unknown. Of the
    firmwares with ``False``, some versions follow the last code, and others stay
    relative as long as either ``G91`` or ``M83`` is in effect (docs/adr/0012)."""
    workspaces: bool = False
    """The firmware always has workspaces (``G54``, ``G10 L2``). In Marlin they are a
    build option, and a build without them reports no error."""
    homing_ends_shifts: bool = True
    """``G28`` removes the shift of ``G92`` from the axes that it homes (Marlin,
    Klipper). If it does not, or if that is not known, the position of a shifted axis
    stays unknown."""
    own_g0_feedrate: bool = False
    """``G0`` without ``F`` uses the feedrate of the last ``G0``, not of the last move.
    Smoothieware has a ``default_seek_rate`` besides its ``default_feed_rate``
    (https://smoothieware.org/configuration-options)."""
    default_feedrate: float = 1500.0
    """The feedrate after a reset, in mm/min. Marlin starts with 25 mm/s."""

    heater_timeout: str = ""
    """The firmware's own timeout that turns heaters off, in words. It is published in
    ``info``, so that people know what protects the printer while the bridge is away.
    Empty: none is known. Nothing was found for RepRapFirmware and Smoothieware
    (https://marlinfw.org/docs/gcode/M085.html,
    https://reprap.org/wiki/G-code#M85:_Set_Inactivity_Shutdown_Timer)."""

    # Its SD card

    answers_during_print: bool = True
    """During a print from the card, the firmware answers between two lines of the
    file, and not in the middle of one. So a byte counter that stands still means that
    the print is paused."""
    done_is_certain: bool = True
    """``Done printing file`` is said only of prints that were not cancelled."""
    lower_case_names: bool = False
    """File names must be sent in lower case (Q-7)."""
    card_always_present: bool = False
    """The card is always present, and its insertion is never announced (Q-3)."""

    sees_stops: bool | None = None
    """The firmware acts on ``M112`` while it executes a command, although no ``Cap:``
    line says so. ``None``: this depends on the build, and ``Cap:EMERGENCY_PARSER``
    says it. Klipper looks for an ``M112`` without a checksum among the waiting lines
    (tests/transcripts/klipper/06b_M112_variants.txt), but no longer once 20 lines wait
    (tests/transcripts/klipper/14_M112_queued.txt)."""
    capabilities: frozenset[str] = frozenset()
    """Capabilities that the firmware has without a ``Cap:`` line."""
    long_codes: frozenset[str] = frozenset()
    """Codes that get ``long_timeout`` in addition to those in the table of codes."""

    def timeout_for(self, line: str) -> float:
        """Return how long a line may stay unanswered, in seconds.

        A dwell (``G4 S2``, ``G4 P2000``) states its own time, and ``M303`` its cycles
        (``C`` in Marlin, ``R`` in Repetier). Other lines that take minutes are marked
        in the table of codes (Q-25), because a firmware without ``busy:`` is silent
        meanwhile. Klipper says nothing for the many seconds of a ``G28`` or ``M400``,
        and then everything at once (tests/transcripts/klipper/04_move_home_jog.txt).
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
    heater_timeout="HOTEND_IDLE_TIMEOUT if it was built with it (M86 from 2.2 on), and "
    "the inactivity timer (M85) if it is set, which stops the printer",
)
"""Measured with 2.0.9 and 2.1 (tests/transcripts/marlin).

* ``M524`` (2.0.0 and later, https://marlinfw.org/docs/gcode/M024.html) cancels a print
  from the card. While one runs, it gets no ``ok``; a probe detects that it was executed
  (tests/transcripts/marlin/m21-sd.txt).
* ``M290`` needs ``BABYSTEPPING`` (https://marlinfw.org/docs/gcode/M290.html).
* ``M86`` is documented for 2.2.0 (https://marlinfw.org/docs/gcode/M086.html).
"""

MARLIN1 = Dialect(
    name="marlin1",
    babystep="M290 Z{mm}",
    detect=("marlin 1.0", "marlin v1;", "marlin_v1"),
    heater_timeout="the inactivity timer (M85) if it is set, which stops the printer",
    sends_busy=False,
    g90_sets_extruder=False,
    resend_wait=0.2,
    long_timeout=600.0,
)
"""Marlin 1.0, which many printers still have. It has neither ``busy:`` (1.1 and later)
nor ``M524`` (2.0.0 and later). Without ``busy:``, ten minutes of silence are possible
while it heats a bed or levels one."""

PRUSA = Dialect(
    name="prusa",
    babystep="M290 Z{mm}",
    detect=("prusa-firmware",),
    lower_case_names=True,
    extra_sensors={"P": "pinda", "A": "ambient"},
    heater_timeout="the safety timer, 30 minutes without a print by default",
)
"""Prusa's fork of Marlin 1 for the MK3 and similar printers, which sends ``busy:``.

* ``P:`` is the temperature of the PINDA probe, ``A:`` the ambient temperature
  (tests/transcripts/reports/octoprint-prusa-pinda.log).
* File names in upper case are not found
  (https://github.com/prusa3d/Prusa-Firmware/issues/3115).
* The safety timer is 30 minutes
  (https://github.com/prusa3d/Prusa-Firmware/pull/680).
"""

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
"""Measured with v0.13 (tests/transcripts/klipper). The fork Kalico, formerly Danger
Klipper, has the same protocol (https://docs.kalico.gg).

* Slicers write lines of several hundred bytes for it: ``EXCLUDE_OBJECT_DEFINE`` with
  the outline of an object (https://www.klipper3d.org/Exclude_Object.html).
* Lines are answered in order, and nothing is said while one is being executed, so even
  an ``M105`` may wait behind moves for a minute (``ok_timeout``).
* ``PAUSE``, ``RESUME`` and ``CANCEL_PRINT`` need a ``[pause_resume]`` section, which
  most configurations have
  (https://www.klipper3d.org/Config_Reference.html#pause_resume).
* The timeout of the heaters is described at
  https://www.klipper3d.org/Config_Reference.html#idle_timeout.
"""

REPRAPFIRMWARE = Dialect(
    name="reprapfirmware",
    babystep="M290 S{mm}",
    detect=("reprapfirmware", "reprap firmware"),
    cancel=(),  # M0 cancels, but may also turn heaters and motors off
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
"""RepRapFirmware, the firmware of Duet boards.

* It verifies checksums, but not the sequence of line numbers.
* ``G28`` and tool changes run macro files of the owner
  (https://docs.duet3d.com/User_manual/Tuning/Macros).
* ``Done printing file`` may also be said of a cancelled print.
* The serial line and the file have separate queues, so it answers in the middle of a
  line of the file (https://docs.duet3d.com/User_manual/Reference/Gcodes).
* ``M290 S`` moves the nozzle (the same page).
"""

REPETIER = Dialect(
    name="repetier",
    homing_ends_shifts=False,
    detect=("repetier", "anet_a8"),
    heater_timeout="the inactivity timer (M85) if it is set, which stops the printer",
    refuses_late=True,
    sends_busy=False,
    ok_before_output=True,
    wait_means_idle=True,
    repetier_targets=True,
    g90_sets_extruder=False,
    long_timeout=600.0,
)
"""Repetier-Firmware, and its fork for the Anet A8. It acknowledges a line when it
accepts it, so a dwell or a homing gets its ``ok`` at once
(https://github.com/OctoPrint/OctoPrint/issues/1506). ``wait`` was seen every second
(tests/transcripts/reports/repetier-server-states.log)."""

_SMOOTHIE_ALARMS = ("alarm:", "halt asserted", "limit switch ", "halted, m999")
"""``ALARM: Kill button pressed`` (https://smoothieware.org/on_halt), ``HALT asserted``
(https://github.com/Smoothieware/Smoothieware/pull/782), ``Limit switch min_x was hit``
(tests/transcripts/reports/octoprint-smoothie-limit-switch.log)."""

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
    names_sensors=True,  # designators
)
"""Its kill button and limit switches stop it with a line without ``Error:``. From then
on it answers each line with ``!!`` alone, until ``M999``
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
"""The Malyan M200, also sold as Monoprice Select Mini. It says ``NAME:`` instead of
``FIRMWARE_NAME:`` (https://github.com/OctoPrint/OctoPrint/issues/1762;
tests/transcripts/reports/octoprint-malyan.log)."""

TEACUP = Dialect(
    name="teacup",
    homing_ends_shifts=False,
    detect=("teacup",),
    sends_busy=False,
    resend_ok=False,
    long_timeout=600.0,
)
"""Teacup, for small boards. Its resend requests contain further numbers:
``rs N1 expected checksum 9``
(https://github.com/OctoPrint/OctoPrint/issues/300, Q-4)."""

UNKNOWN = Dialect(
    name="unknown",
    own_g0_feedrate=True,
    alarm_prefixes=_SMOOTHIE_ALARMS,  # a halted Smoothieware may not answer M115
    homing_ends_shifts=False,
    only_m82_sets_extruder=None,
    checks_sequence=None,
    sends_busy=False,
    answers_during_print=False,
    respond="RESPOND",  # it may be a fork of Klipper
    ok_before_output=True,  # otherwise a late answer to M115 would be missed
    wait_means_idle=True,
    long_timeout=600.0,
    bang=Bang.REFUSAL,
)
"""A firmware that was not identified, or not yet. Each field has the value that does
the least harm if it is wrong."""

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
"""By name. :func:`detect` returns the first match, so specific names precede general
ones: the name of Prusa's firmware also contains ``Marlin``."""


def detect(firmware: str) -> Dialect:
    """Return the dialect for the firmware name that ``M115`` reported."""
    name = firmware.lower()
    for dialect in DIALECTS.values():
        if any(mark in name for mark in dialect.detect):
            return dialect
    return UNKNOWN
