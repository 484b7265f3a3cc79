"""Bad payloads: each refused with one sentence that names the field."""

import json
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.commands import Request, RequestError, parse
from bridge.commands.registry import COMMANDS, TOPICS
from tests.support.cases import examples

JOG = {"command": "jog", "x": 1}


def refused(topic: str, payload: bytes | str | dict[str, Any]) -> RequestError:
    if isinstance(payload, dict):
        payload = json.dumps(payload)
    data = payload if isinstance(payload, bytes) else payload.encode()
    with pytest.raises(RequestError) as caught:
        parse(topic, data)
    return caught.value


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "the payload is empty"),
        (b"  ", "the payload is empty"),
        (b"home", "is not JSON: home (a command is written as"),
        (b"{", "is not JSON"),
        (
            b'{"command": "jog", "x": 1} x',
            "(something follows the closing bracket, line 1 column 28)",
        ),
        (b'"unfinished', "is not JSON"),
        (b'"' + b'\\"' * 30_000, "is not JSON"),
        (b'"\\', "is not JSON"),
        (b"\xff\xfe", "is UTF-16; send it as UTF-8"),
        (b'{"command": "jog", "x": NaN}', "x: must be a JSON number, not NaN"),
        (b'{"command": "jog", "x": -Infinity}', "x: must be a JSON number, not -Inf"),
        (b'{"command": "jog", "x": 1e400}', "x: is a number that is too large: 1e400"),
        (b'{"command": "jog", "x": ' + b"1" * 5000 + b"}", "too large: 1111"),
        (b'{"command": "jog", "targets": {"tool0": NaN}}', "targets.tool0: must be a"),
        (b'{"command": "home", "axes": ["x", NaN]}', "axes[1]: must be a JSON number"),
        (b'{"command": "jog", "x": 1, "x": 2}', 'has the field "x" twice; keep one'),
        (b'{"a\\ud800": 1, "a\\ud800": 2}', 'has the field "a\\ud800" twice; keep'),
        (b"[" * 60_000, "nested more than 20 levels deep"),
        (b'{"a":' * 10_000, "nested more than 20 levels deep"),
    ],
)
def test_what_is_no_json(payload: bytes, message: str) -> None:
    error = refused("head", payload)
    assert (error.code, error.error) == (400, "invalid_json")
    assert message in error.message


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("[]", "not a list"),
        ("5", "must be a JSON object such as"),
        ("NaN", "not NaN"),
        (
            "{}",
            "command: is missing; it must be one of jog, jog_step, jog_distance, home,",
        ),
        ({"command": 5}, "command: must be a text in quotation marks, not 5"),
        ({"command": None}, "command: must be a text in quotation marks, not null"),
        ({"command": {}}, "command: must be a text in quotation marks, not an object"),
        (
            {"command": "jgo"},
            'command: head has no "jgo"; did you mean "jog"? (known: ',
        ),
        ({"command": "jgo"}, 'did you mean "jog"?'),
        (
            {"command": "explode"},
            "(known: babystep, feedrate, home, jog, jog_distance, ",
        ),
        ({"command": "jog"}, "a jog needs at least one of x, y, z"),
        ({"command": "jog", "e": 5}, 'unknown field "e"'),
        ({**JOG, "sped": 5}, 'unknown field "sped"'),
        ({**JOG, "sped": 5}, 'did you mean "speed"?'),
        ({**JOG, "tl": 5}, 'did you mean "ttl"?'),
        ({"command": "jog", "x": True}, "x: must be a number, not true"),
        ({"command": "jog", "x": "10"}, 'x: must be a number, not "10"'),
        ({"command": "jog", "x": None}, "x: must not be null; leave it out instead"),
        ({"command": "jog", "x": [1]}, "x: must be a number, not a list"),
        ({"command": "jog", "x": 10**7}, "x: must be at most 1000000, not 10000000"),
        ({"command": "jog", "x": -(10**7)}, "x: must be at least -1000000"),
        ({**JOG, "absolute": 1}, "absolute: must be true or false, not 1"),
        ({**JOG, "absolute": "yes"}, 'absolute: must be true or false, not "yes"'),
        ({**JOG, "speed": True}, "speed: must be a number, not true"),
        ({**JOG, "speed": 0}, "speed: must be at least 0.001, not 0"),
        ({**JOG, "speed": -5}, "speed: must be at least 0.001, not -5"),
        ({**JOG, "speed": "5\nM112"}, "speed: must not contain line breaks"),
        ({"command": "home"}, "axes: is missing"),
        ({"command": "home", "axes": ["a"]}, 'axes[0]: must be "x", "y" or "z", not'),
        (
            {"command": "home", "axes": "xe"},
            'axes[1]: must be "x", "y" or "z", not "e"',
        ),
        ({"command": "home", "axes": ""}, 'axes: must be a list, not ""'),
        ({"command": "home", "axes": None}, "axes: must be a list, not null"),
        ({"command": "home", "axes": 5}, "axes: must be a list, not 5"),
        ({"command": "home", "axes": ["x"] * 13}, "axes: must have at most 12 entries"),
        ({"command": "feedrate"}, "exactly one of factor and percent is required"),
        (
            {"command": "feedrate", "factor": 1.0, "percent": 100},
            "exactly one of factor and percent is required",
        ),
        ({"command": "feedrate", "percent": 0.5}, "percent: must be at least 1, not"),
        (
            {"command": "feedrate", "percent": None},
            "percent: must not be null; leave it out",
        ),
        ({"command": "feedrate", "factor": True}, "factor: must be a number, not true"),
        ({"command": "feedrate", "factor": "1"}, 'factor: must be a number, not "1"'),
        (
            {"command": "feedrate", "factor": 0},
            "factor: is 0 %, but must be 1 to 1000 %",
        ),
        ({"command": "feedrate", "factor": 0.005}, "factor: is 0.5 %"),
        ({"command": "feedrate", "factor": -1}, "factor: is -1 %"),
        ({"command": "feedrate", "factor": 1001}, "factor: is 1001 %"),
        ({"command": "feedrate", "factor": 1e300}, "factor: is 1e+300 %"),
        ({**JOG, "id": 5}, "id: must be a text in quotation marks, not 5"),
        ({**JOG, "id": ""}, "id: must have at least 1 character"),
        ({**JOG, "id": "a" * 65}, "id: must have at most 64 characters"),
        ({**JOG, "id": None}, "id: must not be null"),
        ({**JOG, "ttl": 0}, "ttl: must be greater than 0, not 0"),
        ({**JOG, "ttl": True}, "ttl: must be a number, not true"),
        ({**JOG, "timeout": -1}, "timeout: must be greater than 0, not -1"),
        ({**JOG, "dry_run": 1}, "dry_run: must be true or false, not 1"),
        (
            {**JOG, "issued_at": "yesterday"},
            "issued_at: must be ISO 8601 with a time zone",
        ),
        (
            {**JOG, "issued_at": "2026-11-22T17:05"},
            "issued_at: must be ISO 8601 with a",
        ),
        (
            {**JOG, "issued_at": "2026-11-22"},
            "issued_at: must be ISO 8601 with a time zone",
        ),
        (
            {**JOG, "issued_at": 1.7e12},
            "issued_at: must be Unix time in seconds; this is",
        ),
        ({**JOG, "issued_at": -1}, "issued_at: must be Unix time in seconds"),
        ({**JOG, "issued_at": True}, "issued_at: must be a number, not true"),
        ({**JOG, "issued_at": None}, "issued_at: must not be null"),
        ({**JOG, "a\nb": 1}, "a field whose name is longer than 100 characters or not"),
        ({**JOG, "a" * 101: 1}, "the payload: has a field whose name is longer than"),
        ({**JOG, "a": {"\x00": 1}}, "a: has a field whose name is"),
        ({**JOG, "a": ["\u2028"]}, "a[0]: must not contain line breaks or control"),
        ({**JOG, "a": ["x", "\ud83d", "\ude00"]}, "a[1]: must not contain line breaks"),
        ({**JOG, "a": ["x", 1, "y\x7f"]}, "a[2]: must not contain line breaks"),
        ({**JOG, "a": ["", ["x", "\n"]]}, "a[1][1]: must not contain line breaks"),
    ],
)
def test_what_is_no_head_command(payload: dict[str, Any], message: str) -> None:
    error = refused("head", payload)
    assert (error.code, error.error) == (400, "invalid_payload")
    assert message in error.message


