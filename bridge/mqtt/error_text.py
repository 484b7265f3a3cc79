"""Why a connection failed or was lost, in one line that says what to do."""

import socket
import ssl
from dataclasses import dataclass
from enum import Enum

from bridge.config import Mqtt
from bridge.errors import BrokerError, quoted


class Hint(Enum):
    """What a failed attempt means for the next one."""

    NONE = "none"
    VERSION = "version"
    """The broker does not support this MQTT version."""
    CLOSED = "closed"
    """It closed the connection without CONNACK, as some brokers do if they do not know
    the version."""
    REFUSED = "refused"
    """It refused the connection in its CONNACK."""


class ConnectStage(Enum):
    """How far an attempt to connect got."""

    NOTHING = "nothing"
    TCP = "TCP"
    TLS = "TLS"
    """The TLS handshake has begun."""
    MQTT = "MQTT"
    """Everything below MQTT is connected; only CONNACK is missing."""


class AttemptError(BrokerError):
    """An attempt to use the broker failed; a later one may succeed.

    Args:
        message: one line for the log.
        hint: what it means for the next attempt.
        code: the reason code of a refusal.

    """

    def __init__(
        self, message: str, hint: Hint = Hint.NONE, code: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended.

    Attributes:
        message: one line for the log.
        taken_over: the broker said that another client connected with our client id.
        unexplained: the broker or the network closed the connection without a reason.
        no_right: the broker said that we may not do what we did.

    """

    message: str
    taken_over: bool = False
    unexplained: bool = False
    no_right: bool = False


REFUSALS = {
    0x80: "the broker refuses the connection without a reason; check its log",
    0x81: "the broker considers our CONNECT malformed; try mqtt.protocol: 3.1.1",
    0x82: "the broker reports a protocol error; try mqtt.protocol: 3.1.1",
    0x84: "the broker does not support this MQTT version; set mqtt.protocol",
    0x85: 'the broker does not accept the client id "{client_id}"; set mqtt.client_id',
    0x86: "wrong user name or password for {user}; "
    "check mqtt.username and mqtt.password or mqtt.password_file",
    0x87: "{user} is not authorised; check mqtt.username, mqtt.password and the rights "
    "that the broker gives to {user}",
    0x88: "the broker is not available at the moment",
    0x89: "the broker is busy",
    0x8A: "the broker has banned this client; check its configuration",
    0x8C: "the broker requires an authentication method other than a password",
    0x95: "our CONNECT is too large for the broker",
    0x97: "a quota of the broker is used up",
    0x9A: "the broker cannot retain messages, which a last will needs",
    0x9B: "the broker does not support QoS 1, which a last will needs",
    0x9C: "the broker asks us to use another server{reference}; set mqtt.host to "
    "it, or add it to mqtt.hosts",
    0x9D: "the broker has moved{reference}; set mqtt.host to its new address",
    0x9F: "the broker says that we connect too often",
}
"""CONNACK reason codes (MQTT 5.0, 3.2.2.2). paho-mqtt 2 translates the return codes of
MQTT 3.1.1 (3.2.2.3) into these: 1 to 0x84 (version), 2 to 0x85 (client id), 3 to 0x88
(unavailable), 4 to 0x86 (user name or password), 5 to 0x87 (not authorised)."""

LOSSES = {
    0x82: "the broker reports a protocol error",
    0x87: "{user} is no longer authorised; check the rights that the broker gives",
    0x89: "the broker is busy",
    0x8B: "the broker is shutting down",
    0x8D: "the broker received nothing from us within the keep-alive time",
    0x8E: 'another client connected with our client id "{client_id}"; '
    "set mqtt.client_id",
    0x93: "the broker says that we acknowledge too slowly",
    0x95: "a message was larger than the broker accepts",
    0x96: "the broker says that we publish too often",
    0x97: "a quota of the broker is used up",
    0x98: "the broker's administrator closed the connection",
    0x9A: "the broker cannot retain messages",
    0x9B: "the broker does not support QoS 1",
    0x9C: "the broker asks us to use another server{reference}; set mqtt.host to "
    "it, or add it to mqtt.hosts",
    0x9D: "the broker has moved{reference}; set mqtt.host to its new address",
}
"""DISCONNECT reason codes of a broker (MQTT 5.0, 3.14.2.1). With MQTT 3.1.1, a broker
simply closes the connection."""

_UNKNOWN_HOST = "the host name {host} is not known; check mqtt.host and the DNS"
_TLS_FAILED = (
    "TLS failed ({detail}); does the port use TLS (usually 8883)? "
    "If not, turn mqtt.tls.enabled off"
)
_CONNECTION_REFUSED = (
    "nothing listens there; is the broker running, are mqtt.host and mqtt.port right?"
)
_NO_SOCKET = "there is no such socket; is the broker running, is mqtt.host right?"
_NO_PERMISSION = (
    "this account may not open the socket; check the socket's file permissions"
)
_NO_WEBSOCKET = "no WebSocket there ({detail}); check mqtt.port and mqtt.path"
_OTHER = "{detail}; check mqtt.host, mqtt.port and the network"

UNREACHABLE: tuple[tuple[type[Exception], str | None, str], ...] = (
    (socket.gaierror, None, _UNKNOWN_HOST),
    (ssl.SSLError, None, _TLS_FAILED),
    (ConnectionRefusedError, None, _CONNECTION_REFUSED),
    (FileNotFoundError, "unix", _NO_SOCKET),
    (PermissionError, "unix", _NO_PERMISSION),
    (ConnectionError, "websockets", _NO_WEBSOCKET),
    (ValueError, "websockets", _NO_WEBSOCKET),
    (LookupError, "websockets", _NO_WEBSOCKET),
    (Exception, None, _OTHER),
)
"""Errors below MQTT: the exception, the transport it is specific to, and the text. The
first match counts."""

MAX_REFERENCE = 100
"""Characters of a Server Reference that a message shows."""
# Reason codes of CONNACK and DISCONNECT (MQTT 5.0, 2.4).
CLIENT_ID_REFUSED = 0x85
NOT_AUTHORIZED = 0x87
WRONG_ACCOUNT = (0x86, NOT_AUTHORIZED, 0x8A)
"""CONNACK reason codes after which further attempts may get the client banned (MQTT
5.0, 3.2.2.2): wrong password, not authorised, already banned."""
MISSING_RIGHT = (0x80, 0x83, NOT_AUTHORIZED, 0x8F, 0x90)
"""Reason codes that mean a missing right. The SUBACK of MQTT 3.1.1 has only 0x80
(3.9.3); some brokers use 0x83, "implementation specific error". ejabberd 23.01 reports
a topic that an account may not use as invalid (0x8F for filters, 0x90 for names), which
ours never are."""
KEEP_ALIVE_TIMEOUT = 0x8D
SESSION_TAKEN_OVER = 0x8E
UNSUPPORTED_VERSION = 0x84

# Errors of OpenSSL's verification (``openssl/x509_vfy.h``).
_EXPIRED, _NOT_YET_VALID = 10, 9
_WRONG_NAME = (62, 64)  # of a host, of an IP address


def endpoint(config: Mqtt) -> str:
    """Return what to call the broker in a message, such as ``broker host:1883``."""
    if config.transport == "unix":
        return f"broker {config.host}"
    path = config.path if config.transport == "websockets" else ""
    return f"broker {config.host}:{config.port}{path}"


def user(config: Mqtt) -> str:
    """Return what to call our account in a message."""
    return "an anonymous client" if config.username is None else quoted(config.username)


def named_server(received: object) -> str:
    """Return the Server Reference in a broker's properties, for a message.

    It is not followed: a broker could then have our password sent to any host (MQTT
    5.0, 4.11 leaves that to the client).
    """
    name = getattr(received, "ServerReference", None)
    if not isinstance(name, str) or not name or not name.isprintable():
        return ""
    return f", {name[:MAX_REFERENCE]}"


def refused(
    config: Mqtt, client_id: str, code: int, reference: str = ""
) -> AttemptError:
    """Return the error for a CONNACK that refuses the connection.

    Args:
        config: how we tried to connect.
        client_id: our client id.
        code: the reason code.
        reference: see :func:`named_server`.

    """
    text = REFUSALS.get(
        code, f"the broker refuses the connection with code 0x{code:02x}"
    )
    reason = text.format(client_id=client_id, user=user(config), reference=reference)
    hint = Hint.VERSION if code == UNSUPPORTED_VERSION else Hint.REFUSED
    return AttemptError(f"{endpoint(config)}: {reason}", hint, code)


def closed_early(config: Mqtt) -> AttemptError:
    """Return the error for a connection that was closed without CONNACK."""
    if config.tls.enabled:
        advice = (
            "it may require a client certificate (mqtt.tls.cert_file) "
            "or not accept the one it got"
        )
    else:
        advice = (
            "is it an MQTT broker, does it support this MQTT version (mqtt.protocol), "
            "and does the port use TLS (mqtt.tls.enabled)?"
        )
    return AttemptError(
        f"{endpoint(config)} closed the connection without an answer: {advice}",
        Hint.CLOSED,
    )


def timed_out(config: Mqtt, stage: ConnectStage) -> AttemptError:
    """Return the error for a broker that did not answer in time."""
    where, wait = endpoint(config), f"{config.connect_timeout:g} s"
    advice = {
        ConnectStage.NOTHING: "is it switched on, and does a firewall block it? Check "
        "mqtt.host",
        ConnectStage.TCP: "is it a WebSocket? Check mqtt.port and mqtt.path",
        ConnectStage.TLS: "does the port use TLS (usually 8883)? If not, turn "
        "mqtt.tls.enabled off",
        ConnectStage.MQTT: "does the port use TLS (mqtt.tls.enabled), is it an MQTT "
        "broker?",
    }[stage]
    if stage is ConnectStage.MQTT and config.tls.enabled:
        advice = "it may require a client certificate (mqtt.tls.cert_file)"
    hint = Hint.CLOSED if stage is ConnectStage.MQTT else Hint.NONE
    return AttemptError(f"{where} did not answer within {wait}: {advice}", hint)


def unreachable(config: Mqtt, error: Exception, stage: ConnectStage) -> AttemptError:
    """Return the error for an attempt that failed below MQTT."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = _certificate(config, error)
    elif stage is ConnectStage.TLS and isinstance(
        error, ConnectionError | TimeoutError
    ):
        text = _TLS_FAILED.format(detail=error)
    else:
        text = _network(config, error)
    return AttemptError(f"{endpoint(config)}: {text}")


def lost(  # noqa: PLR0913 - what is known of the end
    config: Mqtt,
    client_id: str,
    code: int,
    *,
    by_broker: bool,
    subscribed: bool,
    reference: str = "",
) -> Loss:
    """Return how an accepted connection ended.

    Args:
        config: how we were connected.
        client_id: our client id.
        code: the reason code, from the broker or from paho.
        by_broker: the broker sent it in a DISCONNECT.
        subscribed: the broker had already answered our SUBSCRIBE.
        reference: see :func:`named_server`.

    """
    if by_broker:
        text = LOSSES.get(code, f"the broker disconnected us with code 0x{code:02x}")
    elif code == KEEP_ALIVE_TIMEOUT:
        text = "the broker did not answer PINGREQ within the keep-alive time"
    elif subscribed:
        text = "the connection was lost"
    else:
        text = (
            "the broker closed the connection right after accepting it; it may not "
            'allow a topic to {user}, or another client uses our id "{client_id}"'
        )
    reason = text.format(client_id=client_id, user=user(config), reference=reference)
    return Loss(
        f"{endpoint(config)}: {reason}",
        taken_over=by_broker and code == SESSION_TAKEN_OVER,
        unexplained=not by_broker and code != KEEP_ALIVE_TIMEOUT,
        no_right=by_broker and code in MISSING_RIGHT,
    )


def no_right(config: Mqtt, topic: str, *, write: bool, code: int) -> str:
    """Return the warning about a refused subscription or publication."""
    verb, right = ("publish on", "write") if write else ("subscribe to", "read")
    why = "not authorised" if code == NOT_AUTHORIZED else f"code 0x{code:02x}"
    advice = (
        f"give it the right to {right} that topic"
        if code in MISSING_RIGHT
        else "check the broker's log and its limits"
    )
    return f"the broker does not let {user(config)} {verb} {topic} ({why}): {advice}"


def closes_over(config: Mqtt, topic: str, *, write: bool) -> str:
    """Return the warning about a topic over which the broker closes the connection."""
    verb, right = ("publishes on", "write") if write else ("subscribes to", "read")
    who = user(config)
    return (
        f"{endpoint(config)} closes the connection when {who} {verb} {topic}, so that "
        f"is left out; give {who} the right to {right} that topic and restart the "
        "bridge"
    )


def closes_over_all(config: Mqtt, base: str, *, write: bool) -> str:
    """Return the warning about an account with which nothing is possible."""
    verb = "publishes" if write else "subscribes"
    effect = (
        "so nothing is published and nobody sees the printer"
        if write
        else "so no command and no emergency stop arrives"
    )
    who = user(config)
    return (
        f"{endpoint(config)} closes the connection whatever {who} {verb} below "
        f"{base}/, {effect}; give {who} the rights in deploy/mosquitto/acl and restart "
        "the bridge"
    )


def no_will(config: Mqtt, topic: str) -> str:
    """Return the warning about a broker that refuses our last will."""
    who = user(config)
    return (
        f"{endpoint(config)} does not let {who} leave a last will on {topic}, so we "
        f"are connected without one and {topic} stays online if the bridge crashes; "
        f"give {who} the right to write that topic and restart the bridge"
    )


def _certificate(config: Mqtt, error: ssl.SSLCertVerificationError) -> str:
    name = config.tls.server_name or config.host
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; renew it (or set this machine's clock)"
    if error.verify_code == _NOT_YET_VALID:
        return "its certificate is not valid yet; set this machine's clock"
    if error.verify_code in _WRONG_NAME:
        return (
            f"its certificate is not for {name}; set mqtt.host or "
            "mqtt.tls.server_name to the name it was issued for"
        )
    return (
        f"its certificate is not trusted ({error.verify_message}); add the certificate "
        "authority to mqtt.tls.ca_file"
    )


def _network(config: Mqtt, error: Exception) -> str:
    for kind, transport, text in UNREACHABLE:
        if isinstance(error, kind) and transport in (None, config.transport):
            detail = getattr(error, "reason", None) or getattr(error, "strerror", None)
            return text.format(host=config.host, detail=detail or error)
    return str(error)
