"""Whoever sends something else than a slicer does must harm nobody."""

import asyncio
import socket
import ssl
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import h11
import pytest

from bridge.upload import handlers, server
from bridge.upload.messages import HttpError
from bridge.upload.server import MAX_HEAD
from tests.support.certificates import authority
from tests.support.uploads import (
    BOUNDARY,
    KEY,
    Client,
    Served,
    form,
    get,
    post,
    serving,
    upload,
    upload_head,
)
from tests.support.waiting import until

GCODE = b"G28\n" * 1000


async def settled(served: Served) -> None:
    await until(lambda: not served.server.clients)


async def test_a_wrong_key_is_refused_before_the_body_is_sent(tmp_path: Path) -> None:
    body = form(GCODE * 50)
    async with serving(tmp_path) as served:
        for key in ("", "wrong", KEY[:-1], f"{KEY}0", KEY.upper()):
            client = await served.client()
            # One waits for 100 Continue, the other one sends the body at once.
            await client.send(upload_head(len(body), "Expect: 100-continue", key=key))
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (403, "close")
            reply = await served.ask(upload_head(len(body), key=key) + body)
            assert reply.status == 403
        assert served.stored() == []
        twice = get("/left/api/version", f"X-Api-Key: {KEY}")
        assert (await served.ask(twice)).status == 400
        query = get(f"/left/api/version?apikey={KEY}", key="")
        assert (await served.ask(query)).status == 403
        bearer = get("/left/api/version", f"Authorization: Bearer {KEY}", key="")
        assert (await served.ask(bearer)).status == 200


async def test_pages_of_other_origins_get_nothing(tmp_path: Path) -> None:
    """Neither an answer to their preflight, nor one under a name that was rebound."""
    async with serving(tmp_path) as served:
        preflight = get(
            "/left/api/files/local",
            "Origin: http://evil.example",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: x-api-key",
            key="",
            method="OPTIONS",
        )
        for request in (
            preflight,
            get("/left/api/version", "Origin: http://evil.example"),
        ):
            reply = await served.ask(request)
            assert not [name for name in reply.headers if name.startswith("access-")]
        assert (await served.ask(preflight)).status == 403
        rebound = get("/left/api/version").replace(b"127.0.0.1:5000", b"evil.example")
        reply = await served.ask(rebound)
        assert (reply.status, b"upload.hosts" in reply.body) == (421, True)


@pytest.mark.parametrize(
    "path",
    [
        "/left/api/files/local/../../secret",
        "/left/api/files/local/%2e%2e/secret",
        "/left/api/files/local/a%2f..%2fsecret",
        "/left/api/files/local/a%00b",
        "/left/api/files/local/%ff",
        "/left/../api/version",
    ],
)
async def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as served:
        assert (await served.ask(get(path))).status == 400
        assert (await served.ask(get(path, method="DELETE"))).status == 400


async def test_no_upload_leads_out_of_the_folder(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        for folder in ("..", "a/../..", "/../x", "a\\..\\..", "./a"):
            reply = await served.ask(upload(GCODE, path=folder))
            assert reply.status == 400
        for name in ("", "..", "../"):
            assert (await served.ask(upload(GCODE, name))).status == 400
        assert served.stored() == []
        assert (
            await served.ask(upload(GCODE, "../../x.gcode", path="/a/"))
        ).status == 201
        assert served.stored() == ["a/x.gcode"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
        (b"GET /\r\n\r\n", 400),
        (get("/left/api/version", "X-Big: " + "y" * MAX_HEAD), 431),
        (get("/left/api/version", "Content-Length: 5", "Content-Length: 6"), 400),
        (get("/left/api/version", "Content-Length: -1"), 400),
        (
            get("/left/api/version", "Content-Length: 1", "Transfer-Encoding: chunked"),
            400,
        ),
        (get("/left/api/version", "Transfer-Encoding: gzip"), 501),
        (get("/left/api/version", "X: a\r\n folded\x00"), 400),
        (get("/left/api/version").replace(b"1.1\r\n", b"1.1\r\n: x\r\n"), 400),
        (get("/left/api/version", method="CONNECT"), 405),
    ],
)
async def test_what_is_no_proper_request(
    tmp_path: Path, request_bytes: bytes, status: int
) -> None:
    async with serving(tmp_path) as served:
        client = await served.client()
        await client.send(request_bytes)
        reply = await client.reply()
        assert reply.status == status
        if status != 405:
            assert await client.ended()


