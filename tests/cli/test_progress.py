"""Dots for those who watch."""

import io
import sys

import pytest

from bridge.cli import progress
from tests.support.waiting import until


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BEAT", 0.001)


async def test_a_row_ends_before_something_else_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    async with progress.dots("asking") as end_row:
        await until(lambda: "asking.." in shown.getvalue())
        end_row()
        said = shown.getvalue()
        end_row()
        assert shown.getvalue() == said
        await until(lambda: shown.getvalue().endswith("."))
    assert said.endswith(".\n")
    assert shown.getvalue().endswith(".\n")


async def test_without_a_terminal_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    class File(io.StringIO):
        def isatty(self) -> bool:
            asked.append(True)
            return False

    file = File()
    monkeypatch.setattr(sys, "stderr", file)
    async with progress.dots("asking") as end_row:
        await until(lambda: len(asked) >= 3)
        end_row()
    assert not file.getvalue()


async def test_a_failure_ends_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with pytest.raises(ValueError, match="wrong"):
        async with progress.dots("asking"):
            raise ValueError("wrong")
    assert shown.getvalue() == "asking\n"
