"""A line of G-code, parsed into a value and rendered from it."""

import pytest

from bridge.gcode import line as lines
from bridge.gcode.codes import SYNTAXES, Argument, lookup, tables
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.heating import HeaterTarget, targets
from bridge.gcode.line import LineError, parse


@pytest.mark.parametrize(
    ("family", "given", "sent"),
    [
        ("marlin", "G28", "G28"),
        ("marlin", " g28 x ; home", "G28 X"),
        ("reprapfirmware", 'M98 P"a" ; b "c"', 'M98 P"a"'),
        ("marlin", "g1x10.50y-5  F3000", "G1 X10.50 Y-5 F3000"),
        ("marlin", "G1 X+.5 Y-.5 Z3. E-0 F007", "G1 X0.5 Y-0.5 Z3 E0 F7"),
        ("marlin", "g28 x y", "G28 X Y"),
        ("marlin", "M104 S 210", "M104 S210"),
        ("marlin", "m0104.0 s1", "M104 S1"),
        ("marlin", "m104.01 s1", "M104.1 S1"),
        ("klipper", "M117.0 a", "M117 a"),
        ("marlin", "G38.2 z-5", "G38.2 Z-5"),
        ("marlin", "t01", "T1"),
        ("prusa", "tX", "Tx"),
        ("marlin", "T?", "T?"),
        ("reprapfirmware", "T-1", "T-1"),
        ("marlin", 'M486 A"a part"', 'M486 A"a part"'),
        ("prusa", 'M486 A"A Part"', 'M486 A"a part"'),
        ("prusa", 'M862.3 P "MK3S"', 'M862.3 P"MK3S"'),
        ("reprapfirmware", 'M98 P"a ""b"".g"', 'M98 P"a ""b"".g"'),
        ("reprapfirmware", "M587 S\"it''s\"", "M587 S\"it''s\""),
        ("reprapfirmware", "M906 X800 E800:850", "M906 X800 E800:850"),
        ("reprapfirmware", "M23 model.g", 'M23 "model.g"'),
        ("reprapfirmware", 'M23 "a model.g"', 'M23 "a model.g"'),
        ("reprapfirmware", 'M117 "G28"', 'M117 "G28"'),
        ("reprapfirmware", "M36", "M36"),
        ("marlin", "M23 MODEL.GCO ; comment", "M23 MODEL.GCO"),
        ("marlin1", "M23 MODEL.GCO", "M23 model.gco"),
        ("marlin", "M0 s5 P1 Click G28", "M0 S5 P1 Click G28"),
        ("marlin", "M0 Please look at Me", "M0 Please look at Me"),
        ("marlin", "m1 Insert the Nut", "M1 Insert the Nut"),
        ("marlin", "M117 Printing Layer 5", "M117 Printing Layer 5"),
        ("marlin", "M118 E1 Hello World", "M118 E1 Hello World"),
        ("klipper", "M117 Please look at Me", "M117 Please look at Me"),
        ("reprapfirmware", "M117 Please look", 'M117 "Please look"'),
        ("prusa", "M0 Please look at Me", "M0 please look at me"),
        ("klipper", "set_pin pin=led value=.5", "SET_PIN PIN=led VALUE=.5"),
        ("klipper", 'RESPOND MSG="a b" ; x', 'RESPOND MSG="a b"'),
        ("klipper", "MY_MACRO_2 A=1", "MY_MACRO_2 A=1"),
        (
            "klipper",
            "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=0200",
            "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=200",
        ),
    ],
)
def test_a_line_is_sent_in_canonical_form(family: str, given: str, sent: str) -> None:
    line = parse(given, family)
    assert str(line) == sent
    assert lines.render(line) == sent.encode()
    assert parse(sent, family) == line


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("marlin", "", 'has no G-code (column 1 of "")'),
        ("marlin", "; x", "has no G-code"),
        ("marlin", "N5 G28", "must not have line numbers"),
        ("marlin", "M110 N5", "must not have line numbers"),
        ("marlin", "m0110.1", "must not have line numbers"),
        ("marlin", "M110", "must not have line numbers"),
        ("marlin", "M110 S5", "must not have line numbers"),
        ("klipper", "N M104 S300", '(column 1 of "N M104 S300")'),
        ("marlin", "X10", "must begin with its code"),
        ("marlin", "@pause", "must begin with a letter"),
        ("marlin", "FOO", "only Klipper has commands with names"),
        ("klipper", "A1_B X=1", "a name with digits only at its end"),
        ("klipper", "Q5 X=1", "must begin with its code"),
        ("klipper", "N", "a name with digits only at its end"),
        ("klipper", "FOO 1", 'expected NAME=VALUE after FOO (column 5 of "FOO 1")'),
        ("klipper", "FOO A=1 a=2", "FOO must have each name once (column 9"),
        ("klipper", "FOO A=b;c", 'A must not contain ";"'),
        ("klipper", "FOO A=\u00fc", "A must not contain"),
        ("klipper", "PID_CALIBRATE HEATER=extruder TARGET=1e3", "must be a number"),
        ("marlin", "G1 X1 X2", "G1 must have each letter once (column 9 of"),
        ("marlin", "G1 X1 M104 S300", "must have only one code"),
        ("marlin", "M104 S2 00", "expected a letter with a decimal number (column 9"),
        ("marlin", "M104 S3e2", "3e2 is ambiguous: some firmwares read one number"),
        ("klipper", "M117.1 a", "M117.1 takes no text in some firmwares"),
        ("marlin1", "T0 T1", "must have only one code per line"),
        ("marlin1", "T0 S1 T1", "must have only one code per line"),
        ("marlin", "G28*33", 'must not contain "*"'),
        ("marlin", 'M42 P"a"', "P takes no text here"),
        ("reprapfirmware", 'G1 X"a"', "X takes no text here"),
        ("reprapfirmware", 'M104 S"300"', "S takes no text here"),
        ("reprapfirmware", 'M42 P"a"M104 S300', "must have only one code"),
        ("reprapfirmware", 'M98 P"a*b"', 'must not contain "*"'),
        ("reprapfirmware", 'M98 P"a', "P takes no text here"),
        ("reprapfirmware", 'M98 P"a" P1', "M98 must have each letter once"),
        ("reprapfirmware", "G1 E1:2", "expected a letter with a decimal number"),
        ("reprapfirmware", "M104 S200:300", "expected a letter with a decimal"),
        ("marlin", "M65640 S300", "M65640 is not a code of any firmware"),
        ("teacup", "M360 S300", "M360 would be read as another code"),
        ("marlin", "M1120", "some firmwares would read M112"),
        ("marlin", "T1.5", "a tool number is a whole number"),
        ("marlin", "G1 X" + "1" * 30, "a number has too many digits"),
        ("marlin", "M23 \u00fc", "printable ASCII"),
        ("marlin", "M23 a\tb", "printable ASCII"),
        ("marlin", "M23 a*b", 'must not contain "*"'),
        ("marlin", "M117 a\nM104 S300", "printable ASCII"),
        ("marlin", "M0 S1 S2", "M0 must have each letter once"),
        ("marlin", "M0 a\nb", "printable ASCII"),
    ],
)
def test_what_is_not_one_command_is_refused_with_the_place(
    family: str, given: str, message: str
) -> None:
    with pytest.raises(LineError) as caught:
        parse(given, family)
    assert message in str(caught.value)


