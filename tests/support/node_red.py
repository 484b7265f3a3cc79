"""The flow that we ship, in the real Node-RED, with its widgets replaced.

``GCODE2MQTT_NODE_RED`` is a folder in which Node-RED is installed with npm.
"""

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.brokers import Mosquitto
from tests.support.daemons import wait_for

CHOICE = "GCODE2MQTT_NODE_RED"
FLOW = Path(__file__).parent.parent.parent / "deploy" / "node-red" / "flow.json"

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeRed:
    """Node-RED with the flow; what it would show goes to ``shown/<label>``."""

    port: int
    log: Path

    def press(self, name: str) -> None:
        """Press a button of the dashboard."""
        url = f"http://127.0.0.1:{self.port}/inject/g2m-{name}"
        request = urllib.request.Request(url, b"", method="POST")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=10):
            return


def stand_in(node: Node, broker: Mosquitto) -> Node | None:
    """Return a node unchanged, or a replacement that needs no browser."""
    common: Node = {key: node[key] for key in ("id", "z", "x", "y") if key in node}
    match node["type"]:
        case "mqtt-broker":
            return {**node, "broker": broker.host, "port": str(broker.port)}
        case "ui-button":
            kept: Node = {key: node[key] for key in ("topic", "payload", "payloadType")}
            return {**common, **kept, "type": "inject", "wires": node["wires"]}
        case "ui-number-input":
            inject = {"type": "inject", "topic": "", "payload": "200"}
            return {**common, **inject, "payloadType": "num", "wires": node["wires"]}
        case "ui-text" | "ui-notification" | "ui-gauge":
            topic = f"shown/{node['name']}"
            out = {"type": "mqtt out", "topic": topic, "broker": "g2m-broker"}
            return {**common, **out, "qos": "1", "wires": []}
        case kind if kind.startswith("ui-"):
            return None
    return node


@contextmanager
def node_red(broker: Mosquitto, folder: Path) -> Iterator[NodeRed]:
    """Run it until the block ends."""
    place = os.environ.get(CHOICE)
    assert place, f"{CHOICE} is not set; docs/node-red.md says how to test"
    node = shutil.which("node")
    assert node, "Node.js is not installed"
    nodes = [stand_in(shipped, broker) for shipped in json.loads(FLOW.read_text())]
    (folder / "flows.json").write_text(json.dumps([n for n in nodes if n]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = folder / "log"
    settings = {"uiHost": "127.0.0.1", "uiPort": port, "flowFile": "flows.json"}
    (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)};")
    program = Path(place) / "node_modules" / "node-red" / "red.js"
    options = ["--userDir", str(folder), "--settings", str(folder / "settings.js")]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [node, str(program), *options], stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_for(lambda: "Connected to broker" in log.read_text(), "Node-RED", 60)
            yield NodeRed(port, log)
        finally:
            process.terminate()
