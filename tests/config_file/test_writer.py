from pathlib import Path

from bridge.config_file import dump
from tests.support.configs import ONE_PRINTER, load_text

FULL = """
mqtt: {host: b, response_prefixes: [a/, b/], tls: {enabled: true, ca_file: ca.pem}}
log: {levels: {mqtt: debug}}
printers:
  - {id: a, serial: {port: /dev/a}, profile: {volume: {x: [0, 200]}}}
  - {id: b, serial: {port: /dev/b}, scripts: {two: "G28\\nG29"}}
"""


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    config = load_text(tmp_path, FULL)
    assert load_text(tmp_path, dump(config)) == config


def test_secrets_are_named_but_not_shown(tmp_path: Path) -> None:
    config = load_text(tmp_path, "mqtt: {password: hunter2}\n" + ONE_PRINTER)
    text = dump(config)
    assert "hunter2" not in text
    assert text.startswith("# mqtt.password is set, and not shown\nmqtt:\n")


def test_a_secret_that_is_not_set_is_not_mentioned(tmp_path: Path) -> None:
    assert "not shown" not in dump(load_text(tmp_path, ONE_PRINTER))
