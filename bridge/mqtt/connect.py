"""Connecting to the broker, and watching the socket once it is connected.

Name lookup, TCP, TLS, WebSocket handshake and CONNECT block, so they run in a thread of
their own for as long as they take. Then the event loop watches the socket.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.config import Mqtt, Tls
from bridge.mqtt import error_text
from bridge.mqtt.error_text import AttemptError, ConnectStage
from bridge.mqtt.fallbacks import BrokerAddresses
from bridge.mqtt.messages import Publication, Version, Will
from bridge.mqtt.publish_packets import publish_packet, reduced

RECEIVE_MAXIMUM = 100
"""How many messages at QoS 1 the broker may send before we acknowledge one
(MQTT 5.0, 3.1.2.11.3); MQTT 3.1.1 has no such limit."""

PACKET_OVERHEAD = 65_536 + 1024
"""Bytes of a packet in addition to its payload: a topic of at most 65,535 bytes
(MQTT 5.0, 1.5.4) and properties of a usual length."""

SESSION_EXPIRY = 0
"""Seconds for which the broker keeps our session after the connection ends: none.
Otherwise it would queue commands while the bridge is offline, and they would be
executed when it returns (MQTT 5.0, 3.1.2.11.2; with 3.1.1, Clean Session does the
same)."""


_TCP = (socket.AF_INET, socket.AF_INET6)
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT  # looks without taking anything


def unique_id(prefix: str) -> str:
    """Return a client id that nobody can guess, for a connection without a last will.

    A broker disconnects a client when another one connects with its id (MQTT 5.0,
    3.1.4), whoever that is, unless it binds ids to accounts.
    """
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class TlsContext(ssl.SSLContext):
    """Always verifies the certificate, optionally for a name other than the host's.

    Attributes:
        server_name: the name to look for in the certificate instead of the host's.
        connection: the encrypted connection; ``None``: the handshake has not begun.

    """

    server_name: str | None = None
    connection: ssl.SSLSocket | None = None

    def wrap_socket(  # type: ignore[override]  # all that the MQTT client passes
        self,
        sock: socket.socket,
        *,
        server_hostname: str | None = None,
        do_handshake_on_connect: bool = True,
    ) -> ssl.SSLSocket:
        """Begin TLS with the configured name."""
        self.connection = super().wrap_socket(
            sock,
            server_hostname=self.server_name or server_hostname,
            do_handshake_on_connect=do_handshake_on_connect,
        )
        return self.connection


class _PahoClient(paho.Client):
    """Keeps a reference to its socket, which paho does not close if a handshake fails.

    These three methods are not part of paho's public interface, which has no hook
    between the TCP connection and the WebSocket handshake, nor one between the bytes of
    a packet and their meaning. ``docs/adr/0022-paho-bounds.md`` says which versions of
    paho are known to call them, and which tests check it.
    """

    raw_socket: socket.socket | None = None
    addresses: BrokerAddresses

    def _create_socket_connection(self) -> socket.socket:
        # paho's own tries one address after the other with a timeout for each, and does
        # not try the next one if the first accepts the connection and says nothing.
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = self.addresses.choose(found)
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(self.connect_timeout)
            connection.connect(address)
        except BaseException:
            connection.close()
            raise
        self.raw_socket = connection
        return connection

    def _create_unix_socket_connection(self) -> socket.socket:
        # paho's own has no timeout, and does not close the socket on an error.
        self.raw_socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.raw_socket.settimeout(self.connect_timeout)
        self.raw_socket.connect(self.host)
        return self.raw_socket

    def _handle_publish(self) -> MQTTErrorCode:
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            # Others choose the properties, and paho takes hours for some of them.
            received = self._in_packet
            qos = received["command"] >> 1 & 3
            received["packet"] = bytearray(reduced(received["packet"], qos=qos))
        return super()._handle_publish()


class ConnectAttempt:
    """One attempt to connect."""

    def __init__(
        self,
        addresses: BrokerAddresses,
        *,
        client_id: str,
        version: Version,
        will: Will | None,
    ) -> None:
        self._addresses = addresses
        self._config = addresses.config
        self._id = client_id
        self._v5 = version is Version.V5
        self._will = will
        self._tls: TlsContext | None = None
        self._client: _PahoClient | None = None

    @property
    def stage(self) -> ConnectStage:
        """How far it has come; may be read from another thread meanwhile."""
        if self._tls is not None and self._tls.connection is not None:
            return ConnectStage.TLS
        if self._client is not None and self._client.raw_socket is not None:
            return ConnectStage.TCP
        return ConnectStage.NOTHING

    def open(self) -> paho.Client:
        """Connect and send CONNECT; blocks.

        Raises:
            AttemptError: It failed; the message says why and what to do.

        """
        config = self._config
        self._client = client = self._build()
        address = (config.host, config.port, config.keepalive)
        try:
            if self._v5:
                connect_properties = properties(
                    PacketTypes.CONNECT,
                    SessionExpiryInterval=SESSION_EXPIRY,
                    ReceiveMaximum=RECEIVE_MAXIMUM,
                    MaximumPacketSize=config.max_packet + PACKET_OVERHEAD,
                )
                client.connect(
                    *address, clean_start=True, properties=connect_properties
                )
            else:
                client.connect(*address)
        except (OSError, ValueError, LookupError) as error:
            self._close(client)
            raise error_text.unreachable(config, error, self.stage) from error
        return client

    def _close(self, client: _PahoClient) -> None:
        encrypted = self._tls.connection if self._tls is not None else None
        for connection in filter(None, (encrypted, client.raw_socket)):
            connection.close()

    def _build(self) -> _PahoClient:
        config, v5 = self._config, self._v5
        client = _PahoClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._id,
            protocol=(
                MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
            ),
            transport=config.transport,
            reconnect_on_failure=False,
        )
        client.addresses = self._addresses
        client.connect_timeout = config.connect_timeout
        # Unlimited: the session limits the messages in flight itself, at every QoS.
        client.max_inflight_messages = 0
        client.username = config.username
        client.password = password(config)
        client.ws_set_options(path=config.path)
        if config.tls.enabled:
            self._tls = tls_context(config.tls)
            client.tls_set_context(self._tls)
        if (will := self._will) is not None:
            client.will_set(
                will.topic,
                will.payload,
                qos=1,
                retain=True,
                properties=(
                    properties(PacketTypes.WILLMESSAGE, WillDelayInterval=will.delay)
                    if v5
                    else None
                ),
            )
        return client


class SocketWatcher:
    """Calls back when a connected socket can be read or written, until it is closed.

    It has to be closed before the socket is: otherwise the event loop would spin on a
    closed descriptor, or watch another socket that got the same number.

    Args:
        connection: a socket, or what wraps it for TLS or WebSocket.
        read: is called when there is something to read.
        write: is called when it can be written, while that is wanted.

    """

    def __init__(
        self,
        connection: "paho.SocketLike",
        read: Callable[[], None],
        write: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: Callable[[], int] | None = getattr(connection, "pending", None)
        self._descriptor = connection.fileno()
        self._write = write
        # A second descriptor for the same socket: the wrappers for TLS and WebSocket
        # hide the socket itself or its options.
        self._socket = socket.socket(fileno=os.dup(self._descriptor))
        self._tcp = self._socket.family in _TCP
        if self._tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._descriptor, read)

    def want_write(self, *, wanted: bool) -> None:
        """Call back when it can be written, or stop that."""
        if self._descriptor < 0:
            return
        if wanted:
            self._loop.add_writer(self._descriptor, self._write)
        else:
            self._loop.remove_writer(self._descriptor)

    @property
    def buffered(self) -> bool:
        """Whether TLS has decrypted bytes that have not been read yet.

        The event loop cannot see them, because the socket itself is empty.
        """
        return self._pending is not None and self._pending() > 0

    @property
    def readable(self) -> bool:
        """Whether there is more to read at once, in the socket or decrypted by TLS."""
        if self._descriptor < 0:
            return False
        with contextlib.suppress(OSError):  # BlockingIOError: nothing in the socket
            if self._socket.recv(1, _PEEK):
                return True
        return self._pending is not None and self._pending() > 0

    def acknowledge_at_once(self) -> None:
        """Send the next TCP acknowledgement at once.

        Nagle's algorithm at the broker waits for the acknowledgement of the message
        before, which Linux delays for up to 40 ms: the second of two commands in a row
        would be late by as much. The option is not permanent (``man 7 tcp``).
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


