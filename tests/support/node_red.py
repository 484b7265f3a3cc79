"""The flow that we ship, in the real Node-RED with its real dashboard.

``GCODE2MQTT_NODE_RED`` is a folder in which Node-RED and its dashboard are installed
with npm.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.brokers import Mosquitto
from tests.support.daemons import wait_for

CHOICE = "GCODE2MQTT_NODE_RED"
FLOW = Path(__file__).parent.parent.parent / "deploy" / "node-red" / "flow.json"
DASHBOARD = "@flowfuse/node-red-dashboard"

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeRed:
    """Node-RED with the flow.

    Attributes:
        url: of its dashboard.
        log: what it writes.

    """

    url: str
    log: Path

    def connects(self) -> int:
        """Return how often it has connected to the broker."""
        return self.log.read_text().count("Connected to broker")


@contextmanager
def node_red(broker: Mosquitto, folder: Path) -> Iterator[NodeRed]:
    """Run it until the block ends."""
    place = os.environ.get(CHOICE)
    assert place, f"{CHOICE} is not set; docs/node-red.md says how to test"
    node = shutil.which("node")
    assert node, "Node.js is not installed"
    nodes: list[Node] = json.loads(FLOW.read_text())
    for one in nodes:
        if one["type"] == "mqtt-broker":
            one.update(broker=broker.host, port=str(broker.port))
    (folder / "flows.json").write_text(json.dumps(nodes))
    # It looks for other packages' nodes in its own folder.
    modules = Path(place) / "node_modules"
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text(json.dumps({"dependencies": {DASHBOARD: "*"}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = folder / "log"
    settings = {
        "uiHost": "127.0.0.1",
        "uiPort": port,
        "flowFile": "flows.json",
        "httpAdminRoot": False,
        "credentialSecret": False,
        "telemetry": {"enabled": False, "updateNotification": False},
    }
    (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)};")
    program = modules / "node-red" / "red.js"
    options = ["--userDir", str(folder), "--settings", str(folder / "settings.js")]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [node, str(program), *options], stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_for(lambda: "Connected to broker" in log.read_text(), "Node-RED", 60)
            yield NodeRed(f"http://127.0.0.1:{port}/dashboard/printer", log)
        finally:
            process.terminate()
