"""Whatever comes in: one answer that names the field, and nothing on the wire."""

import json

import pytest

from tests.support.printers import SimulatedPrinter
from tests.support.stages import Json, Stage

JOG = {"command": "jog", "x": 1}

BAD: dict[str, tuple[str, object, str, str]] = {
    # what is bad: topic, payload, error word, what the message says
    "not JSON": ("head", b"{jog", "invalid_json", "not JSON"),
    "empty": ("head", b"", "invalid_json", "empty"),
    "blank": ("command", b" \n", "invalid_json", "empty"),
    "no UTF-8": ("head", b'{"command": "\xff\xfe"}', "invalid_json", "not UTF-8"),
    "UTF-16": ("head", json.dumps(JOG).encode("utf-16"), "invalid_json", "UTF-16"),
    "a list": ("head", b"[]", "invalid_payload", "JSON object"),
    "a text": ("head", b'"jog"', "invalid_payload", "JSON object"),
    "null": ("tool", b"null", "invalid_payload", "JSON object"),
    "true": ("bed", b"true", "invalid_payload", "JSON object"),
    "a number": ("sd", b"17", "invalid_payload", "JSON object"),
    "nested deeply": (
        "head",
        b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
        "invalid_payload",
        "mqtt.max_payload",
    ),
    "nested": ("head", b'{"x":' * 500 + b"1", "invalid_json", "nested more"),
    "brackets": ("command", b"[" * 60_000, "invalid_json", "nested more"),
    "10 MB": ("head", b"x" * 10_000_000, "invalid_payload", "10000000 bytes"),
    "a key twice": (
        "head",
        b'{"command": "jog", "x": 1, "x": 2}',
        "invalid_json",
        '"x" twice',
    ),
    "no command": ("head", {"x": 1}, "invalid_payload", "command: is missing"),
    "unknown command": (
        "head",
        {"command": "jig", "x": 1},
        "invalid_payload",
        'no "jig"',
    ),
    "another topic's command": (
        "bed",
        {"command": "jog", "x": 1},
        "invalid_payload",
        'no "jog"',
    ),
    "command is a number": ("head", {"command": 1}, "invalid_payload", "command: must"),
    "missing field": ("head", {"command": "home"}, "invalid_payload", "axes"),
    "no axis": ("head", {"command": "jog"}, "invalid_payload", "at least one of x, y"),
    "unknown field": (
        "head",
        {"command": "jog", "x": 1, "spede": 3},
        "invalid_payload",
        "spede",
    ),
    "text for a number": ("head", {"command": "jog", "x": "1"}, "invalid_payload", "x"),
    "null for a number": (
        "head",
        {"command": "jog", "x": None},
        "invalid_payload",
        "x",
    ),
    "true for a number": (
        "bed",
        {"command": "target", "target": True},
        "invalid_payload",
        "target",
    ),
    "NaN": (
        "bed",
        b'{"command": "target", "target": NaN}',
        "invalid_json",
        "target: must be a JSON number, not NaN",
    ),
    "infinity": (
        "head",
        b'{"command": "jog", "x": -Infinity}',
        "invalid_json",
        "x: must be a JSON number, not -Infinity",
    ),
    "1e400": (
        "head",
        b'{"command": "jog", "x": 1e400}',
        "invalid_json",
        "x: is a number that is too large: 1e400",
    ),
    "many digits": (
        "head",
        b'{"command": "jog", "x": ' + b"9" * 5000 + b"}",
        "invalid_json",
        "too large",
    ),
    "negative temperature": (
        "tool",
        {"command": "target", "targets": {"tool0": -1}},
        "invalid_payload",
        "targets.tool0",
    ),
    "no tool": (
        "tool",
        {"command": "target", "targets": {"tool0abc": 1}},
        "invalid_payload",
        "targets",
    ),
    "a tool the printer has not": (
        "tool",
        {"command": "select", "tool": "tool7"},
        "no_such_tool",
        "tool",
    ),
    "too hot": (
        "tool",
        {"command": "target", "targets": {"tool0": 276}},
        "out_of_limits",
        "275",
    ),
    "too hot by raw G-code": (
        "command",
        {"command": "M109 S300"},
        "out_of_limits",
        "275",
    ),
    "offset too large": (
        "bed",
        {"command": "offset", "offset": 50.5},
        "invalid_payload",
        "offset",
    ),
    "an unknown axis": (
        "head",
        {"command": "home", "axes": ["x", "E"]},
        "invalid_payload",
        "axes",
    ),
    "factor 0": (
        "head",
        {"command": "feedrate", "factor": 0},
        "invalid_payload",
        "factor",
    ),
    "two lines": (
        "command",
        {"command": "M117 a\nM112"},
        "invalid_payload",
        "command: must not contain line breaks",
    ),
    "two lines in a list": (
        "command",
        {"commands": ["M117", "M117 a\rM112"]},
        "invalid_payload",
        "commands[1]",
    ),
    "two lines by a parameter": (
        "command",
        {"command": "M117 {a}", "parameters": {"a": "b\nM112"}},
        "invalid_payload",
        "parameters.a",
    ),
    "a missing parameter": (
        "command",
        {"command": "M117 %(b)s", "parameters": {"a": 1}},
        "invalid_payload",
        "b",
    ),
    "NUL": ("command", b'{"command": "M117 a\\u0000"}', "invalid_payload", "command"),
    "a lone surrogate": (
        "command",
        b'{"command": "M117 \\ud800"}',
        "invalid_payload",
        "command",
    ),
    "a line number": ("command", {"command": "N1 G28"}, "invalid_payload", "command"),
    "an empty line": ("command", {"command": "; G28"}, "invalid_payload", "command"),
    "both command and script": (
        "command",
        {"command": "M105", "script": "a"},
        "invalid_payload",
        "script",
    ),
    "no list": ("command", {"commands": "M105"}, "invalid_payload", "commands"),
    "too long a list": (
        "command",
        {"commands": ["M105"] * 5000},
        "invalid_payload",
        "commands",
    ),
    "a blocked code": ("command", {"command": "M500"}, "blocked", "M500"),
    "an unknown script": ("command", {"script": "x"}, "unknown_script", "x"),
    "id too long": ("head", {**JOG, "id": "i" * 65}, "invalid_payload", "id"),
    "ttl 0": ("head", {**JOG, "ttl": 0}, "invalid_payload", "ttl"),
    "issued_at without zone": (
        "head",
        {**JOG, "issued_at": "2026-11-22T17:05:31"},
        "invalid_payload",
        "issued_at",
    ),
    "dry_run is a text": (
        "head",
        {**JOG, "dry_run": "no"},
        "invalid_payload",
        "dry_run",
    ),
    "unknown question": ("request/weather", b"", "unknown_topic", "weather"),
    "a question about nothing": ("request", b"", "unknown_topic", "request/state"),
    "a question with more": ("request/state/x", b"", "unknown_topic", "state/x"),
    "a level too many": ("head/jog", JOG, "unknown_topic", 'did you mean "head"'),
    "no emergency": ("emergency/stop", b"", "unknown_topic", 'mean "emergency"'),
    "OctoPrint's name": ("printhead", JOG, "unknown_topic", 'did you mean "head"'),
    "negative limit": (
        "request/state",
        {"history": True, "limit": -1},
        "invalid_payload",
        "limit",
    ),
    "unknown exclusion": (
        "request/state",
        {"exclude": "weather"},
        "invalid_payload",
        "exclude",
    ),
    "no heated chamber": (
        "chamber",
        {"command": "target", "target": 50},
        "no_heated_chamber",
        "chamber",
    ),
}

