"""One connection to the broker: paho driven by the event loop.

There is no lasting thread: a short one connects, then the event loop reads and writes
the socket. Incoming QoS 1 messages are acknowledged when they arrive, not when they
have been carried out: our sessions end with the connection, so an unacknowledged one
would not come again, and holding acknowledgements back would let commands grow old at
the broker.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from paho.mqtt import client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bridge.config import Mqtt
from bridge.mqtt import error_text, packets
from bridge.mqtt.connect import Opening, drop
from bridge.mqtt.error_text import Loss, Stage
from bridge.mqtt.messages import Filter, Grants, Message, Publication, Version, Will
from bridge.threads import in_thread
from bridge.timeout import timeout

READS = 32
"""Packets that are read before others have their turn.

Several, because what is not read may be a stop behind a flood.
"""

FAILURE = 0x80
"""Reason codes from here on are failures (MQTT 5.0, 2.4)."""

TICK = 1.0
"""Seconds between looks at the keepalive."""


class Listener(Protocol):
    """Who is told what happens on a connection."""

    def received(self, message: Message, /) -> None:
        """Take a message."""

    def published(self, number: int, code: int, /) -> None:
        """Learn the broker's answer to a message (QoS 0: that it is on the wire)."""

    def subscribed(self, number: int, codes: Sequence[int], /) -> None:
        """Learn the broker's answer to a subscription, filter by filter."""


