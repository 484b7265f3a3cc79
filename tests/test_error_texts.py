"""What people get to read when they write something wrong: input, sentence.

A sentence says what was received, what is wrong with it and what to write instead. The
suites of the parts look at the same mistakes one by one; this table is for reading.
"""

from pathlib import Path

import pytest

from bridge.cli.main import main
from bridge.commands import RequestError, parse
from bridge.config_file import load
from bridge.errors import ConfigError

_TEMPLATE = (
    "a template renders {} if its entity has no value at the moment: test for that "
    "first, in Home Assistant with has_value or is_number"
)

PAYLOADS = [
    # The text of a command instead of a JSON object.
    (
        "command",
        "G28",
        (
            "the payload is not JSON: G28 (G-code is written as "
            '{"command": "G28"}, on the topic command)'
        ),
    ),
    (
        "head",
        "M104 S200",
        (
            "the payload is not JSON: M104 S200 (G-code is written as "
            '{"command": "M104 S200"}, on the topic command)'
        ),
    ),
    (
        "command",
        "FIRMWARE_RESTART",
        (
            "the payload is not JSON: FIRMWARE_RESTART (G-code is written as "
            '{"command": "FIRMWARE_RESTART"}, on the topic command)'
        ),
    ),
    (
        "job",
        "pause",
        'the payload is not JSON: pause (a command is written as {"command": "pause"})',
    ),
    (
        "job",
        "PRESS",
        (
            "the payload is not JSON: PRESS (Home Assistant sends PRESS unless "
            "payload_press, payload_on and payload_off are set, for example to "
            '{"command": "pause"})'
        ),
    ),
    (
        "bed",
        "60",
        (
            'the payload must be a JSON object such as {"command": "target", "target": '
            "75}, not 60"
        ),
    ),
    ("command", '"G28"', 'a JSON object such as {"command": "G28"}, not "G28"'),
    ("head", '["home"]', "not a list"),
    ("head", "true", "not true"),
    ("head", "home all", "not JSON: home all (it must be a JSON object such as"),
    ("head", "command=home", "not JSON: command=home (it must be a JSON object such"),
    ("head", "", "the payload is empty; it must be a JSON object such as"),
    ("head", " \n", "the payload is empty; it must be a JSON object such as"),
    ("head", "\0", "the payload is empty; it must be a JSON object such as"),
    ("request/state", "1732740000", 'such as {"id": "1"}, or empty, not 1732740000'),
    (
        "request/state",
        "now",
        'now (it must be a JSON object such as {"id": "1"}, or em',
    ),
    # What templates make of an entity without a value.
    ("bed", "unknown", f"not JSON: unknown ({_TEMPLATE.format('unknown')})"),
    ("bed", "unavailable", f"unavailable ({_TEMPLATE.format('unavailable')})"),
    ("bed", "undefined", f"undefined ({_TEMPLATE.format('undefined')})"),
    ("bed", "None", f"not JSON: None ({_TEMPLATE.format('None')})"),
    ("bed", '{"command": "target", "target": unknown}', _TEMPLATE.format("unknown")),
    ("bed", '{"command": "target", "target": nan}', _TEMPLATE.format("nan")),
    (
        "bed",
        '{"command": "target", "target": "unknown"}',
        f'target: must be a number, not "unknown"; {_TEMPLATE.format("unknown")}',
    ),
    (
        "tool",
        '{"command": "target", "targets": {"tool0": "unavailable"}}',
        'targets.tool0: must be a number, not "unavailable"; '
        + _TEMPLATE.format("unavailable"),
    ),
    (
        "bed",
        '{"command": "target", "target": "60"}',
        'target: must be a number, not "60"; remove the quotation marks',
    ),
    (
        "bed",
        '{"command": "target", "target": {{ x }}}',
        "this is a template that was not rendered",
    ),
    # Python's and YAML's ways to write an object.
    (
        "head",
        "{'command': 'home', 'axes': []}",
        (
            "JSON needs double quotation marks; a template writes JSON with the filter "
            "to_json"
        ),
    ),
    (
        "head",
        '{"command": "jog", "x": 1, "absolute": True}',
        "True, False and None are Python's words, not JSON's",
    ),
    ("head", '{command: "home"}', "names need double quotation marks"),
    ("head", '{"command": "home", "axes": [],}', "a comma before the closing bracket"),
    ("head", '{"command": "home", "axes": []', "it ends too early, line 1 column 31"),
    ("head", '{"command": "home"', "it ends too early, line 1 column 19"),
    (
        "head",
        '{"command": "home"} }',
        "something follows the closing bracket, line 1 column 21",
    ),
    ("head", '{"command": "home" "axes": []}', "a comma is missing, line 1"),
    ("head", '{"command": home}', "a value is missing, or a text lacks quotation"),
    ("head", '{"command": "home', "a quotation mark is never closed, line 1"),
    ("display", '{"command": "a\nb"}', "must not contain a line break or a tab"),
    ("head", '{"command": "a\\_b"}', "a backslash is written as two, line 1"),
    ("head", '{"command": "home", }', "a comma before the closing bracket"),
    ("head", '{"command" "home"}', "a colon is missing, line 1 column 12"),
    ("head", b"\xff\xfe{\0}\0", "the payload is UTF-16; send it as UTF-8"),
    ("head", b"{\0}\0", "the payload is UTF-16; send it as UTF-8"),
    ("head", b'{"command": "\xe4"}', "is not UTF-8 (byte 13); send it as UTF-8"),
    # Right JSON, but not a command.
    ("head", "{}", "command: is missing; it must be one of jog, jog_step"),
    ("bed", '{"target": 60}', "command: is missing; it must be one of target, offset"),
    ("bed", '{"command": "set"}', 'bed has no "set" (known: offset, target)'),
    ("head", '{"command": "hoem"}', 'has no "hoem"; did you mean "home"?'),
    ("head", '{"command": 5}', "command: must be a text, not 5"),
    ("head", '{"command": "jog"}', "a jog needs at least one of x, y, z"),
    ("head", '{"command": "jog", "x": "far"}', 'x: must be a number, not "far"'),
    (
        "head",
        '{"command": "jog", "x": null}',
        "x: must not be null; leave it out instead",
    ),
    ("head", '{"command": "jog", "x": NaN}', "x: must be a JSON number, not NaN"),
    ("head", '{"command": "jog", "X": 1}', 'unknown field "X"; did you mean "x"?'),
    ("head", '{"command": "jog", "x": 1, "sped": 5}', 'did you mean "speed"?'),
    ("head", '{"command": "jog", "x": 1, "x": 2}', 'has the key "x" twice'),
    ("head", '{"command": "home"}', "axes: is missing"),
    ("head", '{"command": "home", "axes": "e"}', "axes[0]: must be 'x', 'y' or 'z'"),
    ("head", '{"command": "home", "axes": 1}', "axes: must be a list, not 1"),
    (
        "head",
        '{"command": "feedrate"}',
        "exactly one of factor and percent is required",
    ),
    (
        "head",
        '{"command": "feedrate", "factor": 0}',
        "factor: is 0 %, but must be 1 to 1000 %",
    ),
    ("head", '{"command": "feedrate", "percent": 0}', "percent: must be at least 1"),
    ("tool", '{"command": "select", "tool": 1}', "tool: must be a text, not 1"),
    (
        "tool",
        '{"command": "select", "tool": "hotend"}',
        'tool: must be tool0, tool1, …, not "hotend"',
    ),
    (
        "command",
        '{"command": "G28", "commands": []}',
        "the payload must have exactly one of command, commands, script",
    ),
    ("command", '{"command": "G28\\nG1 X1"}', "send several lines of G-code as the"),
    ("command", '{"commands": "G28"}', 'commands: must be a list, not "G28"'),
    ("command", '{"commands": []}', "commands: must have at least 1 entry"),
    # Wrong topics.
    ("bed/target", "{}", 'unknown topic "bed/target"; did you mean "bed"?'),
    ("printhead", "{}", 'unknown topic "printhead"; did you mean "head"?'),
    ("request/temprature", "", 'did you mean "request/temperature"?'),
    ("request/jobs/1", "", 'unknown topic "request/jobs/1" (known: bed, chamber'),
    ("nosuch", "{}", 'unknown topic "nosuch" (known: bed, chamber, command'),
]


