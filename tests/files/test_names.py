"""Names of files: cleaned, refused, and the same for all disks."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.files import names
from bridge.files.stored import FileError


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("cube.gcode", "cube.gcode"),
        ("/parts//cube.gcode", "parts/cube.gcode"),
        ("parts\\cube.gcode", "parts/cube.gcode"),
        ("C:\\Users\\me\\cube.gcode", "C_/Users/me/cube.gcode"),
        ("  a   b\u00a0.gcode ", "a b .gcode"),
        ("W\u0075\u0308rfel.gcode", "W\u00fcrfel.gcode"),
        ("立方体.gcode", "立方体.gcode"),
        ("🐙.gcode", "🐙.gcode"),
        ('a<b>c:d"e|f?g*h.gcode', "a_b_c_d_e_f_g_h.gcode"),
        ("NUL.gcode", "_NUL.gcode"),
        ("con", "_con"),
        ("COM1.x.gcode", "_COM1.x.gcode"),
        ("lpt³.g", "_lpt³.g"),
        ("console.gcode", "console.gcode"),
        ("cube.gcode. .", "cube.gcode"),
        ("up\u202egpj.gcode", "upgpj.gcode"),
        ("zero\u200bwidth.gcode", "zerowidth.gcode"),
        ("tab\u2028line.gcode", "tab line.gcode"),
        ("-rf.gcode", "-rf.gcode"),
        ("%2e%2e/x.gcode", "%2e%2e/x.gcode"),
        ("x" * 194 + ".gcode", "x" * 194 + ".gcode"),
        ("a/b/c/d/e/f/g/h.gcode", "a/b/c/d/e/f/g/h.gcode"),
    ],
)
def test_a_name_is_cleaned(given: str, clean: str) -> None:
    assert names.clean(given) == clean
    assert names.clean(clean) == clean


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "is empty"),
        (" / ", "is empty"),
        ("..", "another folder"),
        ("../x.gcode", "another folder"),
        ("a/../x.gcode", "another folder"),
        ("a\\..\\x.gcode", "another folder"),
        ("a/ .. /x.gcode", "another folder"),
        ("./x.gcode", "another folder"),
        (".x.gcode", "begins with a dot"),
        (" .x.gcode", "begins with a dot"),
        ("\u200b.x.gcode", "begins with a dot"),
        ("...", "begins with a dot"),
        ("a\0.gcode", "control characters"),
        ("a\n.gcode", "control characters"),
        ("a\udc80.gcode", "not UTF-8"),
        ("x" * 201, "200 bytes"),
        ("ü" * 101, "200 bytes"),
        ("a/" * 8 + "b", "8 parts"),
    ],
)
def test_a_name_is_refused(given: str, why: str) -> None:
    with pytest.raises(FileError, match=why) as caught:
        names.clean(given)
    assert (caught.value.error, caught.value.code) == ("invalid_name", 400)
    assert len(caught.value.message) < 200


@given(st.text(max_size=30))
def test_cleaning_twice_changes_nothing_and_stays_in_the_folder(text: str) -> None:
    try:
        clean = names.clean(text)
    except FileError:
        return
    assert names.clean(clean) == clean
    for part in clean.split("/"):
        assert part == part.strip()
        assert not part.startswith(".")
        assert not part.endswith(".")
        kinds = {unicodedata.category(sign) for sign in part}
        assert kinds.isdisjoint({"Cc", "Cf", "Cs"})
    assert not set(clean) & set('<>:"|?*\\\0')


def test_names_that_are_one_on_some_disks() -> None:
    assert names.same("Parts/Würfel.GCODE") == names.same("parts/wÜRFEL.gcode")
    assert names.same("straße.g") == names.same("STRASSE.g")
    assert names.same("a.gcode") != names.same("b.gcode")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.bgcode", "Supports binary G-code"),
        ("A.BGCODE", "Use binary G-code"),
        ("a.gcode.3mf", "Export G-code"),
        ("a.3mf", "a model"),
        ("a.STL", "a model"),
        ("a.ufp", "package"),
        ("a.txt", "must end in .gcode, .gco or .g"),
        ("gcode", "must end in"),
        ("a.gcode/b", "must end in"),
    ],
)
def test_other_files_are_refused_with_what_to_do(name: str, why: str) -> None:
    with pytest.raises(FileError, match=why) as caught:
        names.check_type(name)
    assert (caught.value.error, caught.value.code) == ("unsupported_type", 415)


def test_the_names_of_gcode() -> None:
    for name in ("a.gcode", "b/A.GCODE", "a.gco", "a.G"):
        names.check_type(name)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"GCDE\1\0\0\0", "Supports binary G-code"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        ("G28".encode("utf-16"), "UTF-16"),
        (b"\xfe\xff\0G", "UTF-16"),
        (b"solid\0", "binary"),
    ],
)
def test_the_content_counts_whatever_the_name_says(head: bytes, why: str) -> None:
    with pytest.raises(FileError, match=why):
        names.check_beginning("a.gcode", head)
    names.check_beginning("a.gcode", b"\xef\xbb\xbf; caf\xe9\nG28\n")
