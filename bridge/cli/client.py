"""``gcode2mqtt send`` and ``watch``: for those who have no MQTT client."""

import argparse
import asyncio
import json
import os
import uuid
from typing import Any

from bridge.cli.progress import dots
from bridge.cli.signals import run_until_signal
from bridge.config import Mqtt
from bridge.config_file import load
from bridge.errors import BrokerError, ConfigError
from bridge.mqtt import error_text
from bridge.mqtt.client import FAILURE
from bridge.mqtt.messages import Message
from bridge.mqtt.one_shot import OneShotClient, subscribed_to
from bridge.timeout import timeout, timeout_at
from bridge.topics import Topics

RESPONSE_TIMEOUT = 600.0
"""Seconds for a response: heating up takes minutes."""

ARRIVAL = 5.0
"""Seconds in which a bridge that starts may come online."""

RETURN = 5.0
"""Seconds in which one that lost the broker may come back with its response."""


def send(chosen: argparse.Namespace) -> int:
    """Publish a command and print its response; return 0 where that is ``finished``.

    Raises:
        ConfigError: The payload is no JSON object.
        BrokerError: The broker cannot be reached, or there is no bridge (any more).

    """
    payload = _object(chosen.payload)
    payload.setdefault("id", uuid.uuid4().hex)
    response = asyncio.run(_exchange(_broker(chosen), chosen, payload))
    if response is None:
        print(
            f"no response within {RESPONSE_TIMEOUT:g} s: does a bridge serve "
            f"{chosen.topic}?"
        )
        return 1
    print(json.dumps(response, ensure_ascii=False))
    return 0 if response.get("status") == "finished" else 1


def watch(chosen: argparse.Namespace) -> int:
    """Print what is published until a signal; return 0.

    Raises:
        BrokerError: The broker cannot be reached, or the connection is lost.

    """
    run_until_signal(_print_all(_broker(chosen), chosen.topic))
    return 0


async def _exchange(
    broker: Mqtt, chosen: argparse.Namespace, payload: dict[str, Any]
) -> dict[str, Any] | None:
    topics = Topics(chosen.topic)
    heard = [topics.availability, topics.response]
    async with dots(), subscribed_to(broker, heard) as client:
        topic = f"{chosen.topic}/{chosen.to.strip('/')}"
        # What nobody hears is lost, and waiting for its response is of no use. But an
        # emergency stop waits for nothing.
        if topic != topics.emergency:
            await _online(client, topics.availability)
        code = await client.publish(topic, json.dumps(payload).encode())
        if code >= FAILURE:
            raise BrokerError(error_text.no_right(broker, topic, write=True, code=code))
        return await _response(client, topics.availability, payload["id"])


async def _response(
    client: OneShotClient, availability: str, wanted: str
) -> dict[str, Any] | None:
    """Return the response of this id; ``None``: the bridge is there and has none.

    Raises:
        BrokerError: The connection is lost, or the bridge is gone.

    """
    clock, gone = asyncio.get_running_loop().time, False
    ends = clock() + RESPONSE_TIMEOUT
    try:
        async with timeout_at(ends) as limit:
            async for message in client.messages:
                if message.topic == availability:
                    gone = message.payload == b"offline"
                    limit.reschedule(clock() + RETURN if gone else ends)
                elif (response := _read(message)).get("id") == wanted:
                    return response
    except TimeoutError:
        if not gone:
            return None
    raise BrokerError(
        f"the bridge went offline before it answered ({availability}); the command may "
        "have been carried out"
    )


async def _online(client: OneShotClient, availability: str) -> None:
    try:
        async with timeout(ARRIVAL):
            while (await anext(client.messages)).payload != b"online":
                pass
    except TimeoutError:
        raise BrokerError(
            f"nothing was sent: no bridge is online at {availability}; "
            "is it running, and is --topic right?"
        ) from None


async def _print_all(broker: Mqtt, topic: str) -> None:
    async with subscribed_to(broker, [f"{topic}/#"]) as client:
        async for message in client.messages:
            text = message.payload.decode(errors="backslashreplace")
            print(message.topic, text, flush=True)


def _broker(chosen: argparse.Namespace) -> Mqtt:
    if chosen.config is not None:
        return load(chosen.config, os.environ).mqtt
    host, port = chosen.broker
    return Mqtt(host=host, port=port)


def _object(text: str) -> dict[str, Any]:
    try:
        payload = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the payload is not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise ConfigError('the payload is no JSON object such as {"command": "home"}')
    return payload


def _read(message: Message) -> dict[str, Any]:
    try:
        document = json.loads(message.payload)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
