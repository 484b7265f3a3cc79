"""From a command to the lines that may be sent now."""

from dataclasses import replace

import pytest

from bridge.commands import Context, Program, parse
from bridge.commands.head import Jog
from bridge.commands.heaters import OwnTargets
from bridge.commands.scripts import Scripts
from bridge.config import PrinterConfig, Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import KLIPPER, MARLIN, MARLIN1, REPRAPFIRMWARE, Dialect
from bridge.gcode.modal import Modal
from bridge.printer.control import planning
from bridge.printer.control.planning import Plan
from bridge.printer.knowledge.history import History
from bridge.printer.knowledge.observer import Observer
from bridge.printer.limits.safety import SafetyRules
from bridge.printer.limits.travel import InitialState
from bridge.printer.link.wire_log import WireLog
from tests.support.knowing import Knowing, plan

TWO_TOOLS = PrinterConfig(profile=Profile(extruders=2))


def planned(
    topic: str,
    payload: bytes,
    *,
    config: PrinterConfig = TWO_TOOLS,
    scripts: Scripts | None = None,
    known: Knowing | None = None,
) -> Plan:
    known = known or Knowing(profile=config.profile)
    context = planning.context_of(known.state, config, MARLIN, scripts)
    situation = planning.situation_of(known.state, config.profile)
    start = InitialState(profile=config.profile)
    rules = SafetyRules(start=start, blocked=config.blocked)
    return plan(parse(topic, payload).command, context, situation, rules)


def offline() -> Knowing:
    known = Knowing(profile=TWO_TOOLS.profile)
    known.state = replace(known.state, link="offline")
    return known


def error_of(topic: str, payload: bytes, known: Knowing) -> str:
    with pytest.raises(RejectedError) as caught:
        planned(topic, payload, known=known)
    return caught.value.error


def test_the_lines_of_a_command() -> None:
    plan = planned("head", b'{"command": "jog", "x": 5, "absolute": true}')
    assert plan.program.gcode == ("G90", "G0 X5 F6000")
    assert plan.places[-1].position == {"x": 5.0}


def test_what_is_wrong_for_ever_is_told_before_what_is_wrong_now() -> None:
    known = offline()
    assert error_of("tool", b'{"command": "select", "tool": "tool9"}', known) == (
        "no_such_tool"
    )
    assert error_of("command", b'{"command": "M500"}', known) == "blocked"
    assert error_of("command", b'{"command": "M104 S999"}', known) == "out_of_limits"
    assert error_of("command", b'{"command": "M104 S9"}', known) == "not_operational"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("emergency", b""), ("command", b'{"commands": ["M500", "M112"]}')],
)
def test_nothing_holds_up_an_emergency(topic: str, payload: bytes) -> None:
    plan = planned(topic, payload, known=offline())
    assert plan.program.emergency
    assert plan.program.gcode == ("M112",)


@pytest.mark.parametrize("dialect", [MARLIN, KLIPPER])
def test_a_line_must_fit_with_its_number(dialect: Dialect) -> None:
    """Also where none is sent: the greeting may still find out who it is."""
    known = Knowing()
    context = planning.context_of(known.state, PrinterConfig(), dialect, None)
    situation = planning.situation_of(known.state, Profile())
    long = parse("command", b'{"command": "M117 ' + b"x" * 85 + b'"}').command
    with pytest.raises(RejectedError, match="shorter than 96 bytes") as caught:
        plan(long, context, situation, SafetyRules())
    assert caught.value.error == "invalid_payload"


class Untidy(Jog):
    """A command whose lines are not in canonical form."""

    def program(self, _context: Context, /) -> Program:
        """Return a line as a person writes it."""
        return Program(("g1x5",), restore=("g90",))


def test_what_is_sent_is_what_was_checked() -> None:
    situation = planning.situation_of(Knowing().state, Profile())
    rules = SafetyRules()
    program = plan(Untidy(x=1), Context(), situation, rules).program
    assert (program.lines, program.restore) == (("G1 X5",), ("G90",))


# Tool changes


def test_scripts_around_a_tool_change() -> None:
    scripts = Scripts(
        {
            "beforeToolChange": "M117 {{ tool.old }} to {{ tool.new }}",
            "afterToolChange": "M117 now {{ tool.new }}",
        }
    )
    plan = planned("command", b'{"commands": ["T1", "M84", "T0"]}', scripts=scripts)
    assert plan.program.lines == (
        "M117 0 to 1",
        "T1",
        "M117 now 1",
        "M84",
        "M117 1 to 0",
        "T0",
        "M117 now 0",
    )


def test_a_script_around_a_tool_change_has_its_warnings_in_the_response() -> None:
    scripts = Scripts({"afterToolChange": "M117 heiß\nM6543"})
    payload = b'{"command": "select", "tool": "tool1"}'
    assert planned("tool", payload, scripts=scripts).program.warnings == (
        'the text was sent as "heiss"',
        "M6543 is not in the table of codes of marlin, so no limit covers it",
    )