async def test_chunks_old_versions_and_pipelines(tmp_path: Path) -> None:
    body = form(GCODE, print="true")
    async with serving(tmp_path) as served:
        client = await served.client()
        head = upload_head(0, "Transfer-Encoding: chunked").replace(
            b"Content-Length: 0\r\n", b""
        )
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(body[at : at + 700]), body[at : at + 700])
            for at in range(0, len(body), 700)
        )
        await client.send(head + chunks + b"0\r\n\r\n" + get("/left/api/version"))
        assert (await client.reply()).status == 201
        assert (await client.reply()).status == 200
        # Another three at once, the second of which has no answer with a body.
        await client.send(
            get("/left/api/job", method="HEAD")
            + post("/left/api/job", {"command": "cancel"})
            + get("/left/api/job")
        )
        assert (await client.reply(head=True)).status == 200
        assert (await client.reply()).status == 204
        assert (await client.reply()).status == 200
        old = b"GET /left/api/version HTTP/1.0\r\nX-Api-Key: " + KEY.encode()
        client = await served.client()
        await client.send(old + b"\r\n\r\n")
        assert (await client.reply()).status == 200
        assert await client.ended()


async def test_many_requests_or_chunks_at_once_do_not_keep_the_event_loop_busy(
    tmp_path: Path,
) -> None:
    """A line may wait for its acknowledgement meanwhile, and a stop arrive."""
    head = get("/left/api/job", "Transfer-Encoding: chunked", method="POST")
    chunks = b"1\r\n \r\n" * 20_000 + b"2\r\n{}\r\n0\r\n\r\n"
    async with serving(tmp_path) as served:
        for sent, count in (
            (get("/left/api/version") * 1000, 1000),
            (head + chunks, 1),
        ):
            client = await served.client()
            turns: list[float] = []
            asked = asyncio.create_task(replies(client, sent, count))
            while not asked.done():
                turns.append(time.process_time())
                await asyncio.sleep(0)
            await asked
            longest = max(after - before for before, after in pairwise(turns))
            assert longest < (turns[-1] - turns[0]) / 4


async def replies(client: Client, sent: bytes, count: int) -> None:
    sending = asyncio.create_task(client.send(sent))
    for _ in range(count):
        assert (await client.reply()).status < 500
    await sending


async def test_a_body_that_is_longer_than_it_says(tmp_path: Path) -> None:
    """The rest is another request, which is none."""
    body = form(GCODE)
    async with serving(tmp_path) as served:
        client = await served.client()
        await client.send(upload_head(len(body)) + body + b"G28\nG28\r\n\r\n")
        assert (await client.reply()).status == 201
        assert (await client.reply()).status == 400
        assert await client.ended()
        short = upload_head(len(body) - 8) + body[:-8]
        assert (await served.ask(short)).status == 400
    assert served.stored() == ["cube.gcode"]


