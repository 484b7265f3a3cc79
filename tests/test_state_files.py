"""What is kept on disk between two runs, and what else may be there instead."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.home_assistant.discovery import KnownDevice
from bridge.state_files import (
    LARGEST,
    KnownPort,
    TopicRecord,
    all_records,
    default_folder,
    exclusive,
    flush,
    flushed,
    installation_digest,
    load,
    recall,
    remember,
    save,
)
from tests.support.users import without_rights

USB = KnownPort(port="/dev/serial/by-id/usb-1", baudrate=250_000)
DEVICE = KnownDevice(
    components={"state": "sensor"},
    family="marlin",
    firmware="Marlin 2.1.2",
    model=None,
    sensors=("pinda",),
)
NO_JSON = {
    "empty": b"",
    "cut off": b'{"port": "/dev/ttyUS',
    "text": b"no json",
    "binary": bytes(range(256)),
    "not UTF-8": b'{"port": "\xff", "baudrate": 1}',
    "deep": b"[" * 100_000,
    "deep objects": b'{"port":' * 100_000,
    "huge": b" " * (LARGEST + 1),
    "a huge number": b'{"port": "x", "baudrate": 1' + b"0" * 5_000 + b"}",
    "zeros": bytes(4_096),
}


def a_directory(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text('{"port": "/dev/ttyUSB0", "baudrate": 115200}')
    path.symlink_to(target)


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_named_pipe(path: Path) -> None:
    os.mkfifo(path)


THINGS = (a_directory, a_link, a_dangling_link, a_link_to_itself, a_named_pipe)


@pytest.mark.parametrize("document", [USB, DEVICE, KnownDevice()])
def test_what_is_written_is_read(
    tmp_path: Path, document: KnownPort | KnownDevice
) -> None:
    path = tmp_path / "new" / "folder" / "ender.json"
    assert recall(path, type(document)) is None
    remember(path, document)
    assert recall(path, type(document)) == document
    assert [file.name for file in path.parent.iterdir()] == ["ender.json"]


@given(port=st.text(), baudrate=st.integers(0, 2**64))
def test_any_text_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, port: str, baudrate: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "ender.place.json"
    known = KnownPort(port=port, baudrate=baudrate)
    save(path, known)
    assert load(path, KnownPort) == known


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_a_damaged_file_is_ignored_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "ender.place.json"
    path.write_bytes(content)
    assert recall(path, KnownPort) is None
    (record,) = caplog.records
    assert record.getMessage().startswith(f"ignoring the state file {path}: ")
    assert len(record.getMessage()) < 300
    remember(path, USB)
    assert recall(path, KnownPort) == USB


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A person can look at it, and the next start does not read it again."""
    path = tmp_path / "ender.place.json"
    for name in ("ender.place.json.damaged", "ender.place.json.damaged.1"):
        path.write_bytes(content)
        assert recall(path, KnownPort) is None
        assert caplog.records[-1].getMessage().endswith(f"renamed to {name}")
        assert (tmp_path / name).read_bytes() == content
        assert recall(path, KnownPort) is None, "there is none now"
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "it is not JSON: EOF while parsing an object"),
        ("[]", "it must be an object"),
        ('{"port": 1, "baudrate": 9600}', "port must be a text"),
        ('{"port": "/dev/ttyUSB0"}', "baudrate is missing"),
        ('{"port": "a", "baudrate": "9600"}', "baudrate must be a whole number"),
    ],
)
def test_the_warning_says_what_is_wrong_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, problem: str
) -> None:
    """In the words that are used for the configuration and for payloads."""
    (tmp_path / "ender.place.json").write_text(content)
    assert recall(tmp_path / "ender.place.json", KnownPort) is None
    assert f"place.json: {problem}" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("make", THINGS)
