"""Which command is refused when: OctoPrint's matrix with our decisions, as a table."""

from collections.abc import Mapping

from bridge.commands.registry import COMMANDS

Key = tuple[str, str]

_AWAY = {"offline": "not_operational"}

KINDS = ("operational", "printing", "paused")
ALWAYS: Mapping[str, str] = {}
CONNECTED = _AWAY
IDLE = {**_AWAY, "printing": "printing"}
NO_PRINT = {**IDLE, "paused": "printing"}
PRINT = {**_AWAY, "operational": "not_printing"}
_UNSUPPORTED = dict.fromkeys(("printing", "paused"), "not_supported")
CARD_PRINT = {**PRINT, **_UNSUPPORTED}

MATRIX: Mapping[Key, tuple[Mapping[str, str], str]] = {
    ("head", "jog"): (IDLE, ""),
    ("head", "jog_step"): (IDLE, ""),
    ("head", "jog_distance"): (CONNECTED, ""),
    ("head", "home"): (IDLE, ""),
    ("head", "babystep"): (CONNECTED, ""),
    ("head", "z_offset"): (CONNECTED, ""),
    ("head", "feedrate"): (CONNECTED, ""),
    ("head", "motors_off"): (NO_PRINT, ""),
    ("tool", "target"): (CONNECTED, ""),
    ("tool", "offset"): (CONNECTED, ""),
    ("tool", "select"): (IDLE, ""),
    ("tool", "extrude"): (IDLE, ""),
    ("tool", "extrude_step"): (IDLE, ""),
    ("tool", "extrude_length"): (CONNECTED, ""),
    ("tool", "preset"): (IDLE, ""),
    ("tool", "flowrate"): (CONNECTED, ""),
    ("tool", "cool_down"): (IDLE, ""),
    ("bed", "target"): (CONNECTED, "bed"),
    ("bed", "offset"): (CONNECTED, "bed"),
    ("chamber", "target"): (CONNECTED, "chamber"),
    ("chamber", "offset"): (CONNECTED, "chamber"),
    ("fan", "speed"): (CONNECTED, ""),
    ("fan", "on"): (CONNECTED, ""),
    ("light", "set"): (CONNECTED, ""),
    ("display", "show"): (CONNECTED, ""),
    ("script", "run"): (CONNECTED, ""),
    ("sd", "init"): (NO_PRINT, ""),
    ("sd", "refresh"): (NO_PRINT, "card"),
    ("sd", "release"): (NO_PRINT, "card"),
    ("job", "select"): (NO_PRINT, "card"),
    ("job", "start"): (NO_PRINT, "card"),
    ("job", "reprint"): (NO_PRINT, "card"),
    ("job", "restart"): ({**PRINT, "printing": "printing"}, ""),
    ("job", "recover"): ({**NO_PRINT, "operational": "not_recoverable"}, ""),
    ("job", "plan_recovery"): ({**NO_PRINT, "operational": "not_recoverable"}, ""),
    ("job", "exclude"): (CARD_PRINT, ""),
    ("job", "pause"): (PRINT, ""),
    ("job", "resume"): (PRINT, ""),
    ("job", "cancel"): (PRINT, ""),
    ("job", "answer"): (dict.fromkeys(KINDS, "no_question") | _AWAY, ""),
    ("files", "delete"): (ALWAYS, ""),
    ("files", "move"): (ALWAYS, ""),
    ("files", "rescan"): (ALWAYS, ""),
    ("files", "fetch"): (ALWAYS, ""),
    ("queue", "add"): (ALWAYS, ""),
    ("queue", "remove"): (ALWAYS, ""),
    ("queue", "move"): (ALWAYS, ""),
    ("queue", "clear"): (ALWAYS, ""),
    ("queue", "hold"): (ALWAYS, ""),
    ("queue", "release"): (dict.fromkeys(("printing", "paused"), "printing"), ""),
    ("link", "reconnect"): ({**NO_PRINT, "offline": ""}, ""),
    ("link", "disconnect"): ({**NO_PRINT, "offline": ""}, ""),
    ("link", "connect"): (ALWAYS, ""),
    ("link", "acknowledge"): (ALWAYS, ""),
    ("command", "command"): (CONNECTED, ""),
    ("command", "commands"): (CONNECTED, ""),
    ("command", "script"): (CONNECTED, ""),
    ("emergency", "emergency"): (ALWAYS, ""),
    ("request/job", "job"): (ALWAYS, ""),
    ("request/history", "history"): (ALWAYS, ""),
    ("request/state", "state"): (CONNECTED, ""),
    ("request/temperature", "temperature"): (ALWAYS, ""),
    ("request/tool", "tool"): (CONNECTED, ""),
    ("request/bed", "bed"): (CONNECTED, "bed"),
    ("request/chamber", "chamber"): (CONNECTED, "chamber"),
    ("request/sd", "sd"): (ALWAYS, ""),
    ("request/position", "position"): (CONNECTED, ""),
    ("request/error", "error"): (ALWAYS, ""),
    ("request/info", "info"): (ALWAYS, ""),
    ("request/health", "health"): (ALWAYS, ""),
    ("request/files", "files"): (ALWAYS, ""),
    ("request/file", "file"): (ALWAYS, ""),
    ("request/scripts", "scripts"): (ALWAYS, ""),
    ("request/ping", "ping"): (CONNECTED, ""),
    ("request/refresh", "refresh"): (ALWAYS, ""),
}
"""By topic and command: the error word by kind of state, and what it needs."""

STATES = {
    "offline": "offline",
    "connecting": "offline",
    "error": "offline",
    "operational": "operational",
    "starting": "printing",
    "printing": "printing",
    "pausing": "printing",
    "resuming": "printing",
    "cancelling": "printing",
    "finishing": "printing",
    "paused": "paused",
}
"""Every published state, by the kind that the matrix knows."""

KEYS = tuple((command.topic, command.name) for command in COMMANDS)


def refusal(
    key: Key, kind: str, *, bed: bool, chamber: bool, card: bool | None = True
) -> str:
    """Return the error word of a command in a kind of state, or ``""``."""
    states, needs = MATRIX[key]
    if kind == "offline" and states.get(kind):
        return states[kind]
    if needs == "bed" and not bed:
        return "no_heated_bed"
    if needs == "chamber" and not chamber:
        return "no_heated_chamber"
    return states.get(kind) or ("sd_not_ready" if needs == "card" and not card else "")
