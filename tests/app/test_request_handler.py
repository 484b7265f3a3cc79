"""Every message gets exactly one answer."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.app.request_handler import (
    COPY_TIMEOUT,
    PRINTER,
    RequestHandler,
    Sender,
)
from bridge.commands import Request, Response, parse
from bridge.config import Config
from bridge.errors import CommandError, ExpiredError, FailedError, RejectedError
from bridge.mqtt.messages import Message
from bridge.printer.control.command_queue import Run
from bridge.timeout import boottime
from bridge.topics import Topics

TOPICS = Topics("printer")
JOG = {"command": "jog", "x": 1}


@dataclass
class Bench:
    """A request handler, and what went through it."""

    config: Config
    work: Callable[[], Awaitable[object]]
    performed: list[Request] = field(default_factory=list)
    expiries: list[float | None] = field(default_factory=list)
    answers: list[tuple[Response, Sender]] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    refused: list[Response] = field(default_factory=list)
    interrupted: CommandError | None = None
    room: int = 256
    no_link: CommandError | None = None
    connection: str = "one"
    arriving: Message | None = None

    def __post_init__(self) -> None:
        self.handler = RequestHandler(
            self.config,
            TOPICS,
            execute=self._execute,
            check_room=self._check_room,
            stop=self._stop,
            poll=self._poll,
            respond=lambda response, sender: self.answers.append((response, sender)),
            clear=self.cleared.append,
            refused=self.refused.append,
        )

    def _check_room(self, lines: int) -> None:
        if lines > self.room:
            raise RejectedError("no room", error="queue_full", code=429)

    def _poll(self) -> None:
        if self.arriving is not None:
            message, self.arriving = self.arriving, None
            self.handler.handle_stop(message, "one")

    def _stop(self, run: Run) -> None:
        self.performed.append(parse("emergency", b""))
        if self.no_link:
            raise self.no_link
        run.gcode.append("M112")

    async def _execute(
        self,
        request: Request,
        run: Run,
        expires: float | None,
    ) -> object:
        self.performed.append(request)
        self.expiries.append(expires)
        run.gcode.append("G91")
        return await self.work()

    async def hears(
        self,
        rest: str,
        payload: object = b"",
        **properties: Any,  # noqa: ANN401
    ) -> Response:
        """Answer a message, and return the one answer to it."""
        before = len(self.answers)
        await self.take(rest, payload, **properties)
        assert len(self.answers) == before + 1
        return self.answers[-1][0]

    async def take(
        self,
        rest: str,
        payload: object = b"",
        **properties: Any,  # noqa: ANN401
    ) -> None:
        """Answer a message."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message = Message(topic=f"printer/{rest}", payload=raw, **properties)
        if rest == "emergency":
            self.handler.handle_stop(message, self.connection)
            await asyncio.sleep(0)  # the response comes after the stop
            return
        await self.handler.handle(message, rest, lambda: self.interrupted)


async def nothing() -> object:
    return None


def bench(work: Callable[[], Awaitable[object]] = nothing, **sections: object) -> Bench:
    document = {"printers": [{"id": "printer"}], **sections}
    return Bench(Config.model_validate(document), work)


async def test_what_is_admitted_is_performed() -> None:
    async def work() -> object:
        return {"x": 1}

    it = bench(work)
    answer = await it.hears("head", {**JOG, "id": "17"})
    assert (answer.status, answer.code, answer.id) == ("finished", 200, "17")
    assert (answer.topic, answer.command) == ("head", "jog")
    assert (answer.gcode, answer.data) == (("G91",), {"x": 1})
    assert [request.command.name for request in it.performed] == ["jog"]


async def test_too_many_lines_are_refused_before_anything_is_planned() -> None:
    it = bench()
    answer = await it.hears("command", {"commands": ["G28"] * 257, "id": "long"})
    assert (answer.status, answer.code, answer.error) == ("rejected", 429, "queue_full")
    assert (answer.id, it.performed) == ("long", [])
    answer = await it.hears("command", {"commands": ["G28"] * 256})
    assert answer.status == "finished"


async def test_a_dry_run_needs_no_room() -> None:
    it = bench()
    answer = await it.hears("command", {"commands": ["G28"] * 257, "dry_run": True})
    assert answer.status == "finished"