def test_what_is_no_file_is_set_aside_so_that_one_can_be_written(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "ender.retained.json"
    make(path)
    record = TopicRecord(tmp_path, "ender")
    record.add("a")
    record.save()
    assert flush()
    assert all_records(tmp_path)["ender"].topics == {"a"}
    assert os.path.lexists(tmp_path / "ender.retained.json.damaged")


def test_damage_that_returns_at_each_start_does_not_fill_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ender.place.json"
    for _ in range(20):
        path.write_bytes(b"[")
        assert recall(path, KnownPort) is None
    assert len(list(tmp_path.iterdir())) == 11
    assert "remove it" in caplog.records[-1].getMessage()


def test_only_the_latest_of_many_contents_is_written(tmp_path: Path) -> None:
    """So that a slow disk costs no memory."""
    path = tmp_path / "ender.place.json"
    for number in range(1000):
        remember(path, KnownPort(port=str(number), baudrate=1))
    with flushed():
        pass
    assert load(path, KnownPort).port == "999"
    assert [x.name for x in tmp_path.iterdir()] == [path.name]


def test_a_link_in_the_place_of_a_new_file_is_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "ender.place.json"
    other.write_text("precious")
    path.with_name(f"{path.name}.{os.getpid()}.new").symlink_to(other)
    save(path, USB)
    assert other.read_text() == "precious"
    assert load(path, KnownPort) == USB


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        "text",
        {"port": 5, "baudrate": 115_200},
        {"port": "/dev/ttyUSB0", "baudrate": True},
        {"port": "/dev/ttyUSB0", "baudrate": "fast"},
        {"port": "/dev/ttyUSB0", "baudrate": "115200"},
        {"port": "/dev/ttyUSB0"},
    ],
)
def test_a_file_of_another_shape_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, document: object
) -> None:
    path = tmp_path / "ender.place.json"
    path.write_text(json.dumps(document))
    assert recall(path, KnownPort) is None
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "document",
    [
        {"components": []},
        {"components": {"state": 1}},
        {"family": 1},
        {"sensors": "pinda"},
        {"sensors": [None]},
    ],
)
def test_a_device_of_another_shape_is_not_known(
    tmp_path: Path, document: object
) -> None:
    path = tmp_path / "ender.announced.json"
    path.write_text(json.dumps(document))
    assert recall(path, KnownDevice) is None


@pytest.mark.parametrize("thing", THINGS)
def test_a_state_file_that_is_not_a_regular_file_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, thing: Callable[[Path], None]
) -> None:
    path = tmp_path / "ender.place.json"
    thing(path)
    assert recall(path, KnownPort) is None
    assert len(caplog.records) == 1
    remember(path, USB)
    assert flush()
    assert recall(path, KnownPort) == USB
    assert not path.is_symlink()
    leftover = [file.name for file in tmp_path.iterdir() if file.name.endswith(".new")]
    assert leftover == []


@pytest.mark.parametrize("thing", THINGS[1:4])
def test_writing_follows_no_link(tmp_path: Path, thing: Callable[[Path], None]) -> None:
    path = tmp_path / "ender.place.json"
    fresh = tmp_path / f"ender.place.json.{os.getpid()}.new"
    thing(fresh)
    before = fresh.read_text() if thing is a_link else ""
    save(path, USB)
    assert load(path, KnownPort) == USB
    assert not (tmp_path / "nowhere").exists()
    if thing is a_link:
        assert (tmp_path / "elsewhere").read_text() == before


def test_what_a_killed_process_was_writing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ender.place.json"
    (tmp_path / f"ender.place.json.{os.getpid()}.new").write_text("{")
    save(path, USB)
    assert [file.name for file in tmp_path.iterdir()] == ["ender.place.json"]


def test_a_folder_that_must_not_be_used_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ender.place.json"
    save(path, USB)
    before = path.read_bytes()
    with without_rights(tmp_path):
        assert recall(path, KnownPort) is None
        remember(path, USB)
        assert caplog.records == []  # the record of the topics warns about the folder
        TopicRecord(tmp_path, "ender")
    assert path.read_bytes() == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Permission denied" in caplog.text


def test_a_folder_that_is_a_file_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file" / "ender.place.json", USB)
    assert recall(tmp_path / "file" / "ender.place.json", KnownPort) is None
    assert caplog.records == []


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
    record = TopicRecord(tmp_path / "new" / "folder", "ender")
    record.add("a")
    record.add("b")
    record.add("b")
    record.discard("a")
    record.discard("never there")
    record.save()
    assert TopicRecord(tmp_path / "new" / "folder", "ender").topics == {"b"}
    assert [p.name for p in (tmp_path / "new/folder").iterdir()] == [
        "ender.retained.json"
    ]


def test_nothing_to_remember_needs_no_file(tmp_path: Path) -> None:
    record = TopicRecord(tmp_path, "ender")
    record.save()
    record.add("a")
    record.save()
    record.discard("a")
    record.save()
    assert flush()
    assert list(tmp_path.iterdir()) == []


def test_former_printers_are_found(tmp_path: Path) -> None:
    for name in ("ender", "prusa"):
        record = TopicRecord(tmp_path, name)
        record.add(f"printers/{name}/state")
        record.save()
    (tmp_path / "something.else").write_text("x")
    found = all_records(tmp_path)
    assert sorted(found) == ["ender", "prusa"]
    assert found["prusa"].topics == {"printers/prusa/state"}
    assert all_records(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    "content",
    [
        *NO_JSON.values(),
        b"[]",
        b"{}",
        b'{"retained": "a"}',
        b'{"retained": [1]}',
        b'{"retained": [""]}',
        b'{"owner": 1, "retained": ["b"]}',
        b'{"owner": "another", "retained": ["b"]}',
    ],
)
def test_a_damaged_list_of_topics_is_worth_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "ender.retained.json").write_bytes(content)
    record = TopicRecord(tmp_path, "ender")
    assert record.topics == frozenset()
    assert len(caplog.records) == 1
    record.add("a")
    record.save()
    assert TopicRecord(tmp_path, "ender").topics == {"a"}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("thing", THINGS)
