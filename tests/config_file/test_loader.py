import os
from pathlib import Path

import pytest

from bridge.config_file import load
from bridge.errors import ConfigError
from tests.support.configs import ONE_PRINTER, load_text


def test_what_is_not_written_has_a_default(tmp_path: Path) -> None:
    config = load_text(tmp_path, ONE_PRINTER)
    assert config.mqtt.host == "localhost"
    assert config.printers[0].serial.baudrate == "auto"


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        """
        mqtt: {host: broker.lan, port: 8883, protocol: 3.1.1, tls: {enabled: on}}
        telemetry: {deadband: 0.5}
        printers:
          - id: ender
            serial: {port: /dev/ttyUSB0, baudrate: 250000, long_codes: [G29, PURGE]}
            profile: {heated_chamber: yes, volume: {x: [0, 220.5]}}
            scripts: {park: "G91\\nG0 Z10"}
        """,
    )
    printer = config.printers[0]
    assert config.mqtt.port == 8883
    assert config.mqtt.protocol == "3.1.1"
    assert config.mqtt.tls.enabled
    assert config.telemetry.deadband == 0.5
    assert printer.serial.baudrate == 250_000
    assert printer.serial.long_codes == ("G29", "PURGE")
    assert printer.profile.heated_chamber
    assert printer.profile.volume.x == (0, 220.5)
    assert printer.scripts == {"park": "G91\nG0 Z10"}


def test_a_text_stays_as_it_was_written(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        "mqtt: {protocol: 5, username: no, password: 0123}\n"
        "printers: [{id: 1e3, name: 2024-01-01}]",
    )
    assert config.mqtt.protocol == "5"
    assert config.mqtt.username == "no"
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "0123"
    assert config.printers[0].id == "1e3"
    assert config.printers[0].name == "2024-01-01"


@pytest.mark.parametrize("written", ["mqtt:", "mqtt: ~", "mqtt: {tls: }", "mqtt: {}"])
def test_a_section_with_nothing_in_it_is_all_defaults(
    tmp_path: Path, written: str
) -> None:
    config = load_text(tmp_path, f"{written}\n{ONE_PRINTER}    serial:\n")
    assert config == load_text(tmp_path, ONE_PRINTER)


def test_printers_can_share_what_they_have_in_common(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        """
        printers:
          - id: left
            serial: {port: /dev/left}
            profile: &ender {extruders: 2, heated_bed: false}
          - id: right
            serial: {port: /dev/right}
            profile: {<<: *ender, extruders: 1}
        """,
    )
    assert config.printers[0].profile.extruders == 2
    assert config.printers[1].profile.extruders == 1
    assert not config.printers[1].profile.heated_bed


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\r\nsecond line\n")
    config = load_text(
        tmp_path,
        "mqtt: {password_file: secret, tls: {ca_file: /etc/ca.pem, key_file: ~/k}}\n"
        "printers: [{scripts_folder: scripts}]",
    )
    assert config.mqtt.tls.ca_file == Path("/etc/ca.pem")
    assert config.mqtt.tls.key_file == Path.home() / "k"
    assert config.printers[0].scripts_folder == tmp_path / "scripts"
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "hunter2"