@pytest.mark.parametrize(("topic", "payload", "sentence"), PAYLOADS)
def test_a_payload(topic: str, payload: str | bytes, sentence: str) -> None:
    content = payload.encode() if isinstance(payload, str) else payload
    with pytest.raises(RequestError) as caught:
        parse(topic, content)
    assert sentence in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "payload",
    [
        b'\xef\xbb\xbf{"command": "home", "axes": ["x", "y"]}',
        b'{"command": "home", "axes": ["x", "y"]}\0',
        b' {"command": "home", "axes": "x,y"}\n',
        b'{"command": "home", "axes": "X, Y"}',
        b'{"command": "home", "axes": ["X", "Y"]}',
    ],
)
def test_what_editors_and_other_programs_add_is_no_mistake(payload: bytes) -> None:
    assert parse("head", payload).command.model_dump() == {"axes": ("x", "y")}


_PRINTER = "printers:\n- {}\n"

FILES = [
    # YAML.
    ("mqtt:\n\thost: x", [":2: the line begins with a tab; YAML allows only spaces"]),
    (
        "mqtt:\n  host x\n  port: 1",
        [":3: a colon is not expected here: the line above"],
    ),
    ("mqtt: {host: a: b}", [":1: "]),
    ("mqtt:\n  host: x\n port: 1", [":3: the indentation does not match: entries of"]),
    ("printers:\n- id: a\n - id: b", [":3: "]),
    (
        "a: [1, 2",
        [":1: a bracket, opened in line 1, is never closed; add the missing ]"],
    ),
    ("a: {b: 1", ["add the missing }, or a comma between the entries"]),
    ("a: {b: 1}}", [":1: there is a } too many"]),
    ('a: "x\nb: 1', ["a quotation mark is never closed; it is opened in line 1"]),
    (
        "a: 'it's'",
        [":1: text follows a closing quotation mark; write '' for a ' inside"],
    ),
    ('a: "C:\\x"', ["in double quotes a backslash has a special meaning; use single"]),
    ("a: @x", [":1: a text must not begin with @; put the text in quotes"]),
    ("a: %x", [":1: a text must not begin with %; put the text in quotes"]),
    ("a: *x", [":1: a text must not begin with *; put the text in quotes"]),
    ("a: !x y", [":1: a text must not begin with !; put the text in quotes"]),
    ("a: >x\n b", ["a text must not begin with |, >, & or !; put the text in quotes"]),
    ("a: -\n b", ["an entry of a list (- …) must begin on a line of its own"]),
    ("a: |\nb", [":2: the line has no colon; a setting is written as name: value"]),
    ("%a", [":1: the text does not belong to any setting"]),
    ("a: 1\n---\nb: 2", [":2: --- begins a second document; remove it"]),
    ("a: \x07", [":1: there is a control character (code 7), which YAML does not"]),
    ("a: 1\na: 2", [":2: the key a is already at "]),
    # Several mistakes at once, each with its line.
    (
        "mqtt:\n  port: x\nlog:\n  level: loud\nlogs: 1\nprinters: [{}]",
        [
            ":5: logs is not a known key; did you mean log?",
            ':2: mqtt.port must be a whole number from 1 to 65535, not "x"',
            ":4: log.level must be debug, info, warning or error, not ",
        ],
    ),
    # The broker's address.
    (
        f"{_PRINTER}mqtt: {{host: 'broker.lan:1883'}}",
        [
            (
                ":3: mqtt.host must not contain the port; write mqtt.host: broker.lan "
                "and mqtt.port: 1883"
            )
        ],
    ),
    (
        f"{_PRINTER}mqtt: {{host: '[::1]:1884'}}",
        ["write mqtt.host: ::1 and mqtt.port: 1884"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: '[::1]'}}",
        ["mqtt.host must not have brackets; write mqtt.host: ::1"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: broker.lan/mqtt}}",
        ["write mqtt.host: broker.lan, and for WebSockets mqtt.path: /mqtt"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: 'broker lan'}}",
        ["mqtt.host must not contain spaces or control characters"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: 'mqtt://broker.lan'}}",
        ["mqtt.host must be only a host name or an address; the port, the user name"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: 'me:secret@broker.lan'}}",
        ["the password belong in mqtt.port, mqtt.username and mqtt.password_file"],
    ),
    (f"{_PRINTER}mqtt: {{host: ''}}", ["mqtt.host must be only a host name"]),
    (
        f"{_PRINTER}mqtt: {{transport: websockets, path: mqtt}}",
        ["mqtt.path must begin with a slash; write /mqtt"],
    ),
    (f"{_PRINTER}mqtt: {{transport: tls}}", ["mqtt.transport must be tcp, websockets"]),
    (f"{_PRINTER}mqtt: {{port: 70000}}", ["from 1 to 65535, not "]),
    (f"{_PRINTER}mqtt: {{keepalive: 0}}", ["mqtt.keepalive must be a whole number"]),
    (f"{_PRINTER}mqtt: {{protocol: 4}}", ["mqtt.protocol must be auto, 5 or 3.1.1"]),
    (f"{_PRINTER}mqtt: {{password_file: none}}", ["mqtt.password_file cannot be read"]),
    (
        f"{_PRINTER}mqtt: {{prot: 1}}",
        [":3: mqtt.prot is not a known key; did you mean mqtt.port?"],
    ),
    (f"{_PRINTER}mqtt: {{tls: true}}", ["mqtt.tls must be a section, not "]),
    # Printers and their ports.
    ("mqtt: {}", ["printers is missing; it must be a list of 1 to 1000"]),
    ("printers: {id: a}", ["printers must be a list of 1 to 1000, each a section"]),
    ("printers: []", ["printers must be a list of 1 to 1000, each a section"]),
    ("printer:\n- {}", ["printer is not a known key; did you mean printers?"]),
    (
        "printers: [{id: My Printer}]",
        ["id must be 1 to 64 lower-case letters, digits, "],
    ),
    ("printers: [{topic: a/#}]", ["printers[0].topic must not contain '+', '#'"]),
    ("printers: [{topic: /a}]", ["must not be empty, begin with '/'"]),
    (
        "printers: [{serial: {port: COM3}}]",
        [
            (
                "serial.port is a name of Windows; gcode2mqtt runs on Linux, where "
                "ports are called /dev/ttyUSB0 or /dev/serial/by-id/…: "
            )
        ],
    ),
    (
        "printers: [{serial: {port: 'tcp://octopi:7000'}}]",
        ["or simulator://; did you mean socket://octopi:7000?"],
    ),
    (
        "printers: [{serial: {port: 'telnet://octopi:7000'}}]",
        ["did you mean rfc2217://octopi:7000?"],
    ),
    (
        "printers: [{serial: {port: 'socket://me@octopi:7000'}}]",
        ["must not contain a user name; no connection supports one"],
    ),
    ("printers: [{serial: {port: ' '}}]", ["must not be empty; auto searches for the"]),
    (
        "printers: [{serial: {baudrate: fast}}]",
        ["serial.baudrate must be auto or a whole number from 1200 to 4000000"],
    ),
    ("printers: [{serial: {firmware: octoprint}}]", ["serial.firmware must be auto, "]),
    ("printers: [{port: /dev/x}]", ["did you mean printers[0].serial.port?"]),
    (
        "printers: [{id: a}, {id: a, topic: b}]",
        ["two printers have the same id: a"],
    ),
    (
        "printers: [{id: a, topic: x, serial: {port: p}}, {id: b, topic: x/y}]",
        ["the topic of b, x/y, is below that of a, x"],
    ),
    (
        "printers: [{profile: {max_temperature: {tool: hot}}}]",
        ["printers[0].profile.max_temperature.tool must be a number from 0 to 600"],
    ),
    (
        "printers: [{profile: {volume: {x: 220}}}]",
        ["printers[0].profile.volume.x must be "],
    ),
    (f"{_PRINTER}limits: {{rate: 0}}", ["limits.rate must be a number above 0"]),
    (f"{_PRINTER}log: {{level: loud}}", ["log.level must be debug, info, warning or"]),
    (
        f"{_PRINTER}log: {{levels: {{mqqt: debug}}}}",
        ["mqqt is not the name of a part that logs; did you mean mqtt?"],
    ),
    (f"{_PRINTER}colour: red", ["colour is not a known key; known here are mqtt, "]),
]


