"""The objects of a file, by the words of slicers and firmwares."""

import pytest

from bridge.gcode.line import read
from bridge.printer.printing.objects import MOST, Objects


@pytest.mark.parametrize(
    ("begin", "end", "name"),
    [
        ("; printing object a.stl id:0 copy 0", "; stop printing object a.stl", None),
        (
            "; start printing object, unique label id: 15",
            "; stop printing object, unique label id: 15",
            "15",
        ),
        (";MESH:cube.stl", ";MESH:NONMESH", "cube.stl"),
    ],
)
def test_comments_begin_and_end_an_object(
    begin: str, end: str, name: str | None
) -> None:
    objects = Objects()
    assert objects.comment(begin)
    assert objects.current == (name or "a.stl id:0 copy 0")
    assert objects.names == (objects.current,)
    assert not objects.comment("; something else")
    assert objects.comment(end)
    assert objects.current == ""


def test_names_are_found_in_either_case_and_excluded_once() -> None:
    objects = Objects(["Cube.stl"])
    assert objects.find(" cube.STL ") == "Cube.stl"
    assert objects.find("ball") is None
    objects.comment(";MESH:cube.stl")
    assert not objects.left_out
    objects.exclude("Cube.stl")
    objects.exclude("Cube.stl")
    assert objects.left_out
    assert objects.excluded == ("Cube.stl",)


def test_numbers_have_names_as_soon_as_the_file_says_them() -> None:
    objects = Objects()
    for line in ("M486 T2", "M486 S1"):
        objects.code(read(line, "marlin"))
    assert objects.current == "object 1"
    objects.code(read('M486 A"nut"', "marlin"))
    assert (objects.current, objects.names) == ("nut", ("nut",))
    objects.code(read("M486 S-1", "marlin"))
    assert objects.current == ""
    objects.code(read("M486 S1", "marlin"))
    assert objects.current == "nut"
    assert not objects.comment("; printing object nut"), "the codes count"


def test_klippers_names() -> None:
    objects = Objects()
    objects.code(read("EXCLUDE_OBJECT_DEFINE NAME=a CENTER=1,1", "klipper"))
    assert (objects.names, objects.current) == (("a",), "")
    objects.code(read("EXCLUDE_OBJECT_START NAME=a", "klipper"))
    assert objects.current == "a"
    objects.code(read("EXCLUDE_OBJECT_END", "klipper"))
    assert objects.current == ""
    objects.code(read("G28", "klipper"))


def test_what_has_no_name_cannot_be_excluded_and_names_are_limited() -> None:
    """ "" means that no object is printed: excluding it would leave everything out."""
    objects = Objects(["", " a "])
    objects.code(read("EXCLUDE_OBJECT_START", "klipper"))
    assert (objects.names, objects.find(""), objects.current) == (("a",), None, "")
    objects = Objects(["a"])
    for number in range(2 * MOST):
        objects.comment(f";MESH:part {number}")
    assert len(objects.names) == MOST
    assert objects.current == f"part {2 * MOST - 1}", "it is printed nevertheless"
    objects.comment(";MESH:A")
    assert objects.current == "a"