PROBLEMS = [
    (
        "",
        ": printers is missing; it must be a list of 1 to 1000 entries, each a section",
    ),
    (
        "printers: []",
        ":1: printers must be a list of 1 to 1000 entries, each a section",
    ),
    (
        "printer: []",
        ":1: printer is not a known key; did you mean printers? (and 1 more)",
    ),
    ("printers: 3", ", each a section, not 3"),
    ("- a", ": the configuration must be a section, not a list of 1"),
    ("hello", ': the configuration must be a section, not "hello"'),
    ("\nmqtt:\n  prot: 1", ":3: mqtt.prot is not a known key; did you mean mqtt.port?"),
    ("speeds: {}", "did you mean printers[0].profile.speeds?"),
    ("colour: red", "known here are mqtt, telemetry, rights,"),
    ("mqtt: [1]", ":1: mqtt must be a section, not a list of 1"),
    ("mqtt: {tls: {enabled: maybe}}", 'mqtt.tls.enabled must be true or false, not "m'),
    ("mqtt: {host: }", ":1: mqtt.host must be a text, not empty"),
    ("mqtt: {host: {a: b}}", ":1: mqtt.host must be a text, not a section"),
    (
        "mqtt: {port: true}",
        ":1: mqtt.port must be a whole number from 1 to 65535, not true",
    ),
    ("mqtt: {port: 70000}", "from 1 to 65535, not 70000"),
    ("mqtt: {port: 1.5}", "from 1 to 65535, not 1.5"),
    ("mqtt: {protocol: 4}", "mqtt.protocol must be auto, 5 or 3.1.1, not 4"),
    ("mqtt: {client_id: " + "x" * 99 + "}", 'not "' + "x" * 59 + "…"),
    ("mqtt: {tls: {ca_file: ~nobody-here/x}}", "the home folder of an unknown user"),
    ("limits: {rate: .nan}", "limits.rate must be a number above 0 and up to 10000"),
    ("limits: {rate: 0}", "limits.rate must be a number above 0"),
    ("telemetry: {interval: .inf}", "telemetry.interval must be a number above 0"),
    ("telemetry: {interval: 1e999}", "telemetry.interval must be a number above 0"),
    ("printers: [{id: Big}]", "printers[0].id must be 1 to 64 lower-case letters"),
    (
        "printers: [{name: ''}]",
        "printers[0].name must be a text of 1 to 100 characters",
    ),
    ("printers: [{topic: a/+}]", 'printers[0].topic must not contain "+", "#"'),
    ("printers: [{topic: /a}]", "printers[0].topic must not be empty, begin"),
    (
        "printers:\n - serial:\n    baudrate: fast",
        ":3: printers[0].serial.baudrate must be auto or a whole number from 1200 to",
    ),
    (
        "printers: [{profile: {volume: {x: [0]}}}]",
        "printers[0].profile.volume.x[1] is missing; it must be a number",
    ),
    (
        "mqtt: {port: x}\nlog: {level: loud}\nlogs: 1",
        ":3: logs is not a known key; did you mean log? (and 3 more)",
    ),
    ("log: {levels: [1]}", "log.levels must be a section of names and values, not"),
    (
        "log:\n levels: {mqtt: info,\n  mqqt: debug}",
        ":3: log.levels.mqqt is not the name of a part that logs; did you mean mqtt?",
    ),
    (
        "log: {levels: {serial: debug}}",
        "log.levels.serial is not the name of a part that logs; known are app, ",
    ),
    ("mqtt: {port: 1}\nmqtt: {port: 2}", ":2: the key mqtt is already given at "),
    ("mqtt: {port: 1, port: 2}", ":1: the key port is already given at "),
    ("mqtt: {password: [1]}", "mqtt.password must be a text"),
    (
        ONE_PRINTER + "mqtt: {password_file: nowhere}",
        ":3: mqtt.password_file cannot be read: ",
    ),
    (
        ONE_PRINTER + "mqtt: {password_file: .}",
        ":3: mqtt.password_file cannot be read: ",
    ),
    (
        ONE_PRINTER + "mqtt: {password_file: config.yaml, password: x}",
        ":3: mqtt.password and mqtt.password_file are both given; keep one",
    ),
    (b"\xff\xfe\x00", ": this is not UTF-8 text"),
    (b"a\x00b", ":1: there is a control character (code 0), which YAML"),
    (b"# " + b"x" * 1_048_576, ": longer than 1048576 bytes; is it the one?"),
]


@pytest.mark.parametrize(("text", "problem"), PROBLEMS)
def test_a_problem_is_one_line_that_names_the_place(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/config.yaml:")
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("second", "place"),
    [
        (
            "id: printer, serial: {port: b}",
            ":3: two printers have the same id: printer",
        ),
        ("id: b, serial: {port: a}", ":3: two printers have the same serial.port: a"),
        (
            "id: b, topic: printers/a",
            ":3: two printers have the same topic: printers/a",
        ),
    ],
)
def test_printers_must_not_share(tmp_path: Path, second: str, place: str) -> None:
    first = "{id: printer, topic: printers/a, serial: {port: a}}"
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, f"printers:\n  - {first}\n  - {{{second}}}")
    assert str(caught.value).endswith(f"config.yaml{place}; give each its own")


