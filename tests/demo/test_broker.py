import asyncio

import pytest

from bridge.config import Mqtt
from bridge.demo.broker import LOOPBACK, embedded_broker
from bridge.errors import BrokerError
from bridge.mqtt.one_shot import subscribed_to
from tests.support.waiting import DEADLINE


@pytest.mark.parametrize("prefer_mosquitto", [True, False])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_both_brokers_keep_retained_messages(
    *, prefer_mosquitto: bool, protocol: str
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        embedded_broker(prefer_mosquitto=prefer_mosquitto) as address,
    ):
        port = address.port if protocol == "5" else address.old_port
        config = Mqtt.model_validate(
            {"host": LOOPBACK, "port": port, "protocol": protocol}
        )
        async with subscribed_to(config, ["a/#"]) as first:
            await first.publish("a/b", b"kept", retain=True)
            assert (await anext(first.messages)).payload == b"kept"
        async with subscribed_to(config, ["a/#"]) as second:
            message = await anext(second.messages)
            assert (message.topic, message.payload) == ("a/b", b"kept")


async def test_no_broker_at_all_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BrokerError, match=r"install mosquitto.*--broker HOST:PORT"):
        async with embedded_broker(prefer_mosquitto=False):
            pytest.fail("there is no broker")