def test_the_place_is_a_column() -> None:
    with pytest.raises(LineError) as caught:
        parse("G1 X1 ?", "marlin")
    assert caught.value.column == 7


@pytest.mark.parametrize(
    ("family", "given", "sent"),
    [
        ("marlin", "Gr\u00fc\u00dfe; 12:30 * \u20ac", "Gruesse, 12:30 x EUR"),
        ("marlin", "M110 N5", "m110 N5"),
        ("marlin", "caf\u00e9 \u4e2d\t!", "cafe ? !"),
        ("marlin1", "Done! G1 X150 F9000", "done! g1 x150 f9000"),
        ("prusa", "PRUSA ^ 1:2", "prusa ' 1.2"),
        ("smoothieware", "G28", "g28"),
        ("klipper", "G28 M104 S300", "G28 M104 S300"),
    ],
)
def test_texts_are_made_harmless(family: str, given: str, sent: str) -> None:
    line = parse(f"M117 {given}", family)
    assert (line.text, line.argument) == (f"M117 {sent}", sent)
    assert line.changed == (given if given != sent else "")


def test_klipper_gets_its_message_without_what_would_end_it() -> None:
    line = parse('RESPOND MSG="a;b"', "klipper")
    assert (line.text, line.changed) == ("RESPOND MSG=a,b", "a;b")