def test_printers_must_not_share_a_port_under_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "usb0").touch()
    (tmp_path / "by-id").symlink_to("usb0")
    for first, second in (
        ("usb0", f"{tmp_path}/usb0"),
        (f"{tmp_path}/by-id", "./usb0"),
        ("x/../not-there", "not-there"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_text(
                tmp_path,
                "printers:\n"
                f"  - {{id: a, serial: {{port: {first}}}}}\n"
                f"  - {{id: b, serial: {{port: {second}}}}}",
            )
        assert str(caught.value).endswith(
            "config.yaml:3: two printers have the same serial.port: "
            f"{second} is the same as {first}"
        )


def test_ports_that_are_no_files_have_one_name(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        "printers:\n"
        "  - {id: a, serial: {port: 'socket://h:1'}}\n"
        "  - {id: b, serial: {port: 'socket:/h:1'}}\n"
        "  - {id: c, serial: {port: auto}}\n"
        "  - {id: d, serial: {port: ./auto}}",
    )
    assert len(config.printers) == 4


@pytest.mark.parametrize(
    ("first", "second", "ids"),
    [
        ("p", "p/head", ("b", "a")),
        ("p", "p/2", ("b", "a")),
        ("p/x/y", "p", ("a", "b")),
    ],
)
def test_no_printer_lives_below_another(
    tmp_path: Path, first: str, second: str, ids: tuple[str, str]
) -> None:
    inner, outer = sorted((first, second), key=len, reverse=True)
    with pytest.raises(ConfigError) as caught:
        load_text(
            tmp_path,
            "printers:\n"
            f"  - {{id: a, topic: {first}, serial: {{port: a}}}}\n"
            f"  - {{id: b, topic: {second}, serial: {{port: b}}}}",
        )
    assert str(caught.value).endswith(
        f"config.yaml:3: the topic of {ids[0]}, {inner}, is below that of {ids[1]}, "
        f"{outer}; no printer's topic may be below another one's"
    )


def test_topics_that_only_begin_alike_are_side_by_side(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        "printers:\n"
        "  - {id: a, topic: p/a, serial: {port: a}}\n"
        "  - {id: b, topic: p/ab, serial: {port: b}}\n"
        "  - {id: c, serial: {port: c}}",
    )
    assert config.base(config.printers[2]) == "printers/c"


def test_a_password_is_never_shown_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, "mqtt: {password: {hunter2: hunter2}}\n" + ONE_PRINTER)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "mqtt: {host: 'mqtt://bob:hunter2@broker'}",
        "mqtt: {host: 'bob:hunter2@broker'}",
        "mqtt: {password: !hunter2 x}",
        "mqtt: {password: *hunter2 }",
        "mqtt: {password: &hunter2 a, username: &hunter2 b}",
        "printers: [{serial: {port: 'rfc2217://bob:hunter2@host:1'}}]",
    ],
)
def test_a_password_where_none_belongs_is_not_repeated(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:1: ") as caught:
        load_text(tmp_path, text + "\n")
    assert "hunter2" not in str(caught.value)


def test_a_socket_of_the_broker_s_may_be_called_anything(tmp_path: Path) -> None:
    text = "mqtt: {host: /run/a@b, transport: unix}\n" + ONE_PRINTER
    assert load_text(tmp_path, text).mqtt.host == "/run/a@b"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "has an empty first line"), (b"\nx", "has an empty"), (b"\xff", "UTF-8")],
)
def test_a_password_file_must_have_a_password(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    account = "{username: bridge, password_file: secret}"
    with pytest.raises(ConfigError, match=problem):
        load_text(tmp_path, f"mqtt: {account}\n" + ONE_PRINTER)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_without_an_account_there_may_be_no_password(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "secret").write_bytes(content)
    config = load_text(tmp_path, "mqtt: {password_file: secret}\n" + ONE_PRINTER)
    assert config.mqtt.password is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: cannot be read: No such file"):
        load(tmp_path / "no.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(ONE_PRINTER)
    if os.geteuid() == 0:
        # Root may read everything but another process's memory map of nothing.
        file = Path("/proc/self/mem")
    else:
        file.chmod(0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: "):
        load(file, {})


def test_a_usual_place_that_may_not_be_looked_at_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").symlink_to("config.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Too many levels"):
        load(None, {})
    with pytest.raises(ConfigError, match="cannot be read: Too many levels"):
        load(Path("config.yaml"), {})


def test_the_usual_places_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="name a file with --config"):
        load(None, {})
    (tmp_path / "config.yaml").write_text("printers: [{id: here}]")
    assert load(None, {}).printers[0].id == "here"


@pytest.mark.parametrize("minutes", ["-1", "yes", "off", "10081", ".inf", "[60]"])
def test_the_time_of_idle_heaters_is_a_number_of_minutes(
    tmp_path: Path, minutes: str
) -> None:
    printers = f"printers: [{{profile: {{idle_heaters: {minutes}}}}}]"
    with pytest.raises(ConfigError, match=r"profile\.idle_heaters must be"):
        load_text(tmp_path, printers)
    for fine in ("0", "0.05", "90"):
        config = load_text(tmp_path, printers.replace(minutes, fine))
        assert config.printers[0].profile.idle_heaters == float(fine)


@pytest.mark.parametrize("text", ["off", "'off'", "keep"])
def test_off_needs_no_quotes(tmp_path: Path, text: str) -> None:
    """YAML 1.1 calls it a boolean; every setting is read as text."""
    config = load_text(tmp_path, f"printers: [{{heaters_on_exit: {text}}}]")
    assert config.printers[0].heaters_on_exit == text.strip("'")


@pytest.mark.parametrize("text", ["keep", "10", "0.5"])
def test_the_loss_of_the_broker_has_a_word_or_minutes(
    tmp_path: Path, text: str
) -> None:
    config = load_text(tmp_path, f"mqtt: {{on_broker_loss: {text}}}\nprinters: [{{}}]")
    assert config.mqtt.on_broker_loss == ("keep" if text == "keep" else float(text))