async def test_a_stop_among_too_many_lines_still_stops() -> None:
    it = bench()
    answer = await it.hears("command", {"commands": ["G28"] * 999 + ["m112"]})
    assert answer.status == "finished"


async def test_the_rate_limit_counts_lines() -> None:
    it = bench(limits={"rate": 10})
    assert (await it.hears("command", {"commands": ["G28"] * 20})).status == "finished"
    assert (await it.hears("command", {"command": "G28"})).error == "rate_limited"
    assert (await it.hears("head", JOG)).status == "finished"


async def test_too_long_a_command_does_not_use_up_the_rate() -> None:
    it = bench(limits={"rate": 10})
    assert (await it.hears("command", {"commands": ["G0"] * 999})).error == "queue_full"
    assert (await it.hears("command", {"command": "G28"})).status == "finished"


async def test_what_fails_tells_how_far_it_came() -> None:
    async def work() -> object:
        raise FailedError.timeout("too slow")

    answer = await bench(work).hears("head", JOG)
    assert (answer.status, answer.code, answer.error) == ("failed", 408, "timeout")
    assert (answer.message, answer.gcode) == ("too slow", ("G91",))


async def test_what_is_not_understood_is_refused() -> None:
    it = bench()
    answer = await it.hears("head", {"command": "jog", "x": "a", "id": "17"})
    assert (answer.status, answer.error, answer.id) == (
        "rejected",
        "invalid_payload",
        "17",
    )
    assert it.performed == []
    assert it.refused == [answer]


async def test_a_bug_is_answered_and_raised() -> None:
    """Whoever serves the printer starts again; the sender must not wait forever."""

    async def work() -> object:
        raise ZeroDivisionError

    it = bench(work)
    with pytest.raises(ZeroDivisionError):
        await it.take("head", JOG)
    ((response, _),) = it.answers
    assert (response.status, response.code) == ("failed", 500)
    assert response.error == "internal_error"


def test_what_comes_too_late_to_be_done_is_answered() -> None:
    it = bench()
    payload = json.dumps({**JOG, "id": "17"}).encode()
    message = Message(topic="printer/head", payload=payload, correlation=b"1")
    it.handler.decline(message, "head")
    (response, sender), *others = it.answers
    assert (response.id, response.command, others) == ("17", "jog", [])
    assert (response.status, response.code) == ("rejected", 503)
    assert response.error == "shutting_down"
    assert sender == Sender("printer/response", b"1")


async def test_unread_messages_get_a_response_when_the_bridge_ends() -> None:
    it = bench()
    taken = [asyncio.create_task(it.take("head", JOG)) for _ in range(20)]
    await taken[0]
    it.handler.close()
    await asyncio.gather(*taken)
    assert [response.error for response, _ in it.answers] == [
        None,
        *["shutting_down"] * 19,
    ]
    assert len(it.performed) == 1


# Retained


@pytest.mark.parametrize(
    ("clears", "payload", "cleared"),
    [
        (True, b"{}", ["printer/head"]),
        (False, b"{}", []),
        (True, b"", []),  # that was somebody who clears
    ],
)
async def test_a_retained_message(
    *, clears: bool, payload: bytes, cleared: list[str]
) -> None:
    it = bench(mqtt={"clear_retained_commands": clears})
    answer = await it.hears("head", payload, retain=True)
    assert (answer.status, answer.error, answer.code) == ("rejected", "retained", 400)
    assert (it.cleared, it.performed) == (cleared, [])


# Where the answer goes


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        (None, "printer/response"),
        ("reply/me", "reply/me"),
        ("printer/mine", "printer/mine"),
        ("printer/head", "printer/response"),
        ("elsewhere", "printer/response"),
        ("reply/+", "printer/response"),
        ("$SYS/x", "printer/response"),
    ],
)
async def test_where_the_answer_goes(wanted: str | None, goes_to: str) -> None:
    it = bench()
    await it.hears("head", JOG, response_topic=wanted, correlation=b"17")
    assert it.answers[-1][1] == Sender(goes_to, b"17")


# Rights and rates


