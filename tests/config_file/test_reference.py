import re
from pathlib import Path

from bridge.config import Config, PrinterConfig
from bridge.config_file import load, schema
from bridge.config_file.reference import example, reference
from tests.support.configs import load_text


def test_the_example_means_the_defaults(tmp_path: Path) -> None:
    assert load_text(tmp_path, example()) == Config(printers=(PrinterConfig(),))


def test_the_example_is_right_without_its_comment_signs_too(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    text = re.sub(r"^( *)# (\w+: )(?=\S)", r"\1\2", example(), flags=re.MULTILINE)
    text = text.replace("password: secret\n", "", 1)
    text = text.replace("/etc/gcode2mqtt/password", "password")
    config = load_text(tmp_path, text)
    assert config.mqtt.client_id == "workshop"
    assert config.mqtt.password is not None
    assert config.printers[0].profile.volume.z == (0, 250)


def test_the_example_mentions_every_setting() -> None:
    text = example()
    for key, _ in schema.leaves(schema.root()):
        assert re.search(rf"^ *(- |# )?{key[-1]}:", text, re.MULTILINE), key


def test_the_reference_mentions_every_setting_and_its_variable() -> None:
    text = reference()
    for key, _ in schema.leaves(schema.root()):
        name = "BRIDGE_" + "__".join(str(step).upper() for step in key)
        assert f"| `{key[-1]}`<br>`{name}` |" in text


def test_the_example_in_the_repository_loads() -> None:
    file = Path(__file__).parent.parent.parent / "config.example.yaml"
    assert load(file, {}).printers[0].id == "printer"
