"""The README's examples, carried out one after the other by a simulated printer."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon, daemon
from tests.support.markdown import commands
from tests.support.mqtt_client import connected
from tests.support.waiting import until

EXAMPLES = [
    words for where, words in commands("mosquitto_pub") if where.startswith("README.md")
]


@pytest.fixture
def bridge(broker: Mosquitto, tmp_path: Path) -> Iterator[Daemon]:
    config = {
        "mqtt": {
            "host": broker.host,
            "port": broker.port,
            "state_folder": str(tmp_path / "state"),
        },
        "printers": [
            {"id": "readme", "serial": {"port": "simulator://marlin?speed=1000"}}
        ],
    }
    with daemon(tmp_path, config) as running:
        yield running


@pytest.mark.usefixtures("bridge")
async def test_every_example_is_finished(broker: Mosquitto) -> None:
    with connected(broker.port, "printer/#", host=broker.host) as client:

        def response(wanted: str) -> dict[str, object] | None:
            documents = map(json.loads, client.payloads("printer/response"))
            return next((x for x in documents if x.get("id") == wanted), None)

        def is_answered(wanted: str) -> bool:
            return response(wanted) is not None

        def is_hot() -> bool:
            documents = client.payloads("printer/temperature/tool0")
            return bool(documents) and json.loads(documents[-1])["actual"] > 200

        await client.hears("printer/connection", b"online")
        for number, words in enumerate(EXAMPLES):
            topic = words[words.index("-t") + 1]
            given = json.loads(words[words.index("-m") + 1])
            if given.get("command") == "extrude":  # "once the nozzle is hot"
                await until(is_hot)
            identity = f"readme-{number}"
            await client.publish(topic, json.dumps({**given, "id": identity}).encode())
            await until(partial(is_answered, identity))
            assert (response(identity) or {})["status"] == "finished", words