CODES = {
    "blocked": 403,
    "unknown_script": 404,
    "unknown_topic": 404,
    "no_heated_chamber": 409,
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_payload(bridge: Stage[SimulatedPrinter], case: str) -> None:
    topic, payload, error, says = BAD[case]
    begun = len(bridge.printer.wire.chunks)
    reply = await bridge.send(topic, payload)
    answer = await bridge.answer(reply)
    assert (answer["status"], answer["error"]) == ("rejected", error), answer
    assert answer["code"] == CODES.get(error, 400)
    assert says in answer["message"]
    assert (answer["topic"], answer["gcode"]) == (topic, [])
    await bridge.fence()
    assert len(bridge.printer.wire.sent(begun)) == 1  # the fence
    assert len(bridge.client.payloads(reply)) == 1
    assert bridge.daemon.running


async def test_the_answer_carries_what_could_be_read(
    bridge: Stage[SimulatedPrinter],
) -> None:
    payload: Json = {"command": "jog", "x": "far", "id": "jog-17"}
    answer = await bridge.call("head", payload)
    assert (answer["id"], answer["command"]) == ("jog-17", "jog")


async def test_an_answer_without_a_topic_of_its_own(
    bridge: Stage[SimulatedPrinter],
) -> None:
    before = len(bridge.client.payloads(bridge.topic("response")))
    await bridge.client.publish(bridge.topic("head"), b"{")
    await bridge.fence()
    responses = bridge.client.payloads(bridge.topic("response"))[before:]
    assert [json.loads(response)["error"] for response in responses] == ["invalid_json"]


@pytest.mark.parametrize("topic", ["elsewhere/x", "bad_payloads/head"])
async def test_a_response_topic_that_is_not_allowed(
    bridge: Stage[SimulatedPrinter], topic: str
) -> None:
    """Whoever may ask could otherwise have the bridge publish anywhere."""
    before = len(bridge.client.payloads(bridge.topic("response")))
    there = len(bridge.client.payloads(topic))
    await bridge.client.publish(
        bridge.topic("request/ping"), b"", ResponseTopic=topic, CorrelationData=b"17"
    )
    await bridge.fence()
    assert bridge.client.payloads(topic)[there:] == []
    assert len(bridge.client.payloads(bridge.topic("response"))) == before + 1


async def test_correlation_data_comes_back(bridge: Stage[SimulatedPrinter]) -> None:
    reply = await bridge.send("request/ping", b"", CorrelationData=b"\x00\xff17")
    await bridge.answer(reply)
    heard = await bridge.client.hears(reply)
    assert heard.correlation == b"\x00\xff17"
    assert (heard.qos, heard.retain) == (1, False)
