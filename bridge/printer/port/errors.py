"""Explains why a link cannot be opened, and what to do about it."""

import errno
import grp
import os
import socket
import stat
import termios
from pathlib import Path
from urllib.parse import urlsplit

from bridge.errors import LinkError, quoted

# Errors of open(2): no such file; no device behind it any more (ENODEV, ENXIO); a part
# of the path is a file.
_MISSING = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR}
_GROUP_MAY = stat.S_IRGRP | stat.S_IWGRP
# Errors of a path that is a plain file or a folder.
_NOT_A_PORT = {errno.ENOTTY, errno.EISDIR}


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host and the TCP port of a URL.

    Raises:
        LinkError: One of them is missing or impossible.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        scheme = url.partition("://")[0]
        raise LinkError(
            f"serial.port {quoted(url)} lacks a host or a port: write {scheme}://host:port"
        )
    return host, port


def serial_error(port: str, baudrate: int, error: Exception) -> LinkError:
    """Return why a serial port cannot be opened, from what pyserial raised."""
    code = _code(error)
    if code in _MISSING:
        return LinkError(
            f"there is no serial port {port}: is the printer plugged in and switched "
            f"on? `gcode2mqtt ports` lists the ports there are{_hidden(port)}"
        )
    if code in {errno.EACCES, errno.EPERM}:
        return LinkError(_forbidden(port))
    if code in {errno.EAGAIN, errno.EBUSY}:
        return LinkError(f"{port} is in use by {holders(port)}: stop that program")
    if isinstance(error, ValueError) or code == errno.EINVAL:
        return LinkError(
            f"{port} refuses {baudrate} baud: set serial.baudrate to a rate that the "
            "adapter has, usually 115200 or 250000"
        )
    if code in _NOT_A_PORT:
        return LinkError(
            f"{port} is not a serial port: `gcode2mqtt ports` lists the ports there are"
        )
    return LinkError(
        f"{port} cannot be opened ({_reason(error, code)}): unplug the printer and "
        "plug it in again"
    )


def _hidden(port: str) -> str:
    """Return why a port may be there and still be invisible to a service.

    systemd.exec(5): with ``PrivateTmp=`` a service has a ``/tmp`` of its own, where
    Klipper's port is missing; with ``ProtectHome=`` it sees no home folder.
    """
    is_service = "INVOCATION_ID" in os.environ
    if not is_service or not port.startswith(("/tmp/", "/home/", "/root/")):  # noqa: S108 - no file is made
        return ""
    return (
        "; a service does not see folders below /tmp and /home, unless a drop-in such "
        "as deploy/systemd/klipper.conf allows it"
    )


def network_error(url: str, error: BaseException) -> LinkError:
    """Return why a printer on the network cannot be reached."""
    host = urlsplit(url).hostname
    if isinstance(error, socket.gaierror | UnicodeError):
        return LinkError(
            f"the name {quoted(host or url)} in serial.port is unknown: check its "
            "spelling or use the IP address"
        )
    if isinstance(error, ConnectionRefusedError):
        return LinkError(
            f"{url} refuses the connection: is the serial server running on {host}, "
            "and is this its port?"
        )
    if isinstance(error, OSError) and error.errno not in {None, errno.ETIMEDOUT}:
        return LinkError(
            f"{url} cannot be reached ({_reason(error, error.errno)}): is {host} "
            "switched on and in this network?"
        )
    return late(url)


def rfc2217_error(url: str, baudrate: int) -> LinkError:
    """Return that a server is there and does not set its port up as asked."""
    return LinkError(
        f"{url} does not offer a port with {baudrate} baud by RFC 2217: check "
        "serial.baudrate, or use socket:// for a server that passes bytes as they are"
    )


def late(port: str) -> LinkError:
    """Return that opening a link takes too long."""
    if "://" in port:
        host = urlsplit(port).hostname
        return LinkError(
            f"{port} does not answer: is {host} switched on and in this network?"
        )
    return LinkError(
        f"{port} is stuck while being opened: unplug the printer and plug it in again"
    )


def permission_problem(port: str) -> str | None:
    """Return why this process may not open a serial port, or ``None``.

    A port that does not exist is not a problem of permissions, and neither is a URL.
    """
    if "://" in port or port == "auto":
        return None
    try:
        Path(port).stat()
        allowed = os.access(port, os.R_OK | os.W_OK, effective_ids=True)
    except PermissionError:
        allowed = False
    except (OSError, ValueError):
        return None
    return None if allowed else _forbidden(port)


def _forbidden(port: str) -> str:
    return f"no permission to open {port}: {permission_remedy(port)}{_hidden(port)}"


def permission_remedy(port: str) -> str:
    """Return what gives us the right to use a device, naming the group that has it."""
    try:
        status = Path(port).stat()
    except OSError:
        return "the folder it is in may not be read by the bridge's user"
    shared = status.st_mode & _GROUP_MAY == _GROUP_MAY
    if not shared or status.st_gid == 0:
        return (
            "only its owner may use it; add a udev rule that gives it to the group "
            "dialout"
        )
    group = _group(status.st_gid)
    return (
        f"it belongs to the group {group}; `usermod -aG {group} <user>` adds the "
        "bridge's user to it, from the next login on"
    )


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def holders(port: str) -> str:
    """Return the names of the processes that have a device open, as far as visible."""
    target = os.path.realpath(port)
    names = [
        f"{_name(process)} (process {process.name})"
        for process in Path("/proc").glob("[0-9]*")
        if _holds(process, target)
    ]
    return ", ".join(names) or "another program"


def _holds(process: Path, target: str) -> bool:
    try:
        return any(_leads_to(entry, target) for entry in (process / "fd").iterdir())
    except OSError:
        return False


def _leads_to(entry: Path, target: str) -> bool:
    try:
        return str(entry.readlink()) == target
    except OSError:
        return False


def _name(process: Path) -> str:
    if process.name == str(os.getpid()):
        return "this bridge itself, for another printer"
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a program"


def _code(error: BaseException | None) -> int | None:
    """Return the error number in what pyserial raised or made it raise that."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        if isinstance(error, termios.error) and error.args:
            return int(error.args[0])
        error = error.__context__
    return None


def _reason(error: BaseException, code: int | None) -> str:
    return os.strerror(code) if code is not None else str(error)
