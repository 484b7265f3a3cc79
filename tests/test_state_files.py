"""What is kept on disk between two runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.state_files import Memory, all_memories, default_folder, parse, render


@given(st.frozensets(st.text(min_size=1)))
def test_what_is_written_can_be_read(topics: frozenset[str]) -> None:
    assert parse(render(topics)) == topics


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"retained": "a"}', '{"retained": [1]}', '{"a": 1}']
)
def test_what_is_not_ours_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_the_folder_is_systemds_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    home = Path("/home/somebody/.local/state/gcode2mqtt")
    assert default_folder({}) == home
    xdg = {"XDG_STATE_HOME": "/state"}
    assert default_folder(xdg) == Path("/state/gcode2mqtt")
    systemd = {**xdg, "STATE_DIRECTORY": "/var/lib/gcode2mqtt:/var/lib/other"}
    assert default_folder(systemd) == Path("/var/lib/gcode2mqtt")


def test_a_user_that_the_system_does_not_know() -> None:
    program = (
        "import os; from bridge.state_files import default_folder; os.setuid(54321); "
        "print(default_folder({}))"
    )
    if os.geteuid() != 0:
        program = program.replace("os.setuid(54321); ", "")
    done = subprocess.run(
        [sys.executable, "-c", program], env={}, capture_output=True, check=True
    )
    assert done.stdout.endswith(b".local/state/gcode2mqtt\n")
    assert done.stderr == b""


def test_a_memory_lasts(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "new" / "folder", "ender")
    memory.add("a")
    memory.add("b")
    memory.add("b")
    memory.discard("a")
    memory.discard("never there")
    memory.save()
    assert Memory(tmp_path / "new" / "folder", "ender").topics == {"b"}
    assert [p.name for p in (tmp_path / "new/folder").iterdir()] == [
        "ender.retained.json"
    ]


def test_nothing_to_remember_needs_no_file(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "ender")
    memory.save()
    memory.add("a")
    memory.save()
    memory.discard("a")
    memory.save()
    assert list(tmp_path.iterdir()) == []


def test_former_printers_are_found(tmp_path: Path) -> None:
    for name in ("ender", "prusa"):
        memory = Memory(tmp_path, name)
        memory.add(f"printers/{name}/state")
        memory.save()
    (tmp_path / "something.else").write_text("x")
    found = all_memories(tmp_path)
    assert sorted(found) == ["ender", "prusa"]
    assert found["prusa"].topics == {"printers/prusa/state"}
    assert all_memories(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("content", [b"{", b"\xff\xff"])
def test_a_broken_file_is_worth_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "ender.retained.json").write_bytes(content)
    memory = Memory(tmp_path, "ender")
    assert memory.topics == frozenset()
    assert len(caplog.records) == 1
    memory.add("a")
    memory.save()
    assert Memory(tmp_path, "ender").topics == {"a"}
    assert len(caplog.records) == 1


def test_an_unwritable_folder_is_worth_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    memory = Memory(tmp_path / "file" / "folder", "ender")
    for topic in ("a", "b", "c"):
        memory.add(topic)
        memory.save()
    assert len(caplog.records) == 1
    file = tmp_path / "file" / "folder" / "ender.retained.json"
    assert caplog.messages[0].startswith(f"cannot read {file} (Not a directory): ")
    assert "mqtt.state_folder" in caplog.text