class DirectWriter:
    """Writes messages at QoS 0 to a plain socket, without the queue of paho.

    paho takes about 0.3 ms of processor time for a message at QoS 0, half of it for
    objects that it passes to its callback, and makes a system call for each. Reports of
    the temperatures are such messages, and a hundred printers have three hundred a
    second. All that is published in one pass of the event loop is one call here.

    It must not be used while paho has something to write, and vice versa, so that no
    packet gets into the middle of another one.

    Args:
        connection: a connected socket that does not block.
        version: the MQTT version.

    """

    def __init__(self, connection: socket.socket, version: Version) -> None:
        self._socket = connection
        self._version = version
        self._unsent = bytearray()
        self._numbers: list[int] = []
        self._last = 0

    @property
    def waiting(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._unsent)

    def put(self, publication: Publication) -> int:
        """Add a message; return its number, which is not paho's packet identifier."""
        self._unsent += publish_packet(publication, self._version)
        self._last -= 1
        self._numbers.append(self._last)
        return self._last

    def write(self) -> Sequence[int]:
        """Write as much as possible; return the numbers if that was all.

        Raises:
            OSError: The connection is broken.

        """
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return ()
        if self._unsent:
            return ()
        written, self._numbers = self._numbers, []
        return written


def close_socket(client: paho.Client) -> None:
    """Close the socket of a client that is not needed any more, without DISCONNECT."""
    connection = client.socket()
    if connection is not None:
        connection.close()


