"""A serial server that speaks RFC 2217 and accepts every request."""

import asyncio
from collections.abc import Iterator

from tests.support.servers import stop_accepting
from tests.support.waiting import DEADLINE

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT = 0, 3, 44
_ACCEPTED = {_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT}
_ANSWER = 100
"""A server's answer to a COM-PORT command has the command's number plus this."""

SET_BAUDRATE, SET_CONTROL = 1, 5
DTR_ON = b"\x08"

Option = tuple[int, int]
"""A verb, such as DO, and what it is about."""


class _Telnet:
    """Parses a telnet stream into text, options and subnegotiations."""

    def __init__(self) -> None:
        self._step = self._text
        self._verb = 0
        self._sub = bytearray()
        self._found: list[int | Option | bytes] = []

    def feed(self, data: bytes) -> Iterator[int | Option | bytes]:
        for byte in data:
            self._step(byte)
            yield from self._found
            self._found.clear()

    def _text(self, byte: int) -> None:
        if byte == _IAC:
            self._step = self._command
        else:
            self._found.append(byte)

    def _command(self, byte: int) -> None:
        self._step = self._text
        if byte == _IAC:
            self._found.append(byte)
        elif byte == _SB:
            self._sub.clear()
            self._step = self._subnegotiation
        elif byte in {_DO, _DONT, _WILL, _WONT}:
            self._verb = byte
            self._step = self._option

    def _option(self, byte: int) -> None:
        self._step = self._text
        self._found.append((self._verb, byte))

    def _subnegotiation(self, byte: int) -> None:
        if byte == _IAC:
            self._step = self._subnegotiation_command
        else:
            self._sub.append(byte)

    def _subnegotiation_command(self, byte: int) -> None:
        if byte == _IAC:
            self._sub.append(byte)
            self._step = self._subnegotiation
        else:
            self._found.append(bytes(self._sub))
            self._step = self._text


class Rfc2217Server:
    """Listens on a free port and accepts one client at a time.

    Attributes:
        requests: the COM-PORT commands that came, with their values.
        speaks: whether it answers at all.

    """

    def __init__(self, *, speaks: bool = True) -> None:
        self.speaks = speaks
        self.requests: list[tuple[int, bytes]] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._clients: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._said: set[Option] = set()
        self._received = bytearray()
        self._news = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether a client is connected."""
        return bool(self._serving)

    async def start(self) -> "Rfc2217Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"rfc2217://127.0.0.1:{port}"
        return self

    async def send(self, data: bytes) -> None:
        client = self._clients[-1]
        client.write(data.replace(b"\xff", b"\xff\xff"))
        await client.drain()

    async def receive(self, count: int) -> bytes:
        async with asyncio.timeout(DEADLINE):
            while len(self._received) < count:
                self._news.clear()
                await self._news.wait()
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    async def hang_up(self) -> None:
        self._clients[-1].close()

    async def reset(self) -> None:
        self._clients[-1].transport.abort()

    async def close(self) -> None:
        assert self._server is not None
        await stop_accepting(self._server)
        self._server.close()
        for client in self._clients:
            client.close()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._clients.append(writer)
        self._said.clear()
        telnet = _Telnet()
        try:
            while data := await reader.read(4096):
                for found in telnet.feed(data):
                    self._take(found, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._serving.discard(task)

    def _take(self, found: int | Option | bytes, writer: asyncio.StreamWriter) -> None:
        if isinstance(found, int):
            self._received.append(found)
            self._news.set()
        elif not self.speaks:
            pass
        elif isinstance(found, tuple):
            self._negotiate(found, writer)
        elif found[0] == _COM_PORT:
            command, value = found[1], found[2:]
            self.requests.append((command, value))
            answer = bytes([_COM_PORT, command + _ANSWER]) + value
            escaped = answer.replace(b"\xff", b"\xff\xff")
            writer.write(bytes([_IAC, _SB]) + escaped + bytes([_IAC, _SE]))

    def _negotiate(self, asked: Option, writer: asyncio.StreamWriter) -> None:
        verb, option = asked
        agreed = option in _ACCEPTED
        if verb in {_DO, _DONT}:
            answer = (_WILL if agreed and verb == _DO else _WONT, option)
        else:
            answer = (_DO if agreed and verb == _WILL else _DONT, option)
        if answer not in self._said:  # answering an answer would never end
            self._said.add(answer)
            writer.write(bytes([_IAC, *answer]))