async def test_an_upload_that_is_cut_leaves_nothing(tmp_path: Path) -> None:
    body = form(b"G28\n" + (b";" + b"-" * 9999 + b"\n") * 60, path="a")
    whole = upload_head(len(body)) + body
    head = len(whole) - len(body)
    places = [*range(0, len(whole), len(whole) // 46), head, head + 1, len(whole) - 1]
    async with serving(tmp_path) as served:
        for reset in (False, True):
            for place in places:
                client = await served.client()
                await client.send(whole[:place])
                if reset:
                    await until(lambda: bool(served.server.clients))
                    client.writer.transport.abort()
                await client.close()
            await settled(served)
            assert served.stored() == []
        assert (await served.ask(whole)).status == 201
    assert served.stored() == ["a/cube.gcode"]


async def test_what_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        most = served.left.largest
        for length in (most + 10**6, 10**15):
            client = await served.client()
            await client.send(upload_head(length, "Expect: 100-continue"))
            reply = await client.reply()
            assert (reply.status, b"files.max_upload" in reply.body) == (413, True)
        # Chunks do not say how many there will be.
        client = await served.client()
        head = upload_head(0, "Transfer-Encoding: chunked").replace(
            b"Content-Length: 0\r\n", b""
        )
        start = form(b"").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        await client.send(head + b"%x\r\n%b\r\n" % (len(start), start))
        chunk = b"%x\r\n%b\r\n" % (2**16, b"G" * 2**16)
        await client.send(chunk * (most // 2**16 + 2))
        assert (await client.reply()).status == 413
        large = post("/left/api/job", {"command": "x" * 70_000})
        assert (await served.ask(large)).status == 413
    assert served.stored() == []


async def test_what_the_disk_has_no_room_for_is_refused_before_it_is_sent(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, keep_free=10**18) as served:
        client = await served.client()
        await client.send(upload_head(500_000, "Expect: 100-continue"))
        assert (await client.reply()).status == 507
    assert served.stored() == []


async def test_the_form_and_its_type_are_checked(tmp_path: Path) -> None:
    body = form(GCODE)
    good = f"multipart/form-data; boundary={BOUNDARY}".encode()
    async with serving(tmp_path) as served:
        for kind, status in (
            (b"multipart/form-data", 400),
            (b"multipart/form-data; boundary=other", 400),
            (b"application/octet-stream", 415),
            (b"", 415),
            (good + b"\r\nContent-Type: " + good, 400),
        ):
            request = upload_head(len(body)).replace(good, kind) + body
            assert (await served.ask(request)).status == status
        damaged = body.replace(b"name=", b"nome=")
        assert (await served.ask(upload_head(len(damaged)) + damaged)).status == 400
    assert served.stored() == []


async def test_who_says_nothing_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
    monkeypatch.setattr(server, "BODY_TIMEOUT", 0.2)
    body = form(GCODE)
    async with serving(tmp_path) as served:
        for beginning in (
            b"",
            b"GET /left",
            get("/left/api/version")[:-2],
            upload_head(len(body)),
            upload_head(len(body)) + body[:-1],
        ):
            client = await served.client()
            await client.send(beginning)
            assert await client.ended()
        await settled(served)
    assert served.stored() == []


async def test_a_body_that_trickles_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte now and then is not a silence, and held an upload forever."""
    monkeypatch.setattr(handlers, "MAX_UPLOADS", 1)
    body, job = form(GCODE), post("/left/api/job", {"command": "pause"})
    head = upload_head(0, "Transfer-Encoding: chunked").replace(
        b"Content-Length: 0\r\n", b""
    )
    async with serving(tmp_path) as served:
        with monkeypatch.context() as hurry:
            hurry.setattr(server, "BODY_GRACE", 0.0)
            hurry.setattr(server, "BODY_RATE", 1e12)
            for beginning, byte in (
                (upload_head(len(body)) + body[:-9], b"-"),  # in the file
                (upload_head(len(body)) + body[:90], b"a"),  # before it
                (upload_head(len(body)), b"-"),
                (head, b"1\r\n-\r\n"),
                (job[:-3], b"}"),
            ):
                client = await served.client()
                await client.send(beginning)
                await client.send(byte)
                reply = await client.reply()
                assert (reply.status, b"too slow" in reply.body) == (408, True)
                assert served.api.uploads == 0
                await client.close()
                await settled(served)
        assert served.stored() == []
        assert (await served.ask(upload_head(len(body)) + body)).status == 201


async def test_only_the_time_of_the_client_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that stands still, or a rest, is not its fault."""
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("bridge.upload.server.time", clock)
    took = iter([59.0, 0.0, 0.0, 2.0])

    async def receive() -> h11.Event:
        nonlocal now
        now += next(took)
        return h11.Data(data=b"-" * server.BODY_RATE)

    async def proceed() -> None:
        pass

    pieces = server.Body(receive, proceed).pieces(10**6)
    for _ in range(3):
        await anext(pieces)
        now += 1000.0
    await anext(pieces)  # 61 s, and four seconds for what has arrived
    took = iter([4.1])
    with pytest.raises(HttpError, match="too slow"):
        await anext(pieces)


async def test_clients_without_a_key_hold_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their refusals wait while something is printed, and others take their place."""
    monkeypatch.setattr(server, "MAX_CLIENTS", 4)
    monkeypatch.setattr(handlers, "BURST", 0)
    async with serving(tmp_path) as served:
        served.left.phase = "printing"
        for _ in range(10):
            client = await served.client()
            await client.send(upload_head(9**9, key="wrong"))
        reply = await served.ask(get("/left/api/version"))
        assert reply.status == 200
        assert served.server.clients <= 4


async def test_handshakes_that_are_not_finished_count_as_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 4)
    pair = authority().issue("localhost")
    (tmp_path / "pair.pem").write_bytes(pair.key + pair.certificate)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(tmp_path / "pair.pem")
    theirs = ssl.create_default_context(cadata=authority().certificate.decode())
    body = form(GCODE * 100)
    async with serving(tmp_path, tls=ours) as served:
        for beginning in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01") * 3:
            silent = await served.client()
            await silent.send(beginning)
        client = await served.client(theirs)
        await client.send(get("/left/api/version") + upload_head(len(body)) + body)
        assert (await client.reply()).status == 200
        assert (await client.reply()).status == 201
        assert served.server.clients <= 4
        plain = await served.client()
        await plain.send(get("/left/api/version"))
        assert not (await plain.reader.read()).startswith(b"HTTP")
    assert served.stored() == ["cube.gcode"]


async def test_idle_clients_make_room_and_slow_ones_hold_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 6)
    monkeypatch.setattr(handlers, "MAX_UPLOADS", 2)
    body = form(GCODE)
    async with serving(tmp_path) as served:
        for _ in range(10):
            await served.client()
        assert (await served.ask(get("/left/api/version"))).status == 200
        slow = [await served.client() for _ in range(2)]
        for number, client in enumerate(slow):
            named = form(GCODE, f"slow{number}.gcode")
            await client.send(upload_head(len(named)) + named[:-10])
        await until(lambda: served.api.uploads == 2)
        reply = await served.ask(upload_head(len(body)) + body)
        assert (reply.status, reply.headers["retry-after"]) == (503, "10")
        assert (await served.ask(get("/left/api/version"))).status == 200
        for number, client in enumerate(slow):
            await client.send(form(GCODE, f"slow{number}.gcode")[-10:])
            assert (await client.reply()).status == 201
            assert (await served.ask(get("/left/api/version"))).status == 200
    assert len(served.stored()) == 2


async def test_no_more_clients_than_the_most_while_all_are_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 2)
    body = form(GCODE)
    async with serving(tmp_path) as served:
        busy = [await served.client() for _ in range(2)]
        for client in busy:
            await client.send(upload_head(len(body)) + body[:-10])
        await until(lambda: served.api.uploads == 2)
        more = await served.client()
        assert await more.ended()
        for client in busy:
            await client.close()
        await settled(served)
        assert (await served.ask(get("/left/api/version"))).status == 200


async def test_a_client_that_takes_no_answer_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ANSWER_TIMEOUT", 0.2)
    async with serving(tmp_path) as served:
        served.left.name = "x" * 2_000_000
        client = await served.client()
        opened = client.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - a reader that stands still
        await client.send(get("/left/api/settings") * 20)
        await settled(served)
        client.writer.transport.abort()


async def test_an_unexpected_error_is_an_answer_and_ends_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as served:
        served.left.bug = ZeroDivisionError()
        client = await served.client()
        await client.send(get("/left/api/printer") + get("/left/api/version"))
        reply = await client.reply()
        assert (reply.status, b"its log" in reply.body) == (500, True)
        assert (await client.reply()).status == 200
    assert "ZeroDivisionError" in caplog.text


async def test_it_ends_with_clients_that_do_not(tmp_path: Path) -> None:
    body = form(GCODE)
    clients: list[Client] = []
    async with serving(tmp_path) as served:
        for beginning in (b"", b"GET", upload_head(len(body)) + body[:-9]):
            clients.append(await served.client())
            await clients[-1].send(beginning)
        await until(lambda: served.api.uploads == 1)
    for client in clients:
        assert await client.ended()
    assert served.stored() == []
