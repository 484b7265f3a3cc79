"""What can differ between the simulated firmwares: one value each, no hierarchy."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Family(Enum):
    """Which table of commands a firmware has."""

    MARLIN = "marlin"
    KLIPPER = "klipper"


class Powers(Enum):
    """Where heater powers are in a temperature report."""

    NONE = "none"
    BEHIND = "behind"  # ``@:0 B@:0`` at the end
    INLINE = "inline"  # ``@0`` after each heater


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """What a firmware says, and what it does differently.

    Attributes:
        name: its name in the option.
        family: its table of commands.
        identity: the first line of its answer to M115; ``{extruders}`` is filled in.
        capabilities: its ``Cap:`` lines; none: it has no such lines.
        banner: what it says after a reset.
        numbered: it checks numbers and checksums.
        repeats_silent: it drops a line that it already has without a reply.
        complaint: the line before the request; ``{why}`` and ``{last}``.
        request: how it asks again; ``{n}`` is the number, ``{sum}`` a checksum.
        request_ok: an ``ok`` follows that acknowledges nothing.
        ok_first: each command is acknowledged when it arrives, before it runs.
        ok_number: the ``ok`` carries the line's number.
        busy: it says ``busy:`` while it works.
        early: the codes that it sees while a command runs.
        idle_wait: it says ``wait`` each second while nothing is sent to it.
        actions: it says ``//action:`` lines.
        unknown: what it says to a command that it does not know.
        digits: after the decimal point in temperatures.
        bare_tool: it reports the current tool as ``T:``.
        first_tool: it reports ``T0:`` even if there is only one tool.
        tool_one: with several tools, ``T:`` is tool 0 and there is no ``T0:``.
        powers: where heater powers are.
        slash: what is between temperature and target.
        report_tail: what follows in each temperature report.
        wait_energy: during M109 it says only ``T:… E:0 W:…``.
        echoes_targets: it announces new targets as ``TargetExtr0:`` and ``TargetBed:``.
        position: M114's format.
        home_position: G28 and G92 report the position.
        e_apart: G90 and G91 leave the extruder's mode alone.
        words_unanswered: a command other than G, M and T gets no ``ok``.
        idle_card: its answer to M27 when it is not printing.
        lower_names: the names of its files are in lower case.
        long_names: it knows ``M20 L``, ``M20 T`` and ``M33``.
        halt: what it says when it stops for good.
        halt_resets: M112 restarts it.
        two_line_heat: heater errors come on two lines, as before Marlin 2.
        halt_answer: what it answers when it is halted; empty: it is deaf.
        mute: it says nothing but ``ok``.
        status: what it also says when the text on the display changes.

    """

    name: str
    family: Family = Family.MARLIN
    identity: str = ""
    capabilities: tuple[str, ...] = ()
    banner: tuple[str, ...] = ("start",)
    numbered: bool = True
    repeats_silent: bool = False
    complaint: str = "Error:{why}, Last Line: {last}"
    request: str = "Resend: {n}"
    request_ok: bool = True
    ok_first: bool = False
    ok_number: bool = False
    busy: bool = False
    early: frozenset[str] = frozenset()
    idle_wait: bool = False
    actions: bool = False
    unknown: str = 'echo:Unknown command: "{line}"'
    digits: int = 2
    bare_tool: bool = True
    first_tool: bool = False
    tool_one: bool = False
    powers: Powers = Powers.BEHIND
    slash: str = " /"
    report_tail: str = ""
    wait_energy: bool = False
    echoes_targets: bool = False
    position: str = "X:{x:.2f} Y:{y:.2f} Z:{z:.2f} E:{e:.2f} Count X:{cx} Y:{cy} Z:{cz}"
    home_position: bool = False
    e_apart: bool = False
    words_unanswered: bool = False
    idle_card: str = "Not SD printing"
    lower_names: bool = False
    long_names: bool = False
    halt: tuple[str, ...] = ("Error:Printer halted. kill() called!",)
    halt_resets: bool = False
    two_line_heat: bool = False
    halt_answer: str = ""
    mute: bool = False
    status: str = ""


_ON = {
    "EEPROM", "VOLUMETRIC", "AUTOREPORT_POS", "AUTOREPORT_TEMP", "PRINT_JOB",
    "HOST_ACTION_COMMANDS", "PROMPT_SUPPORT", "SDCARD", "SD_WRITE",
    "AUTOREPORT_SD_STATUS", "LONG_FILENAME", "EXTENDED_M20", "THERMAL_PROTECTION",
    "ARCS",
}  # fmt: skip
_ALL = (
    "SERIAL_XON_XOFF BINARY_FILE_TRANSFER EEPROM VOLUMETRIC AUTOREPORT_POS "
    "AUTOREPORT_TEMP PROGRESS PRINT_JOB AUTOLEVEL RUNOUT Z_PROBE LEVELING_DATA "
    "BUILD_PERCENT SOFTWARE_POWER TOGGLE_LIGHTS CASE_LIGHT_BRIGHTNESS "
    "EMERGENCY_PARSER HOST_ACTION_COMMANDS PROMPT_SUPPORT SDCARD MULTI_VOLUME REPEAT "
    "SD_WRITE AUTOREPORT_SD_STATUS LONG_FILENAME LFN_WRITE CUSTOM_FIRMWARE_UPLOAD "
    "EXTENDED_M20 THERMAL_PROTECTION MOTION_MODES ARCS BABYSTEPPING "
    "CHAMBER_TEMPERATURE COOLER_TEMPERATURE MEATPACK CONFIG_EXPORT"
)

# Marlin and Klipper answer as the real firmwares did in tests/transcripts/marlin (2.0.9
# and bugfix-2.1.x) and tests/transcripts/klipper (v0.13). The others were not run:
# what they say comes from the logs in tests/transcripts/reports, from their
# documentation, and from the quirks in docs/adr/0015.
MARLIN = Personality(
    name="marlin",
    identity=(
        "FIRMWARE_NAME:Marlin 2.1.2 (Jan  1 2024 12:00:00) "
        "SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:Simulated EXTRUDER_COUNT:{extruders} "
        "UUID:00000000-0000-4000-8000-000000000000"
    ),
    capabilities=tuple(f"{name}:{int(name in _ON)}" for name in _ALL.split()),
    banner=(
        "start",
        "PowerUp",
        "Marlin 2.1.2",
        "echo: Last Updated: 2024-01-01 | Author: (none, default config)",
        "echo: Compiled: Jan  1 2024",
        "echo: Free Memory: 0  PlannerBufferBytes: 1280",
        "echo:V87 stored settings retrieved (614 bytes; crc 43744)",
        "//action:notification Stored settings retrieved",
        "//action:prompt_end",
        "echo:SD card ok",
    ),
    repeats_silent=True,
    busy=True,
    early=frozenset({"M108", "M112", "M410", "M876"}),
    actions=True,
    home_position=True,
    long_names=True,
    halt=(
        "echo:M112 Shutdown",
        "Error:Printer halted. kill() called!",
        "//action:poweroff",
    ),
)
MARLIN1 = Personality(
    name="marlin1",
    identity=(
        "FIRMWARE_NAME:Marlin V1; Sprinter/grbl mashup for gen6 "
        "FIRMWARE_URL:https://github.com/MarlinFirmware/Marlin/ PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:Mendel EXTRUDER_COUNT:{extruders} "
        "UUID:00000000-0000-0000-0000-000000000000"
    ),
    banner=(
        "start",
        "echo:Marlin 1.0.2",
        "echo: Last Updated: 2015-01-01 | Author: (none, default config)",
        "echo: Free Memory: 3810  PlannerBufferBytes: 1232",
        "echo:SD card ok",
    ),
    wait_energy=True,
    e_apart=True,
    two_line_heat=True,
)
PRUSA = Personality(
    name="prusa",
    identity=(
        "FIRMWARE_NAME:Prusa-Firmware 3.13.3 based on Marlin "
        "FIRMWARE_URL:https://github.com/prusa3d/Prusa-Firmware PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:Prusa i3 MK3S EXTRUDER_COUNT:{extruders} "
        "UUID:00000000-0000-0000-0000-000000000000"
    ),
    capabilities=(
        "AUTOREPORT_TEMP:1",
        "AUTOREPORT_FANS:0",
        "AUTOREPORT_POSITION:0",
        "EXTENDED_M20:1",
    ),
    banner=("start", "echo: 3.13.3-7094", "echo:SD card ok"),
    busy=True,
    digits=1,
    first_tool=True,
    report_tail=" P:0.0 A:26.4",
    wait_energy=True,
    home_position=True,
    lower_names=True,
    long_names=True,
    status="LCD status changed",
)
KLIPPER = Personality(
    name="klipper",
    family=Family.KLIPPER,
    identity="FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13.0-730-g84104bbbd",
    banner=(),
    numbered=False,
    unknown='// Unknown command:"{line}"',
    digits=1,
    bare_tool=False,
    first_tool=True,
    powers=Powers.NONE,
    position="X:{x:.3f} Y:{y:.3f} Z:{z:.3f} E:{e:.3f}",
    e_apart=True,
    idle_card="Not SD printing.",
)
REPRAPFIRMWARE = Personality(
    name="reprapfirmware",
    identity=(
        "FIRMWARE_NAME: RepRapFirmware for Duet 2 WiFi/Ethernet "
        "FIRMWARE_VERSION: 3.4.5 ELECTRONICS: Duet WiFi 1.02 or later "
        "FIRMWARE_DATE: 2022-11-30"
    ),
    banner=("RepRapFirmware for Duet 2 WiFi/Ethernet is up and running.",),
    unknown="Error: Bad command: {line}",
    digits=1,
    first_tool=True,
    powers=Powers.NONE,
    position=(
        "X:{x:.3f} Y:{y:.3f} Z:{z:.3f} {es} Count {cx} {cy} {cz} "
        "Machine {x:.3f} {y:.3f} {z:.3f} Bed comp 0.000"
    ),
    e_apart=True,
    idle_card="Not SD printing.",
    halt=("Emergency Stop! Reset the controller to continue.",),
)
_FATAL = (
    "Heater/sensor error - Printer stopped and heaters disabled due to this error. "
    "Fix error and restart with M999."
)
REPETIER = Personality(
    name="repetier",
    identity=(
        "FIRMWARE_NAME:Repetier_0.92.9 "
        "FIRMWARE_URL:https://github.com/repetier/Repetier-Firmware/ "
        "PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:{extruders} "
        "REPETIER_PROTOCOL:3"
    ),
    banner=("start", "Info:External Reset", "Free RAM:3000", "SelectExtruder:0"),
    complaint="Error:{why}",
    request="Resend:{n}",
    ok_first=True,
    ok_number=True,
    idle_wait=True,
    unknown="Unknown command:{line}",
    echoes_targets=True,
    position="X:{x:.2f} Y:{y:.2f} Z:{z:.3f} E:{e:.4f}",
    e_apart=True,
    halt=(f"fatal:{_FATAL}",),
    halt_resets=True,
)
SMOOTHIEWARE = Personality(
    name="smoothieware",
    identity=(
        "FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:http%3A//smoothieware.org, "
        "X-SOURCE_CODE_URL:https://github.com/Smoothieware/Smoothieware, "
        "FIRMWARE_VERSION:edge-0000000, PROTOCOL_VERSION:1.0, X-GRBL_MODE:0, X-ARCS:1"
    ),
    banner=("Smoothie", "ok"),
    complaint="",
    request="rs N{n}",
    request_ok=False,
    unknown="",
    words_unanswered=True,
    digits=1,
    tool_one=True,
    powers=Powers.INLINE,
    position="ok C: X:{x:.4f} Y:{y:.4f} Z:{z:.4f} E:{e:.4f}",
    halt=("ok Emergency Stop Requested - reset or M999 required to exit HALT state",),
    halt_answer="!!",
)
MALYAN = Personality(
    name="malyan",
    identity="NAME: Malyan VER: 3.5 MODEL: M200 HW: HG01",
    complaint="Error:{why}, Last Line: {last}",
    digits=0,
)
TEACUP = Personality(
    name="teacup",
    identity=(
        "FIRMWARE_NAME:Teacup FIRMWARE_URL:http://github.com/traumflug/Teacup_Firmware/"
        " PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:{extruders} "
        "TEMP_SENSOR_COUNT:2 HEATER_COUNT:2"
    ),
    banner=("start", "ok"),
    complaint="",
    request="rs N{n} expected checksum {sum}",
    request_ok=False,
    unknown="E: Bad G-code {line}",
    digits=1,
    powers=Powers.NONE,
    slash="/",
    position="X:{x:.3f},Y:{y:.3f},Z:{z:.3f},E:{e:.3f},F:{f:.0f}",
)
UNKNOWN = Personality(name="unknown", numbered=False, banner=(), mute=True)

PERSONALITIES: Mapping[str, Personality] = {
    personality.name: personality
    for personality in (
        MARLIN,
        MARLIN1,
        PRUSA,
        KLIPPER,
        REPRAPFIRMWARE,
        REPETIER,
        SMOOTHIEWARE,
        MALYAN,
        TEACUP,
        UNKNOWN,
    )
}