@pytest.mark.parametrize(
    ("topic", "payload", "message"),
    [
        ("tool", {"command": "target"}, "targets: is missing"),
        ("tool", {"command": "target", "targets": {}}, "must have at least 1 entry"),
        ("tool", {"command": "target", "targets": [5]}, "targets: must be an object"),
        (
            "tool",
            {"command": "target", "targets": {"tool0abc": 5}},
            'targets.tool0abc: must be tool0, tool1, …, not "tool0abc"',
        ),
        (
            "tool",
            {"command": "target", "targets": {"bed": 5}},
            'must be tool0, tool1, …, not "bed"',
        ),
        (
            "tool",
            {"command": "target", "targets": {"tool\u0661": 5}},
            "must be tool0, tool1, …",
        ),
        (
            "tool",
            {"command": "target", "targets": {"tool1": 5, "tool01": 6}},
            "targets: contains the same tool twice",
        ),
        (
            "tool",
            {"command": "target", "targets": {"tool0": -1}},
            "targets.tool0: must be at least 0, not -1",
        ),
        (
            "tool",
            {"command": "target", "targets": {"tool0": True}},
            "targets.tool0: must be a number, not true",
        ),
        (
            "tool",
            {"command": "offset", "offsets": {"tool": 5}},
            'must be tool0, tool1, …, not "tool"',
        ),
        (
            "tool",
            {"command": "offset", "offsets": {"tool0": 50.1}},
            "offsets.tool0: must be at most 50, not 50.1",
        ),
        (
            "tool",
            {"command": "select", "tool": 1},
            'tool: must be a text in quotation marks, not 1; write "tool1"',
        ),
        ("tool", {"command": "select", "tool": "tool"}, "tool: must be tool0"),
        ("tool", {"command": "extrude"}, "amount: is missing"),
        ("tool", {"command": "extrude", "amount": None}, "amount: must be a number"),
        (
            "tool",
            {"command": "extrude", "amount": 1, "speed": False},
            "speed: must be a number, not false",
        ),
        ("bed", {"command": "target", "target": -5}, "target: must be at least 0, not"),
        ("bed", {"command": "target", "target": "60"}, 'a number, not "60"'),
        ("bed", {"command": "offset", "offset": -50.5}, "offset: must be at least -50"),
        ("chamber", {"command": "offset"}, "offset: is missing"),
        ("sd", {"command": "format"}, 'sd has no "format" (known: init, refresh'),
        ("sd", {"command": "init", "x": 1}, 'unknown field "x"'),
        ("command", {}, "exactly one of command, commands, script"),
        ("command", {"command": "G28", "script": "a"}, "exactly one of"),
        ("command", {"command": ""}, "command: must have at least 1 character"),
        (
            "command",
            {"command": 5},
            "command: must be a text in quotation marks, not 5",
        ),
        ("command", {"command": "M117 a\nM112"}, "line breaks or control characters;"),
        ("command", {"command": "M117 a\u0000"}, 'as a list: "commands"'),
        (
            "command",
            {"command": "x" * 501},
            "command: must have at most 500 characters",
        ),
        ("command", {"commands": []}, "commands: must have at least 1 entry"),
        ("command", {"commands": "G28"}, 'commands: must be a list, not "G28"'),
        (
            "command",
            {"commands": ["G28", 5]},
            "commands[1]: must be a text in quotation marks, not 5",
        ),
        ("command", {"commands": ["G28", "\r"]}, "commands[1]: must not contain line"),
        ("command", {"commands": ["M105"] * 1001}, "must have at most 1000 entries"),
        ("command", {"command": "G28", "context": {}}, 'unknown field "context"'),
        ("command", {"command": "G28", "parameters": []}, "parameters: must be an obj"),
        (
            "command",
            {"script": "a", "parameters": {"x": "1\n2"}},
            "parameters.x: must not contain line breaks",
        ),
        ("command", {"script": 5}, "script: must be a text in quotation marks, not 5"),
        (
            "request/state",
            {"exclude": "foo"},
            'exclude[0]: must be "temperature", "sd"',
        ),
        ("request/state", {"exclude": 5}, "exclude: must be a list, not 5"),
        ("request/state", {"limit": -1}, "limit: must be at least 1, not -1"),
        ("request/state", {"limit": 0}, "limit: must be at least 1, not 0"),
        ("request/state", {"limit": 1.5}, "limit: must be a whole number, not 1.5"),
        ("request/state", {"limit": None}, "limit: must not be null"),
        ("request/bed", {"history": "yes"}, "history: must be true or false"),
        ("request/ping", {"command": "ping"}, 'unknown field "command"'),
    ],
)
def test_what_is_no_command_of_its_topic(
    topic: str, payload: dict[str, Any], message: str
) -> None:
    error = refused(topic, payload)
    assert (error.code, error.error) == (400, "invalid_payload")
    assert message in error.message


