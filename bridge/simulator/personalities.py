"""The simulated firmwares, as data.

``marlin`` and ``klipper`` follow logs of the real ones; ``marlin1`` follows one of
Marlin 2.0.9 where numbering is concerned. The others are put together from what their
documentation says and from what hosts had to learn about them; nobody measured them.
"""

from collections.abc import Mapping

from bridge.simulator.personality import Family, Personality, Powers

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