@pytest.mark.parametrize(
    ("tier", "topic", "payload"),
    [
        ("read", "request/info", {}),
        ("safe", "emergency", {}),
        ("control", "head", JOG),
        ("raw", "command", {"command": "M105"}),
    ],
)
async def test_a_right_that_is_off(tier: str, topic: str, payload: object) -> None:
    it = bench(rights={tier: False})
    answer = await it.hears(topic, payload)
    assert (answer.status, answer.code, answer.error) == ("rejected", 403, "forbidden")
    assert answer.message is not None
    assert f"rights.{tier}" in answer.message
    assert it.performed == []
    others = bench(rights={tier: True})
    assert (await others.hears(topic, payload)).status == "finished"


async def test_a_flood() -> None:
    it = bench(limits={"rate": 0.001})
    assert (await it.hears("head", JOG)).status == "finished"
    for _ in range(3):
        answer = await it.hears("head", JOG)
        assert (answer.code, answer.error) == (429, "rate_limited")
    assert len(it.refused) == 1  # a flood of refusals is not news
    for topic in ("request/info", "emergency"):
        for _ in range(3):
            assert (await it.hears(topic)).status == "finished"


async def test_a_flood_of_what_is_no_topic() -> None:
    it = bench(limits={"rate": 0.001})
    assert (await it.hears("head/jog", JOG)).error == "unknown_topic"
    assert (await it.hears("printhead", JOG)).error == "rate_limited"


async def test_a_flood_holds_up_no_raw_stop() -> None:
    it = bench(limits={"rate": 0.001})
    await it.hears("command", {"command": "M105"})
    assert (await it.hears("command", {"command": "M105"})).error == "rate_limited"
    stops = ({"command": "m112"}, {"command": "M 0112"}, {"commands": ["M105", "M112"]})
    for payload in stops:
        assert (await it.hears("command", payload)).status == "finished"


async def test_strange_response_topics_fill_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = bench()
    for number in range(20):
        await it.hears("request/info", response_topic=f"elsewhere/{number}")
    assert len(caplog.records) == 1


# Age


async def test_too_old_on_arrival() -> None:
    it = bench()
    old = {**JOG, "issued_at": time.time() - 10, "ttl": 5}
    answer = await it.hears("head", old)
    assert (answer.status, answer.code, answer.error) == ("expired", 410, "expired")
    assert answer.message is not None
    assert "ttl is 5 s" in answer.message
    assert it.performed == []


async def test_an_expiry_goes_along() -> None:
    it = bench()
    before = boottime()
    await it.hears("head", {**JOG, "ttl": 100}, expiry=50)
    await it.hears("head", JOG)
    assert it.expiries[0] == pytest.approx(before + 50, abs=10)
    assert it.expiries[1] is None


@pytest.mark.parametrize("back", [1, 60, 3600, 31_536_000, 1_700_000_000])
async def test_a_wall_clock_that_was_set_back_prolongs_nothing(
    monkeypatch: pytest.MonkeyPatch, back: int
) -> None:
    """What was sent before then looks as if it came from the future."""
    it, sent, real = bench(), time.time(), time.time
    monkeypatch.setattr(time, "time", lambda: real() - back)
    before = boottime()
    await it.hears("head", {**JOG, "issued_at": sent, "ttl": 5})
    await it.hears("head", {**JOG, "ttl": 5})
    await it.hears("head", {**JOG, "issued_at": sent, "ttl": 600}, expiry=5)
    for expires in it.expiries:
        assert expires is not None
        assert before < expires <= boottime() + 5
    late = await it.hears("head", {**JOG, "issued_at": sent, "ttl": 5}, waited=6.0)
    assert late.status == "expired"


async def test_too_old_when_its_turn_came() -> None:
    async def work() -> object:
        raise ExpiredError("waited too long")

    answer = await bench(work).hears("head", {**JOG, "ttl": 3})
    assert answer.message == "the command was queued for longer than its ttl of 3 s"


async def test_a_clock_that_is_ahead() -> None:
    answer = await bench().hears("head", {**JOG, "issued_at": time.time() + 600})
    assert (answer.status, answer.error) == ("finished", None)
    assert answer.warning is not None


# The same again


async def test_the_same_id_again() -> None:
    it = bench()
    first = await it.hears("head", {**JOG, "id": "a"})
    assert await it.hears("head", {**JOG, "id": "a"}) == first
    assert len(it.performed) == 1
    await it.hears("head", {**JOG, "id": "b"})
    assert len(it.performed) == 2