def test_a_large_payload_is_refused_unread() -> None:
    error = refused("head", b" " * 10_000_000)
    assert error.error == "invalid_payload"
    assert "10000000 bytes, more than mqtt.max_payload allows (65536)" in error.message


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("heat", 'unknown topic "heat"'),
        ("heat", 'did you mean "head"?'),
        ("request/stat", 'did you mean "request/state"?'),
        ("bed/target", '; did you mean "bed"? (known: bed, chamber'),
        ("head/jogging/far", 'did you mean "head"?'),
        ("storage", 'did you mean "sd"?'),
        ("request", 'unknown topic "request"; did you mean "request/state"?'),
        ("request/state/x", 'did you mean "request/state"?'),
        ("", 'unknown topic ""'),
    ],
)
def test_what_is_no_topic(topic: str, message: str) -> None:
    error = refused(topic, "{}")
    assert (error.code, error.error) == (404, "unknown_topic")
    assert message in error.message


@pytest.mark.parametrize(
    ("topic", "payload", "identity", "command"),
    [
        ("head", {"command": "jog", "x": True, "id": "a-1"}, "a-1", "jog"),
        ("head", {"command": "nope", "id": "a-1"}, "a-1", None),
        ("head", {"command": 5, "id": 5}, None, None),
        ("head", {**JOG, "y": None, "id": "a\n"}, None, "jog"),
        ("head", {**JOG, "y": None, "id": "a" * 65}, None, "jog"),
        ("head", "{", None, None),
        ("command", {"commands": 5, "id": "b"}, "b", "commands"),
        ("command", {"commands": [], "command": "a", "id": "b"}, "b", None),
        ("request/bed", {"limit": 0}, None, "bed"),
        ("request/none", {"id": "c"}, "c", None),
        ("head", '{"command": "jog", "x": NaN, "id": "c"}', "c", "jog"),
        ("job", {"command": "stop", "id": "c"}, "c", None),
    ],
)
def test_an_error_tells_what_could_be_read(
    topic: str,
    payload: dict[str, Any] | str,
    identity: str | None,
    command: str | None,
) -> None:
    error = refused(topic, payload)
    assert (error.id, error.command) == (identity, command)


