"""The servers of the tests end without a trace, whenever that is."""

import asyncio
import contextlib
import socket

import pytest

from tests.support.servers import saying, server


@pytest.mark.parametrize("passes", range(6))
async def test_a_connection_that_was_just_accepted_is_closed_too(passes: int) -> None:
    async with server(saying()) as port:
        client = socket.create_connection(("127.0.0.1", port))
        for _ in range(passes):
            await asyncio.sleep(0)
    with client:
        client.settimeout(60)
        with contextlib.suppress(ConnectionResetError):  # if it was not even accepted
            assert client.recv(1) == b""
