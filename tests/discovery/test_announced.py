"""What Home Assistant was told, kept for the next run."""

import json
from pathlib import Path

import pytest

from bridge.home_assistant.announced import SUFFIX, Announced, recall, remember

KEPT = Announced(
    components={"state": "sensor"},
    family="marlin",
    firmware="Marlin 2.1.2",
    model=None,
    sensors=("pinda",),
)


def test_it_is_recalled_as_it_was(tmp_path: Path) -> None:
    remember(tmp_path / "new", "ender", KEPT)
    assert recall(tmp_path / "new", "ender") == KEPT
    assert recall(tmp_path / "new", "prusa") == Announced()


def test_without_a_folder_nothing_is_kept() -> None:
    remember(None, "ender", KEPT)
    assert recall(None, "ender") == Announced()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"components": [], "family": 1}),
        json.dumps({"components": {}, "family": 1, "firmware": 2, "model": 3}),
    ],
)
def test_what_cannot_be_read_is_told_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / f"ender{SUFFIX}").write_text(text)
    assert recall(tmp_path, "ender") == Announced()


def test_texts_that_are_none_are_not_known(tmp_path: Path) -> None:
    document = {"components": {}, "family": 1, "firmware": [], "model": {}}
    text = json.dumps({**document, "sensors": []})
    (tmp_path / f"ender{SUFFIX}").write_text(text)
    assert recall(tmp_path, "ender") == Announced()


def test_a_folder_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file", "ender", KEPT)
    assert recall(tmp_path / "file", "ender") == Announced()