def test_many_brackets_are_not_deep() -> None:
    payload = b'{"command": "jog", "x": 1, "more": [' + b",".join([b"[]"] * 40) + b"]}"
    assert refused("head", payload).error == "invalid_payload"


def test_a_request_needs_no_payload() -> None:
    request = parse("request/state", b"")
    assert (request.topic, request.command.name) == ("request/state", "state")


@pytest.mark.parametrize(
    "payload", [b"", b"STOP", b"\xff", b"[1]", b'{"id": 5}', b" " * 100_000]
)
def test_anything_is_an_emergency_stop(payload: bytes) -> None:
    request = parse("emergency", payload)
    assert request.command.name == "emergency"
    assert request.envelope.id is None


def test_an_emergency_stop_may_have_an_id_and_ignores_the_rest() -> None:
    payload = b'{"id": "stop", "dry_run": true, "ttl": 0, "reason": "smoke"}'
    envelope = parse("emergency", payload).envelope
    assert (envelope.id, envelope.dry_run, envelope.ttl) == ("stop", False, None)


def test_a_request_knows_what_its_response_needs() -> None:
    origin = parse("head", b'{"command": "jog", "x": 1, "id": "j"}').origin
    assert (origin.topic, origin.id, origin.command) == ("head", "j", "jog")


