"""What slicers send, and what they understand of the answers."""

import asyncio
from pathlib import Path
from urllib.parse import unquote

import pytest

from bridge.errors import RejectedError
from bridge.upload.handlers import (
    BURST,
    QUESTIONS,
    RATE,
    RATE_IN_PRINT,
    Pace,
    Questions,
)
from bridge.upload.targets import CommandResult, Submitted
from tests.support.uploads import (
    KEY,
    LEFT_KEY,
    form,
    get,
    post,
    serving,
    upload,
    upload_head,
)

GCODE = b"G28\nG1 X10 Y10 F3000\n" * 500


async def test_prusaslicer_and_orcaslicer_test_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, "left", "right") as served:
        for key in (KEY, LEFT_KEY):
            reply = await served.ask(get("/left/api/version", key=key))
            assert reply.status == 200
            assert reply.document["api"] == "0.1"
            assert reply.document["text"].startswith("OctoPrint")
        for path, key in (
            ("/left/api/version", "wrong"),
            ("/left/api/version", ""),
            ("/right/api/version", LEFT_KEY),
            ("/nowhere/api/version", LEFT_KEY),
            ("/api/version", ""),
            ("/", ""),
        ):
            reply = await served.ask(get(path, key=key))
            assert reply.status == 403
            assert reply.headers["content-type"] == "text/plain"
            assert b"API key" in reply.body


async def test_a_wrong_url_names_the_right_ones(tmp_path: Path) -> None:
    async with serving(tmp_path, "left", "right") as served:
        reply = await served.ask(get("/api/version"))
        assert (reply.status, reply.body) == (
            404, b"the URL in the slicer must end with a printer: /left, /right",
        )  # fmt: skip
        assert (await served.ask(get("/left/api/nothing"))).status == 404
        refused = await served.ask(get("/left/api/version", method="PUT"))
        assert (refused.status, refused.headers["allow"]) == (405, "GET")


async def test_one_printer_needs_no_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        assert (await served.ask(get("/api/version"))).status == 200
        assert (await served.ask(get("/left/api/version"))).status == 200
        assert (await served.ask(get("//api//version?a=b"))).status == 200
        for path in ("/ender/api/version", "/right", "/favicon.ico", "/left"):
            reply = await served.ask(get(path))
            told = b"the URL in the slicer must end with a printer: /left"
            assert (reply.status, reply.body) == (404, told)
        absolute = get("http://127.0.0.1:5000/left/api/version")
        assert (await served.ask(absolute)).status == 200


@pytest.mark.parametrize(("wanted", "printing"), [("true", True), ("false", False)])
async def test_prusaslicer_uploads(
    tmp_path: Path, wanted: str, *, printing: bool
) -> None:
    """It waits for 100 Continue, as libcurl does with bodies of a megabyte."""
    body = form(GCODE, print=wanted, path="")
    async with serving(tmp_path) as served:
        client = await served.client()
        await client.send(upload_head(len(body), "Expect: 100-continue"))
        assert (await client.reply()).status == 100
        await client.send(body)
        reply = await client.reply()
        assert reply.status == 201
        url = "http://127.0.0.1:5000/left/api/files/local/cube.gcode"
        assert reply.headers["location"] == url
        assert reply.document["done"] is True
        assert reply.document["effectivePrint"] is printing
        assert reply.document["files"]["local"] == {
            "name": "cube.gcode", "display": "cube.gcode", "path": "cube.gcode",
            "origin": "local", "refs": {"resource": url},
        }  # fmt: skip
        assert served.left.submitted == [("cube.gcode", printing, "upload")]
        assert (tmp_path / "left/cube.gcode").read_bytes() == GCODE


QT = "boundary_.oOo._NjMyMDQ0MjI1MjM="


