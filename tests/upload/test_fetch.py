"""Downloads, from a server with TLS."""

from pathlib import Path

import pytest

from bridge.errors import CommandError, FailedError, RejectedError
from bridge.upload import fetch
from bridge.upload.fetch import Download, Source, source
from tests.support.file_server import CONTENT, DIGEST, files, ok


def test_where_a_url_leads() -> None:
    allowed = ["files.lan", "Pi.lan:8443", "[::1]:1"]
    assert source("https://Files.lan", allowed) == Source("files.lan", 443, "/")
    found = source("https://pi.lan:8443/a b/W%C3%BCrfel.gcode?x=1 2#part", allowed)
    assert found == Source("pi.lan", 8443, "/a%20b/W%C3%BCrfel.gcode?x=1%202")
    assert (found.server, found.filename) == ("pi.lan:8443", "Würfel.gcode")
    assert source("https://[::1]:1/", allowed).server == "[::1]:1"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://files.lan/a.gcode", 400),
        ("file:///etc/passwd", 400),
        ("https:///a.gcode", 400),
        ("https://user:secret@files.lan/a.gcode", 400),
        ("https://files.lan:99999/", 400),
        ("https://files.lan:8443/a.gcode", 403),
        ("https://files.lan.evil.com/a.gcode", 403),
        ("https://127.0.0.1/a.gcode", 403),
        ("https://[::1/", 400),
        ("a.gcode", 400),
    ],
)
def test_where_none_may_lead(url: str, code: int) -> None:
    with pytest.raises(RejectedError) as raised:
        source(url, ["files.lan"])
    assert raised.value.code == code
    assert "secret" not in raised.value.message


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()


async def test_a_file_is_fetched(tmp_path: Path) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    )
    answers = {
        "/a.gcode": ok(CONTENT),
        "/until-the-end": b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT,
        "/chunks": chunked % (len(CONTENT), CONTENT),
        "/hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(CONTENT),
        "/old": redirect("/b/../a.gcode"),
        "/older": redirect("old"),
    }
    async with files(tmp_path, answers) as server:
        answers["/whole"] = redirect(f"https://localhost:{server.port}/a.gcode")
        for path in (*answers,):
            assert await server.fetched(path) == CONTENT


async def test_what_is_not_fetched(tmp_path: Path) -> None:
    answers = {
        "/missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "/other": ok(CONTENT[1:]),
        "/zip": ok(CONTENT, "Content-Encoding: gzip"),
        "/large": ok(CONTENT * 2),
        "/larger": b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT * 2,
        "/loop": redirect("/loop"),
        "/away": redirect("https://evil.example/a.gcode"),
        "/plain": redirect("http://localhost/a.gcode"),
        "/short": ok(CONTENT)[:-5],
        "/nothing": b"\r\n",
        "/noise": b"220 smtp.example ready\r\n\r\n",
    }
    why = {
        "/missing": "404", "/other": "another SHA-256", "/zip": "compressed",
        "/large": "max_upload", "/larger": "max_upload", "/loop": "too often",
        "/away": "another server", "/plain": "another server",
        "/short": "HTTP", "/nothing": "closed|HTTP", "/noise": "HTTP",
    }  # fmt: skip
    async with files(tmp_path, answers) as server:
        for path, words in why.items():
            with pytest.raises(CommandError, match=words):
                await server.fetched(path)


async def test_a_server_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SILENCE_TIMEOUT", 0.2)
    async with files(tmp_path, {"/silent": b""}) as server:
        with pytest.raises(FailedError, match="sends nothing"):
            await server.fetched("/silent")
        server.ca_file.write_bytes(b"")
        with pytest.raises(FailedError):
            await server.fetched("/silent")
        port = server.port
    gone = Download(Source("127.0.0.1", port, "/"), sha256=DIGEST, limit=1)
    with pytest.raises(FailedError, match="refused"):
        [piece async for piece in gone.pieces()]


async def test_another_name_than_the_certificates(tmp_path: Path) -> None:
    async with files(tmp_path, {"/": ok(CONTENT)}) as server:
        download = server.download("/", host="127.0.0.1")
        with pytest.raises(FailedError, match="certificate"):
            [piece async for piece in download.pieces()]