def test_commands_do_not_shadow_the_envelope() -> None:
    fields = {"id", "issued_at", "ttl", "dry_run", "timeout"}
    assert not [kind for kind in COMMANDS if fields & set(kind.model_fields)]


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda c: f"{c.topic}-{c.name}")
def test_every_documented_example_is_understood(kind: type) -> None:
    command = next(known for known in COMMANDS if known is kind)
    for example in command.examples or ({},):
        bare = command.topic in {"command", "emergency"}
        named = not bare and not command.topic.startswith("request/")
        payload = {"command": command.name, **example} if named else dict(example)
        request = parse(command.topic, json.dumps(payload).encode())
        assert isinstance(request.command, kind)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(["jog", "home", "target", "M112", "G28 ; x", "tool0"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.text(max_size=10),
                st.sampled_from(
                    [
                        *("command", "commands", "script", "parameters", "x", "axes"),
                        *("factor", "targets", "target", "tool0", "id", "ttl"),
                        *("issued_at", "dry_run", "speed", "limit", "exclude"),
                    ]
                ),
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@settings(max_examples=examples(100))
@given(
    st.one_of(st.sampled_from([*TOPICS, "job"]), st.text(max_size=10)),
    st.one_of(
        st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())
    ),
)
def test_every_message_is_understood_or_refused(topic: str, payload: bytes) -> None:
    try:
        result: Request | RequestError = parse(topic, payload)
    except RequestError as error:
        result = error
    if isinstance(result, RequestError):
        assert result.code in {400, 404}
        assert not set(map(category, result.message)) & {"Cc", "Cs", "Zl", "Zp"}
        assert len(result.message) < 1000
    else:
        assert result.command.topic == topic


@pytest.mark.parametrize(
    "document",
    [
        {"command": "M112", "user": "me"},
        {"command": "m112 ; now", "ttl": -1},
        {"command": "M112", "parameters": 5},
        {"command": "M112", "script": "s"},
        {"commands": ["G28"] * 1001 + ["M112"]},
        {"commands": ["G28", 5, "M112"]},
        {"command": "M112 {x}", "parameters": {"y": 1}},
        {"command": "M112 %(x)d", "parameters": {"x": "no number"}},
    ],
)
def test_nothing_else_in_a_payload_prevents_an_emergency_stop(
    document: dict[str, object],
) -> None:
    request = parse("command", json.dumps({**document, "id": "7"}).encode())
    assert request.command.stops
    assert request.envelope.id == "7"


@pytest.mark.parametrize(
    ("topic", "document"),
    [
        ("command", {"command": "M112", "user": "me", "dry_run": True}),
        ("command", {"command": "M112", "dry_run": "yes"}),
        ("command", {"command": "M117 M112", "user": "me"}),
        ("command", {"commands": "M112", "user": "me"}),
        ("head", {"command": "M112"}),
    ],
)
def test_what_is_not_clearly_a_stop_is_none(
    topic: str, document: dict[str, object]
) -> None:
    with pytest.raises(RequestError):
        parse(topic, json.dumps(document).encode())
