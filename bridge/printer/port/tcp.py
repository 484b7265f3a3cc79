"""A printer behind a TCP port: ``socket://host:port``."""

import asyncio
import socket
from collections.abc import Sequence
from functools import partial

from bridge.printer.port.descriptor import DescriptorTransport
from bridge.printer.port.errors import host_and_port, late, network_error
from bridge.threads import in_thread, is_stuck
from bridge.timeout import timeout

_SEND_BUFFER = 16_384
"""Bytes that the kernel may hold; more would delay an emergency stop."""

_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""A peer that does not answer counts as gone after 30 s: 15 s without data, then three
probes at intervals of 5 s (tcp(7))."""


async def open_tcp(url: str, *, within: float) -> DescriptorTransport:
    """Connect to a serial server that passes bytes through as they are.

    Raises:
        LinkError: It cannot be reached; the message says what to do about it.

    """
    host, port = host_and_port(url)
    lookup = f"look up {host}"
    if is_stuck(lookup):
        raise late(url)
    try:
        async with timeout(within):
            addresses = await in_thread(
                partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM),
                lambda _: None,
                name=lookup,
            )
            connected = await _connect_first(addresses)
    except TimeoutError as error:
        raise late(url) from error
    except (OSError, UnicodeError) as error:
        raise network_error(url, error) from error
    return DescriptorTransport(connected.detach())


Address = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


async def _connect_first(addresses: Sequence[Address]) -> socket.socket:
    """Return a socket connected to the first address that answers."""
    failure: OSError = ConnectionRefusedError()
    for family, kind, protocol, _, address in addresses:
        candidate = socket.socket(family, kind, protocol)
        try:
            _prepare(candidate)
            await asyncio.get_running_loop().sock_connect(candidate, address)
        except OSError as error:
            failure = error
            candidate.close()
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise failure


def _prepare(candidate: socket.socket) -> None:
    candidate.settimeout(0)
    candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    for name, value in _KEEPALIVE:
        if option := getattr(socket, name, None):
            candidate.setsockopt(socket.IPPROTO_TCP, option, value)