class Client:
    """One connection, from connecting to its end."""

    def __init__(
        self,
        config: Mqtt,
        listener: Listener,
        *,
        client_id: str,
        version: Version,
        will: Will | None = None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._id = client_id
        self._version = version
        self._opening = Opening(config, client_id=client_id, version=version, will=will)
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[Grants] = self._loop.create_future()
        self._ended: asyncio.Future[Loss] = self._loop.create_future()
        self._paho: paho.Client | None = None
        self._watch: Watch | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news: list[Callable[[], None]] = []
        self._served = False
        self._subscriptions = Subscriptions()

    async def connect(self) -> Grants:
        """Connect and wait for the broker's answer.

        Raises:
            AttemptError: It did not work; the message says why and what to do.

        """
        try:
            async with timeout(self._config.connect_timeout):
                self._paho = await in_thread(self._opening.open, drop)
                self._attach(self._paho)
                return await asyncio.shield(self._accepted)
        except TimeoutError as error:
            stage = self._opening.stage if self._paho is None else Stage.MQTT
            raise error_text.silent(self._config, stage) from error
        finally:
            if not self._accepted.done() or self._accepted.exception() is not None:
                self.close()

    async def ended(self) -> Loss:
        """Wait for the end of the connection; raises what the listener raised."""
        return await asyncio.shield(self._ended)

    def subscribe(self, filters: Sequence[Filter]) -> int | None:
        """Subscribe at QoS 1; return the number told when all is answered."""
        wanted = [(f.topic, packets.subscription(f, self._version)) for f in filters]
        numbers = [
            self._running.subscribe(part)[1]  # type: ignore[arg-type]  # one kind in each version
            for part in portions(wanted)
        ]
        return self._subscriptions.asked(numbers)

    def publish(self, publication: Publication) -> int | None:
        """Send a message; return the number that the listener will be told.

        ``None``: the connection is gone, or paho has no free number.
        """
        told = self._running.publish(
            publication.topic,
            publication.payload,
            publication.qos,
            publication.retain,
            packets.publication(publication, self._version),
        )
        return told.mid if told.rc == paho.MQTT_ERR_SUCCESS else None

    def give_up(self, message: str) -> None:
        """End the connection for a reason of our own, without taking leave."""
        self._end(Loss(message))
        self.close()

    async def disconnect(self, patience: float) -> None:
        """Take leave, so that the broker does not publish the last will.

        Args:
            patience: seconds to wait until that is on the wire.

        """
        self._running.disconnect()
        self._write()  # what the listener raised comes at once, and then the end
        with contextlib.suppress(TimeoutError):
            async with timeout(patience):
                await self.ended()
        self.close()

    def close(self) -> None:
        """Drop the connection without a word; safe to call again."""
        self._release()
        if self._paho is not None:
            drop(self._paho)
        for waiting in (self._accepted, self._ended):
            waiting.cancel()

    @property
    def _running(self) -> paho.Client:
        if self._paho is None:
            raise RuntimeError("not connected")
        return self._paho

    def _attach(self, client: paho.Client) -> None:
        """Let the event loop drive it from here on."""
        connection = client.socket()
        if connection is None:
            raise error_text.closed_early(self._config)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = lambda *_: self._release()
        client.on_socket_register_write = lambda *_: self._want_write(wanted=True)
        client.on_socket_unregister_write = lambda *_: self._want_write(wanted=False)
        self._watch = Watch(connection.fileno(), self._read, self._write)
        self._want_write(wanted=client.want_write())
        self._tick()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _want_write(self, *, wanted: bool) -> None:
        if self._watch is not None:
            self._watch.want_write(wanted=wanted)

    def _read(self) -> None:
        if self._watch is None:
            return
        for _ in range(READS):
            self._drive(self._running.loop_read)
            if not self._hidden() and not (self._watch and self._watch.readable):
                break
        else:
            if self._hidden():
                self._loop.call_soon(self._read)
        if self._watch is not None:
            self._watch.acknowledge_at_once()

    def _hidden(self) -> bool:
        """Tell whether TLS holds bytes that the event loop cannot see."""
        pending = getattr(self._running.socket(), "pending", None)
        return pending is not None and pending() > 0

    def _write(self) -> None:
        self._drive(self._running.loop_write)

    def _tick(self) -> None:
        """Let paho send pings and notice silence."""
        self._timer = self._loop.call_later(TICK, self._tick)
        self._drive(self._running.loop_misc)

    def _drive(self, step: Callable[[], object]) -> None:
        """Let paho work, then tell the listener: its mistakes are not the broker's."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a broker's nonsense ends its connection, not us
            where = error_text.endpoint(self._config)
            self._end(Loss(f"{where} sent what cannot be understood: {error!r}"))
        news, self._news = self._news, []
        try:
            for tell in news:
                tell()
        except Exception as error:  # noqa: BLE001 - raised again by ended()
            if not self._ended.done():
                self._ended.set_exception(error)

    def _end(self, loss: Loss) -> None:
        self._release()
        if not self._accepted.done():
            error = error_text.closed_early(self._config)
            self._accepted.set_exception(error)
        if not self._ended.done():
            self._ended.set_result(loss)

    def _on_connect(
        self,
        _client: object,
        _data: object,
        _flags: object,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            error = error_text.refused(self._config, self._id, reason.value)
            self._accepted.set_exception(error)
        else:
            self._accepted.set_result(packets.grants(properties))

    def _on_disconnect(
        self,
        _client: object,
        _data: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        *_: object,
    ) -> None:
        told = flags.is_disconnect_packet_from_server
        code = reason.value
        loss = error_text.lost(
            self._config, self._id, code, told=told, accepted=self._served
        )
        self._end(loss)

    def _on_message(
        self, _client: object, _data: object, message: paho.MQTTMessage
    ) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            received = packets.message(message)
            self._news.append(lambda: self._listener.received(received))

    def _on_publish(
        self,
        _client: object,
        _data: object,
        number: int,
        reason: ReasonCode,
        *_: object,
    ) -> None:
        code = reason.value
        self._news.append(lambda: self._listener.published(number, code))

    def _on_subscribe(
        self,
        _client: object,
        _data: object,
        number: int,
        reason: list[ReasonCode],
        *_: object,
    ) -> None:
        self._served = True
        codes = [code.value for code in reason]
        if answer := self._subscriptions.answered(number, codes):
            self._news.append(lambda: self._listener.subscribed(*answer))


TCP = (socket.AF_INET, socket.AF_INET6)
GLANCE = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Watch:
    """Calls back when a socket can be read or written, until it is closed.

    Not closing it before its descriptor is closed would make the event loop spin on a
    dead descriptor, or watch somebody else's that got the same number.
    """

    def __init__(
        self, descriptor: int, read: Callable[[], None], write: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._write = write
        # A descriptor of our own for the same socket: TLS and WebSocket hide the
        # real one or its options.
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._tcp = self._socket.family in TCP
        if self._tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(descriptor, read)

    def want_write(self, *, wanted: bool) -> None:
        """Call back when it can be written, or stop that."""
        if self._descriptor < 0:
            return
        if wanted:
            self._loop.add_writer(self._descriptor, self._write)
        else:
            self._loop.remove_writer(self._descriptor)

    @property
    def readable(self) -> bool:
        """Whether more bytes wait in the socket."""
        if self._descriptor < 0:
            return False
        try:
            return bool(self._socket.recv(1, GLANCE))
        except OSError:
            return False

    def acknowledge_at_once(self) -> None:
        """Send the next TCP acknowledgement at once; Linux forgets this each time.

        Else the broker's Nagle waits for our delayed acknowledgement: 40 ms for the
        second of two commands that follow each other.
        """
        if self._tcp and self._descriptor >= 0 and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        """Stop watching; safe to call again."""
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._descriptor = -1
        self._socket.close()


MOST = 8
"""Filters in one packet; over more, AWS IoT Core closes the connection."""

Item = TypeVar("Item")


def portions(filters: Sequence[Item]) -> list[Sequence[Item]]:
    """Return what goes into each packet."""
    return [filters[begin : begin + MOST] for begin in range(0, len(filters), MOST)]


class Subscriptions:
    """What the broker has still to answer, and what it has answered in part."""

    def __init__(self) -> None:
        self._open: list[dict[int, Sequence[int]]] = []

    def asked(self, numbers: Sequence[int | None]) -> int | None:
        """Take note of the packets of one subscription; return its number.

        ``None``: one of them could not be sent.
        """
        sent = [number for number in numbers if number is not None]
        if len(sent) < len(numbers):
            return None
        self._open.append(dict.fromkeys(sent, ()))
        return sent[-1]

    def answered(
        self, number: int, codes: Sequence[int]
    ) -> tuple[int, Sequence[int]] | None:
        """Return number and codes of the subscription that this answer completes."""
        for parts in self._open:
            if number in parts:
                parts[number] = codes
                if not all(parts.values()):
                    return None
                self._open.remove(parts)
                told = [code for part in parts.values() for code in part]
                return [*parts][-1], told
        return None
