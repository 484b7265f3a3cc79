"""What lines have done so far: modes, place, layers, filament, temperatures."""

from math import isnan

import pytest

from bridge.gcode.dialects import DIALECTS, KLIPPER, MARLIN, REPETIER, Dialect
from bridge.gcode.line import of_file
from bridge.printer.printing.tracker import HeadPosition, Tracker


def after(
    *texts: str, dialect: Dialect = MARLIN, start: HeadPosition | None = None
) -> Tracker:
    tracker = Tracker(dialect, start or HeadPosition())
    for text in texts:
        if text.startswith(";"):
            tracker.comment(text)
        else:
            line = of_file(text, dialect.name)
            assert line is not None
            tracker.apply(line)
    return tracker


def test_moves_add_up_in_both_modes() -> None:
    place = after("G28", "G90", "M82", "G1 X10 Y20 Z0.3 E5 F1200", "G1 X11").place
    assert (place.x, place.y, place.z, place.e) == (11, 20, 0.3, 5)
    assert (place.feedrate, place.relative, place.relative_e) == (1200, False, False)
    place = after("G1 X10 Y20 Z1", "G91", "G1 X-3 Z0.5 E2", "G1 E1").place
    assert (place.x, place.y, place.z, place.e) == (7, 20, 1.5, 3)
    assert place.relative
    assert place.relative_e


def test_where_g90_is_not_for_the_extruder_its_mode_stays() -> None:
    own = next(one for one in DIALECTS.values() if not one.g90_sets_extruder)
    place = after("M83", "G91", "G90", dialect=own).place
    assert (place.relative, place.relative_e) == (False, True)


def test_a_relative_move_from_nowhere_leads_nowhere() -> None:
    place = after("G91", "G1 X5").place
    assert (place.x, place.y) == (None, None)


@pytest.mark.parametrize(
    ("dialect", "mode"), [(MARLIN, "M82"), (KLIPPER, "M83"), (REPETIER, "M83")]
)
def test_the_extruders_mode_is_the_firmwares(dialect: Dialect, mode: str) -> None:
    relative = after("M83", "G90", dialect=dialect).place.relative_e
    assert relative is (mode == "M83")
    assert not after("M83", "M82", dialect=dialect).place.relative_e


def test_homing_leads_where_only_the_printer_knows() -> None:
    place = after("G1 X10 Y20 Z3", "G28 X Y").place
    assert (place.x, place.y, place.z) == (None, None, 3)
    assert after("G1 X10 Y20 Z3", "G29").place.z is None
    assert after("G1 X10 Y20 Z3", "G10 L2 P1 Z9").place.z is None
    assert after("G1 X10 Y20 Z3", "G10", "G11").place.z == 3, "a retraction"


def test_g92_shifts_until_it_is_homed() -> None:
    place = after("G1 X10 Z3", "G92 X0 E7").place
    assert (place.x, place.z, place.e) == (0, 3, 7)
    assert place.shifts == {"x": 10}
    assert after("G1 X10", "G92 X0", "G28 X").place.shifts == {}
    kept = after("G1 X10", "G92 X0", "G28 X", dialect=REPETIER).place.shifts
    assert kept == {"x": 10}
    everything = after("G1 X1 Y2 Z3 E4", "G92").place
    assert (everything.x, everything.e) == (0, 0)
    assert everything.shifts == {"x": 1, "y": 2, "z": 3}
    assert isnan(after("G28", "G92 Z5").place.shifts["z"])


def test_tool_fan_and_targets_are_known() -> None:
    tracker = after("T1", "M104 S200", "M109 T0 S210", "M190 S60", "M106 S128")
    assert tracker.targets == {"tool1": 200, "tool0": 210, "bed": 60}
    assert (tracker.place.tool, tracker.place.fan) == (1, 128)
    assert after("M106").place.fan == 255
    assert after("M106 S9", "M107").place.fan == 0
    assert after("M106 P1 S9", "M107 P1").place.fan is None
    named = after("SET_HEATER_TEMPERATURE HEATER=dryer TARGET=50", dialect=KLIPPER)
    assert named.targets == {}
    assert after("M220 S90", "Tx").place == HeadPosition()


def test_filament_is_what_was_used() -> None:
    tracker = after("M83", "G1 X1 E10", "G1 E-2", "G1 E2", "G1 X2 E3", "G1 E-1")
    assert tracker.filament == 13
    assert tracker.place.retracted == 1
    tracker.forget_filament(10)
    assert (tracker.filament, tracker.place.retracted) == (10, 1)


