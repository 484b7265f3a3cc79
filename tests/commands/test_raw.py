"""Raw G-code: what is tidied, what is refused, what goes past the queue."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import commands
from bridge.commands import Context, Program
from bridge.commands.gcode_lines import clean
from bridge.errors import RejectedError
from bridge.gcode import framing
from bridge.gcode.dialects import KLIPPER, MARLIN, REPRAPFIRMWARE, UNKNOWN, Dialect

PARSER = Context(capabilities=frozenset({"EMERGENCY_PARSER"}))


def run(payload: dict[str, Any], context: Context | None = None) -> Program:
    request = commands.parse("command", json.dumps(payload).encode())
    return request.command.program(context or Context())


def refused(payload: dict[str, Any], context: Context | None = None) -> str:
    with pytest.raises(RejectedError) as caught:
        run(payload, context)
    assert (caught.value.code, caught.value.error) == (400, "invalid_payload")
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("g28", "G28"),
        ("  g1 x10.50y-5  F3000 ; fast ", "G1 X10.50 Y-5 F3000"),
        ("G1X10E5", "G1 X10 E5"),
        ("m104 s0x1F4", "M104 S0 X1 F4"),
        ("G1 X3e2", "G1 X3 E2"),
        ("M303 E-1 S60 C8", "M303 E-1 S60 C8"),
        ("M303S60 e0", "M303 S60 E0"),
        ("M117 S3e2", "M117 S3e2"),
        ("M104 S 210", "M104 S210"),
        ("g28 x y", "G28 X Y"),
        ("G38.2 z-5", "G38.2 Z-5"),
        ("t1", "T1"),
        ("T?", "T?"),
        ("tX", "Tx"),
        ("m117 Hello g28 World", "M117 Hello g28 World"),
        ("M117 x1", "M117 x1"),
        ("M117 a;b * c", "M117 a,b x c"),
        ("M117 Gr\u00fc\u00dfe", "M117 Gruesse"),
        ("m23 File~1.gco", "M23 File~1.gco"),
        ('m486 A"My g28"', 'M486 A"My g28"'),
        ("G92", "G92"),
        ("M92", "M92"),
        ("M149 C", "M149 C"),
        ("M42 P4 S255", "M42 P4 S255"),
    ],
)
def test_lines_are_tidied(text: str, line: str) -> None:
    assert run({"command": text}).lines == (line,)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("set_pin pin=led value=1", "SET_PIN PIN=led VALUE=1"),
        ("FIRMWARE_RESTART", "FIRMWARE_RESTART"),
        ("_PARK X=5", "_PARK X=5"),
        ('SET_DISPLAY_TEXT MSG="a b"', 'SET_DISPLAY_TEXT MSG="a b"'),
    ],
)
def test_names_are_tidied(text: str, line: str) -> None:
    assert run({"command": text}, Context(dialect=KLIPPER)).lines == (line,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("G1 X{global.x}", "expected a letter with a decimal number (column 5 of"),
        ("M98 P'macro g'", "expected a letter with a decimal number"),
        ("SET_PIN PIN=led", "only Klipper has commands with names"),
        ("L M104 S300", "expected a code such as G28"),
        ("M104 S200 S300", "M104 must have each letter once (column 15 of"),
        ("   ", "command: has no G-code"),
        ("; nothing", "command: has no G-code"),
        ("M23 \u00fc", "command: a line must be printable ASCII"),
        (
            "M104 S3e2",
            "command: 3e2 is ambiguous: some firmwares read one number",
        ),
        ("m109 r.5E+3", "command: .5E+3 is ambiguous: "),
        ("M303 S2E-1", "or put a blank before E"),
        ("N5 G28", "command: must not have line numbers"),
        ("n 5 G28", "command: must not have line numbers"),
        ("M110 N0", "command: must not have line numbers"),
        ("m0110", "command: must not have line numbers"),
        ("G28*33", 'command: must not contain "*"'),
        ("@pause", "command: must begin with a letter"),
        ("/M500", "command: must begin with a letter"),
        ("28", "command: must begin with a letter"),
        ("X10 F99999", "command: must begin with its code"),
        ("f 99999", "command: must begin with its code"),
        ("e-.5", "command: must begin with its code"),
        ("G1 X10 M500", "command: must have only one code per line"),
        ("G53 G1 X5", "command: must have only one code per line"),
        ("M117 " + "x" * 80, "command: a line must be shorter than 96 bytes"),
    ],
)
def test_lines_are_refused(text: str, message: str) -> None:
    assert message in refused({"command": text})


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("M118 start", "start"),
        ("m0118.0start", "start"),
        ("M118 P0 start", "start"),
        ('M118 P0 S"start"', "start"),
        ("M118 ok", "ok"),
        ("M118 OK then", "OK then"),
        ("M118 Resend: 7", "Resend: 7"),
        ("M118 wait", "wait"),
        ("M118 Error:Printer halted. kill() called!", "Error:Printer halted."),
        ("M118 Error:checksum mismatch", "Error:checksum mismatch"),
        ("M118 !! heads up", "!! heads up"),
        ("M118 A1 Klipper state: Shutdown", "//Klipper state: Shutdown"),
    ],
)
def test_no_echo_may_pass_for_the_printers_own_word(text: str, echo: str) -> None:
    message = refused({"command": text})
    assert f'command: must not make the printer print "{echo}' in message


@pytest.mark.parametrize(
    "text",
    [
        "M118 we start",
        "M118 starting",
        "M118 Start",
        "M118 okay",
        "M118 E1 start",
        "M118 A1 action:pause",
        "M118 P0 E1 ok",
        "M118",
        "M117 start",
    ],
)
def test_other_echoes_are_harmless(text: str) -> None:
    assert run({"command": text}).lines == (text,)


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("RESPOND PREFIX=ok MSG=x", "ok x"),
        ("respond msg=x prefix=OK", "OK x"),
        ('RESPOND PREFIX="" MSG=start', "start"),
        ('RESPOND TYPE=command PREFIX="Resend:" MSG=5', "Resend: 5"),
        ('RESPOND TYPE=Command MSG="Klipper state: Shutdown"', "// Klipper state"),
        ('RESPOND MSG="Klipper state: Shutdown"', "// Klipper state"),
        ("RESPOND MSG=wait", "wait"),
        ("RESPOND TYPE=none MSG=wait", "wait"),
    ],
)
def test_no_macro_may_say_the_printers_own_word(text: str, echo: str) -> None:
    message = refused({"command": text}, Context(dialect=KLIPPER))
    assert f'command: must not make the printer print "{echo}' in message


@pytest.mark.parametrize(
    "text",
    [
        "RESPOND MSG=x",
        'RESPOND MSG="ready to start"',
        "RESPOND TYPE=echo MSG=ok",
        "RESPOND TYPE=echo_no_space MSG=start",
        "RESPOND TYPE=error MSG=boom",
        "RESPOND TYPE=command MSG=action:pause",
        "RESPOND PREFIX=note MSG=ok",
        "RESPOND",
        "RESPONDER PREFIX=ok",
    ],
)
def test_what_a_macro_says_else_is_harmless(text: str) -> None:
    context = Context(dialect=KLIPPER)
    assert run({"command": text}, context).lines == (text,)


@pytest.mark.parametrize("dialect", [MARLIN, UNKNOWN])
def test_where_there_are_no_macros_none_says_anything(dialect: Dialect) -> None:
    message = refused({"command": "RESPOND MSG=x"}, Context(dialect=dialect))
    assert "only Klipper has commands with names" in message


@pytest.mark.parametrize("text", ['M118 S"ok"', 'M291 P"start"'])
def test_no_quoted_text_may_pass_for_the_printers_own_word(text: str) -> None:
    message = refused({"command": text}, Context(dialect=REPRAPFIRMWARE))
    assert "must not make the printer print" in message


@pytest.mark.parametrize(
    ("text", "context", "warnings"),
    [
        ("M117 caf\u00e9", Context(), ('the text was sent as "cafe"',)),
        (
            'RESPOND MSG="a;b"',
            Context(dialect=KLIPPER),
            ('the text was sent as "RESPOND MSG=a,b"',),
        ),
        (
            "M4242 S1",
            Context(),
            ("M4242 is not in the table of codes of marlin, so no limit covers it",),
        ),
        ("M4242 S1", Context(allowed=frozenset({"M4242"})), ()),
        ("G28", Context(), ()),
    ],
)
def test_the_sender_is_warned(
    text: str, context: Context, warnings: tuple[str, ...]
) -> None:
    assert run({"command": text}, context).warnings == warnings


def test_of_many_warnings_the_first_are_shown() -> None:
    codes = [f"M{number}" for number in range(4242, 4250)]
    warnings = run({"commands": [*codes, *codes]}).warnings
    assert len(warnings) == 4
    assert warnings[-1] == "and 5 more of this kind"


def test_an_operator_can_refuse_what_is_not_known() -> None:
    closed = Context(unknown_codes="refuse", allowed=frozenset({"M4243"}))
    with pytest.raises(RejectedError, match="M4242 is not in the table") as caught:
        run({"command": "M4242"}, closed)
    assert (caught.value.code, caught.value.error) == (400, "unknown_code")
    assert run({"command": "M4243 S1"}, closed).lines == ("M4243 S1",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("G20", "millimetres"),
        ("M149 F", "degrees Celsius"),
        ("M149 C F", "degrees Celsius"),
        ("M92 X8000", "how far every later move goes"),
        ("M211 S0", "axis limits"),
        ("M42 P4 I1 S255", "the pin of a heater"),
        ("M575 P1 B9600", "not even a stop"),
        ("M810 G1 X900", "runs later"),
    ],
)
def test_what_changes_later_numbers_is_refused_unless_it_is_allowed(
    text: str, reason: str
) -> None:
    with pytest.raises(RejectedError, match=reason) as caught:
        run({"command": text})
    assert (caught.value.code, caught.value.error) == (403, "blocked")
    allowed = Context(allowed=frozenset({text.split(maxsplit=1)[0]}))
    assert run({"command": text}, allowed).lines == (text,)


def test_a_script_has_no_such_echo_either() -> None:
    with pytest.raises(RejectedError, match="script greet: must not make the printer"):
        clean("M118 start", Context(), "script greet")


def test_a_list_names_the_line_that_is_wrong() -> None:
    assert refused({"commands": ["G28", "; x"]}).startswith("commands[1]: ")


def test_where_lines_have_no_numbers_more_fits() -> None:
    context = Context(dialect=KLIPPER)
    assert run({"command": "RESPOND MSG=a*b"}, context).lines == ("RESPOND MSG=axb",)
    run({"command": "M117 " + "x" * 85}, context)
    assert "shorter than 96" in refused({"command": "M117 " + "x" * 91}, context)


@pytest.mark.parametrize(
    "payload",
    [
        {"command": "M112"},
        {"command": "m0112 ; stop"},
        {"command": "M112 now *7"},
        {"command": "N5 M112*33"},
        {"commands": ["G28", "M112", "G29"]},
        {"command": "M%(n)s", "parameters": {"n": "112"}},
    ],
)
def test_an_emergency_stop_goes_alone(payload: dict[str, Any]) -> None:
    program = run(payload)
    assert program.emergency
    assert program.gcode == ("M112",)


def test_a_text_about_it_is_no_emergency_stop() -> None:
    assert not run({"command": "M117 M112"}).emergency


@pytest.mark.parametrize(
    ("lines", "context", "urgent"),
    [
        (["M108"], PARSER, True),
        (["M876 S0"], PARSER, True),
        (["M410", "M108"], PARSER, True),
        (["M108"], Context(), False),
        (["G28", "M108"], PARSER, False),
    ],
)
def test_urgent_lines(lines: list[str], context: Context, *, urgent: bool) -> None:
    program = run({"commands": lines}, context)
    assert (program.urgent, program.emergency) == (urgent, False)
    assert program.lines == tuple(lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("M104 S%(t)s", "M104 S205.5"),
        ("M104 S{t}", "M104 S205.5"),
        ("M104 S%(t)d", "M104 S205"),
        ("M104 S%(t)i", "M104 S205"),
        ("M104 S%(t).2f", "M104 S205.50"),
        ("M104 S{t:.0f}", "M104 S206"),
        ("M104 S{ t }", "M104 S205.5"),
        ("G1 X{tiny}", "G1 X0.00001"),
        ("G1 X{big}", "G1 X12345678901234567890"),
        ("M117 {name} %(name)s", "M117 bed bed"),
        ("M117 {name:5}|", "M117 bed|"),
        ("M117 %(name).2s", "M117 be"),
        ("M117 50% {{x}} 100%%", "M117 50% {x} 100%"),
        ("M117 %d", "M117 %d"),
    ],
)
def test_parameters(text: str, line: str) -> None:
    values = {"t": 205.5, "tiny": 1e-5, "big": 12345678901234567890, "name": "bed"}
    assert run({"command": text, "parameters": values}).lines == (line,)


def test_without_parameters_the_text_is_sent_untouched() -> None:
    assert run({"command": "M117 50% {x} %(y)s"}).lines == ("M117 50% {x} %(y)s",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("M104 S{u}", "command: the parameter u is missing (given: f, s, t, y)"),
        ("M104 S%(u)s", "command: the parameter u is missing"),
        ("M104 S{t.real}", '"t.real" is not a valid parameter name'),
        ("M104 S{t[0]}", '"t[0]" is not a valid parameter name'),
        ("M104 S%(t.real)s", '"t.real" is not a valid parameter name'),
        ("M104 S{}", '"" is not a valid parameter name'),
        ("M104 S{t", 'a single "{" is not a placeholder'),
        ("M104 St}", 'a single "}" is not a placeholder'),
        ("M104 S%(t", 'a single "%(" is not a placeholder'),
        ("M104 S{t:999999999}", "must end in s or, for a number, in d or f"),
        ("M104 S%(t)999999999d", "must end in s or, for a number, in d or f"),
        ("M104 S%(t)5", 'a single "%(" is not a placeholder'),
        ("M104 S%(t) X5", "must end in s or, for a number, in d or f"),
        ("M104 S{t!r}", '"t!r" is not a valid parameter name'),
        ("M104 S%(t)x", "must end in s or, for a number, in d or f"),
        ("M104 S%(t)e", "must end in s or, for a number, in d or f"),
        ("M104 S%(s)d", "must end in s or, for a number, in d or f"),
        ("M104 S{t:.2}", "must end in f"),
        ("M104 S{y}", "parameters.y: must be a text or a number"),
        ("M104 S{f}", "parameters.f: must be a text or a number"),
    ],
)
def test_bad_placeholders(text: str, message: str) -> None:
    parameters = {"t": 5, "s": "x", "y": True, "f": [1]}
    assert message in refused({"command": text, "parameters": parameters})


def test_parameters_cannot_bring_in_what_a_line_may_not_have() -> None:
    payload = {"command": "M117 {x}", "parameters": {"x": "a\nb"}}
    assert "must not contain line breaks" in refused(payload)
    payload = {"command": "{x}", "parameters": {"x": "N5 G28"}}
    assert "must not have line numbers" in refused(payload)


@given(st.text(max_size=120), st.sampled_from([MARLIN, KLIPPER]))
def test_a_clean_line_can_be_sent(text: str, dialect: Dialect) -> None:
    context = Context(dialect=dialect)
    try:
        line = clean(text, context, "here")
    except RejectedError:
        return
    assert clean(line.text, context, "here") == line
    framing.encode(line.text, 999_999_999 if dialect.numbered else None)
