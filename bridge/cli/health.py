"""``gcode2mqtt health``: checks whether the daemon of a configuration is running."""

import argparse
import asyncio
import json
import os
import time
from datetime import datetime

from bridge.config import Config, Mqtt
from bridge.config_file import load
from bridge.logs import escaped
from bridge.mqtt.one_shot import subscribed_to
from bridge.timeout import timeout
from bridge.topics import Topics

RETAINED_TIMEOUT = 2.0
"""Seconds that the broker has to send the retained messages."""

_BEATS = 3
"""Heartbeats that may be missing."""


def health(chosen: argparse.Namespace) -> int:
    """Print whether each printer's bridge is well; return 0 if all are.

    A bridge is well if any client would see that it is: the retained availability says
    ``online``, and the last heartbeat is recent.

    Raises:
        ConfigError: The configuration cannot be used.
        BrokerError: The broker cannot be reached.

    """
    config = load(chosen.config, os.environ)
    return asyncio.run(_all_well(config))


async def _all_well(config: Config) -> int:
    longest = config.telemetry.heartbeat * _BEATS
    problems = 0
    for printer in config.printers:
        topics = Topics(config.base(printer))
        found = await _retained(config.mqtt, [topics.availability, topics.health])
        problem = _problem(found, topics, longest)
        print(escaped(f"{printer.id}: {problem or 'online'}"))
        problems += bool(problem)
    return 1 if problems else 0


async def _retained(mqtt: Mqtt, topics: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    async with subscribed_to(mqtt, topics) as client:
        try:
            async with timeout(RETAINED_TIMEOUT):
                while len(found) < len(topics):
                    message = await anext(client.messages)
                    found[message.topic] = message.payload
        except TimeoutError:
            pass  # nothing is retained there, and that is the finding
    return found


def _problem(found: dict[str, bytes], topics: Topics, longest: float) -> str:
    if found.get(topics.availability) != b"online":
        return f"offline, says {topics.availability}"
    try:
        document = json.loads(found[topics.health])
        last = datetime.fromisoformat(document["time"])
        problem = document.get("problem")
    except (KeyError, TypeError, ValueError):
        return f"no heartbeat on {topics.health}"
    age = time.time() - last.timestamp()
    if age > longest:
        return f"the last heartbeat on {topics.health} is {age:.0f} s old"
    return str(problem or "")
