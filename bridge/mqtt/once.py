"""Connecting a single time: which version the broker takes is found out on the way."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bridge.config import Mqtt
from bridge.mqtt.client import Client, Listener
from bridge.mqtt.messages import Version
from bridge.mqtt.reasons import AttemptError, Hint

_Result = TypeVar("_Result")


async def in_one_version(
    config: Mqtt, attempt: Callable[[Version], Awaitable[_Result]]
) -> _Result:
    """Return what an attempt returns, with 3.1.1 where the broker does not take 5.

    A broker that closes the connection without a word may mean the version, too.

    Raises:
        AttemptError: It did not work; the message says why and what to do.

    """
    if config.protocol != "auto":
        return await attempt(Version(config.protocol))
    try:
        return await attempt(Version.V5)
    except AttemptError as error:
        if error.hint not in {Hint.VERSION, Hint.CLOSED}:
            raise
    return await attempt(Version.V311)


async def connect_once(
    config: Mqtt, listener: Listener, client_id: str
) -> tuple[Client, Version]:
    """Return a connection, and the version that the broker takes.

    Raises:
        AttemptError: It did not work; the message says why and what to do.

    """

    async def connect(version: Version) -> tuple[Client, Version]:
        client = Client(config, listener, client_id=client_id, version=version)
        await client.connect()
        return client, version

    return await in_one_version(config, connect)
