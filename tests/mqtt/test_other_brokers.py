"""What docs/brokers.md says of brokers other than Mosquitto, tried with real ones.

Run with ``scripts/test tests/mqtt/test_other_brokers.py -m other_brokers``; a broker
that is not installed is skipped.
"""

from collections.abc import Iterator

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from bridge.config import Mqtt
from tests.support.bridges import TOPICS, bridge
from tests.support.mqtt_client import Account, connected
from tests.support.other_brokers import BROKERS, other_broker
from tests.support.waiting import until

pytestmark = pytest.mark.other_brokers

OLD = Account(version=MQTTProtocolVersion.MQTTv311)
FORBIDDEN = ("publish printer/state", "subscribe printer/head")


@pytest.fixture(scope="module", params=BROKERS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with other_broker(request.param) as found:
        if found is None:
            pytest.skip(f"{request.param} is not installed")
        yield found


def config(port: int) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port, will_delay=0)


async def test_states_commands_and_retained_messages(port: int) -> None:
    async with bridge(config(port)) as printer:
        await printer.online()
        printer.broker.publish(TOPICS.state, b'{"n": 1}', qos=1, retain=True)
        await printer.online()
        # RabbitMQ delivers retained messages to exact filters only.
        with connected(
            port, TOPICS.state, TOPICS.availability, TOPICS.event, account=OLD
        ) as late:
            assert (await late.hears(TOPICS.state)).payload == b'{"n": 1}'
            assert (await late.hears(TOPICS.availability)).payload == b"online"
            for number in range(100):
                await late.publish("printer/head", b"%d" % number)
            await until(lambda: len(printer.heard) >= 100)
            printer.broker.publish(TOPICS.event, b"last", qos=1)
            await late.hears(TOPICS.event, b"last")
            assert printer.broker.statistics.connects == 1
            await printer.end()
            printer.failed = True
            await late.hears(TOPICS.availability, b"offline")
    commands = [one.payload for one in printer.heard if one.topic == "printer/head"]
    assert commands == [b"%d" % number for number in range(100)]


@pytest.mark.parametrize("name", ["aedes", "RabbitMQ"])
async def test_a_topic_over_which_it_closes_the_connection_is_left_out(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    missing = ("publish on printer/state", "subscribe to printer/head")
    with other_broker(name, *FORBIDDEN) as found:
        if found is None:
            pytest.skip(f"{name} is not installed")
        async with bridge(config(found)) as printer:
            await until(lambda: printer.broker.missing_rights == missing)
            await printer.online()
            with connected(found, account=OLD) as home:
                await home.publish("printer/bed", b"{}")
                await until(lambda: bool(printer.heard))
    for topic in ("publishes on printer/state", "subscribes to printer/head"):
        assert f"an anonymous client {topic}, so that is left out" in caplog.text
