"""Purging clears all that a configuration's bridge has left, unless it still runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app.retained_cleanup import Purge, owner_of, purge
from bridge.config import Config, Mqtt, PrinterConfig
from bridge.errors import BrokerError
from bridge.state_files import TopicRecord, all_records
from tests.support.apps import running
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.daemons import run_script
from tests.support.mqtt_client import connected
from tests.support.servers import picky, saying, server


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as started:
        yield started


def config(port: int) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port)


def configured(broker: Mosquitto, folder: Path, protocol: str = "auto") -> Config:
    return Config(
        mqtt=Mqtt.model_validate(
            {
                "host": broker.host,
                "port": broker.port,
                "protocol": protocol,
                "state_folder": folder,
            }
        ),
        printers=(
            PrinterConfig.model_validate({"serial": {"port": "simulator://marlin"}}),
        ),
    )


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
async def test_nothing_of_ours_is_left(tmp_path: Path, protocol: str) -> None:
    with mosquitto() as broker:
        config, origin = configured(broker, tmp_path, protocol), Path("/my.yaml")
        async with running(config, origin) as app:
            await app.online()
        record = TopicRecord(tmp_path, "former", owner_of(origin, config.mqtt))
        record.add("former/state")
        record.save()
        with connected(broker.port) as others:
            for topic in ("former/state", "somebody/else"):
                await others.publish(topic, b"x", retain=True)
        done = await purge(config, origin)
        assert {"printer/availability", "printer/temperature/bed"} <= set(done.cleared)
        assert done.refused == []
        with connected(broker.port, "#") as late:
            await late.hears("somebody/else")
            assert [heard.topic for heard in late.heard] == ["somebody/else"]
    assert all_records(tmp_path, owner_of(origin, config.mqtt)) == {}


async def test_what_was_never_remembered_is_cleared_too(tmp_path: Path) -> None:
    with mosquitto() as broker:
        async with running(configured(broker, tmp_path / "lost")) as app:
            await app.online()
        await purge(configured(broker, tmp_path / "new"))
        with connected(broker.port, "#") as late:
            await late.publish("the/end", b"x", retain=True)
            await late.hears("the/end")
            assert [heard.topic for heard in late.heard] == ["the/end"]


async def test_at_a_broker_that_closes_on_version_5_without_a_word(
    tmp_path: Path,
) -> None:
    with mosquitto() as broker:
        async with running(configured(broker, tmp_path)) as app:
            await app.online()
        old_only = picky(
            broker.host, broker.port, unwanted=lambda first: b"MQTT\x04" not in first
        )
        async with server(old_only) as port:
            config = configured(broker, tmp_path)
            mqtt = config.mqtt.model_copy(update={"port": port})
            done = await purge(config.model_copy(update={"mqtt": mqtt}))
        assert "printer/availability" in done.cleared
        assert done.refused == []


async def test_not_while_the_bridge_runs(tmp_path: Path) -> None:
    with mosquitto() as broker:
        config = configured(broker, tmp_path)
        async with running(config) as app:
            await app.online()
            with pytest.raises(BrokerError, match="the bridge of this configuration"):
                await purge(config)
            elsewhere = configured(broker, tmp_path / "elsewhere")
            with pytest.raises(BrokerError, match=r"serving printer/….*stop it first"):
                await purge(elsewhere)
            with connected(broker.port, "#") as late:
                await late.hears("printer/availability", b"online")


async def test_without_a_broker_it_says_why(tmp_path: Path) -> None:
    with (
        mosquitto(start=False) as broker,
        pytest.raises(BrokerError, match="nothing listens there"),
    ):
        await purge(configured(broker, tmp_path))


async def test_what_the_broker_refuses_is_told(tmp_path: Path) -> None:
    acl = b"topic read #\ntopic write printer/state\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        done = await purge(configured(broker, tmp_path))
        assert done.cleared == ["printer/state"]
        assert "printer/info" in done.refused


def test_on_the_command_line(tmp_path: Path) -> None:
    acl = b"topic read #\ntopic write printer/#\ntopic write homeassistant/#\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        file = tmp_path / "my.yaml"
        file.write_text(
            f"mqtt: {{host: {broker.host}, port: {broker.port}, state_folder: .}}\n"
            "printers: [{id: printer}]\n"
        )
        done = run_script("purge", "--config", file)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("topics cleared, 0 refused\n")
        file.write_text(file.read_text().replace("{id: printer}", "{topic: other}"))
        done = run_script("purge", "--config", file)
        assert done.returncode == 1
        assert "not cleared, the account may not write it: other/info" in (done.stdout)
        broker.stop()
        done = run_script("purge", "--config", file)
        assert done.returncode == 1
        assert "nothing listens there" in done.stderr


async def test_purge_clears_all(broker: Mosquitto, tmp_path: Path) -> None:
    records = [TopicRecord(tmp_path, name) for name in ("ender", "prusa")]
    with connected(broker.port) as past:
        for number, record in enumerate(records * 30):
            await past.publish(f"old/{number}", b"x", retain=True)
            record.add(f"old/{number}")
        await past.publish("somebody/else", b"x", retain=True)
    for record in records:
        record.save()
    cleanup = Purge(all_records(tmp_path).values())
    await cleanup.run(config(broker.port), client_id="gcode2mqtt-purge")
    assert len(cleanup.cleared) == 60
    assert cleanup.refused == []
    assert all_records(tmp_path) == {}
    with connected(broker.port, "#") as late:
        await late.hears("somebody/else")
        assert len(late.heard) == 1


async def test_purge_keeps_in_mind_what_it_may_not_clear(tmp_path: Path) -> None:
    acl = b"topic write printer/#\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    record = TopicRecord(tmp_path, "printer")
    record.add("printer/state")
    record.add("elsewhere/state")
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        cleanup = Purge([record])
        await cleanup.run(config(broker.port), client_id="gcode2mqtt-purge")
    assert cleanup.cleared == ["printer/state"]
    assert cleanup.refused == ["elsewhere/state"]
    assert TopicRecord(tmp_path, "printer").topics == {"elsewhere/state"}


async def test_purge_says_why_it_cannot(tmp_path: Path) -> None:
    record = TopicRecord(tmp_path, "printer")
    record.add("printer/state")
    with (
        mosquitto(start=False) as broker,
        pytest.raises(BrokerError, match="nothing listens there"),
    ):
        await Purge([record]).run(config(broker.port), client_id="purge")
    assert record.topics == {"printer/state"}


async def test_purge_says_what_is_left_when_the_broker_falls_silent(
    tmp_path: Path,
) -> None:
    record = TopicRecord(tmp_path, "printer")
    record.add("printer/state")
    async with server(saying(b"\x20\x03\x00\x00\x00")) as port:
        mqtt = config(port).model_copy(update={"connect_timeout": 0.2})
        with pytest.raises(BrokerError, match="1 topic is not cleared yet"):
            await Purge([record]).run(mqtt, client_id="gcode2mqtt-purge")
    assert record.topics == {"printer/state"}


@pytest.mark.parametrize("answer", [b"", b"\x20\x02\x00\x01"])
async def test_purge_takes_old_brokers_too(
    broker: Mosquitto, tmp_path: Path, answer: bytes
) -> None:
    record = TopicRecord(tmp_path, "printer")
    record.add("printer/state")
    old_only = picky(
        broker.host,
        broker.port,
        unwanted=lambda connect: b"MQTT\x04" not in connect,
        answer=answer,
    )
    async with server(old_only) as port:
        cleanup = Purge([record])
        await cleanup.run(config(port), client_id="gcode2mqtt-purge")
    assert cleanup.cleared == ["printer/state"]
