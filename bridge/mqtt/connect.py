"""Connecting: name lookup, TCP, TLS, WebSocket and CONNECT; blocks, so in a thread."""

import socket
import ssl

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bridge.config import Mqtt, Tls
from bridge.mqtt import error_text, packets
from bridge.mqtt.error_text import AttemptError, Stage
from bridge.mqtt.messages import Version, Will


class _Client(paho.Client):
    """Remembers its socket, which paho forgets to close when a handshake fails."""

    made: socket.socket | None = None

    def _create_socket_connection(self) -> socket.socket:
        self.made = super()._create_socket_connection()
        return self.made

    def _create_unix_socket_connection(self) -> socket.socket:
        self.made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.made.settimeout(self.connect_timeout)
        self.made.connect(self.host)
        return self.made


class Opening:
    """One attempt to connect."""

    def __init__(
        self, config: Mqtt, *, client_id: str, version: Version, will: Will | None
    ) -> None:
        self._config = config
        self._id = client_id
        self._v5 = version is Version.V5
        self._will = will
        self._tls: TlsContext | None = None
        self._client: _Client | None = None

    @property
    def stage(self) -> Stage:
        """How far it has come; may be asked while it is under way."""
        if self._tls is not None and self._tls.connection is not None:
            return Stage.TLS
        if self._client is not None and self._client.made is not None:
            return Stage.TCP
        return Stage.NOTHING

    def open(self) -> paho.Client:
        """Connect and send CONNECT.

        Sessions end with their connection, so that the broker keeps no commands for us.

        Raises:
            AttemptError: It did not work; the message says why and what to do.

        """
        config = self._config
        self._client = client = self._build()
        place = (config.host, config.port, config.keepalive)
        try:
            if self._v5:
                properties = packets.connecting(config.max_packet)
                client.connect(*place, clean_start=True, properties=properties)
            else:
                client.connect(*place)
        except (OSError, ValueError, LookupError) as error:
            self._close(client)
            raise error_text.unreachable(config, error, self.stage) from error
        return client

    def _close(self, client: _Client) -> None:
        encrypted = self._tls.connection if self._tls is not None else None
        for connection in filter(None, (encrypted, client.made)):
            connection.close()

    def _build(self) -> _Client:
        config, v5 = self._config, self._v5
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._id,
            protocol=(
                MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
            ),
            transport=config.transport,
            reconnect_on_failure=False,
        )
        client.connect_timeout = config.connect_timeout
        # How much is on its way is the caller's business, at every QoS.
        client.max_inflight_messages = 0
        client.username = config.username
        client.password = password(config)
        client.ws_set_options(path=config.path)
        if config.tls.enabled:
            self._tls = tls_context(config.tls)
            client.tls_set_context(self._tls)
        if (will := self._will) is not None:
            properties = packets.delaying(will.delay) if v5 else None
            client.will_set(
                will.topic, will.payload, qos=1, retain=True, properties=properties
            )
        return client


def drop(client: paho.Client) -> None:
    """Close the connection of a client that nobody waits for any more."""
    connection = client.socket()
    if connection is not None:
        connection.close()


class TlsContext(ssl.SSLContext):
    """Always checks the certificate, if wanted against another name than the host's.

    Attributes:
        server_name: the name to find in the certificate instead.
        connection: what it encrypts; ``None``: TLS has not begun.

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


def password(config: Mqtt) -> str | None:
    """Return the password, read anew so that it may change while we run.

    Raises:
        AttemptError: The file cannot be read.

    """
    if config.password is not None:
        return config.password.get_secret_value()
    if config.password_file is None:
        return None
    try:
        text = config.password_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AttemptError(_file("mqtt.password_file", error)) from error
    return text.partition("\n")[0].rstrip("\r")


def tls_context(tls: Tls) -> TlsContext:
    """Return what to encrypt with.

    Raises:
        AttemptError: A file cannot be used.

    """
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = tls.server_name
    try:
        if tls.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(tls.ca_file)
    except OSError as error:
        raise AttemptError(_file("mqtt.tls.ca_file", error)) from error
    if tls.cert_file is not None:
        try:
            # An encrypted key would else ask for its password on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except (OSError, ValueError) as error:
            place = "mqtt.tls.cert_file or mqtt.tls.key_file"
            raise AttemptError(_file(place, error)) from error
    return context


def _file(place: str, error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{place} cannot be used: {error.reason or error}"
    detail = error.strerror if isinstance(error, OSError) else str(error)
    return f"{place} cannot be read: {detail}"
