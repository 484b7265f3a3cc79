"""The minimum: a bare paho client that writes to the port."""

import argparse
import json
import os

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    """Write each command to the port until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("broker", type=int)
    parser.add_argument("topic")
    parser.add_argument("port")
    chosen = parser.parse_args()
    port = os.open(chosen.port, os.O_RDWR | os.O_NOCTTY)

    def write(_client: object, _data: object, heard: paho.MQTTMessage) -> None:
        os.write(port, json.loads(heard.payload)["command"].encode() + b"\n")

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = write
    client.connect("127.0.0.1", chosen.broker)
    client.subscribe(chosen.topic)
    client.loop_forever()


if __name__ == "__main__":
    main()