def properties(packet_type: int, **values: object) -> Properties:
    """Return MQTT 5 properties for a packet; paho declares no types for them."""
    made = Properties(packet_type)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def password(config: Mqtt) -> str | None:
    """Return the password, read from its file at each connection: it may be changed.

    Raises:
        AttemptError: The file cannot be read.

    """
    if config.password is not None:
        return config.password.get_secret_value()
    if config.password_file is None:
        return None
    file = config.password_file
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise _unreadable("mqtt.password_file", file, error) from error
    except UnicodeDecodeError as error:
        raise AttemptError(f"mqtt.password_file is not UTF-8 text: {file}") from error
    return text.partition("\n")[0].rstrip("\r")


def tls_context(tls: Tls) -> TlsContext:
    """Return the TLS settings with their certificates loaded.

    Raises:
        AttemptError: A file cannot be used.

    """
    # OpenSSL's own errors do not say which of the files it could not open.
    for name in ("ca_file", "cert_file", "key_file"):
        file: Path | None = getattr(tls, name)
        if file is not None:
            try:
                file.open("rb").close()
            except OSError as error:
                raise _unreadable(f"mqtt.tls.{name}", file, error) from error
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = tls.server_name
    try:
        if tls.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(tls.ca_file)
    except OSError as error:
        raise _unusable("mqtt.tls.ca_file", tls.ca_file, error) from error
    if tls.cert_file is not None:
        try:
            # Without a password OpenSSL would ask for one on the terminal if the key
            # is encrypted.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except (OSError, ValueError) as error:
            if tls.key_file is None:
                raise _unusable("mqtt.tls.cert_file", tls.cert_file, error) from error
            files = f"{tls.cert_file} and {tls.key_file}"
            both = "mqtt.tls.cert_file and mqtt.tls.key_file"
            raise _unusable(both, files, error) from error
    return context


_SSL_REASONS = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in PEM form",
    "BAD_PASSWORD_READ": "the key is encrypted; store it without a password",
    "BAD_DECRYPT": "the key is encrypted; store it without a password",
}
"""Names of OpenSSL's errors (``openssl/x509err.h``, ``openssl/pemerr.h``) in words."""


def _unreadable(field: str, file: Path, error: OSError) -> AttemptError:
    return AttemptError(f"{field} cannot be read: {file}: {error.strerror}")


def _unusable(fields: str, files: object, error: Exception) -> AttemptError:
    reason = getattr(error, "reason", None)
    if reason is None and isinstance(error, ssl.SSLError):
        words = "there is no certificate or no key in PEM form"
    else:
        words = _SSL_REASONS.get(str(reason), str(reason or error))
    return AttemptError(f"{fields} cannot be used: {files}: {words}")
