"""The forms that slicers send, in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.upload.form import (
    MAX_FIELD,
    FileEnd,
    FileStart,
    FormEvent,
    FormField,
    FormParser,
)
from bridge.upload.messages import HttpError

CURL = "------------------------d74496d66958873e"
QT = "boundary_.oOo._NjMyMDQ0MjI1MjM="


def curl_form(*parts: tuple[str, bytes], boundary: str = CURL) -> bytes:
    """Return a form as libcurl writes it; a part is what follows its name."""
    body = b"".join(
        b"--" + boundary.encode() + b"\r\n"
        b"Content-Disposition: form-data; name="
        + name.encode()
        + b"\r\n\r\n"
        + value
        + b"\r\n"
        for name, value in parts
    )
    return body + b"--" + boundary.encode() + b"--\r\n"


PRUSA = curl_form(
    ('"print"', b"true"),
    ('"path"', b""),
    (
        '"file"; filename="cube.gcode"\r\nContent-Type: application/octet-stream',
        b"G28\n",
    ),
)


def parsed(body: bytes, size: int = 0, boundary: str = CURL) -> list[FormEvent]:
    """Return the events of a form that arrives in pieces of a size; bytes joined."""
    parser = FormParser(f"multipart/form-data; boundary={boundary}")
    events: list[FormEvent] = []
    step = size or len(body)
    for start in range(0, len(body), step):
        for event in parser.feed(body[start : start + step]):
            if isinstance(event, bytes) and events and isinstance(events[-1], bytes):
                events[-1] += event
            else:
                events.append(event)
    parser.close()
    return events


def test_what_prusaslicer_sends() -> None:
    assert parsed(PRUSA) == [
        FormField("print", "true"),
        FormField("path", ""),
        FileStart("cube.gcode"),
        b"G28\n",
        FileEnd(),
    ]


def test_what_cura_sends() -> None:
    """Qt quotes the boundary, and its plugin sends ``select``."""
    body = curl_form(
        ('"select"', b"true"),
        ('"print"', b"true"),
        ('"file"; filename="UM3_Würfel.gcode"', b";FLAVOR:Marlin\nG28\n"),
        boundary=QT,
    )
    events = parsed(body, boundary=f'"{QT}"')
    assert events[2:4] == [FileStart("UM3_Würfel.gcode"), b";FLAVOR:Marlin\nG28\n"]


@given(st.integers(1, 300), st.binary(max_size=200))
def test_the_pieces_make_no_difference(size: int, content: bytes) -> None:
    marks = (b"\r\n--" + CURL.encode())[:-1] + b"\r\n-"
    body = curl_form(
        ('"path"', b"a/b"), ('"file"; filename="a.gcode"', content + marks + content)
    )
    assert parsed(body, size) == [
        FormField("path", "a/b"),
        FileStart("a.gcode"),
        content + marks + content,
        FileEnd(),
    ]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('"file"; filename="W\\"u\\\\rfel.gcode"', "rfel.gcode"),
        ('"file"; filename="a %22b%22.gcode"', 'a "b".gcode'),
        ('"file"; filename="C:\\Users\\me\\cube.gcode"', "cube.gcode"),
        ('"file"; filename="../../etc/passwd"', "passwd"),
        ("\"file\"; filename*=UTF-8''W%C3%BCrfel.gcode", "Würfel.gcode"),
        ("file; filename=plain.gcode", "plain.gcode"),
        ('"file"; filename=""', ""),
    ],
)
def test_the_name_of_the_file(disposition: str, name: str) -> None:
    assert FileStart(name) in parsed(curl_form((disposition, b"G28")))


def test_the_end_may_follow_the_last_boundary_in_a_piece_of_its_own() -> None:
    parser = FormParser(f"multipart/form-data; boundary={CURL}")
    assert len([*parser.feed(PRUSA[:-2])]) == 5
    assert not [*parser.feed(b"\r\n")]
    parser.close()


FILE = ('"file"; filename="a.gcode"', b"G28")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (curl_form(FILE, FILE), 'the part "file" twice'),
        (curl_form(('"path"', b"a"), ('"path"', b"b"), FILE), 'the part "path" twice'),
        (curl_form(('"file"', b"G28")), "must have a filename"),
        (curl_form(('"other"; filename="a.gcode"', b"G28")), "must have a filename"),
        (curl_form(('"path"', b"a" * (MAX_FIELD + 1)), FILE), "too long"),
        (curl_form(('"path"', b"\xff"), FILE), "not text in UTF-8"),
        (curl_form(*((f'"p{n}"', b"") for n in range(17))), "damaged"),
        (curl_form(('"print"', b"true")), "no part called file"),
        (PRUSA[:-6], "ends before its last boundary"),
        (PRUSA.replace(b"G28\n\r\n--", b"G28\n--"), "ends before its last boundary"),
        (b"x" * 20_000, "does not begin with its boundary"),
        (b"", "ends before its last boundary"),
        (curl_form(('"a"\r\nX: ' + "y" * 10_000, b"")), "damaged"),
        (curl_form(FILE).replace(b"form-data", b"attachment"), "damaged"),
    ],
)
def test_a_form_that_is_no_upload_is_refused(body: bytes, why: str) -> None:
    for size in (7, 4096):
        with pytest.raises(HttpError, match=why) as raised:
            parsed(body, size)
        assert raised.value.status == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("", 415),
        ("application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/mixed; boundary=a", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        (f"multipart/form-data; boundary={'b' * 71}", 400),
        ('multipart/form-data; boundary="a\nb"', 400),
    ],
)
def test_another_type_is_refused(kind: str, status: int) -> None:
    with pytest.raises(HttpError) as raised:
        FormParser(kind)
    assert raised.value.status == status
