"""Types of settings."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from bridge.errors import quoted
from bridge.field_docs import DocumentedModel

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Minutes = Annotated[float, Field(ge=0, le=10_080, allow_inf_nan=False)]
OnBrokerLoss = (
    Literal["keep"] | Annotated[float, Field(gt=0, le=10_080, allow_inf_nan=False)]
)
Millimetres = Annotated[float, Field(allow_inf_nan=False)]
Speed = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]


def _topic(value: str) -> str:
    if not value or value.startswith(("/", "$")) or value.endswith("/"):
        raise ValueError('must not be empty, begin with "/" or "$", or end with "/"')
    if any(mark in value for mark in "+#\0") or not value.isprintable():
        raise ValueError('must not contain "+", "#" or control characters')
    return value


Topic = Annotated[str, Field(max_length=200), AfterValidator(_topic)]


NO_VARIABLES = (
    "variables are not replaced in this file; set BRIDGE_… in the environment instead"
)

_HOST_PORT = re.compile(r"(?P<host>[^:\[\]]+|\[[^\]]+\]):(?P<port>\d+)", re.ASCII)


def _host(value: str) -> str:
    if value.startswith("/"):  # the path of a Unix socket
        return value
    if not value:
        raise ValueError("must not be empty; write a name or address, or localhost")
    # Logs and messages contain the host, so a password in it would be disclosed.
    if "://" in value or "@" in value:
        raise ValueError(
            "must be only a host name or an address; the port, the user name and the "
            "password belong in mqtt.port, mqtt.username and mqtt.password_file"
        )
    if problem := _problem_of_host(value):
        raise ValueError(problem)
    return value


def _problem_of_host(value: str) -> str | None:
    if found := _HOST_PORT.fullmatch(value):
        return (
            f"must not contain the port; set mqtt.host to {found['host'].strip('[]')} "
            f"and mqtt.port to {found['port']}"
        )
    if value.startswith("["):
        return f"must not have brackets; set mqtt.host to {value.strip('[]')}"
    if "/" in value:
        name, _, path = value.partition("/")
        return (
            f"must not contain a path; set mqtt.host to {name}, and for WebSockets "
            f"mqtt.path to /{path}"
        )
    if " " in value or not value.isprintable():
        return "must not contain spaces or control characters"
    return _problem_of_letters(value)


def _problem_of_letters(value: str) -> str | None:
    if "$" in value:
        return f"must be a name or an address; {NO_VARIABLES}"
    if odd := re.search(r"[^\w.:%-]", value):
        return f"must be a name or an address, without {odd[0]}"
    if re.fullmatch(r"\d+(\.\d+){3}", value) and max(map(int, value.split("."))) > 255:  # noqa: PLR2004 - IPv4
        return "must be an address with numbers from 0 to 255, or a name"
    return None


Host = Annotated[str, AfterValidator(_host)]


_MAX_PORT = 65_535


def host_and_port(text: str, port: int) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port``, ``[::1]`` or ``[::1]:port``.

    Args:
        text: an entry of ``mqtt.hosts``.
        port: the port where it names none.

    Raises:
        ValueError: It has another form; the message says what to write.

    """
    if "@" in text or "://" in text:  # no message may show a password
        raise ValueError(
            "must be HOST or HOST:PORT, without ://, user name or password"
        )
    host, colon, number = text.rpartition(":")
    if text.endswith("]") or not colon:
        host, number = text, str(port)
    elif ":" in host and not host.startswith("["):
        raise ValueError(
            f"must have the address in brackets; write [{text}] or [{host}]:{number}"
        )
    is_port = number.isascii() and number.isdecimal() and 0 < int(number) <= _MAX_PORT
    if not is_port:
        raise ValueError(
            f"must be HOST or HOST:PORT with a port from 1 to {_MAX_PORT}, not "
            f"{quoted(text)}"
        )
    return _host(host.strip("[]")), int(number)


def _further_host(value: str) -> str:
    host_and_port(value, 1)
    return value


FurtherHost = Annotated[str, AfterValidator(_further_host)]


UPLOAD_PORT = 5000
"""The TCP port where `upload.listen` names none: OctoPrint's."""


def _listen(value: str) -> str:
    example = "127.0.0.1:5000, or 0.0.0.0:5000 for everybody on the network"
    if value.strip().isdecimal():
        raise ValueError(f"must begin with an address; write {example}")
    try:
        host_and_port(value, UPLOAD_PORT)
    except ValueError:
        raise ValueError(f"must be an address and a port, such as {example}") from None
    return value


Listen = Annotated[str, AfterValidator(_listen)]
"""`HOST` or `HOST:PORT`, to be read by :func:`host_and_port`."""


def _url_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"must begin with a slash; write /{value}")
    return value


UrlPath = Annotated[str, AfterValidator(_url_path)]

_SCHEMES = {"socket", "rfc2217", "simulator"}
_OTHER_SCHEMES = {
    "tcp": "socket",
    "telnet": "rfc2217",
    "ser2net": "socket",
    "serial": "socket",
    "http": "socket",
    "loop": "simulator",
}
"""What other programs call a serial port in the network."""


def _has_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.port)
    except ValueError:  # a port beyond 65535
        return False


def checked_serial_port(value: str) -> str:
    """Return the path or URL of a serial port.

    Raises:
        ValueError: It cannot be one; the message says what to write instead.

    """
    scheme, is_url, rest = value.partition("://")
    if is_url and "@" in value:
        raise ValueError("must not contain a user name; no connection supports one")
    if is_url and scheme not in _SCHEMES:
        other = _OTHER_SCHEMES.get(scheme.lower(), "socket")
        raise ValueError(
            f"must be the path of a serial port, or begin with socket://, rfc2217:// "
            f"or simulator://; did you mean {other}://{rest}?"
        )
    if value.strip() not in {"", value}:
        raise ValueError("must not begin or end with a space")
    if found := re.fullmatch(r"(/dev/.+):(\d{4,7})", value):
        raise ValueError(
            f"must not contain the baud rate; write {found[1]}, and set "
            f"serial.baudrate to {found[2]}"
        )
    if re.fullmatch(r"[\w.-]+:\d+", value):
        raise ValueError(
            f"must begin with socket:// or rfc2217://; write socket://{value}"
        )
    if scheme in {"socket", "rfc2217"} and is_url and not _has_port(value):
        raise ValueError(f"must have a host and a port, such as {scheme}://octopi:7000")
    if re.fullmatch(r"(\\\\\.\\)?COM\d+:?", value, re.IGNORECASE):
        raise ValueError(
            "is a name from Windows; gcode2mqtt runs on Linux, where ports are called "
            "/dev/ttyUSB0 or /dev/serial/by-id/…; to list them, run: gcode2mqtt ports"
        )
    if re.fullmatch(r"tty\w+|serial/by-(id|path)/.+", value):
        raise ValueError(f"must be the whole path; write /dev/{value}")
    if not value.strip():
        raise ValueError("must not be empty; auto searches for the printer")
    return value


SerialPort = Annotated[str, AfterValidator(checked_serial_port)]


def _anchored(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    try:
        return Path(folder, value.expanduser())
    except RuntimeError as error:
        raise ValueError("begins with the home folder of an unknown user") from error


File = Annotated[Path, AfterValidator(_anchored)]
"""A path; a relative one starts at the folder of the configuration file."""


class Section(DocumentedModel, BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
