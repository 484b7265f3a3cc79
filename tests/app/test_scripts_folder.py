"""The operator's folder of scripts."""

from pathlib import Path

import pytest

from bridge.app.scripts_folder import LARGEST, check_scripts, read_folder
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.validation_errors import written


def test_scripts_are_named_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets" / "hot").write_text("M104 S200")
    (tmp_path / "preheat").write_text("{% snippet 'hot' %}")
    (tmp_path / ".hidden").write_text("M112")
    assert read_folder(tmp_path) == {
        "preheat": "{% snippet 'hot' %}",
        "snippets/hot": "M104 S200",
    }


def test_no_folder_has_no_scripts() -> None:
    assert read_folder(None) == {}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="bad is not UTF-8"):
        read_folder(tmp_path)


def test_a_file_that_is_too_large_is_named(tmp_path: Path) -> None:
    (tmp_path / "big").write_text("x" * (LARGEST + 1))
    with pytest.raises(ConfigError, match="big is larger than"):
        read_folder(tmp_path)


def test_a_folder_with_too_many_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.app.scripts_folder.MOST", 1)
    for name in "ab":
        (tmp_path / name).write_text("M105")
    with pytest.raises(ConfigError, match="more than 1 files"):
        read_folder(tmp_path)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="gone: No such file"):
        read_folder(tmp_path)


def configured(buttons: list[str], **printer: object) -> Config:
    return Config.model_validate(
        {"home_assistant": {"scripts": buttons}, "printers": [printer]}
    )


def test_every_button_has_a_script(tmp_path: Path) -> None:
    (tmp_path / "purge").write_text("G1 E5")
    own = {"preheat": "M104 S200"}
    config = configured(["preheat", "purge"], scripts=own, scripts_folder=tmp_path)
    check_scripts(config, written)
    check_scripts(configured([]), written)


@pytest.mark.parametrize(
    ("scripts", "problem"),
    [
        (
            {"preheat": "M104 S200"},
            'a script "preheet"; did you mean "preheat"? (known',
        ),
        ({"warm": "M104 S200"}, 'no printer has a script "preheet" (known: warm)'),
        ({}, "home_assistant.scripts[0]: home_assistant.scripts: no printer has a "),
        ({"Preheet": "M104 S200"}, 'did you mean "Preheet"?'),
        ({"preheet ": "M104 S200"}, 'did you mean "preheet "?'),
        ({"park": "G27", "warm": "M104 S200"}, "(known: park, warm)"),
    ],
)
def test_a_button_without_a_script_is_named(
    scripts: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_scripts(configured(["preheet", "x" * 9], scripts=scripts), written)
    assert problem in caught.value.problems[0]
    assert len(caught.value.problems) == 2


def test_the_folder_is_checked_too(tmp_path: Path) -> None:
    problem = (
        r"^printers\[0\].scripts_folder: scripts_folder: .*/nowhere is not a folder"
    )
    with pytest.raises(ConfigError, match=problem):
        check_scripts(configured([], scripts_folder=tmp_path / "nowhere"), written)
