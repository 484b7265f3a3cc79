from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.config import Config
from bridge.config_file import schema
from bridge.errors import ConfigError
from bridge.field_docs import field_texts
from tests.support.configs import ONE_PRINTER, load_text


def password(config: Config) -> str | None:
    secret = config.mqtt.password
    return None if secret is None else secret.get_secret_value()


def test_a_variable_overrides_the_file(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        "mqtt: {host: a, port: 1}\n" + ONE_PRINTER,
        {
            "BRIDGE_MQTT__HOST": "b",
            "BRIDGE_MQTT__TLS__ENABLED": "yes",
            "BRIDGE_PRINTERS__0__SERIAL__PORT": "/dev/ttyACM0",
            "BRIDGE_PRINTERS__0__PROFILE__VOLUME__X": "[0, 200]",
            "BRIDGE_LOG__LEVELS": "{mqtt: debug}",
            "PATH": "/bin",
        },
    )
    assert (config.mqtt.host, config.mqtt.port) == ("b", 1)
    assert config.mqtt.tls.enabled
    assert config.printers[0].serial.port == "/dev/ttyACM0"
    assert config.printers[0].profile.volume.x == (0, 200)
    assert config.log.levels == {"mqtt": "debug"}


def test_a_variable_does_not_cost_the_start_the_reading_of_source(
    tmp_path: Path,
) -> None:
    schema.root.cache_clear()
    field_texts.cache_clear()
    load_text(tmp_path, ONE_PRINTER, {"BRIDGE_MQTT__HOST": "b"})
    assert field_texts.cache_info().misses == 0


def test_a_list_grows_by_the_next_index(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        ONE_PRINTER,
        {
            "BRIDGE_PRINTERS__1__ID": "second",
            "BRIDGE_PRINTERS__1__SERIAL__PORT": "/dev/second",
        },
    )
    assert [printer.id for printer in config.printers] == ["printer", "second"]


def test_the_environment_alone_can_say_everything(tmp_path: Path) -> None:
    config = load_text(tmp_path, "", {"BRIDGE_PRINTERS": "[{id: only}]"})
    assert config.printers[0].id == "only"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    environ = {"BRIDGE_MQTT__HOST": "", "BRIDGE_UNKNOWN": ""}
    assert load_text(tmp_path, ONE_PRINTER, environ).mqtt.host == "localhost"


@pytest.mark.parametrize("written", ["password: old", "password_file: old", ""])
@pytest.mark.parametrize(
    "environ",
    [{"BRIDGE_MQTT__PASSWORD": "new"}, {"BRIDGE_MQTT__PASSWORD_FILE": "secret"}],
)
def test_one_way_to_give_the_password_replaces_the_other(
    tmp_path: Path, written: str, environ: Mapping[str, str]
) -> None:
    (tmp_path / "secret").write_text("new\n")
    config = load_text(tmp_path, f"mqtt: {{{written}}}\n{ONE_PRINTER}", environ)
    assert password(config) == "new"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BRIDGE_MQTT__PORT", "x", "BRIDGE_MQTT__PORT: mqtt.port must be a whole"),
        (
            "BRIDGE_MQTT_PORT",
            "1",
            "is set, but there is no such setting; did you mean ",
        ),
        ("BRIDGE_MQTT_PORT", "1", "BRIDGE_MQTT__PORT?"),
        ("BRIDGE_", "1", "there is no such setting; see config.example.yaml"),
        ("BRIDGE_PRINTERS__0__SERIAL__PRT", "a", "mean BRIDGE_PRINTERS__0__SERIAL__PO"),
        ("BRIDGE_PRINTERS__7__NAMED", "a", "did you mean BRIDGE_PRINTERS__7__NAME?"),
        ("BRIDGE_PRINTERS__X__ID", "a", "did you mean BRIDGE_PRINTERS__0__ID?"),
        ("BRIDGE_PRINTERS__2__ID", "a", "BRIDGE_PRINTERS__2__ID is set, but number 1"),
        (
            "BRIDGE_LOG__LEVELS__MQTT",
            "debug",
            "write BRIDGE_LOG__LEVELS='{mqtt: VALUE}'",
        ),
        ("BRIDGE_LOG__LEVELS", "{wire: loud}", "LEVELS: log.levels.wire must be"),
        (
            "BRIDGE_LOG__LEVELS",
            "{a",
            "BRIDGE_LOG__LEVELS:1: a bracket, opened on line 1, is never",
        ),
        ("BRIDGE_MQTT", "x", 'BRIDGE_MQTT: mqtt must be a section, not "x"'),
    ],
)
def test_a_problem_names_the_variable(
    tmp_path: Path, name: str, value: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, ONE_PRINTER, {name: value})
    assert str(caught.value).startswith(name)
    assert problem in str(caught.value)


def test_two_passwords_in_the_environment_are_one_too_many(tmp_path: Path) -> None:
    environ = {"BRIDGE_MQTT__PASSWORD": "a", "BRIDGE_MQTT__PASSWORD_FILE": "b"}
    with pytest.raises(ConfigError, match="are both given"):
        load_text(tmp_path, ONE_PRINTER, environ)