async def test_the_same_id_while_it_works() -> None:
    go_on = asyncio.Event()

    async def work() -> object:
        await go_on.wait()
        return None

    it = bench(work)
    first = asyncio.create_task(
        it.take("head", {**JOG, "id": "a"}, response_topic="reply/1")
    )
    await asyncio.sleep(0)
    for number in (2, 3):
        await it.take("head", {**JOG, "id": "a"}, response_topic=f"reply/{number}")
    assert it.answers == []
    go_on.set()
    await first
    assert [sender.topic for _, sender in it.answers] == [
        "reply/1",
        "reply/2",
        "reply/3",
    ]
    assert len({id(response) for response, _ in it.answers}) == 1
    assert len(it.performed) == 1


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("request/info", {"id": "a"}),
        ("emergency", {"id": "a"}),
        ("head", {**JOG, "id": "a", "dry_run": True}),
        ("command", {"command": "M112", "id": "a"}),
        ("command", {"commands": ["M105", "m112"], "id": "a"}),
    ],
)
async def test_what_is_done_again(topic: str, payload: object) -> None:
    it = bench()
    await it.hears(topic, payload)
    await it.hears(topic, payload)
    assert len(it.performed) == 2


STOPS = [
    ("emergency", b""),
    ("command", b'{"command": "M112"}'),
    ("command", b'{"commands": ["G28", "m112"]}'),
    ("command", b'{"command": "M 112"}'),
    ("command", b'{"command": " m0112 ; now"}'),
    ("command", rb'{"command": "M\u0031\u0031\u0032"}'),
]


@pytest.mark.parametrize(("rest", "payload"), STOPS)
async def test_a_stop_outlives_the_interruption_by_another_one(
    rest: str, payload: bytes
) -> None:
    it = bench()
    it.interrupted = FailedError.stopped("the emergency stop was asked for")
    assert (await it.hears(rest, payload)).status == "finished"


@pytest.mark.parametrize(
    ("rest", "payload", "status"),
    [
        ("head", JOG, "failed"),
        ("command", {"command": "M117 not M112"}, "failed"),
        ("head", {**JOG, "dry_run": True}, "finished"),
        ("request/info", {}, "finished"),
    ],
)
async def test_what_acts_does_not_outlive_a_stop(
    rest: str, payload: object, status: str
) -> None:
    it = bench()
    it.interrupted = FailedError.stopped("the emergency stop was asked for")
    answer = await it.hears(rest, payload)
    assert answer.status == status
    assert bool(it.performed) == (status == "finished")


@pytest.mark.parametrize(("rest", "payload"), STOPS)
async def test_a_stop_with_a_repeated_id_stops_again(rest: str, payload: bytes) -> None:
    it = bench()
    document = json.loads(payload or b"{}") | {"id": "same"}
    for _ in range(2):
        await it.hears(rest, document)
    assert len(it.performed) == 2


async def test_texts_that_contain_the_stop_s_letters_are_limited_like_others() -> None:
    """Only what is admitted is parsed, which is what a flood must not cause."""
    it = bench(limits={"rate": 5})
    for payload in (
        {"command": "M117 not M112"},
        {"commands": ["M117 M112"] * 3},
        {"command": "M117 a", "id": "M112"},
        {"command": "M117 a", "parameters": {"a": "M112"}},
        {"command": 'M117 say "M112"'},
    ):
        for _ in range(10):
            await it.hears("command", payload)
    answers = [answer.error for answer, _ in it.answers]
    assert answers.count("rate_limited") >= 40
    assert len(it.performed) <= 10
    assert (await it.hears("command", {"command": "M112"})).status == "finished"


# The emergency topic


async def test_a_stop_comes_before_its_response() -> None:
    it = bench()
    it.handler.handle_stop(Message(topic="printer/emergency", payload=b""), "one")
    assert len(it.performed) == 1
    assert it.answers == []
    await asyncio.sleep(0)
    [(answer, sender)] = it.answers
    assert (answer.status, answer.gcode, answer.topic) == (
        "finished",
        ("M112",),
        "emergency",
    )
    assert sender == Sender("printer/response")


