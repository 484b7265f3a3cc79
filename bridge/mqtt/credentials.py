"""What proves who we are and who the broker is; read from files, so it may block."""

import socket
import ssl

from bridge.config import Mqtt, Tls
from bridge.mqtt.reasons import AttemptError


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