@pytest.mark.parametrize(
    ("family", "given", "expected"),
    [
        ("marlin", "M104 S200 T1", (HeaterTarget("tool", 1, 200.0, "S"),)),
        ("marlin", "M104 S", ()),
        ("marlin", "M140 S60", (HeaterTarget("bed", None, 60.0, "S"),)),
        ("marlin", "M303 S200", (HeaterTarget("tool", None, 200.0, "S"),)),
        ("marlin", "M303 E-1 S60", (HeaterTarget("bed", None, 60.0, "S"),)),
        ("marlin", "M303 E1 S60", (HeaterTarget("tool", 1, 60.0, "S"),)),
        ("repetier", "M303 P1 S245", (HeaterTarget("any", None, 245.0, "S"),)),
        ("teacup", "M104 P1 S245", (HeaterTarget("any", None, 245.0, "S"),)),
        ("teacup", "M104 S245", (HeaterTarget("tool", None, 245.0, "S"),)),
        ("unknown", "M303 P1 S245", (HeaterTarget("any", None, 245.0, "S"),)),
        (
            "reprapfirmware",
            "M568 P1 S200:210",
            (HeaterTarget("tool", 1, 200.0, "S"), HeaterTarget("tool", 1, 210.0, "S")),
        ),
        (
            "marlin",
            "M145 H200 B60",
            (
                HeaterTarget("tool", None, 200.0, "H"),
                HeaterTarget("bed", None, 60.0, "B"),
            ),
        ),
        (
            "klipper",
            "SET_HEATER_TEMPERATURE HEATER=extruder1 TARGET=9",
            (HeaterTarget("tool", 1, 9.0, "TARGET"),),
        ),
        (
            "klipper",
            "SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=9",
            (HeaterTarget("bed", None, 9.0, "TARGET"),),
        ),
        (
            "klipper",
            "SET_HEATER_TEMPERATURE HEATER=dryer TARGET=9",
            (HeaterTarget("any", None, 9.0, "TARGET"),),
        ),
        ("marlin", "G28", ()),
    ],
)
def test_targets(family: str, given: str, expected: tuple[HeaterTarget, ...]) -> None:
    assert targets(parse(given, family)) == expected


def test_what_was_sent_is_read_whatever_it_is() -> None:
    assert lines.read("M104 S5").number("S") == 5.0
    assert lines.read("g1 ? 5").code == "G1"
    assert lines.read("").code == ""
    assert lines.code_of("M104 S5") == "M104"


def test_lines_are_values() -> None:
    assert {parse("g28", "marlin"), parse("G28", "marlin")} == {parse("G28", "marlin")}
    assert parse("M4242", "marlin").is_known is False
    assert parse("M104.1 S5", "marlin").row is parse("M104", "marlin").row
    assert parse("G1 X5 Y", "marlin").values == {"X": 5.0, "Y": None}


def test_only_so_many_lines_are_kept() -> None:
    for number in range(5000):
        assert parse(f"G1 X{number}", "marlin").number("X") == number
    assert parse("G1 X1", "marlin").text == "G1 X1"


def test_each_family_has_a_table() -> None:
    assert set(tables()) == set(SYNTAXES) == set(DIALECTS)
    for family, table in tables().items():
        assert table["M112"].emergency
        assert lookup("T12", family) is table["T"]
        assert lookup("M104.7", family) is table["M104"]
        assert lookup("M4242", family) is None
        for name, row in table.items():
            assert row.name == name
            assert row.does
            is_name = len(name) > 2 and name.replace("_", "").isalpha()
            assert (row.argument is Argument.NAMES) == is_name


def test_equal_lines_are_one_value() -> None:
    one, same, other = (parse(text, "marlin") for text in ("g1x5", "G1 X5", "G1 X6"))
    assert one == same
    assert not one != same  # noqa: SIM202 - a tuple has its own !=
    assert len({one, same, other}) == 2
    assert one != other
    assert one != "G1 X5"
    assert one.parameters == same.parameters == (("X", "5"),)


def test_slicers_leave_out_a_zero() -> None:
    """The short way for most lines of a print gives what the long way gives."""
    for text, sent in (
        ("G1 X.5 E-.04", "G1 X0.5 E-0.04"),
        ("G1 E-0.8 F2100", "G1 E-0.8 F2100"),
        ("G1 X-.0", "G1 X0.0"),
        ("G1 X-0.0", "G1 X0.0"),
        ("G1 X-0", "G1 X0"),
        ("G1 X-0 Y1", "G1 X0 Y1"),
    ):
        assert parse(text, "marlin").text == sent
        assert parse(text, "marlin") == parse(text.lower(), "marlin")
    for wrong in ("G1 X.", "G1 .5", "G1 X..5", "G1 X1.5.5"):
        with pytest.raises(LineError):
            parse(wrong, "marlin")
