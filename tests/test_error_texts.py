"""What people get to read when they write something wrong: input, sentence.

A sentence says what was received, what is wrong with it and what to write instead. The
suites of the parts look at the same mistakes one by one; this table is for reading.
"""

import tempfile
from pathlib import Path

import pytest

from bridge.cli.main import main
from bridge.commands import RequestError, parse
from bridge.config_file import load
from bridge.errors import ConfigError
from tests.support.cases import case
from tests.support.users import without_rights

_TEMPLATE = (
    "a template renders {} if its entity or variable has no value at the moment: "
    "test for that first, in Home Assistant with has_value or is_number"
)

PAYLOADS = [
    # The text of a command instead of a JSON object.
    (
        "command",
        "G28",
        (
            "the payload is not JSON: G28 (G-code is written as "
            '{"command": "G28"} on the topic "command")'
        ),
    ),
    (
        "head",
        "M104 S200",
        (
            "the payload is not JSON: M104 S200 (G-code is written as "
            '{"command": "M104 S200"} on the topic "command")'
        ),
    ),
    (
        "command",
        "FIRMWARE_RESTART",
        (
            "the payload is not JSON: FIRMWARE_RESTART (G-code is written as "
            '{"command": "FIRMWARE_RESTART"} on the topic "command")'
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
            "payload_press is set; set it to a JSON object such as "
            '{"command": "select", "file": '
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
        "this is a template that was not rendered; send its result: Home Assistant",
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
    (
        "head",
        '{"command": "home", "axes": [],}',
        "remove the comma before the closing bracket",
    ),
    (
        "head",
        '{"command": "home", "axes": []',
        (
            "it ends too early: a bracket or quotation mark is not closed, line 1 "
            "column 31"
        ),
    ),
    (
        "head",
        '{"command": "home"',
        (
            "it ends too early: a bracket or quotation mark is not closed, line 1 "
            "column 19"
        ),
    ),
    (
        "head",
        '{"command": "home"} }',
        "something follows the closing bracket, line 1 column 21",
    ),
    ("head", '{"command": "home" "axes": []}', "a comma is missing, line 1"),
    ("head", '{"command": home}', "a value is missing, or a text lacks quotation"),
    ("head", '{"command": "home', "a quotation mark is never closed, line 1"),
    ("display", '{"command": "a\nb"}', "must not contain a line break or a tab"),
    ("head", '{"command": "a\\_b"}', "write two backslashes for one, line 1"),
    ("head", '{"command": "home", }', "remove the comma before the closing bracket"),
    ("head", '{"command" "home"}', "a colon is missing, line 1 column 12"),
    ("head", b"\xff\xfe{\0}\0", "the payload is UTF-16; send it as UTF-8"),
    ("head", b"{\0}\0", "the payload is UTF-16; send it as UTF-8"),
    ("head", b'{"command": "\xe4"}', "is not UTF-8 (byte 13); send it as UTF-8"),
    # Right JSON, but not a command.
    ("head", "{}", "command: is missing; it must be one of jog, jog_step"),
    ("bed", '{"target": 60}', "command: is missing; it must be one of target, offset"),
    (
        "bed",
        '{"command": "set"}',
        'bed has no "set"; did you mean "target"? (known: offset, target)',
    ),
    ("head", '{"command": "hoem"}', 'has no "hoem"; did you mean "home"?'),
    ("head", '{"command": 5}', "command: must be a text in quotation marks, not 5"),
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
    ("head", '{"command": "jog", "x": 1, "x": 2}', 'has the field "x" twice; keep one'),
    (
        "head",
        '{"command": "home"}',
        'axes: is missing; for example {"command": "home", "a',
    ),
    ("head", '{"command": "home", "axes": "e"}', 'axes[0]: must be "x", "y" or "z"'),
    ("head", '{"command": "home", "axes": 1}', "axes: must be a list, not 1"),
    (
        "head",
        '{"command": "feedrate"}',
        "exactly one of factor and percent is required",
    ),
    (
        "head",
        '{"command": "feedrate", "factor": 0}',
        "factor: is 0 %, but must be 1 to 1000 % (both 100 and 1.0 mean 100 %)",
    ),
    ("head", '{"command": "feedrate", "percent": 0}', "percent: must be at least 1"),
    (
        "tool",
        '{"command": "select", "tool": 1}',
        'tool: must be a text in quotation marks, not 1; write "tool1"',
    ),
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
    (
        "command",
        '{"command": "G28\\nG1 X1"}',
        "send several lines of G-code as a list: ",
    ),
    (
        "command",
        '{"commands": "G28"}',
        'commands: must be a list, not "G28"; write ["G28"]',
    ),
    ("command", '{"commands": []}', "commands: must have at least 1 entry"),
    # What Node-RED, JavaScript and templates make of a command.
    (
        "head",
        '{"payload": {"command": "home", "axes": []}}',
        '; send only what is in "payload"',
    ),
    ("head", '{"topic": "head", "payload": "{}"}', 'send only what is in "payload"'),
    ("command", '{"payload": "G28"}', '{"command": "G28"}; send only what is in "payl'),
    (
        "request/state",
        '{"payload": "{}", "qos": 1}',
        'ttl); send only what is in "payload"',
    ),
    (
        "bed",
        '{"command": "target", "payload": 60}',
        'send only what is in "payload"',
    ),
    ("head", '"{\\"command\\": \\"home\\"}"', "JSON that was encoded twice; send it"),
    ("head", "[object Object]", "turned an object into text; use JSON.stringify"),
    ("head", '{"command": "jog", "x": [object Object]}', "use JSON.stringify"),
    ("head", '{"command": "jog", "x": undefined}', _TEMPLATE.format("undefined")),
    (
        "head",
        "{{ states('sensor.x') }}",
        "this is a template that was not rendered; send its result: Home Assistant",
    ),
    (
        "head",
        "{% if x %}1{% endif %}",
        "this is a template that was not rendered; send its result: Home Assistant",
    ),
    ("bed", "states.sensor.x", 'such as {"command": "target", "target": 75}'),
    ("bed", '{"command": "target", "target": [60]}', "a number, not a list"),
    ("bed", '{"command": "target", "target": {"value": 60}}', "not an object"),
    ("bed", '{"command": "target", "target": "60 °C"}', "; write 60 without quotation"),
    (
        "bed",
        '{"command": "target", "target": "60,5"}',
        "; write 60.5 without quotation",
    ),
    ("head", '{"command": "jog", "x": "10mm"}', 'not "10mm"; write 10 without quotat'),
    (
        "head",
        '{"command": "feedrate", "percent": "80%"}',
        "; write 80 without quotatio",
    ),
    ("bed", '{"command": "target", "target": ""}', "a template that renders nothing"),
    ("command", '{"command": "G28", "dry_run": "True"}', "; write true without quotat"),
    ("command", '{"command": "G28", "dry_run": "yes"}', 'true or false, not "yes"'),
    ("command", '{"command": "G28", "ttl": "10"}', "remove the quotation marks"),
    (
        "command",
        '{"command": "G28", "id": 5}',
        "id: must be a text in quotation marks, not 5",
    ),
    (
        "command",
        '{"command": "G28", "issued_at": "now"}',
        'such as 2026-11-22T17:05:31Z, or Unix time in seconds, not "now"',
    ),
    (
        "light",
        "ON",
        'payload_on is set; set it to a JSON object such as {"command": "set"',
    ),
    ("fan", "50", 'such as {"command": "speed", "percent": 50}, not 50'),
    ("display", "Hello", 'such as {"command": "show", "text": "Coffee first"}'),
    ("script", "preheat", 'such as {"command": "run", "script": "preheat"}'),
    # Spelt or written as in other programs.
    ("head", '{"cmd": "home"}', 'is missing, because "cmd" must be spelt "command"; '),
    ("head", '{"Command": "home"}', 'because "Command" must be spelt "command"; it m'),
    ("light", '{"state": "ON"}', 'for example {"command": "set", "on": true, "bright'),
    ("script", '{"command": "preheat"}', 'for example {"command": "run", "script": "p'),
    ("head", '{"command": "move", "x": 1}', 'has no "move"; did you mean "jog"?'),
    ("job", '{"command": "print"}', 'has no "print"; did you mean "start"?'),
    ("job", '{"command": "resume print"}', 'did you mean "resume"?'),
    ("queue", '{"command": "pause"}', 'did you mean "hold"?'),
    ("head", '{"command": "jog", "axis": "x"}', '; for example {"command": "jog", "x"'),
    ("head", '{"command": "jog", "x": "+5"}', 'not "+5"; write 5 without quotation m'),
    (
        "bed",
        '{"command": "target", "target": "140 F"}',
        "write only the number, without its unit (°C, mm, mm/min, seconds, percent, ",
    ),
    ("head", '{"command": "jog", "x": .5}', "with a digit before the point)"),
    ("head", '{"command": "jog", "x": +5}', "a number is written as 5, -5 or 0.5"),
    ("head", '{"command": \u201chome\u201d}', 'needs straight quotation marks: ")'),
    ("head", "// home", "(JSON has no comments)"),
    ("light", '{"command": "set", "on": "ON"}', 'not "ON"; write true without quota'),
    ("command", '{"command": "G28", "dry_run": 1}', "true or false, not 1; write true"),
    ("command", '{"command": "G28", "timeout": "1m"}', 'not "1m"; write only the numb'),
    ("command", '{"command": "G28", "qos": 1}', "qos and retain belong to the MQTT me"),
    ("command", "G28; G1 X10", 'are written as {"commands": ["G28", "G1 X10"]} on th'),
    ("command", "G28\nG1 X10", 'are written as {"commands": ["G28", "G1 X10"]} on th'),
    ("command", "M104 S{{ x }}", "this is a template that was not rendered"),
    ("command", '{"commands": "G28\\nG1"}', 'as a list: "commands": ["G28", "G1 X10"]'),
    (
        "files",
        '{"command": "fetch", "url": "https://a/b.gcode", "sha256": "b"}',
        'sha256: must be 64 hexadecimal digits, not "b"',
    ),
    ("light", '{"command": "set", "on": true, "color": "red"}', 'a list, not "red"'),
    ("bed", '{"command": "target", "target": "{{ x }}"}', "was not rendered; send it"),
    # Right payloads on wrong topics.
    (
        "head",
        '{"command": "G28"}',
        'has no "G28"; G-code is sent on the topic "command"',
    ),
    ("tool", '{"command": "M104 S200"}', 'G-code is sent on the topic "command"'),
    ("command", '{"gcode": "G28"}', 'script; for example {"command": "G28"}'),
    (
        "command",
        '{"command": ["G28"]}',
        "command: must be a text in quotation marks, not a list",
    ),
    (
        "command",
        '{"commands": ["G28", 5]}',
        "commands[1]: must be a text in quotation marks, not 5",
    ),
    (
        "tool",
        '{"command": "target", "target": 210}',
        'targets: is missing; for example {"command": "target", "targets": {"tool0"',
    ),
    (
        "bed",
        '{"command": "target", "targets": {"bed": 60}}',
        'target: is missing; for example {"command": "target", "target": 75}',
    ),
    ("tool", '{"command": "target", "targets": 210}', "must be an object, not 210"),
    ("tool", '{"command": "target", "targets": {"hotend": 1}}', "must be tool0, tool1"),
    ("job", '{"command": "Pause"}', 'has no "Pause"; did you mean "pause"?'),
    (
        "job",
        '{"command": "stop"}',
        'job has no "stop"; did you mean "cancel"? (known: answer, ',
    ),
    ("files", '{"command": "delete"}', 'path: is missing; for example {"command": "d'),
    # Wrong topics.
    ("gcode", "G28", 'unknown topic "gcode"; did you mean "command"?'),
    ("status", "", 'unknown topic "status"; did you mean "request/state"?'),
    ("tool0", "210", 'unknown topic "tool0"; did you mean "tool"?'),
    ("request", "state", 'unknown topic "request"; did you mean "request/state"?'),
    ("emergency/now", "", 'did you mean "emergency"?'),
    ("bed/target", "{}", 'unknown topic "bed/target"; did you mean "bed"?'),
    ("printhead", "{}", 'unknown topic "printhead"; did you mean "head"?'),
    ("request/temprature", "", 'did you mean "request/temperature"?'),
    ("request/jobs/1", "", 'unknown topic "request/jobs/1" (known: bed, chamber'),
    ("nosuch", "{}", 'unknown topic "nosuch" (known: bed, chamber, command'),
    ("nozzle", "{}", 'unknown topic "nozzle"; did you mean "tool"?'),
    ("pause", "", 'unknown topic "pause"; did you mean "job"?'),
    ("estop", "", 'unknown topic "estop"; did you mean "emergency"?'),
    ("request/pos", "", 'did you mean "request/position"?'),
    ("ender/head", "{}", 'did you mean "head"?'),
    ("stop", "", '"emergency" stops the machine, {"command": "cancel"} on "job" a pri'),
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
    # A section or a list where a word was written.
    (
        f"{_PRINTER}log: debug",
        ['must be a section, not "debug"; set log.level to debug'],
    ),
    (
        f"{_PRINTER}metrics: 9464",
        ["must be a section, not 9464; set metrics.port to 9464"],
    ),
    (
        f"{_PRINTER}mqtt:\n- host: a",
        [
            (
                ":3: mqtt must be a section, not a list of 1 entry; write its settings "
                "without hyphens before them"
            )
        ],
    ),
    (
        "printers: [{blocked: [M0]}]",
        [
            (
                "blocked must be a section of names and values, not a list of 1 entry; "
                "write its entries below it, each as NAME: VALUE"
            )
        ],
    ),
    (f"{_PRINTER}mqtt: {{port: {{a: 1}}}}", ["mqtt.port must be a whole number from"]),
    (f"{_PRINTER}rights: all", ["its settings are read, safe, control, raw"]),
    (f"{_PRINTER}home_assistant: no", ["set home_assistant.enabled to no"]),
    (f"{_PRINTER}mqtt: {{hosts: b.lan}}", ['a text, not "b.lan"; write [b.lan]']),
    # Ports, and files with secrets.
    (f"{_PRINTER}metrics: {{port: 70000}}", ["from 1 to 65535, not 70000"]),
    (
        f"{_PRINTER}mqtt: {{port: -1}}",
        ["mqtt.port must be a whole number from 1 to 65"],
    ),
    (f"{_PRINTER}mqtt: {{will_delay: 1.5}}", ["a whole number from 0 to 300, not 1.5"]),
    (f"{_PRINTER}mqtt: {{keepalive: true}}", ["from 5 to 3600, not true"]),
    (f"{_PRINTER}mqtt: {{keepalive: 1 m}}", ['from 5 to 3600, not "1 m"']),
    (f"{_PRINTER}mqtt: {{keepalive:}}", ["from 5 to 3600, not empty"]),
    (
        f"{_PRINTER}mqtt: {{hosts: ['b:99999']}}",
        ['HOST:PORT with a port from 1 to 65535, not "b:99999"'],
    ),
    (
        f"{_PRINTER}mqtt: {{hosts: ['mqtt://me:secret@b']}}",
        ["mqtt.hosts[0] must be HOST or HOST:PORT, without ://, user name or password"],
    ),
    (f"{_PRINTER}upload: {{listen: ':5000'}}", ["such as 127.0.0.1:5000, or 0.0.0.0"]),
    (f"{_PRINTER}mqtt: {{password_file: .}}", ["mqtt.password_file cannot be read: "]),
    (
        f"{_PRINTER}mqtt: {{password_file: config.yaml, password: x}}",
        ["mqtt.password and mqtt.password_file are both given; keep one"],
    ),
    (f"{_PRINTER}mqtt: {{password: [x]}}", ["mqtt.password must be a text"]),
    # YAML.
    ("mqtt:\n\thost: x", [":2: the line begins with a tab; YAML allows only spaces"]),
    (
        "mqtt:\n  host x\n  port: 1",
        [":3: a colon is not expected here: the line above"],
    ),
    ("mqtt: {host: a: b}", [":1: a text with a colon needs quotes, and a comma sepa"]),
    (
        "name: Ender: 3",
        [":1: there is a second colon on this line; if it is part of"],
    ),
    ("a:\n- b: c: d", [":2: there is a second colon on this line; if it is part of"]),
    (
        "a: b\n  c: 1",
        [":2: a colon is not expected here: the line above may lack a co"],
    ),
    (
        "printers: [{scripts: {a: {{ x }}}}]",
        [":1: the name of a setting must be a text; put a text with { in quotes"],
    ),
    ("mqtt:\n  host: x\n port: 1", [":3: the indentation does not match: entries of"]),
    ("printers:\n- id: a\n - id: b", [":3: "]),
    (
        "a: [1, 2",
        [":1: a bracket, opened on line 1, is never closed; add the missing ]"],
    ),
    (
        "a: {b: 1",
        ["add the missing }, a comma between the entries, or quotes around a text"],
    ),
    ("a: {b: 1}}", [":1: there is one } too many; remove it"]),
    (
        'a: "x\nb: 1',
        ["a quotation mark, opened on line 1, is never closed; add the other"],
    ),
    (
        "a: 'it's'",
        [":1: text follows a closing quotation mark; in single quotes, write '' for '"],
    ),
    ('a: "C:\\x"', ["in double quotes a backslash has a special meaning; use single"]),
    ("a: @x", [":1: a text must not begin with @; put the text in quotes"]),
    ("a: %x", [":1: a text must not begin with %; put the text in quotes"]),
    ("a: *x", [":1: a text must not begin with *; put the text in quotes"]),
    ("a: !x y", [":1: a text must not begin with !; put the text in quotes"]),
    ("a: >x\n b", ["a text must not begin with |, >, & or !; put the text in quotes"]),
    ("a: -\n b", ["an entry of a list (- …) must begin on a line of its own"]),
    ("a: |\nb", [":2: the line has no colon; a setting is written as NAME: VALUE"]),
    ("%a", [":1: the text does not belong to any setting; write NAME: VALUE"]),
    ("a: 1\n---\nb: 2", [":2: --- begins a second document; remove it"]),
    ("a: \x07", [":1: there is a control character (code 7), which YAML does not"]),
    ("a: 1\na: 2", [":2: the key a is already given at "]),
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
                ":3: mqtt.host must not contain the port; set mqtt.host to broker.lan "
                "and mqtt.port to 1883"
            )
        ],
    ),
    (
        f"{_PRINTER}mqtt: {{host: '[::1]:1884'}}",
        ["set mqtt.host to ::1 and mqtt.port to 1884"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: '[::1]'}}",
        ["mqtt.host must not have brackets; set mqtt.host to ::1"],
    ),
    (
        f"{_PRINTER}mqtt: {{host: broker.lan/mqtt}}",
        ["set mqtt.host to broker.lan, and for WebSockets mqtt.path to /mqtt"],
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
    (
        f"{_PRINTER}mqtt: {{host: ''}}",
        ["mqtt.host must not be empty; write a name or address, or localhost"],
    ),
    (
        f"{_PRINTER}mqtt: {{transport: websockets, path: mqtt}}",
        ["mqtt.path must begin with a slash; write /mqtt"],
    ),
    (
        f"{_PRINTER}mqtt: {{transport: tls}}",
        [
            (
                ':3: mqtt.transport must be tcp, websockets or unix, not "tls"; set '
                "mqtt.tls.enabled to true"
            )
        ],
    ),
    (
        f"{_PRINTER}mqtt: {{transport: SSL}}",
        ['not "SSL"; set mqtt.tls.enabled to true'],
    ),
    (f"{_PRINTER}mqtt: {{transport: websocket}}", ["; did you mean websockets?"]),
    (f"{_PRINTER}log: {{level: warn}}", ["; did you mean warning?"]),
    ("printers: [{serial: {firmware: Marlin2}}]", ["; did you mean marlin?"]),
    ("printers: [{serial: {baud: 1}}]", ["did you mean printers[0].serial.baudrate?"]),
    (f"{_PRINTER}mqtt: {{user: a}}", ["did you mean mqtt.username?"]),
    (f"{_PRINTER}mqtt: {{ssl: true}}", ["did you mean mqtt.tls?"]),
    (f"{_PRINTER}mqtt: {{cafile: a}}", ["did you mean mqtt.tls.ca_file?"]),
    (f"{_PRINTER}broker: a", ["broker is not a known key; did you mean mqtt?"]),
    (f"{_PRINTER}mqtt: {{port: 70000}}", ["from 1 to 65535, not "]),
    (f"{_PRINTER}mqtt: {{keepalive: 0}}", ["mqtt.keepalive must be a whole number"]),
    (f"{_PRINTER}mqtt: {{protocol: 4}}", ["mqtt.protocol must be auto, 5 or 3.1.1"]),
    (f"{_PRINTER}mqtt: {{password_file: none}}", ["mqtt.password_file cannot be read"]),
    (
        f"{_PRINTER}mqtt: {{prot: 1}}",
        [":3: mqtt.prot is not a known key; did you mean mqtt.port?"],
    ),
    (
        f"{_PRINTER}mqtt: {{tls: true}}",
        ["must be a section, not true; set mqtt.tls.enabled to true"],
    ),
    (f"{_PRINTER}mqtt: b.lan", ['not "b.lan"; set mqtt.host to b.lan']),
    (f"{_PRINTER}mqtt: {{protocol: mqttv5}}", ["; did you mean 5?"]),
    (f"{_PRINTER}mqtt: {{protocol: MQTT 5}}", ['not "MQTT 5"; did you mean 5?']),
    (f"{_PRINTER}mqtt: {{transport: ws}}", ["; did you mean websockets?"]),
    (f"{_PRINTER}mqtt: {{keepalive: 60s}}", ['not "60s"; write 60']),
    (f"{_PRINTER}mqtt: {{max_payload: 64k}}", ["; write only the number, without its"]),
    (f"{_PRINTER}mqtt: {{hosts: ['::1:5']}}", ["write [::1:5] or [::1]:5"]),
    (f"{_PRINTER}mqtt: {{host: 1.2.3.400}}", ["an address with numbers from 0 to 255"]),
    (f"{_PRINTER}mqtt: {{host: ${{HOST}}}}", [":3: a bracket, opened on line 3, is "]),
    (
        f"{_PRINTER}mqtt:\n  host: ${{HOST}}",
        ["variables are not replaced in this file"],
    ),
    (f"{_PRINTER}mqtt:\n  port: ${{PORT}}", ["in this file; set BRIDGE_… in the env"]),
    (
        f"{_PRINTER}mqtt:\n  host: \u201ca\u201d",
        ["a name or an address, without \u201c"],
    ),
    (f"{_PRINTER}mqtt:\n  port: \u201c1\u201d", ["write straight quotation marks"]),
    (f"{_PRINTER}mqtt:\n  password: !secret x", ["!secret works only in Home Assista"]),
    (f"{_PRINTER}mqtt:\n  host:b.lan", ["; a colon needs a space after it"]),
    (f"{_PRINTER}mqtt:\n  host = b.lan", ["; a setting is written as NAME: VALUE"]),
    (f"{_PRINTER}mqtt.host: b.lan", ["write host below mqtt, indented by two spaces"]),
    (
        f"{_PRINTER}mqtt:\n\xa0 host: a",
        ["there is a no-break space on this line; wr"],
    ),
    (f"{_PRINTER}mqtt:\xa0x: y", ["there is a no-break space on this line"]),
    (f"{_PRINTER}host: b.lan", ["host is not a known key; did you mean mqtt.host?"]),
    (
        f"{_PRINTER}upload: {{port: 5000}}",
        ["upload.port is not a known key; did you mean upload.listen?"],
    ),
    (f"{_PRINTER}telemetry: {{interval: '2,5'}}", ['not "2,5"; write 2.5']),
    # Printers and their ports.
    (
        "printers: [{serial: /dev/ttyUSB0}]",
        ["set printers[0].serial.port to /dev/ttyUSB0"],
    ),
    ("printers: [{serial: {port: '10.0.0.5:23'}}]", ["write socket://10.0.0.5:23"]),
    ("printers: [{serial: {port: 'socket://a'}}]", ["must have a host and a port, su"]),
    ("printers: [{serial: {port: '/dev/x '}}]", ["must not begin or end with a space"]),
    ("printers: [{serial: {baudrate: '115,200'}}]", ["; write 115200"]),
    ("printers: [{profile: {volume: [220]}}]", ["list of 1 entry; its settings are x"]),
    ("printers: [{profile: {volume: {x: 220}}}]", ["not 220; write [0, 220]"]),
    (
        "printers: [{profile: {volume: {x: [9, 9]}}}]",
        ["must be a range, such as [0, 9"],
    ),
    (
        "printers: [{serial: {port: '/dev/ttyUSB0:115200'}}]",
        ["write /dev/ttyUSB0, and set serial.baudrate to 115200"],
    ),
    ("printers: [{profile: {volume: {x: [9, 0]}}}]", ["lowest first; write [0, 9]"]),
    ("printers: [{profile: {fans: {0: Part}}}]", ["profile.fans.0 must be the number"]),
    (
        "printers: [{profile: {light: {kind: pin}}}]",
        ["printers[0].profile.light: kind: pin needs the name of the output; add"],
    ),
    (
        "printers: [{presets: {PLA: {tool: 500}}}]",
        [":1: printers[0]: presets.PLA.tool: 500 °C is beyond profile.max_temperature"],
    ),
    (
        "mqtt: {}",
        ["printers is missing; it must be a list of 1 to 1000 entries, each a section"],
    ),
    (
        "printers: {id: a}",
        ["not a section; begin each of its entries with a hyphen and a space"],
    ),
    (
        "printers: []",
        ["printers must be a list of 1 to 1000 entries, each a section, not a list "],
    ),
    ("printer:\n- {}", ["printer is not a known key; did you mean printers?"]),
    (
        "printers: [{id: My Printer}]",
        ["id must be 1 to 64 lower-case letters, digits, "],
    ),
    ("printers: [{topic: a/#}]", ['printers[0].topic must not contain "+", "#"']),
    ("printers: [{topic: /a}]", ['must not be empty, begin with "/"']),
    (
        "printers: [{serial: {port: COM3}}]",
        [
            (
                "serial.port is a name from Windows; gcode2mqtt runs on Linux, where "
                "ports are called /dev/ttyUSB0 or /dev/serial/by-id/…; to list "
                "them, run: gcode2mqtt ports"
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
        ["two printers have the same id: a; give each its own"],
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
    ({"BRIDGE_MQTT_HOST": "x"}, "did you mean BRIDGE_MQTT__HOST?"),
    ({"BRIDGE__MQTT__HOST": "x"}, "did you mean BRIDGE_MQTT__HOST?"),
    ({"BRIDGE_PRINTERS__ID": "x"}, "did you mean BRIDGE_PRINTERS__0__ID?"),
    ({"BRIDGE_PRINTERS__X__ID": "x"}, "did you mean BRIDGE_PRINTERS__0__ID?"),
    ({"BRIDGE_PRINTERS": "ender"}, "printers must be a list of 1 to 1000"),
    ({"BRIDGE_PRINTERS__0": "ender"}, "printers[0] must be a section, not "),
    ({"BRIDGE_MQTT__HOSTS": "a, b"}, 'a text, not "a, b"; write [a, b]'),
    ({"BRIDGE_MQTT__TLS": "on"}, 'not "on"; set mqtt.tls.enabled to on'),
    ({"BRIDGE_MQTT__TLS__ENABLED": "maybe"}, "must be true or false, not "),
    ({"BRIDGE_MQTT__PASSWORD_FILE": "/nowhere"}, "cannot be read: /nowhere: No such"),
    ({"BRIDGE_LOG__LEVEL": "verbose"}, "log.level must be debug, info, warning or er"),
    ({"BRIDGE_METRICS__PORT": "http"}, "metrics.port must be a whole number from 1"),
    ({"BRIDGE_MQTT__HOTS": "x"}, "did you mean BRIDGE_MQTT__HOST?"),
    ({"BRIDGE_MQTT": "[1]"}, "BRIDGE_MQTT: mqtt must be a section, not a list of 1"),
    ({"BRIDGE_MQTT__PORT": "x"}, "BRIDGE_MQTT__PORT: mqtt.port must be a whole"),
    (
        {"BRIDGE_PRINTERS__5__ID": "x"},
        "but number 1 is missing before it; number them from 0",
    ),
    (
        {"BRIDGE_LOG__LEVELS__MQTT": "debug"},
        (
            "BRIDGE_LOG__LEVELS__MQTT is set, but there is no such setting; write "
            "BRIDGE_LOG__LEVELS='{mqtt: VALUE}'"
        ),
    ),
    ({"BRIDGE_CONFIG": "x.yaml"}, "name the file with --config"),
    (
        {"BRIDGE_PRINTERS__1__SERIAL__PORT": "/dev/null"},
        "BRIDGE_PRINTERS__1__SERIAL__PORT: two printers have the same id: printer",
    ),
    ({"BRIDGE_LOG__LEVELS": "{a"}, "BRIDGE_LOG__LEVELS:1: a bracket, opened on line 1"),
    ({"BRIDGE_MQTT__HOST": "a:1883"}, "set mqtt.host to a and mqtt.port to 1883"),
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
    (
        ["send", "head", "[]"],
        'the payload must be a JSON object such as {"command": "jog", ',
    ),
    (["send", "bed", "60"], '{"command": "target", "target": 75}, not 60'),
    (
        ["send", "display", "Hello"],
        'such as {"command": "show", "text": "Coffee first"',
    ),
    (["simulate", "--pty", "x", "--firmware", "marlim"], "marlim"),
    (["replay", "nowhere.log"], "nowhere.log: cannot be read: No such"),
    (["send", "head", "{}", "--broker", "lan"], '"lan" is not HOST:PORT'),
    (["send", "head", "{}", "--broker", "lan:0"], "port 0 is not valid"),
    (["send", "head", "{}", "--broker", "::1:1883"], "write [ADDRESS]:PORT"),
    (["simulate", "--tcp", "x:99999"], '"x:99999" is not HOST:PORT'),
    (["simulate", "--pty", "x", "--speed", "0"], "is not a number above 0 and up to"),
    (["rnu"], 'COMMAND: there is no "rnu"; did you mean run? (known: init, run'),
    ([], "arguments are required: COMMAND; gcode2mqtt --help explains them"),
    (
        ["run", "--confg", "x"],
        "there is no --confg; did you mean --config? (known: --config, --event-loop",
    ),
    (
        ["run", "--port=9"],
        "there is no --port=9 (known: --config, --event-loop, --help",
    ),
    (["run", "x.yaml"], "with --config; write: gcode2mqtt run --config x.yaml"),
    (["check", "x.yaml"], "with --config; write: gcode2mqtt check --config x.yaml"),
    (["doctor", "x.yaml"], "with --config; write: gcode2mqtt doctor --config x.yaml"),
    (
        ["ports", "all"],
        '"all" is one word too many; gcode2mqtt ports --help explains the',
    ),
    (
        ["send", "head", "{command:", "home}"],
        '"home}" is one word too many; put the payload in single quotes, for ex',
    ),
    (
        ["job", "stop"],
        'there is no "job"; write: gcode2mqtt send job \'{"command": "select", ',
    ),
    (["bed", "60"], 'write: gcode2mqtt send bed \'{"command": "target", "target": 75}'),
    (["G28"], """write: gcode2mqtt send command '{"command": "G28"}' (known: """),
    (["request/state"], """gcode2mqtt send request/state '{"id": "1"}' (known: """),
    (["start"], 'there is no "start"; did you mean run?'),
    (["help"], "did you mean --help?"),
    (["status"], "did you mean health?"),
    (["restart"], "a service is managed with: systemctl restart gcode2mqtt"),
    (["frobnicate"], 'COMMAND: there is no "frobnicate" (known: init, run, app'),
    (["printer/head", "{}"], "write: gcode2mqtt send head '"),
    (["--verson"], "there is no --verson; did you mean --version?"),
    (["--config", "x", "run"], "options follow the command, for example: gcode2mqtt"),
    (["run", "-c", "x"], "there is no -c; did you mean --config?"),
    (["run", "--debug"], "BRIDGE_LOG__LEVEL=debug in the environment"),
    (["check", "--config", ""], "--config: the name of the file is empty"),
    (["watch", "printer/#"], "--topic; write: gcode2mqtt watch --topic printer"),
    (["watch", "--topic", "a/#"], '"a/#" is not the topic of one printer, such as pri'),
    (["watch", "--printer", "x"], "--printer names a printer of a configuration, and"),
    (["send", "head", "{}", "--topic", "a/+"], "to one printer; name its topic, w"),
    (["send", "head", "{}", "--broker", "mqtt://b:1"], '"mqtt://b:1": write only b:1'),
    (["send", "request/temp"], 'did you mean "request/temperature"?'),
    (["send", "head", "{}", "--broker", "a b:1"], '"a b:1": must not contain spaces'),
    (["watch", "--broker", "me@b:1"], "must be HOST or HOST:PORT, without ://, user n"),
    (["demo", "--broker", "b/mqtt:1"], "must not contain a path; set mqtt.host to b,"),
    (
        ["simulate", "--pty", "x", "--firmware", "grbl"],
        'there is no firmware "grbl" (known: marlin',
    ),
    (["health", "--config", "nowhere"], "nowhere: cannot be read: No such file"),
    (["doctor", "--config", "."], ".: cannot be read: Is a directory"),
    (["purge", "--config", "nowhere"], "nowhere: cannot be read: No such file"),
    (["send"], "the following arguments are required: TOPIC"),
    (["send", "printer/head", "{}"], 'topic "printer/head"; did you mean "head"?'),
    (
        ["send", "request/state", "now"],
        'not JSON: now (it must be a JSON object such as {"id": "1"}, or empty)',
    ),
    (["watch", "--broker", "lan"], "with a port up to 65535, such as localhost:1883"),
    (["watch", "--topic"], "--topic: expected one argument"),
    (["schema", "xml"], 'form: there is no "xml" (known: json, asyncapi)'),
    (["completion", "powershell"], 'there is no "powershell" (known: bash, zsh, fish)'),
    (["completion", "bsh"], 'there is no "bsh"; did you mean bash?'),
    (["replay"], "the following arguments are required: FILE"),
    (["replay", "."], ".: cannot be read: Is a directory"),
    (["demo", "--seconds", "soon"], '"soon" is not a number above 0'),
    (["simulate"], "one of the arguments --pty --tcp is required"),
    (["simulate", "--pty", "a", "--tcp", "b:1"], "not allowed with argument --pty"),
    (["app", "--port", "web"], '--port: must be a whole number, not "web"'),
    (["init", "--config"], "--config: expected one argument"),
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


SECRETS = [
    (b"hunter2\n", None),
    (b"hunter2", None),
    (b"hunter2\r\nmore", None),
    (b"\xef\xbb\xbfhunter2\n", None),
    (b"\xef\xbb\xbfhunter2\r\n", None),
    (b"", "has an empty first line, where the password"),
    (b"\nhunter2", "has an empty first line, where the password"),
    (b"\xef\xbb\xbf\r\n", "has an empty first line, where the password"),
    (b"\xff\xfeh\0u\0", "is not UTF-8 text"),
    (b"h\xfcnter", "is not UTF-8 text"),
]


def test_a_file_with_the_password(tmp_path: Path) -> None:
    """Editors add a byte order mark and CR; neither belongs to the password."""
    file, secret = tmp_path / "config.yaml", tmp_path / "secret"
    file.write_text(f"{_PRINTER}mqtt: {{username: a, password_file: secret}}")
    for content, problem in SECRETS:
        with case(content):
            secret.write_bytes(content)
            if problem is None:
                password = load(file, {}).mqtt.password
                assert password is not None
                assert password.get_secret_value() == "hunter2"
                continue
            with pytest.raises(ConfigError) as caught:
                load(file, {})
            assert problem in str(caught.value)
            assert str(secret) in str(caught.value)


def test_files_that_may_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever checks is told before the bridge is."""
    texts = {
        "mqtt: {username: a, password_file: private/secret}": (
            2,
            "/private/secret: Permission denied",
        ),
        "mqtt: {tls: {enabled: true, ca_file: private/secret}}": (
            0,
            ":3: mqtt.tls.ca_file cannot be read: {folder}/private/secret: Permission",
        ),
        "mqtt: {tls: {enabled: true, cert_file: private/secret}}": (
            0,
            "mqtt.tls.cert_file cannot be read: {folder}/private/secret: Perm",
        ),
        "mqtt: {tls: {enabled: true, ca_file: nowhere}}": (
            0,
            "mqtt.tls.ca_file cannot be read: {folder}/nowhere: No such file or",
        ),
        "mqtt: {tls: {enabled: true, cert_file: config.yaml, key_file: nowhere}}": (
            0,
            "mqtt.tls.key_file cannot be read: {folder}/nowhere: No such file or",
        ),
        "mqtt: {tls: {enabled: true, cert_file: config.yaml}}": (
            0,
            "{folder}/config.yaml: there is no certificate or no key in PEM form",
        ),
        "mqtt: {tls: {enabled: true, ca_file: config.yaml}}": (
            0,
            "{folder}/config.yaml: there is no certificate in PEM form",
        ),
        "home_assistant: {scripts: [preheet]}": (
            2,
            'config.yaml:3: home_assistant.scripts: no printer has a script "preheet"',
        ),
        "home_assistant:\n  scripts:\n  - preheet": (
            2,
            'config.yaml:5: home_assistant.scripts: no printer has a script "preheet"',
        ),
    }
    # The folder of pytest's own may be closed to others.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        private = folder / "private"
        private.mkdir()
        (private / "secret").write_text("hunter2")
        for text, (code, sentence) in texts.items():
            with case(text):
                file = folder / "config.yaml"
                file.write_text(f"{_PRINTER}{text}\n")
                with without_rights(private):
                    assert main(["check", "--quiet", "--config", str(file)]) == code
                assert sentence.format(folder=folder) in capsys.readouterr().err
