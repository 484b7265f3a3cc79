"""Who may use the HTTP server."""

import pytest

from bridge.upload.access import Keys, host_allowed, sent_key

A, B, C = "a" * 32, "b" * 32, "c" * 16


def test_a_file_of_keys() -> None:
    text = f"\ufeff# all printers\n{A}\r\n\n  left: {B}\nright:{C}\n"
    keys = Keys.parse(text)
    assert keys.printers == {"left", "right"}
    allowed = {
        (key, printer)
        for key in (A, B, C)
        for printer in ("left", "right", None)
        if keys.allows(key, printer)
    }
    assert allowed == {
        (A, "left"), (A, "right"), (A, None), (B, "left"), (C, "right"),
    }  # fmt: skip
    for wrong in ("", A[:-1], f"{A}a", A.upper(), "ä" * 32, "\ud800"):
        assert not keys.allows(wrong, "left")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no key"),
        ("# nothing\n", "no key"),
        (f"{A}\nshort\n", "line 2 has a key of fewer than 16"),
        (f"{'ä' * 32}", "line 1 is not a key in printable ASCII"),
        (f"left:\n{A}", "line 1 is not a key"),
        (f"{A} {B}", "line 1 is not a key"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        Keys.parse(text)
    assert A not in str(raised.value)


def test_where_the_key_is() -> None:
    assert sent_key(A, "") == A
    assert sent_key("", f"Bearer {B}") == sent_key("", f"bearer  {B} ") == B
    assert sent_key(A, f"Bearer {B}") == A
    assert sent_key("", f"Basic {B}") == sent_key("", "") == ""


@pytest.mark.parametrize(
    "host",
    [
        "", "pi", "pi:5000", "localhost:5000", "192.168.1.5:5000", "[::1]:5000",
        "[fe80::1%eth0]", "octopi.local:5000", "Pi.LAN.", "pi.home.arpa", "127.0.0.1",
        "print.example.org:443",
    ],
)  # fmt: skip
def test_a_host_that_may_be_asked(host: str) -> None:
    assert host_allowed(host, ["Print.example.org"])


@pytest.mark.parametrize(
    "host",
    ["evil.example.org", "pi.fritz.box:5000", "local.example", "1.2.3.4.evil.com"],
)
def test_a_host_that_may_have_been_rebound(host: str) -> None:
    assert not host_allowed(host, ["print.example.org"])
