"""Whatever a payload contains, reading it takes a bounded number of steps.

An emergency stop is looked for before each message is read, so it waits for one of them
at most, and that must not take long.
"""

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest

from bridge.commands import RequestError, origin_of, parse, stops_at_once
from tests.support.counting import counted_calls

LARGEST = 65_536
"""Bytes of a payload, as ``mqtt.max_payload`` is set by default."""

STEPS = 5
"""Calls for each byte of a payload, those of functions in C included."""


def filled(begin: bytes, unit: bytes, end: bytes = b"") -> bytes:
    """Return a payload of the largest size."""
    return begin + unit * ((LARGEST - len(begin) - len(end)) // len(unit)) + end


COMMAND = b'{"command":"'
PAYLOADS: Mapping[str, bytes] = {
    "opening brackets": filled(b"", b"["),
    "opening braces": filled(b"", b'{"a":'),
    "empty lists": filled(b'{"command":"jog","x":[', b"[],", b"1]}"),
    "quotation marks": filled(b"", b'"'),
    "backslashes": filled(b'"', b"\\", b'"'),
    "escaped quotation marks": filled(b'{"a":"', b'\\"', b'"}'),
    "texts that never end": filled(b"[", b'"\\'),
    "digits": filled(b'{"command":"jog","x":', b"9", b"}"),
    "decimals": filled(b'{"command":"jog","x":0.', b"9", b"}"),
    "an exponent": filled(b'{"command":"jog","x":1e', b"9", b"}"),
    "keys": b"{" + b",".join(b'"%d":0' % key for key in range(6000)) + b"}",
    "nested keys": json.dumps(
        {"command": "target", "targets": {"a" * n: 1 for n in range(300)}}
    ).encode(),
    "the same key": filled(b"{", b'"a":1,', b'"a":1}'),
    "spaces": filled(b"", b" "),
    "line breaks": filled(b"{", b"\n", b"}"),
    "commas": filled(b"{", b",", b"}"),
    "colons": filled(b"{", b": ", b"null}"),
    "templates": filled(b"", b"{{"),
    "Python's words": filled(b"{", b"True,"),
    "words": filled(b"", b"a_"),
    "upper case words": filled(b"", b"A_A"),
    "letters of a command": filled(COMMAND, b"cancel ", b'"}'),
    "a long name": filled(COMMAND, b"X", b'"}'),
    "commands in a name": filled(COMMAND, b"G1 ", b'"}'),
    "parameters": filled(COMMAND + b"SET_X ", b"A=1 ", b'"}'),
    "comments": filled(COMMAND, b"G1 X1 (a) ", b'"}'),
    "semicolons": filled(COMMAND + b"M117 ", b";", b'"}'),
    "stops": filled(COMMAND, b"M112 ", b'"}'),
    "escaped stops": filled(COMMAND, b"\\u004d112 ", b'"}'),
    "surrogates": filled(COMMAND, b"\\ud83d", b'"}'),
    "letters": filled(COMMAND, "é".encode(), b'"}'),
    "an id": filled(b'{"command":"home","id":"', b"i", b'"}'),
    "an id that is a list": filled(b'{"command":"home","id":[', b"1,", b"1]}"),
    "a time": filled(b'{"command":"home","issued_at":"', b"9", b'"}'),
    "lines": json.dumps({"commands": ["M117 a"] * 6000}).encode(),
    "axes": json.dumps({"command": "home", "axes": ["x"] * 10_000}).encode(),
    "tools": json.dumps(
        {"command": "target", "targets": {f"tool{n}": 1 for n in range(4000)}}
    ).encode(),
    "no text": filled(b"\xff", b"\xfe"),
}


@pytest.mark.parametrize("topic", ["command", "head", "job", "files", "request/files"])
def test_no_payload_takes_long_to_read(topic: str) -> None:
    for name, payload in PAYLOADS.items():
        with counted_calls() as count:
            stops_at_once(payload, LARGEST)
            with suppress(RequestError):
                parse(topic, payload, max_bytes=LARGEST)
            origin_of(topic, payload)
        assert count[0] < STEPS * LARGEST, name


def test_no_topic_takes_long_to_refuse() -> None:
    for topic in ("a" * 65_000, "/" * 65_000, "head/" * 13_000, "request/" * 8000):
        with counted_calls() as count, pytest.raises(RequestError):
            parse(topic, b"{}", max_bytes=LARGEST)
        assert count[0] < STEPS * LARGEST, topic[:20]