CURA = (";LAYER:0", "G1 X1 Y1 Z0.3 E1", ";LAYER:1", "G1 X2 Z0.6 E2", ";LAYER:2")
PRUSA = (";LAYER_CHANGE", ";Z:.2", "G1 Z.2", "G1 X1 E1", ";LAYER_CHANGE")
BAMBU = ("; CHANGE_LAYER", ";LAYER_CHANGE", "G1 X1 Z.2 E1", "; CHANGE_LAYER")
SIMPLIFY = ("; layer 1, Z = 0.300", "G1 X1 Z.3 E1", "; layer 2, Z = 0.6")
KISS = (
    "; BEGIN_LAYER_OBJECT z=0.30",
    "G1 X1 E1 Z.3",
    "; BEGIN_LAYER_OBJECT z=0.30",
    "; BEGIN_LAYER_OBJECT z=0.55",
)
NONE = ("G1 X1 Y1 Z0.3 E1", "G1 X2 E2", "G1 Z5", "G1 Z0.6", "G1 E1.5", "G1 X3 E3")


@pytest.mark.parametrize(
    ("lines", "layer"),
    [(CURA, 3), (PRUSA, 2), (BAMBU, 2), (SIMPLIFY, 2), (KISS, 2), (NONE, 2)],
)
def test_layers_are_counted_as_each_slicer_marks_them(
    lines: tuple[str, ...], layer: int
) -> None:
    assert after(*lines).layer == layer


def test_comments_that_lie_end_no_print() -> None:
    """What a file says at a layer is for people; its lines are printed anyway."""
    many = "9" * 400
    tracker = after(
        *(f"; BEGIN_LAYER_OBJECT z={z}" for z in ("", ".", "..", "x", f"{many}")),
        *(f";TIME_ELAPSED:{seconds}" for seconds in (many, "-1", "nan", "")),
        ";LAYER:",
        "; layer x,",
    )
    assert (tracker.layer, tracker.elapsed) == (0, None)
    assert after("; BEGIN_LAYER_OBJECT z=1.2.3").layer == 1
    assert after(f";LAYER:{many}", ";LAYER:-2").layer == 2


def test_a_line_that_primes_is_no_layer_where_layers_are_marked() -> None:
    tracker = after("G1 X1 Y200 Z0.3 E15", *CURA)
    assert (tracker.layer, tracker.marked) == (3, True)
    assert tracker.layer_z is None, "nothing of the third one was extruded"
    assert after(*CURA[:4]).layer_z == 0.6


def test_a_layer_begins_with_the_first_line_that_extrudes_higher() -> None:
    tracker = after("M83", "G1 X1 Y1 Z0.3 E1")
    for text, begins in (
        ("G1 X2 E1", False),
        ("G1 X2 Z0.6", False),
        ("G1 Z0.6 E1", False),
        ("G1 X2 Z0.6 E-1", False),
        ("G1 X2 Z0.6 E1", True),
        ("M117 G1 X2 Z0.6 E1", False),
    ):
        line = of_file(text, "marlin")
        assert line is not None
        assert tracker.begins_layer(line) is begins, text
    line = of_file("G1 X2 E1", "marlin")
    assert line is not None
    assert not after("M83").begins_layer(line), "its height is not known"


def test_it_knows_what_the_part_takes_up() -> None:
    tracker = after("M83", "G1 X5 Y5 E1", "G1 X9 Y1 E1", "G1 X2 Y8 E1", "G1 X0 Y0")
    assert tracker.box == [2, 9, 1, 8]
    assert after("M83", "G1 X5 E1").box is None
    start = ("M83", "G0 X30 Y30")
    # Its ends are one point; the nozzle would else be purged onto the part.
    assert after(*start, "G2 I-20 E9").box == [-10, 30, 10, 50]
    assert after(*start, "G3 X30 Y40 R5 E1").box == [20, 40, 20, 40]
    assert after(*start, "G2 X30 Y30 I-20").box is None, "nothing is extruded"
    assert after("M83", "G2 X30 Y30 I-20 E1").box == [30, 30, 30, 30], "from nowhere"
    assert after("M83", "G1 X5 Z1 E1", "G1 X5 Y1 Z.5 E1").layer == 1


def test_the_files_own_time_is_read() -> None:
    assert after(";TIME_ELAPSED:12.5", "G1 X1").elapsed == 12.5
    assert after("; something else").elapsed is None