async def test_a_stop_from_both_connections_stops_twice_and_is_answered_once() -> None:
    it = bench()
    for connection in ("one", "other"):
        it.connection = connection
        await it.take("emergency", {"id": "a"}, response_topic="reply/1")
    assert len(it.performed) == 2
    assert [answer.id for answer, _ in it.answers] == ["a"]


@pytest.mark.parametrize(
    "second",
    [
        {"payload": b"again"},
        {"payload": b"", "response_topic": "reply/2"},
        {"payload": b"", "correlation": b"2"},
    ],
)
async def test_different_stops_from_both_connections_are_answered_each(
    second: dict[str, Any],
) -> None:
    it = bench()
    await it.take("emergency", b"")
    it.connection = "other"
    await it.take("emergency", **second)
    assert len(it.answers) == 2


async def test_a_stop_without_a_link_is_answered_once_too() -> None:
    it = bench()
    it.no_link = FailedError.disconnected("the printer is not connected")
    for connection in ("one", "other"):
        it.connection = connection
        await it.take("emergency")
    assert [(answer.status, answer.error) for answer, _ in it.answers] == [
        ("failed", "disconnected")
    ]


async def test_a_stop_with_the_retain_flag_stops_and_is_cleared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = bench()
    for connection in ("one", "other"):
        it.connection = connection
        await it.take("emergency", b"now", retain=True)
    assert len(it.performed) == 2
    assert [answer.status for answer, _ in it.answers] == ["finished"]
    assert it.cleared == ["printer/emergency"]
    assert "RETAIN flag on printer/emergency stopped the machine" in caplog.text


async def test_the_clearing_that_comes_back_stops_again_and_is_not_answered() -> None:
    it = bench()
    await it.take("emergency", b"now", retain=True)
    it.connection = "other"
    await it.take("emergency", b"", retain=True)
    assert len(it.performed) == 2
    assert len(it.answers) == len(it.cleared) == 1
    await it.take("emergency", b"")
    assert len(it.answers) == 2, "the next empty message is somebody's"


async def test_an_empty_stop_with_the_retain_flag_leaves_nothing_to_clear() -> None:
    it = bench()
    assert (await it.hears("emergency", b"", retain=True)).status == "finished"
    assert it.cleared == []


async def test_a_retained_stop_stays_where_clearing_is_switched_off() -> None:
    it = bench(mqtt={"clear_retained_commands": False})
    assert (await it.hears("emergency", b"x", retain=True)).status == "finished"
    assert it.cleared == []


@pytest.mark.parametrize(
    "payload", [b"{" * 70_000, b"\xff", b"[" * 1000, b'{"id": 5}', b"null"]
)
async def test_no_payload_keeps_a_stop_from_being_carried_out(payload: bytes) -> None:
    assert (await bench().hears("emergency", payload)).status == "finished"


@pytest.mark.parametrize(
    "payload", [JOG, {"command": "home", "axes": []}, {"command": "no such"}]
)
async def test_a_stop_that_arrives_meanwhile_comes_before_a_command_is_read(
    payload: object,
) -> None:
    it = bench()
    it.arriving = Message(topic="printer/emergency", payload=b"")
    await it.take("head", payload)
    assert it.performed[0].command.name == "emergency"


async def test_what_a_stop_has_overtaken_is_ended_like_what_waits() -> None:
    """The broker keeps the order on a connection, so it was sent before the stop."""
    it = bench()
    assert it.handler.overtaken(0.0) is None
    await it.take("emergency")
    now = asyncio.get_running_loop().time()
    interrupted = it.handler.overtaken(now)
    assert interrupted is not None
    error = interrupted()
    assert error is not None
    assert error.error == "emergency_stopped"
    assert it.handler.overtaken(now + COPY_TIMEOUT) is None, "the copy is lost"
    it.connection = PRINTER
    await it.take("emergency")
    assert it.handler.overtaken(now) is None


async def test_nothing_is_overtaken_by_a_stop_from_its_own_connection() -> None:
    it = bench()
    it.connection = PRINTER
    await it.take("emergency")
    assert it.handler.overtaken(asyncio.get_running_loop().time()) is None
    it.connection = "other"
    await it.take("emergency")
    assert it.handler.overtaken(asyncio.get_running_loop().time()) is None
