"""A server from which files can be downloaded, with TLS."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.upload.fetch import Download, source
from tests.support.certificates import authority

CONTENT = b"G1 X10\n" * 100_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class FileServer:
    """Answers each request with what a test wants."""

    port: int
    answers: dict[str, bytes]
    ca_file: Path

    def download(self, path: str, host: str = "localhost") -> Download:
        place = source(f"https://{host}:{self.port}{path}", [f"{host}:{self.port}"])
        return Download(place, sha256=DIGEST, limit=10**6, ca_file=self.ca_file)

    async def fetched(self, path: str) -> bytes:
        pieces = self.download(path).pieces()
        async with asyncio.timeout(30):
            return b"".join([piece async for piece in pieces])


@asynccontextmanager
async def files(
    tmp_path: Path, answers: dict[str, bytes], port: int = 0
) -> AsyncIterator[FileServer]:
    """Serve what each path is answered with; the authority is in ``ca.pem``."""
    pair = authority().issue("localhost")
    (tmp_path / "pair.pem").write_bytes(pair.key + pair.certificate)
    (tmp_path / "ca.pem").write_bytes(authority().certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pair.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            answer = answers[request.split(b" ")[1].decode()]
            writer.write(answer)
            if answer:
                await writer.drain()
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    try:
        port = server.sockets[0].getsockname()[1]
        yield FileServer(port, answers, tmp_path / "ca.pem")
    finally:
        server.close()
        await asyncio.sleep(0)


def ok(content: bytes, *headers: str) -> bytes:
    length = f"Content-Length: {len(content)}"
    head = "\r\n".join(["HTTP/1.1 200 OK", length, *headers, "", ""])
    return head.encode() + content