@pytest.mark.parametrize(("text", "sentences"), FILES)
def test_a_configuration_file(tmp_path: Path, text: str, sentences: list[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    for sentence in sentences:
        found = [line for line in caught.value.problems if sentence in line]
        assert len(found) == 1, caught.value.problems
        assert found[0].startswith(str(file))


ENVIRONMENTS = [
    ({"BRIDGE_FOO": "1"}, "BRIDGE_FOO is set, but there is no such setting; see"),
    ({"BRIDGE_MQTT__HOTS": "x"}, "did you mean BRIDGE_MQTT__HOST?"),
    ({"BRIDGE_MQTT": "[1]"}, "BRIDGE_MQTT: mqtt must be a section, not a list of 1"),
    ({"BRIDGE_MQTT__PORT": "x"}, "BRIDGE_MQTT__PORT: mqtt.port must be a whole"),
    ({"BRIDGE_PRINTERS__5__ID": "x"}, "only 1 come before it; number them from 0"),
    (
        {"BRIDGE_LOG__LEVELS__MQTT": "debug"},
        (
            "BRIDGE_LOG__LEVELS__MQTT is set, but there is no such setting; did you "
            "mean BRIDGE_LOG__LEVELS?"
        ),
    ),
    ({"BRIDGE_LOG__LEVELS": "{a"}, "BRIDGE_LOG__LEVELS:1: a bracket, opened in line 1"),
    ({"BRIDGE_MQTT__HOST": "a:1883"}, "write mqtt.host: a and mqtt.port: 1883"),
    ({"BRIDGE_PRINTERS__0__SERIAL__PROT": "x"}, "BRIDGE_PRINTERS__0__SERIAL__PORT?"),
]


@pytest.mark.parametrize(("environ", "sentence"), ENVIRONMENTS)
def test_an_environment(tmp_path: Path, environ: dict[str, str], sentence: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(_PRINTER, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, environ)
    assert sentence in str(caught.value)


LINES = [
    (["check", "--config", "nowhere.yaml"], "nowhere.yaml: cannot be read: No such"),
    (["check"], "there is neither config.yaml nor /etc/gcode2mqtt/config.yaml; name"),
    (["send", "head", "G28"], 'G-code is written as {"command": "G28"}'),
    (["send", "job", "pause"], 'a command is written as {"command": "pause"}'),
    (["send", "head", "[]"], "the payload must be a JSON object, not a list"),
    (["simulate", "--pty", "x", "--firmware", "marlim"], "marlim"),
    (["replay", "nowhere.log"], "nowhere.log: No such file"),
    (["send", "head", "{}", "--broker", "lan"], "'lan' is not HOST:PORT"),
    (["send", "head", "{}", "--broker", "lan:0"], "port 0 is not valid"),
    (["send", "head", "{}", "--broker", "::1:1883"], "write [ADDRESS]:PORT"),
    (["simulate", "--tcp", "x:99999"], "'x:99999' is not HOST:PORT"),
    (["simulate", "--pty", "x", "--speed", "0"], "is not a number above 0 and up to"),
    (["rnu"], "invalid choice: 'rnu'"),
    ([], "the following arguments are required: COMMAND"),
]


@pytest.mark.parametrize(("arguments", "sentence"), LINES)
def test_a_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as ended:  # argparse's way
        code = int(ended.code or 0)
    said = capsys.readouterr().err
    assert code == 2
    assert sentence in said
    assert "Traceback" not in said