def test_something_else_in_place_of_a_list_is_worth_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, thing: Callable[[Path], None]
) -> None:
    thing(tmp_path / "ender.retained.json")
    (record,) = all_records(tmp_path).values()
    record.add("a")
    record.save()
    record.discard("a")
    record.save()
    assert len(caplog.records) == 1


@given(st.frozensets(st.text(min_size=1)))
def test_all_topics_are_remembered(
    tmp_path_factory: pytest.TempPathFactory, topics: frozenset[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "topics"
    record = TopicRecord(folder, "ender", "me")
    for topic in record.topics - topics:
        record.discard(topic)
    for topic in topics:
        record.add(topic)
    record.save()
    assert TopicRecord(folder, "ender", "me").topics == topics
    assert TopicRecord(folder, "ender", "another").topics == frozenset()


def test_an_unwritable_folder_is_worth_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    record = TopicRecord(tmp_path / "file" / "folder", "ender")
    for topic in ("a", "b", "c"):
        record.add(topic)
        record.save()
    assert len(caplog.records) == 1
    file = tmp_path / "file" / "folder" / "ender.retained.json"
    assert caplog.messages[0].startswith(f"cannot read {file} (Not a directory): ")
    assert "mqtt.state_folder" in caplog.text


@pytest.mark.parametrize("thing", THINGS)
def test_something_else_in_place_of_the_lock_harms_nothing(
    tmp_path: Path, thing: Callable[[Path], None]
) -> None:
    with exclusive(tmp_path, "me"):
        (lock,) = tmp_path.iterdir()
    lock.unlink()
    thing(lock)
    with exclusive(tmp_path, "me") as alone:
        assert alone
    assert not (tmp_path / "nowhere").exists()


def test_an_owner_is_locked_only_once(tmp_path: Path) -> None:
    with exclusive(tmp_path, "me") as first, exclusive(tmp_path, "me") as second:
        assert (first, second) == (True, False)
        with exclusive(tmp_path, "you") as third:
            assert third
    with exclusive(tmp_path, "me") as again:
        assert again


# What client ids are derived from

NO_MACHINE = (Path("/nonexistent/machine-id"),)


def digest(folder: Path, owner: str = "config.yaml") -> str:
    return installation_digest(folder, owner, NO_MACHINE)


def test_the_digest_is_the_same_in_each_run(tmp_path: Path) -> None:
    first = digest(tmp_path)
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert digest(tmp_path) == first


def test_the_digest_differs_between_folders_configurations_and_machines(
    tmp_path: Path,
) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("b08dfa6083e7567a1921a715000001fb\n")
    digests = [
        digest(tmp_path / "one"),
        digest(tmp_path / "other"),
        digest(tmp_path / "one", "other.yaml"),
        installation_digest(tmp_path / "one", "config.yaml", [machine]),
    ]
    assert len(set(digests)) == len(digests)


def test_the_random_number_is_for_its_owner_only(tmp_path: Path) -> None:
    digest(tmp_path)
    assert (tmp_path / "client-ids.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [*NO_JSON.values(), b'{"secret": "short"}'])
def test_a_damaged_random_number_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "client-ids.json").write_bytes(content)
    assert digest(tmp_path) == digest(tmp_path)


def test_without_a_folder_it_depends_on_the_machine(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("b08dfa6083e7567a1921a715000001fb\n")
    no_folder = tmp_path / "machine-id" / "folder"
    first = installation_digest(no_folder, "config.yaml", [machine])
    assert first == installation_digest(no_folder, "config.yaml", [machine])
    assert first != installation_digest(no_folder, "other.yaml", [machine])


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_without_both_nobody_can_guess_it_either(
    tmp_path: Path, content: bytes
) -> None:
    machine = tmp_path / "machine-id"
    machine.write_bytes(content)
    no_folder = machine / "folder"
    assert installation_digest(no_folder, "", [machine]) != installation_digest(
        no_folder, "", [machine]
    )


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_a_full_disk_has_refused_is_written_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = tmp_path / "one.place.json", tmp_path / "other.place.json"
    older, newer = KnownPort(port="a", baudrate=1), KnownPort(port="b", baudrate=1)
    remember(one, older)
    flush()
    with full_disk():
        for path in (one, other, one):
            remember(path, USB)
            flush()
        assert [path.name for path in tmp_path.iterdir()] == [one.name], "no half file"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot write" in caplog.text
    remember(one, newer)  # nothing else has to be asked for
    assert flush()
    assert load(one, KnownPort) == newer, "not what had failed before"
    assert load(other, KnownPort) == USB


def test_the_end_tries_once_more(tmp_path: Path) -> None:
    path = tmp_path / "one.place.json"
    with full_disk():
        remember(path, USB)
        assert flush()
    with flushed():
        pass
    assert json.loads(path.read_text())["port"] == USB.port