def test_a_stop_in_a_script_around_a_tool_change_is_sent_alone() -> None:
    payload = b'{"command": "select", "tool": "tool1"}'
    program = planned("tool", payload, scripts=Scripts({"afterToolChange": "M112"}))
    assert (program.program.lines, program.program.emergency) == (("M112",), True)


def test_tools_that_share_a_hotend_get_one_target() -> None:
    context = Context(profile=Profile(extruders=2, shared_nozzle=True))
    targets = {"tool0": 200.0, "tool1": 200.0}
    assert OwnTargets(targets=targets).program(context).lines == ("M104 S200",)


def test_the_stop_knows_that_it_is_one() -> None:
    assert parse("emergency", b"").command.stops


def test_a_question_without_a_dialog_holds_up_what_the_printer_says() -> None:
    state = replace(Knowing().state, waiting=True, prompt=None)
    question = planning.question_of(state, MARLIN)
    assert question is not None
    assert question.blocks


@pytest.mark.parametrize("name", ["beforeToolChange", "afterToolChange"])
def test_one_of_the_two(name: str) -> None:
    plan = planned(
        "tool",
        b'{"command": "select", "tool": "tool1"}',
        scripts=Scripts({name: "M117 x"}),
    )
    assert sorted(plan.program.lines) == ["M117 x", "T1"]


def test_a_script_around_a_tool_change_is_checked_too() -> None:
    with pytest.raises(RejectedError) as caught:
        planned(
            "tool",
            b'{"command": "select", "tool": "tool1"}',
            scripts=Scripts({"afterToolChange": "M104 S999"}),
        )
    assert caught.value.error == "out_of_limits"


def test_other_scripts_do_not_matter() -> None:
    plan = planned(
        "tool",
        b'{"command": "select", "tool": "tool1"}',
        scripts=Scripts({"other": "M117 x"}),
    )
    assert plan.program.lines == ("T1",)


# What a command may know


def test_capabilities_are_those_told_and_those_of_the_family() -> None:
    known = Knowing()
    state = replace(
        known.state, capabilities={"AUTOREPORT_TEMP": True, "EEPROM": False}
    )
    assert "AUTOREPORT_TEMP" in planning.capabilities_of(state, MARLIN)
    assert "EEPROM" not in planning.capabilities_of(state, MARLIN)
    for dialect in (MARLIN1, REPRAPFIRMWARE):
        assert dialect.capabilities <= planning.capabilities_of(state, dialect)


def test_octoprints_variables() -> None:
    known = Knowing(profile=TWO_TOOLS.profile)
    known.says("ok T0:20.5 /0.0 T1:21.0 /0.0 B:50.0 /60.0", "X:1.0 Y:2.0 Z:3.0 E:4.0")
    known.sends("M106 S255", "G1 F1200", "M83", "T1")
    told = planning.variables_of(known.state)
    assert told["last_position"] == {
        "x": 1.0,
        "y": 2.0,
        "z": 3.0,
        "e": 4.0,
        "f": 1200.0,
        "t": 1,
    }
    assert told["last_temperature"] == {
        0: {"actual": 20.5, "target": 0.0},
        1: {"actual": 21.0, "target": 0.0},
        "b": {"actual": 50.0, "target": 60.0},
    }
    assert told["relative_extruder_requested"] is True
    assert told["relative_axes_requested"] is False
    assert told["last_fanspeed"] == 100.0


def test_variables_of_a_printer_nobody_knows() -> None:
    told = planning.variables_of(offline().state)
    assert told["last_position"] == {
        "x": None,
        "y": None,
        "z": None,
        "e": None,
        "f": None,
        "t": 0,
    }


def test_the_situation_follows_the_state() -> None:
    known = Knowing()
    idle = planning.situation_of(known.state, Profile())
    assert (idle.operational, idle.printing, idle.paused) == (True, False, False)
    known.says("File opened: a.gco Size: 100", "File selected")
    known.sends("M24")
    known.says("SD printing byte 10/100")
    busy = planning.situation_of(known.state, Profile())
    assert (busy.operational, busy.printing) == (True, True)
    away = planning.situation_of(offline().state, Profile())
    assert not away.operational


def test_a_context_has_what_the_state_has() -> None:
    known = Knowing()
    known.says("FIRMWARE_NAME:Marlin 2.1", "Cap:EXTENDED_M20:1")
    known.sends("G91")
    context = planning.context_of(known.state, TWO_TOOLS, MARLIN, None)
    assert context.modal == Modal(relative=True, relative_e=True)
    assert "EXTENDED_M20" in context.capabilities


def test_a_script_that_cannot_be_rendered_is_not_run_in_a_print() -> None:
    observer = Observer(
        TWO_TOOLS,
        history=History(1.0),
        wire=WireLog(),
        clock=lambda: 0.0,
        on_change=lambda: None,
        on_event=lambda _: None,
    )
    scripts = Scripts(
        {"light": "M117 x", "broken": "{{ 1 // 0 }}"}, offered=["light", "broken"]
    )
    planner = planning.Planner(observer, TWO_TOOLS, scripts)
    assert planner.disturbing_scripts() == {"light": False, "broken": True}
