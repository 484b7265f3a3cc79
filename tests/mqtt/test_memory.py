"""Retained topics are remembered across restarts, and cleared when they are gone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.memory import Memory, all_memories, default_folder, parse, render
from bridge.mqtt.purge import Purge
from tests.support.bridges import TOPICS, bridge, presence
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.mqtt_client import connected
from tests.support.servers import picky, saying, server
from tests.support.waiting import until


def config(port: int) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port)


@given(st.frozensets(st.text(min_size=1)))
def test_what_is_written_can_be_read(topics: frozenset[str]) -> None:
    assert parse(render(topics)) == topics


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"retained": "a"}', '{"retained": [1]}', '{"a": 1}']
)
def test_what_is_not_ours_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_the_folder_is_systemds_or_the_users() -> None:
    home = Path("/home/me")
    assert default_folder({}, home) == home / ".local/state/gcode2mqtt"
    xdg = {"XDG_STATE_HOME": "/state"}
    assert default_folder(xdg, home) == Path("/state/gcode2mqtt")
    systemd = {"STATE_DIRECTORY": "/var/lib/gcode2mqtt:/var/lib/more"}
    assert default_folder(systemd, home) == Path("/var/lib/gcode2mqtt")


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


async def test_what_an_earlier_run_left_is_cleared(
    broker: Mosquitto, tmp_path: Path
) -> None:
    earlier = replace(presence(), memory=Memory(tmp_path, "printer"))
    async with bridge(config(broker.port), earlier) as printer:
        await printer.online()
        printer.broker.publish(TOPICS.heater("tool1"), b"{}", retain=True)
        await printer.online()
        assert TOPICS.heater("tool1") in Memory(tmp_path, "printer").topics
    later = replace(presence(), memory=Memory(tmp_path, "printer"))
    async with bridge(config(broker.port), later) as printer:
        await printer.online()
        printer.broker.clear_leftovers()
        await printer.online()
        with connected(broker.port, "printer/#") as late:
            await late.hears(TOPICS.availability, b"online")
            await until(lambda: late.payloads(TOPICS.state) == [b"{}"])
            assert not late.payloads(TOPICS.heater("tool1"))
    assert Memory(tmp_path, "printer").topics == {TOPICS.state, TOPICS.info}


async def test_a_removed_topic_is_cleared_even_after_a_break(
    tmp_path: Path, broker: Mosquitto
) -> None:
    memory = Memory(tmp_path, "printer")
    with connected(broker.port, TOPICS.heater("bed")) as watcher:
        who = replace(presence(), memory=memory)
        async with bridge(config(broker.port), who) as printer:
            printer.broker.publish(TOPICS.heater("bed"), b"{}", qos=1, retain=True)
            await watcher.hears(TOPICS.heater("bed"), b"{}")
            printer.broker.publish(TOPICS.heater("bed"), b"", qos=1, retain=True)
            await watcher.hears(TOPICS.heater("bed"), b"")
            await until(lambda: TOPICS.heater("bed") not in memory.topics)


async def test_purge_clears_all(broker: Mosquitto, tmp_path: Path) -> None:
    memories = [Memory(tmp_path, name) for name in ("ender", "prusa")]
    with connected(broker.port) as past:
        for number, memory in enumerate(memories * 30):
            await past.publish(f"old/{number}", b"x", retain=True)
            memory.add(f"old/{number}")
        await past.publish("somebody/else", b"x", retain=True)
    for memory in memories:
        memory.save()
    purge = Purge(all_memories(tmp_path).values())
    await purge.run(config(broker.port), client_id="gcode2mqtt-purge")
    assert len(purge.cleared) == 60
    assert purge.refused == []
    assert all_memories(tmp_path) == {}
    with connected(broker.port, "#") as late:
        await late.hears("somebody/else")
        assert len(late.heard) == 1


async def test_purge_keeps_in_mind_what_it_may_not_clear(tmp_path: Path) -> None:
    acl = b"topic write printer/#\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    memory = Memory(tmp_path, "printer")
    memory.add("printer/state")
    memory.add("elsewhere/state")
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        purge = Purge([memory])
        await purge.run(config(broker.port), client_id="gcode2mqtt-purge")
    assert purge.cleared == ["printer/state"]
    assert purge.refused == ["elsewhere/state"]
    assert Memory(tmp_path, "printer").topics == {"elsewhere/state"}


async def test_purge_says_why_it_cannot(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "printer")
    memory.add("printer/state")
    with (
        mosquitto(start=False) as broker,
        pytest.raises(BrokerError, match="nothing listens there"),
    ):
        await Purge([memory]).run(config(broker.port), client_id="purge")
    assert memory.topics == {"printer/state"}


async def test_purge_says_what_is_left_when_the_broker_falls_silent(
    tmp_path: Path,
) -> None:
    memory = Memory(tmp_path, "printer")
    memory.add("printer/state")
    async with server(saying(b"\x20\x03\x00\x00\x00")) as port:
        mqtt = config(port).model_copy(update={"connect_timeout": 0.2})
        with pytest.raises(BrokerError, match="1 topics are not cleared yet"):
            await Purge([memory]).run(mqtt, client_id="gcode2mqtt-purge")
    assert memory.topics == {"printer/state"}


@pytest.mark.parametrize("answer", [b"", b"\x20\x02\x00\x01"])
async def test_purge_takes_old_brokers_too(
    broker: Mosquitto, tmp_path: Path, answer: bytes
) -> None:
    memory = Memory(tmp_path, "printer")
    memory.add("printer/state")
    old_only = picky(
        broker.host,
        broker.port,
        unwanted=lambda connect: b"MQTT\x04" not in connect,
        answer=answer,
    )
    async with server(old_only) as port:
        purge = Purge([memory])
        await purge.run(config(port), client_id="gcode2mqtt-purge")
    assert purge.cleared == ["printer/state"]


async def test_the_memory_is_saved_when_the_bridge_ends(
    broker: Mosquitto, tmp_path: Path
) -> None:
    who = replace(presence(), memory=Memory(tmp_path, "printer"))
    async with bridge(config(broker.port), who):
        await asyncio.sleep(0)
    assert Memory(tmp_path, "printer").topics == {TOPICS.state, TOPICS.info}
