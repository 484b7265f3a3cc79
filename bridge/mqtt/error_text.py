"""Why a connection failed, in one line that says what to do."""

import socket
import ssl
from dataclasses import dataclass
from enum import Enum

from bridge.config import Mqtt
from bridge.errors import BrokerError


class Hint(Enum):
    """What a failed attempt tells about the next one."""

    NONE = "none"
    VERSION = "version"
    """The broker does not take this MQTT version."""
    CLOSED = "closed"
    """It closed the connection instead of answering, as some do for a new version."""
    REFUSED = "refused"
    """It answered, and does not let us in."""


class Stage(Enum):
    """How far an attempt to connect came."""

    NOTHING = "nothing"
    TCP = "TCP"
    TLS = "TLS"
    """Its handshake has begun."""
    MQTT = "MQTT"
    """All below it stands; only the CONNACK is missing."""


class AttemptError(BrokerError):
    """One attempt to reach the broker failed; a later one may succeed."""

    def __init__(self, message: str, hint: Hint = Hint.NONE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended.

    Attributes:
        message: one line for the log.
        taken_over: another client came with our client id.
        unexplained: the broker closed the connection, or the network broke it.

    """

    message: str
    taken_over: bool = False
    unexplained: bool = False


REFUSALS = {
    0x80: "the broker refuses us without a reason; look into its log",
    0x81: "the broker takes our CONNECT for malformed; try mqtt.protocol: 3.1.1",
    0x82: "the broker sees an error of protocol; try mqtt.protocol: 3.1.1",
    0x84: "the broker does not take this MQTT version; set mqtt.protocol",
    0x85: "the broker does not accept the client id {client_id!r}; set mqtt.client_id",
    0x86: "wrong user name or password for {user}; "
    "check mqtt.username and mqtt.password or mqtt.password_file",
    0x87: "{user} is not authorised; check mqtt.username, mqtt.password and the rights "
    "that the broker gives to {user}",
    0x88: "the broker is not available at the moment",
    0x89: "the broker is busy",
    0x8A: "the broker has banned us; look into its configuration",
    0x8C: "the broker wants another way of authentication than a password",
    0x95: "our CONNECT is too large for the broker",
    0x97: "a quota of the broker is used up",
    0x9A: "the broker cannot retain messages, which a last will needs",
    0x9B: "the broker does not take QoS 1, which a last will needs",
    0x9C: "the broker sends us to another server; change mqtt.host",
    0x9D: "the broker has moved; change mqtt.host",
    0x9F: "the broker says that we connect too often",
}
"""CONNACK reason codes (MQTT 5.0, 3.2.2.2)."""

LOSSES = {
    0x82: "the broker sees an error of protocol",
    0x87: "{user} is no longer authorised; check the rights that the broker gives",
    0x89: "the broker is busy",
    0x8B: "the broker is shutting down",
    0x8D: "the broker has not heard from us for too long",
    0x8E: "another client connected with our client id {client_id!r}; "
    "set mqtt.client_id",
    0x93: "the broker says that we acknowledge too slowly",
    0x95: "a message was larger than the broker takes",
    0x96: "the broker says that we publish too often",
    0x97: "a quota of the broker is used up",
    0x98: "the broker's administrator closed the connection",
    0x9A: "the broker cannot retain messages",
    0x9B: "the broker does not take QoS 1",
    0x9C: "the broker sends us to another server; change mqtt.host",
    0x9D: "the broker has moved; change mqtt.host",
}
"""DISCONNECT reason codes (MQTT 5.0, 3.14.2.1)."""

_NO_NAME = "the name {host} is not known; check mqtt.host and the DNS"
_NO_TLS = (
    "TLS failed ({detail}); does the port speak TLS (usually 8883)? "
    "Else switch mqtt.tls.enabled off"
)
_NOBODY = (
    "nothing listens there; is the broker running, are mqtt.host and mqtt.port right?"
)
_NO_SOCKET = "there is no such socket; is the broker running, is mqtt.host right?"
_LOCKED = "this account may not open it; check the rights of the socket"
_NO_WEBSOCKET = "no WebSocket there ({detail}); check mqtt.port and mqtt.path"
_OTHER = "{detail}; check mqtt.host, mqtt.port and the network"

UNREACHABLE: tuple[tuple[type[Exception], str | None, str], ...] = (
    (socket.gaierror, None, _NO_NAME),
    (ssl.SSLError, None, _NO_TLS),
    (ConnectionRefusedError, None, _NOBODY),
    (FileNotFoundError, "unix", _NO_SOCKET),
    (PermissionError, "unix", _LOCKED),
    (ConnectionError, "websockets", _NO_WEBSOCKET),
    (ValueError, "websockets", _NO_WEBSOCKET),
    (LookupError, "websockets", _NO_WEBSOCKET),
    (Exception, None, _OTHER),
)
"""Errors before MQTT begins, by their kind and the transport they are special to."""

NOT_AUTHORISED = 0x87
WITHOUT_RIGHT = (0x80, 0x83, NOT_AUTHORISED)
"""Codes of a missing right: MQTT 3.1.1 has only the first, and some brokers say the
second."""
SILENT = 0x8D
TAKEN_OVER = 0x8E
VERSION = 0x84

_EXPIRED, _NOT_YET = 10, 9
_WRONG_NAMES = (62, 64)
"""Codes of OpenSSL's certificate check (``x509_vfy.h``)."""


def endpoint(config: Mqtt) -> str:
    """Return how to name the broker to a person."""
    if config.transport == "unix":
        return f"broker {config.host}"
    path = config.path if config.transport == "websockets" else ""
    return f"broker {config.host}:{config.port}{path}"


def user(config: Mqtt) -> str:
    """Return how to name our account to a person."""
    return "an anonymous client" if config.username is None else f"{config.username!r}"


def refused(config: Mqtt, client_id: str, code: int) -> AttemptError:
    """Return the error of a CONNACK that refuses us."""
    text = REFUSALS.get(code, f"the broker refuses us with code 0x{code:02x}")
    reason = text.format(client_id=client_id, user=user(config))
    hint = Hint.VERSION if code == VERSION else Hint.REFUSED
    return AttemptError(f"{endpoint(config)}: {reason}", hint)


def closed_early(config: Mqtt) -> AttemptError:
    """Return the error of a connection that ended without a CONNACK."""
    if config.tls.enabled:
        advice = (
            "it may want a client certificate (mqtt.tls.cert_file) "
            "or not accept the one it got"
        )
    else:
        advice = (
            "is it an MQTT broker, does it take this MQTT version (mqtt.protocol), "
            "and does the port want TLS (mqtt.tls.enabled)?"
        )
    return AttemptError(
        f"{endpoint(config)} closed the connection without an answer: {advice}",
        Hint.CLOSED,
    )


def silent(config: Mqtt, stage: Stage) -> AttemptError:
    """Return the error of a broker that did not answer in time."""
    where, wait = endpoint(config), f"{config.connect_timeout:g} s"
    advice = {
        Stage.NOTHING: "is it on, and does a firewall let us through? Check mqtt.host",
        Stage.TCP: "is it a WebSocket? Check mqtt.port and mqtt.path",
        Stage.TLS: "does the port speak TLS (usually 8883)? Else switch "
        "mqtt.tls.enabled off",
        Stage.MQTT: "does the port want TLS (mqtt.tls.enabled), is it MQTT at all?",
    }[stage]
    if stage is Stage.MQTT and config.tls.enabled:
        advice = "it may want a client certificate (mqtt.tls.cert_file)"
    hint = Hint.CLOSED if stage is Stage.MQTT else Hint.NONE
    return AttemptError(f"{where} did not answer within {wait}: {advice}", hint)


def unreachable(config: Mqtt, error: Exception, stage: Stage) -> AttemptError:
    """Return the error of an attempt that ended before MQTT began."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = _certificate(config, error)
    elif stage is Stage.TLS and isinstance(error, ConnectionError | TimeoutError):
        text = _NO_TLS.format(detail=error)
    else:
        text = _network(config, error)
    return AttemptError(f"{endpoint(config)}: {text}")


def lost(
    config: Mqtt, client_id: str, code: int, *, told: bool, accepted: bool
) -> Loss:
    """Return how a connection that had stood came to its end.

    Args:
        config: how we were connected.
        client_id: our name at the broker.
        code: the reason code, of the broker or of the client library.
        told: the broker sent it in a DISCONNECT.
        accepted: the broker had already accepted our subscriptions.

    """
    if told:
        text = LOSSES.get(code, f"the broker gave the reason 0x{code:02x}")
    elif code == SILENT:
        text = "the broker has been silent for too long"
    elif accepted:
        text = "the connection broke"
    else:
        text = (
            "the broker closed the connection right after accepting it; it may not "
            "allow a topic to {user}, or another client uses our id {client_id!r}"
        )
    reason = text.format(client_id=client_id, user=user(config))
    return Loss(
        f"{endpoint(config)}: {reason}",
        taken_over=told and code == TAKEN_OVER,
        unexplained=not told and code != SILENT,
    )


def no_right(config: Mqtt, topic: str, *, write: bool, code: int) -> str:
    """Return the warning about a refused subscription or publication."""
    verb, right = ("publish on", "write") if write else ("subscribe to", "read")
    why = "not authorised" if code == NOT_AUTHORISED else f"code 0x{code:02x}"
    advice = (
        f"give it the right to {right} that topic"
        if code in WITHOUT_RIGHT
        else "look into the broker's log and its limits"
    )
    return f"the broker does not let {user(config)} {verb} {topic} ({why}): {advice}"


def _certificate(config: Mqtt, error: ssl.SSLCertVerificationError) -> str:
    name = config.tls.server_name or config.host
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; renew it (or set this machine's clock)"
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet; set this machine's clock"
    if error.verify_code in _WRONG_NAMES:
        return (
            f"its certificate is not for {name}; use the name it was made for, "
            "as mqtt.host or mqtt.tls.server_name"
        )
    return (
        f"its certificate is not trusted ({error.verify_message}); put the authority's "
        "certificate into mqtt.tls.ca_file"
    )


def _network(config: Mqtt, error: Exception) -> str:
    for kind, transport, text in UNREACHABLE:
        if isinstance(error, kind) and transport in (None, config.transport):
            detail = getattr(error, "reason", None) or getattr(error, "strerror", None)
            return text.format(host=config.host, detail=detail or error)
    return str(error)