def cura_upload(content: bytes, name: str, path: str = "", *words: str) -> bytes:
    """Return an upload as Qt writes it for Cura's plugin: ``words`` are ``true``."""
    parts = [
        ('name="path"', "text/plain", path.encode()),
        (f'name="file"; filename="{name}"', "application/octet-stream", content),
        *((f'name="{word}"', "text/plain", b"true") for word in words),
    ]
    body = b"".join(
        f"--{QT}\r\nContent-Disposition: form-data; {which}\r\n"
        f"Content-Type: {kind}\r\n\r\n".encode()
        + value
        + b"\r\n"
        for which, kind, value in parts
    )
    body += f"--{QT}--\r\n".encode()
    return cura("POST", "files/local", f'multipart/form-data; boundary="{QT}"', body)


def cura(method: str, path: str, kind: str = "", body: bytes = b"") -> bytes:
    """Return a request with the headers that Qt adds."""
    content = [f"Content-Type: {kind}", f"Content-Length: {len(body)}"] if kind else []
    lines = [
        f"{method} /left/api/{path} HTTP/1.1",
        "Host: 127.0.0.1:5000",
        f"X-Api-Key: {KEY}",
        "User-Agent: cura/5.10.0 OctoPrintPlugin/3.7.3",
        *content,
        "MIME-Version: 1.0",
        "Connection: Keep-Alive",
        "Accept-Encoding: gzip, deflate",
        "Accept-Language: en-US,*",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_cura_uploads_and_selects_by_the_location(tmp_path: Path) -> None:
    """All that its plugin sends for a print, byte by byte, on one connection."""
    async with serving(tmp_path) as served:
        client = await served.client()
        for path, words, printed in (
            ("", ("select", "print"), True),
            ("parts/Größe 5", ("select", "print"), True),
            ("parts", ("select",), False),  # for later, but selected
            ("", (), False),  # "Queue job" while the printer is off
        ):
            await client.send(cura_upload(GCODE, "UM3_Würfel #1.gcode", path, *words))
            reply = await client.reply()
            assert reply.status == 201, reply
            where = f"{path}/UM3_Würfel #1.gcode".lstrip("/")
            assert served.left.submitted[-1] == (where, printed, "upload")
            # It takes what follows "api/" for the resource of the file.
            resource = reply.headers["location"].split("api/", 1)[1]
            for document, starts in (
                (b'{"command": "select"}', False),
                (b'{"command": "select", "print": true}', True),
            ):
                count = len(served.left.submitted)
                asked = cura("POST", resource, "application/json", document)
                await client.send(asked)
                assert (await client.reply()).status == 204
                begun = served.left.submitted[count:]
                assert begun == ([(where, True, "upload")] if starts else [])
            await client.send(cura("GET", resource))
            assert (await client.reply()).document["path"] == where


async def test_prusaslicer_on_windows_and_as_prusalink(tmp_path: Path) -> None:
    """Windows: the host without its port, at an address that it has looked up itself.

    With the type PrusaLink it asks for storages first, and goes on without them.
    """
    async with serving(tmp_path) as served:
        client = await served.client()
        body = form(GCODE, print="true", path="parts\\new")
        for host in ("octopi.local", "pi", "192.168.1.20", "[fe80::1]", "pi.lan:5000"):
            version = get("/left/api/version").replace(b"127.0.0.1:5000", host.encode())
            await client.send(version)
            answer = (await client.reply()).document
            assert answer["text"].startswith("OctoPrint"), "as both types demand"
            assert "capabilities" not in answer, "so it does not upload by PUT"
            head = upload_head(len(body)).replace(b"127.0.0.1:5000", host.encode())
            await client.send(head + body)
            reply = await client.reply()
            assert reply.status == 201
            url = f"http://{host}/left/api/files/local/parts/new/cube.gcode"
            assert reply.headers["location"] == url
        await client.send(get("/left/api/v1/storage", "Accept-Language: en"))
        assert (await client.reply()).status == 404
        assert len(served.left.submitted) == 5


async def test_other_types_of_hosts_are_told_which_one_to_choose(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as served:
        for path in ("server/info", "server/files/upload", "access/oneshot_token"):
            reply = await served.ask(get(f"/left/{path}"))
            assert (reply.status, b"choose OctoPrint" in reply.body) == (404, True)
        reply = await served.ask(get("/left/api/v1/job"))
        assert (reply.status, reply.body) == (404, b"there is no such resource")
        assert (await served.ask(get("/left/server/info", key="x"))).status == 403


async def test_orcaslicer_uploads_into_a_folder(tmp_path: Path) -> None:
    """And it names the plate; the file may have any name that people write."""
    name = "Würfel größer #2 (1).gcode"
    async with serving(tmp_path) as served:
        reply = await served.ask(
            upload(GCODE, name, print="false", path="parts/new", plateindex="1")
        )
        assert reply.status == 201
        location = reply.headers["location"]
        assert location.isascii()
        assert unquote(location).endswith(f"/left/api/files/local/parts/new/{name}")
        assert (tmp_path / "left/parts/new" / name).read_bytes() == GCODE
        shown = await served.ask(get(location))
        assert shown.document["path"] == f"parts/new/{name}"
        assert shown.document["size"] == len(GCODE)


async def test_fields_may_follow_the_file(tmp_path: Path) -> None:
    """As in the example of OctoPrint's documentation; only the folder must not."""
    whole = form(GCODE, path="a").removesuffix(b"--\r\n")
    boundary = whole.partition(b"\r\n")[0]
    disposition = b"\r\nContent-Disposition: form-data; name="
    for more, status in ((b'"print"\r\n\r\ntrue', 201), (b'"x"\r\n\r\n', 201)):
        body = whole + disposition + more + b"\r\n" + boundary + b"--\r\n"
        async with serving(tmp_path / more.hex()) as served:
            reply = await served.ask(upload_head(len(body)) + body)
            assert reply.status == status
            assert served.left.submitted[0][1] is (b"print" in more)
    body = form(GCODE).removesuffix(b"--\r\n")
    body += disposition + b'"path"\r\n\r\nlate\r\n' + boundary + b"--\r\n"
    async with serving(tmp_path / "late") as served:
        reply = await served.ask(upload_head(len(body)) + body)
        assert (reply.status, served.stored()) == (400, [])


async def test_cura_uploads_and_follows_the_job(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        settings = (await served.ask(get("/left/api/settings"))).document
        assert settings["feature"]["sdSupport"] is False
        assert settings["webcam"]["streamUrl"] == ""
        assert settings["plugins"] == {}
        login = await served.ask(post("/left/api/login", {"passive": True}))
        assert login.document["name"] == "_api"
        profiles = await served.ask(get("/left/api/printerprofiles"))
        profile = profiles.document["profiles"]["_default"]
        assert profile["extruder"]["count"] == 2
        assert (await served.ask(get("/left/plugin/appkeys/probe"))).status == 404

        reply = await served.ask(upload(GCODE, select="true", print="true"))
        assert reply.status == 201
        assert reply.headers["location"].rpartition("/")[2] == "cube.gcode"

        printer = (await served.ask(get("/left/api/printer"))).document
        assert printer["temperature"].keys() == {"tool0", "bed"}
        assert printer["state"]["text"] == "Operational"
        served.left.phase = "printing"
        job = (await served.ask(get("/left/api/job"))).document
        assert job["state"] == "Printing"
        assert job["job"]["file"]["name"] == "cube.gcode"
        assert job["progress"]["completion"] == 12.5
        assert job["progress"]["printTime"] == 60
        connection = (await served.ask(get("/left/api/connection"))).document
        assert connection["current"]["state"] == "Printing"
        served.left.phase = "offline"
        reply = await served.ask(get("/left/api/printer"))
        assert (reply.status, reply.body) == (409, b"Printer is not operational")


async def test_a_print_that_cannot_begin_is_queued_and_the_upload_succeeds(
    tmp_path: Path,
) -> None:
    """A 409 would read as a failed upload in every slicer."""
    async with serving(tmp_path) as served:
        served.left.outcome = Submitted(
            state="queued", position=2, reason="the bed is not released"
        )
        reply = await served.ask(upload(GCODE, print="true"))
        assert (reply.status, reply.document["effectivePrint"]) == (201, False)
        assert reply.document["gcode2mqtt"] == {
            "state": "queued", "position": 2, "reason": "the bed is not released",
            "warnings": [], "warning_count": 0,
        }  # fmt: skip
        served.left.outcome = RejectedError.conflict("no filament", "no_filament")
        reply = await served.ask(upload(GCODE, print="true"))
        assert (reply.status, reply.document["effectivePrint"]) == (201, False)
        assert reply.document["gcode2mqtt"]["reason"] == "no filament"


SELECTED = ("job", {"command": "select", "file": "cube.gcode", "origin": "local"})


async def test_a_file_is_selected_so_that_the_job_can_start_it(tmp_path: Path) -> None:
    """OctoPrint's apps upload with ``select``, or select later, and then start."""
    one = "/left/api/files/local/cube.gcode"
    async with serving(tmp_path) as served:
        commands = served.left.commands
        reply = await served.ask(upload(GCODE, select="true"))
        assert (reply.status, reply.document["effectiveSelect"]) == (201, True)
        assert (reply.document["effectivePrint"], commands.pop()) == (False, SELECTED)
        for print_it in ({}, {"print": False}, {"print": "no"}):
            request = post(one, {"command": "select", **print_it})
            assert (await served.ask(request)).status == 204
            assert commands.pop() == SELECTED
        reply = await served.ask(upload(GCODE, select="yes", print="yes"))
        assert (reply.document["effectivePrint"], commands) == (True, [])
        assert (await served.ask(upload(GCODE, select="false"))).status == 201
        assert commands == []
        served.left.result = CommandResult(code=409, message="it is printing")
        reply = await served.ask(post(one, {"command": "select"}))
        assert (reply.status, reply.body) == (409, b"it is printing")
        reply = await served.ask(upload(GCODE, select="true"))
        assert (reply.status, reply.document["effectiveSelect"]) == (201, False)
        assert reply.document["gcode2mqtt"]["reason"] == "it is printing"


async def test_errors_are_texts_that_the_slicer_shows(tmp_path: Path) -> None:
    """Cura's plugin shows a hundred characters, other slicers show everything."""
    async with serving(tmp_path) as served:
        name = f"{'part of a machine ' * 6}.stl"
        request = upload(b"solid", name)
        reply = await served.ask(request)
        assert (reply.status, reply.headers["content-type"]) == (415, "text/plain")
        assert (
            reply.body.decode()
            == f'"{name}": this is a model; a slicer turns it into G-code'
        )
        cura = request.replace(
            b"PrusaSlicer/2.9.4", b"cura/5.8.0 OctoPrintPlugin/3.7.3"
        )
        reply = await served.ask(cura)
        assert (reply.status, reply.headers["content-type"]) == (415, "text/plain")
        assert len(reply.body.decode()) == 100
        assert reply.body.decode().endswith("…")
        wants_json = request.replace(b"Accept: */*", b"Accept: application/json")
        reply = await served.ask(wants_json)
        assert reply.status == 415
        assert reply.document == {
            "error": f'"{name}": this is a model; a slicer turns it into G-code'
        }


async def test_files_are_listed_printed_and_deleted(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        assert (await served.ask(upload(GCODE, path="a"))).status == 201
        for path in ("/left/api/files", "/left/api/files/local?recursive=true"):
            listed = (await served.ask(get(path))).document
            assert [file["path"] for file in listed["files"]] == ["a/cube.gcode"]
        one = "/left/api/files/local/a/cube.gcode"
        select = {"command": "select", "print": True}
        assert (await served.ask(post(one, select))).status == 204
        assert served.left.submitted[-1] == ("a/cube.gcode", True, "upload")
        assert served.left.commands == []
        for word in ("yes", "1", 1, True):
            again = {"command": "select", "print": word}
            assert (await served.ask(post(one, again))).status == 204
            assert served.left.submitted.pop() == ("a/cube.gcode", True, "upload")
        assert (await served.ask(post(one, {"command": "slice"}))).status == 400
        assert len(served.left.submitted) == 2
        served.left.outcome = RejectedError.conflict("it is printing", "printing")
        reply = await served.ask(post(one, select))
        assert (reply.status, reply.body) == (409, b"it is printing")
        assert (await served.ask(post(f"{one}x", select))).status == 404
        assert (await served.ask(get(one, method="DELETE"))).status == 204
        assert (await served.ask(get(one, method="DELETE"))).status == 404
        assert served.stored() == []


@pytest.mark.parametrize(
    ("phase", "body", "sent"),
    [
        ("operational", {"command": "start"}, "start"),
        ("printing", {"command": "cancel"}, "cancel"),
        ("paused", {"command": "restart"}, "restart"),
        ("printing", {"command": "pause"}, "pause"),
        ("paused", {"command": "pause"}, "resume"),
        ("pausing", {"command": "pause", "action": "toggle"}, "resume"),
        ("paused", {"command": "pause", "action": "pause"}, "pause"),
        ("printing", {"command": "pause", "action": "resume"}, "resume"),
    ],
)
async def test_commands_for_the_job(
    tmp_path: Path, phase: str, body: dict[str, str], sent: str
) -> None:
    async with serving(tmp_path) as served:
        served.left.phase = phase
        assert (await served.ask(post("/left/api/job", body))).status == 204
        assert served.left.commands == [("job", {"command": sent})]
        served.left.result = CommandResult(code=409, message="nothing is printed")
        reply = await served.ask(post("/left/api/job", body))
        assert (reply.status, reply.body) == (409, b"nothing is printed")


async def test_other_commands_go_to_their_topics(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        for path, topic, body in (
            ("printer/command", "command", {"commands": ["M106 S255"]}),
            ("printer/printhead", "head", {"command": "home", "axes": ["x"]}),
            ("printer/tool", "tool", {"command": "target", "targets": {"tool0": 200}}),
            ("printer/bed", "bed", {"command": "target", "target": 60}),
            ("printer/chamber", "chamber", {"command": "target", "target": 40}),
            ("connection", "link", {"command": "connect"}),
        ):
            sent = {**body, "id": "7"}
            assert (await served.ask(post(f"/left/api/{path}", sent))).status == 204
            assert served.left.commands[-1] == (topic, body)
        for wrong in (b"[]", b"{", b"[" * 60_000):
            request = get(
                "/left/api/job", f"Content-Length: {len(wrong)}", method="POST"
            )
            assert (await served.ask(request + wrong)).status == 400
        for document in ({}, {"command": "pause", "action": "x"}, {"command": "print"}):
            assert (await served.ask(post("/left/api/job", document))).status == 400


async def test_a_command_that_takes_long_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OctoPrint does not wait either, and slicers give up."""
    monkeypatch.setattr("bridge.upload.handlers.COMMAND_WAIT", 0.01)
    async with serving(tmp_path) as served:
        served.left.answers = False
        reply = await served.ask(post("/left/api/job", {"command": "cancel"}))
        assert reply.status == 204


async def test_uploads_are_slower_while_something_is_printed() -> None:
    """By the pieces' due times, which do not depend on the machine."""
    loop = asyncio.get_running_loop()
    took = {}
    for printing in (False, True):
        pace = Pace(lambda printing=printing: printing)  # type: ignore[misc]  # a default
        begun = loop.time()
        for _ in range(4):
            await pace.rest(64 * 1024, 0.0)
        took[printing] = loop.time() - begun
    assert took[True] >= 4 * 64 * 1024 / RATE_IN_PRINT
    assert took[False] >= 4 * 64 * 1024 / RATE


async def test_a_flood_of_questions_is_spread_while_something_is_printed() -> None:
    """None is refused, and who asks seldom waits for nothing."""
    loop = asyncio.get_running_loop()
    took = {}
    for printing in (False, True):
        questions = Questions(lambda printing=printing: printing)  # type: ignore[misc]  # a default
        begun = loop.time()
        for _ in range(BURST + 2):
            await questions.turn()
        took[printing] = loop.time() - begun
    assert took[True] >= 2 / QUESTIONS - 0.01
    assert took[False] < took[True]
