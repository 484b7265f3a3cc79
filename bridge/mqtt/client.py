"""One connection to the broker: paho driven by the event loop.

There is no permanent thread: a short-lived one connects, then the event loop reads and
writes the socket.

Incoming messages at QoS 1 are acknowledged when they arrive, not when they have been
executed. Holding PUBACK back would not make a command safer: our sessions end with the
connection, so the broker would not deliver it again, and commands would become outdated
while they wait at the broker.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.backoff import next_turn
from bridge.mqtt import error_text
from bridge.mqtt.connect import (
    ConnectAttempt,
    DirectWriter,
    SocketWatcher,
    close_socket,
    properties,
)
from bridge.mqtt.error_text import ConnectStage, Loss
from bridge.mqtt.fallbacks import BrokerAddresses
from bridge.mqtt.messages import (
    BrokerLimits,
    Filter,
    Message,
    Publication,
    Version,
    Will,
)
from bridge.threads import in_thread
from bridge.timeout import boottime, timeout

MAX_READS = 32
"""Packets read in a row before other tasks run. It is more than one, because an
emergency stop may be behind a flood of other packets."""

FAILURE = 0x80
"""Reason codes from here on are failures (MQTT 5.0, 2.4). MQTT 3.1.1 has only this one,
in SUBACK (3.9.3)."""

KEEPALIVE_CHECK = 2.0
"""Seconds between checks whether a PINGREQ is due or the broker has gone silent."""

STANDSTILL = 3.0
"""Seconds without such a check after which the event loop must have been stopped, for
example by a suspended computer."""

SETTLE = 1.0
"""Seconds after such a standstill in which received messages may be old. If the whole
computer was stopped, so was its network stack, and the broker sends them again."""

MAX_KEEPALIVES = 2
"""Keepalive intervals after which messages that wait in the socket are out of date. A
broker closes the connection of a client that is silent for one and a half intervals
(MQTT 5.0, 3.1.2.10), so the senders know that we were offline."""

MAX_FILTERS = 8
"""Topic filters in one SUBSCRIBE. AWS IoT Core closes the connection if there are more
(https://docs.aws.amazon.com/general/latest/gr/iot-core.html); other brokers accept
several packets as well."""

_Item = TypeVar("_Item")


class Listener(Protocol):
    """Receives what happens on a connection; numbers are packet identifiers."""

    def on_message(self, message: Message, /) -> None:
        """Process a message."""

    def on_published(self, number: int, code: int, /) -> None:
        """Note the code of a PUBACK, or at QoS 0 that a message has been written."""

    def on_subscribed(self, number: int, codes: Sequence[int], /) -> None:
        """Note the codes of SUBACK, one for each filter of a subscription."""


class Client:
    """One connection, from connecting to its end.

    Args:
        addresses: the brokers; the one that is next is used.
        listener: is called with what happens on the connection.
        client_id: our client id.
        version: the MQTT version.
        will: our last will.
        between: is called after each packet that was read, before the next one.
        turn: names the moments of regular work; see :func:`next_turn`.

    """

    def __init__(  # noqa: PLR0913 - the parts of a CONNECT, and who is called
        self,
        addresses: BrokerAddresses,
        listener: Listener,
        *,
        client_id: str,
        version: Version,
        will: Will | None = None,
        between: Callable[[], None] | None = None,
        turn: str = "",
    ) -> None:
        self._config = addresses.config
        self._between = between
        self._turn = turn
        self._listener = listener
        self._id = client_id
        self._version = version
        self._attempt = ConnectAttempt(
            addresses, client_id=client_id, version=version, will=will
        )
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[BrokerLimits] = self._loop.create_future()
        self._ended: asyncio.Future[Loss] = self._loop.create_future()
        self._paho: paho.Client | None = None
        self._watcher: SocketWatcher | None = None
        self._writer: DirectWriter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deferred: list[Callable[[], None]] = []
        self._subscribed = False
        self._subscriptions = PendingSubscriptions()
        self._seen = boottime()
        self._waited = 0.0  # how long data may have been in the socket
        self._stale = False  # too long for a command to be executed
        self._awake_since = self._seen

    async def connect(self) -> BrokerLimits:
        """Connect and wait for CONNACK.

        Raises:
            AttemptError: It failed; the message says why and what to do.

        """
        try:
            async with timeout(self._config.connect_timeout):
                self._paho = await in_thread(self._attempt.open, close_socket)
                self._attach(self._paho)
                return await asyncio.shield(self._accepted)
        except TimeoutError as error:
            self.close()
            stage = self._attempt.stage if self._paho is None else ConnectStage.MQTT
            raise error_text.timed_out(self._config, stage) from error
        except OSError as error:  # of the descriptors that watch the socket
            self.close()
            raise error_text.unreachable(
                self._config, error, ConnectStage.MQTT
            ) from error
        except BaseException:
            self.close()  # it may even have been accepted, and cancelled at once
            raise

    async def ended(self) -> Loss:
        """Wait for the end of the connection; raises what the listener raised."""
        return await asyncio.shield(self._ended)

    def subscribe(self, filters: Sequence[Filter]) -> int | None:
        """Subscribe and return the number that the listener will get.

        ``None``: the connection is gone.
        """
        wanted = [(f.topic, _subscribe_options(f, self._version)) for f in filters]
        numbers = [
            self._running.subscribe(part)[1]  # type: ignore[arg-type]  # one kind in each version
            for part in portions(wanted)
        ]
        return self._subscriptions.add(numbers)

    def publish(self, publication: Publication) -> int | None:
        """Send a message and return the number that the listener will get.

        ``None``: the connection is gone, or all 65,535 packet identifiers are in use.
        """
        writer = self._writer
        # What paho has queued before goes first, so this queues there as well.
        free = writer is not None and not self._running.want_write()
        if writer is not None and free and publication.qos == 0:
            return self._put_directly(writer, publication)
        info = self._running.publish(
            publication.topic,
            publication.payload,
            publication.qos,
            publication.retain,
            _publish_properties(publication, self._version),
        )
        return info.mid if info.rc == paho.MQTT_ERR_SUCCESS else None

    def _put_directly(self, writer: DirectWriter, publication: Publication) -> int:
        if not writer.waiting:
            self._loop.call_soon(self._flush)
        return writer.put(publication)

    def _flush(self) -> None:
        if self._watcher is not None:
            self._drive(self._write_directly)

    def _write_directly(self) -> None:
        writer = self._writer
        if writer is None or not writer.waiting:
            return
        try:
            written = writer.write()
        except OSError:
            # The broker may have said why, in a DISCONNECT that waits in the socket;
            # after a standstill, old messages wait there as well.
            self._note_standstill()
            while self._watcher is not None and self._watcher.readable:
                self._running.loop_read()
            self._end(
                error_text.lost(
                    self._config,
                    self._id,
                    FAILURE,
                    by_broker=False,
                    subscribed=self._subscribed,
                )
            )
            return
        for number in written:
            self._deferred.append(partial(self._listener.on_published, number, 0))
        self._want_write(wanted=writer.waiting or self._running.want_write())

    def read_waiting(self) -> None:
        """Read what has arrived, before the event loop reports it."""
        if self._watcher is not None and self._watcher.readable:
            self._read()

    def give_up(self, message: str) -> None:
        """End the connection for a reason of our own, without DISCONNECT."""
        self._end(Loss(message))
        self.close()

    async def disconnect(self, within: float) -> None:
        """Send DISCONNECT and close, so that the broker does not publish the last will.

        Args:
            within: seconds to wait until it is written.

        """
        try:
            self._running.disconnect()
            self._write()  # what the listener raised comes at once, and then the end
            async with timeout(within):
                await self.ended()
        except TimeoutError:
            pass  # the broker no longer reads
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection without DISCONNECT; safe to call again."""
        self._release()
        if self._paho is not None:
            close_socket(self._paho)
        for waiting in (self._accepted, self._ended):
            waiting.cancel()

    @property
    def _running(self) -> paho.Client:
        if self._paho is None:
            raise RuntimeError("not connected")
        return self._paho

    def _attach(self, client: paho.Client) -> None:
        """Let the event loop drive the connection from here on."""
        connection = client.socket()
        if connection is None:
            raise error_text.closed_early(self._config)
        self._seen = boottime()
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = lambda *_: self._release()
        client.on_socket_register_write = lambda *_: self._want_write(wanted=True)
        client.on_socket_unregister_write = lambda *_: self._want_write(wanted=False)
        self._watcher = SocketWatcher(connection, self._read, self._write)
        if type(connection) is socket.socket:  # not for TLS and WebSocket
            self._writer = DirectWriter(connection, self._version)
        self._want_write(wanted=client.want_write())
        self._check_keepalive()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        self._writer = None

    def _want_write(self, *, wanted: bool) -> None:
        if self._watcher is not None:
            self._watcher.want_write(wanted=wanted)

    def _read(self) -> None:
        self._note_standstill()
        handled = 0
        while handled < MAX_READS:
            if self._paho is None or self._watcher is None:
                return
            # One call reads as many packets as messages are in flight (paho 2.1).
            handled += max(1, self._drive(self._paho.loop_read))
            if self._between is not None:
                self._between()
            if self._watcher is None or not self._watcher.readable:
                break
        else:
            if self._watcher is not None and self._watcher.buffered:
                self._loop.call_soon(self._read)  # the loop does not see these bytes
        if self._watcher is not None:
            self._watcher.acknowledge_at_once()

    def _note_standstill(self) -> None:
        """Measure how long data that may have been waiting was not read."""
        before, self._seen = self._seen, boottime()
        gap = self._seen - before
        if gap > STANDSTILL:
            self._waited = max(self._waited, gap)
            self._stale = self._waited > MAX_KEEPALIVES * self._config.keepalive
            self._awake_since = self._seen

    def _end_standstill(self) -> None:
        """Stop treating received data as old; after a long gap, reconnect first.

        Nothing that is still on its way can then be mistaken for a new message.
        """
        if not self._waited or self._seen - self._awake_since < SETTLE:
            return
        if self._stale:
            self.give_up(f"the event loop stood still for {self._waited:.0f} s")
        self._waited, self._stale = 0.0, False

    def _write(self) -> None:
        writer = self._writer
        if writer is not None and writer.waiting:
            self._flush()
            if self._watcher is None or writer.waiting:
                return
        self._drive(self._running.loop_write)

    def _check_keepalive(self) -> None:
        """Let paho send PINGREQ and notice a silent broker."""
        turn = next_turn(self._loop.time(), KEEPALIVE_CHECK, self._turn)
        self._timer = self._loop.call_at(turn, self._check_keepalive)
        self._note_standstill()
        self._end_standstill()
        if self._watcher is not None:
            self._drive(self._running.loop_misc)

    def _drive(self, step: Callable[[], object]) -> int:
        """Let paho work, then call the listener; return how often it was called.

        It is not called within paho's callbacks: an error in the listener is not the
        broker's, and must end the bridge instead of the connection.
        """
        try:
            step()
        except Exception as error:  # noqa: BLE001 - invalid packets end the connection, not us
            where = error_text.endpoint(self._config)
            self._end(Loss(f"{where} sent an invalid packet: {error!r}"))
        deferred, self._deferred = self._deferred, []
        try:
            for call in deferred:
                call()
        except Exception as error:  # noqa: BLE001 - raised again by ended()
            if not self._ended.done():
                self._ended.set_exception(error)
        return len(deferred)

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
        received: Properties | None,
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            reference = error_text.named_server(received)
            error = error_text.refused(self._config, self._id, reason.value, reference)
            self._accepted.set_exception(error)
        else:
            self._accepted.set_result(_limits(received))

    def _on_disconnect(
        self,
        _client: object,
        _data: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        received: Properties | None = None,
    ) -> None:
        loss = error_text.lost(
            self._config,
            self._id,
            reason.value,
            by_broker=flags.is_disconnect_packet_from_server,
            subscribed=self._subscribed,
            reference=error_text.named_server(received),
        )
        self._end(loss)

    def _on_message(
        self, _client: object, _data: object, message: paho.MQTTMessage
    ) -> None:
        try:
            received = _message(message, waited=self._waited, stale=self._stale)
        except UnicodeDecodeError:  # an invalid topic (MQTT 5.0, 1.5.4); nobody's
            return
        self._deferred.append(partial(self._listener.on_message, received))

    def _on_publish(
        self,
        _client: object,
        _data: object,
        number: int,
        reason: ReasonCode,
        *_: object,
    ) -> None:
        call = partial(self._listener.on_published, number, reason.value)
        self._deferred.append(call)

    def _on_subscribe(
        self,
        _client: object,
        _data: object,
        number: int,
        reasons: list[ReasonCode],
        *_: object,
    ) -> None:
        self._subscribed = True
        codes = [reason.value for reason in reasons]
        if answer := self._subscriptions.answered(number, codes):
            self._deferred.append(partial(self._listener.on_subscribed, *answer))


class PendingSubscriptions:
    """Subscriptions that take several SUBSCRIBE packets and are answered as one."""

    def __init__(self) -> None:
        self._pending: list[dict[int, Sequence[int]]] = []

    def add(self, numbers: Sequence[int | None]) -> int | None:
        """Add a subscription by the numbers of its packets, and return its own number.

        ``None``: one of the packets could not be sent.
        """
        sent = [number for number in numbers if number is not None]
        if len(sent) < len(numbers):
            return None
        self._pending.append(dict.fromkeys(sent, ()))
        return sent[-1]

    def answered(
        self, number: int, codes: Sequence[int]
    ) -> tuple[int, Sequence[int]] | None:
        """Return number and codes of the subscription that this SUBACK completes."""
        for packets in self._pending:
            if number in packets:
                packets[number] = codes
                if not all(packets.values()):
                    return None
                self._pending.remove(packets)
                return [*packets][-1], [
                    code for part in packets.values() for code in part
                ]
        return None


def portions(filters: Sequence[_Item]) -> list[Sequence[_Item]]:
    """Return the filters of each SUBSCRIBE packet."""
    starts = range(0, len(filters), MAX_FILTERS)
    return [filters[start : start + MAX_FILTERS] for start in starts]


def _subscribe_options(wanted: Filter, version: Version) -> SubscribeOptions | int:
    """Return the options of a subscription; on MQTT 3.1.1 the QoS is all."""
    if version is Version.V311:
        return wanted.qos
    return SubscribeOptions(
        qos=wanted.qos,
        noLocal=not wanted.own,
        # Live messages keep the RETAIN flag too: a command that is sent with it would
        # be delivered again later, so it is refused.
        retainAsPublished=True,
        retainHandling=(
            SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
            if wanted.replay
            else SubscribeOptions.RETAIN_DO_NOT_SEND
        ),
    )


def _publish_properties(sent: Publication, version: Version) -> Properties | None:
    if version is Version.V311 or (sent.expiry is None and sent.correlation is None):
        return None
    values: dict[str, object] = {}
    if sent.expiry is not None:
        values["MessageExpiryInterval"] = sent.expiry
    if sent.correlation is not None:
        values["CorrelationData"] = sent.correlation
    return properties(PacketTypes.PUBLISH, **values)


def _message(received: paho.MQTTMessage, *, waited: float, stale: bool) -> Message:
    """Return a received message, and how long it may have waited to be read.

    Raises:
        UnicodeDecodeError: Its topic is not UTF-8.

    """
    sent = received.properties
    return Message(
        topic=received.topic,
        payload=bytes(received.payload),
        retain=received.retain,
        qos=received.qos,
        response_topic=getattr(sent, "ResponseTopic", None),
        correlation=getattr(sent, "CorrelationData", None),
        expiry=getattr(sent, "MessageExpiryInterval", None),
        duplicate=received.dup,
        waited=waited,
        stale=stale,
    )


def _limits(received: Properties | None) -> BrokerLimits:
    """Return the limits in a CONNACK; absent ones have the specification's defaults."""
    default = BrokerLimits()
    return BrokerLimits(
        receive_maximum=getattr(received, "ReceiveMaximum", default.receive_maximum),
        packet_size=getattr(received, "MaximumPacketSize", default.packet_size),
    )
