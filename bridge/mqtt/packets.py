"""Our messages in paho's terms, and back.

Only this, ``opening`` and ``client`` know paho. It declares no types for its
properties, hence the one place that makes them.
"""

from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.mqtt.messages import Filter, Grants, Message, Publication, Version

RECEIVE_MAXIMUM = 100
"""Unacknowledged messages that the broker may send us."""

HEADROOM = 65_536 + 1024
"""Bytes of a packet beside its payload: the topic, and properties of some length."""


def connecting(max_packet: int) -> Properties:
    """Return the properties of CONNECT."""
    properties = _new(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = max_packet + HEADROOM
    return _typed(properties)


def delaying(seconds: int) -> Properties:
    """Return the properties of a last will that waits for our return."""
    properties = _new(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = seconds
    return _typed(properties)


def subscription(wanted: Filter, version: Version) -> SubscribeOptions | int:
    """Return the options of a subscription at QoS 1."""
    if version is Version.V311:
        return 1
    return SubscribeOptions(
        qos=1,
        noLocal=not wanted.own,
        retainAsPublished=True,
        retainHandling=(
            SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
            if wanted.replay
            else SubscribeOptions.RETAIN_DO_NOT_SEND
        ),
    )


def publication(sent: Publication, version: Version) -> Properties | None:
    """Return the properties of a message that we send."""
    if version is Version.V311 or (sent.expiry is None and sent.correlation is None):
        return None
    properties = _new(PacketTypes.PUBLISH)
    if sent.expiry is not None:
        properties.MessageExpiryInterval = sent.expiry
    if sent.correlation is not None:
        properties.CorrelationData = sent.correlation
    return _typed(properties)


def message(received: paho.MQTTMessage) -> Message:
    """Return a message that we got.

    Raises:
        UnicodeDecodeError: Its topic is no text.

    """
    properties = received.properties
    return Message(
        topic=received.topic,
        payload=bytes(received.payload),
        retain=received.retain,
        qos=received.qos,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation=getattr(properties, "CorrelationData", None),
        expiry=getattr(properties, "MessageExpiryInterval", None),
        duplicate=received.dup,
    )


def grants(properties: Properties | None) -> Grants:
    """Return what a CONNACK grants."""
    default = Grants()
    return Grants(
        in_flight=getattr(properties, "ReceiveMaximum", default.in_flight),
        packet=getattr(properties, "MaximumPacketSize", default.packet),
    )


def _new(kind: int) -> Any:  # noqa: ANN401 - its attributes come and go at run time
    return Properties(kind)  # type: ignore[no-untyped-call]


def _typed(properties: Any) -> Properties:  # noqa: ANN401 - the way back from _new
    typed: Properties = properties
    return typed
