"""TCP ports for programs that need the number before they start."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def held_socket() -> socket.socket:
    """Return a socket that keeps a port of 127.0.0.1 for one program until closed.

    The system gives the port to nobody else, and refuses connections to it, while a
    program that sets SO_REUSEADDR, as servers do, can listen there.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


@contextmanager
def held_port() -> Iterator[int]:
    """Keep a port while the block lasts, as :func:`held_socket` does."""
    with held_socket() as held:
        yield held.getsockname()[1]
