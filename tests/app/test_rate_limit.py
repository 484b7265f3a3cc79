"""Which messages come in, in which order, and how many."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.app.rate_limit import (
    QUEUE_LIMIT,
    Admission,
    MessageClass,
    MessageQueue,
    RateLimiter,
    classify,
)
from bridge.commands import RequestError, parse
from bridge.errors import RejectedError
from tests.support.cases import case

COMMAND, JOB = MessageClass.COMMAND, MessageClass.JOB
REQUEST, EMERGENCY = MessageClass.REQUEST, MessageClass.EMERGENCY


MAX = 65_536

STOPS = (
    b'{"command": "M112"}',
    b'{"command": "m112"}',
    b'{"command":"M 112"}',
    b'{"command": "m0112"}',
    b'{"command": "  N12 M112*33"}',
    b'{"command": "M112 ; now"}',
    b'{"command": "M112 M117"}',
    rb'{"command": "\tM\t112"}',
    rb'{"command": "M\u0031\u0031\u0032"}',
    rb'{"command": "\u004d112"}',
    b'{"commands": ["G28", "M112"]}',
    b'{"command": "M112", "unknown": 1}',
    b'{"commands": ["M112", 5], "id": 7}',
    b'{"command": "M112", "parameters": {"a": 1}}',
    b'\xef\xbb\xbf{"command": "M112"}\0',
)
"""Emergency stops on ``command``, however they are spelled."""

NO_STOPS = (
    b'{"command": "G28"}',
    b'{"command": "M117 M112"}',
    b'{"command": "M117 not M112"}',
    b'{"command": "M117 \\"M112\\""}',
    b'{"command": "M118 say, M 112"}',
    b'{"command": "M1120"}',
    b'{"command": "GM112"}',
    b'{"command": "M11 2"}',
    b'{"command": "M117 a", "id": "M112"}',
    b'{"command": "M117 a", "M112": 1}',
    b'{"command": "M117 a", "parameters": {"b": "M112"}}',
    b'{"commands": ["M117 M112", "M118 M112"]}',
    b'{"commands": [["M112"]]}',
    b'{"commands": {"a": "M112"}}',
    rb'{"command": "M117 Gr\u00fc\u00dfe, \u004d112"}',
    b'{"command": "M112", "dry_run": true}',
    b'["M112"]',
    b'"M112"',
    b'{"command": "M112"',
    b'{"command": "M112", "command": "M117"}',
    b"M112",
    b"",
)
"""Texts on ``command`` that contain the letters, and others."""


def test_a_stop_is_told_from_what_merely_contains_its_letters() -> None:
    for payload in STOPS:
        with case(payload):
            assert classify("command", payload, MAX) is EMERGENCY
    for payload in NO_STOPS:
        with case(payload):
            assert classify("command", payload, MAX) is COMMAND


def test_what_depends_on_parameters_waits_like_every_command() -> None:
    for text in ("M112{x}", "M{x}", "M112 %(x)d", "M11{x}"):
        payload = json.dumps({"command": text, "parameters": {"x": 112}}).encode()
        with case(text):
            assert classify("command", payload, MAX) is COMMAND


def test_a_payload_that_is_too_large_is_not_read() -> None:
    payload = b'{"command": "M112", "a": "%b"}' % (b"x" * MAX)
    assert classify("command", payload, MAX) is COMMAND


@given(
    before=st.sampled_from(
        ["", " ", "N1 ", "\t", "M117 ", "G", "n 7\n", "(a)", "\x0b"]
    ),
    code=st.sampled_from(["M112", "m112", "M 0112", "M1120", "M11", "M\t112", "T112"]),
    after=st.sampled_from(["", " ", "*7", ";", " S1", "é", "x", "\\", '"', "\n"]),
    more=st.dictionaries(
        st.sampled_from(["id", "ttl", "dry_run", "what"]),
        st.sampled_from(["M112", 1, None, False, True, ["M112"]]),
    ),
    listed=st.booleans(),
    ascii_only=st.booleans(),
)
def test_what_is_parsed_as_a_stop_is_classified_as_one(  # noqa: PLR0913 - a payload
    *,
    before: str,
    code: str,
    after: str,
    more: dict[str, object],
    listed: bool,
    ascii_only: bool,
) -> None:
    text = before + code + after
    fields = {"commands": ["G28", text]} if listed else {"command": text}
    payload = json.dumps({**fields, **more}, ensure_ascii=ascii_only).encode()
    try:
        request = parse("command", payload)
        stops = request.command.stops and not request.envelope.dry_run
    except RequestError:
        stops = False
    assert (classify("command", payload, MAX) is EMERGENCY) == stops


@pytest.mark.parametrize(
    ("rest", "payload", "kind"),
    [
        ("head", b"{}", COMMAND),
        ("head", b'{"command": "M112"}', COMMAND),
        ("emergency", b"", EMERGENCY),
        ("job", b"{}", JOB),
        ("joblot", b"{}", COMMAND),
        ("request/state", b"{}", REQUEST),
        ("request/emergency", b"M112", REQUEST),
    ],
)
def test_a_message_is_classified_by_its_topic(
    rest: str, payload: bytes, kind: MessageClass
) -> None:
    assert classify(rest, payload, MAX) is kind


def test_a_burst_of_twice_the_rate() -> None:
    limiter = RateLimiter(5)
    assert [limiter.allows("head", 0.0) for _ in range(12)] == [True] * 10 + [False] * 2


def test_it_refills() -> None:
    limiter = RateLimiter(2)
    for _ in range(4):
        limiter.allows("head", 0.0)
    assert not limiter.allows("head", 0.4)
    assert limiter.allows("head", 0.9)
    assert not limiter.allows("head", 0.9)
    assert [limiter.allows("head", 100.0) for _ in range(5)] == [True] * 4 + [False]


def test_one_topic_holds_up_no_other() -> None:
    limiter = RateLimiter(1)
    assert [limiter.allows("head", 0.0) for _ in range(3)] == [True, True, False]
    assert limiter.allows("bed", 0.0)


def test_a_slow_rate_lets_the_first_through() -> None:
    limiter = RateLimiter(0.01)
    assert limiter.allows("head", 0.0)
    assert not limiter.allows("head", 50.0)
    assert limiter.allows("head", 150.0)


@given(
    rate=st.floats(0.01, 100),
    pauses=st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_a_burst(rate: float, pauses: list[float]) -> None:
    limiter, now, admitted = RateLimiter(rate), 0.0, 0
    for pause in pauses:
        now += pause
        admitted += limiter.allows("head", now)
    assert admitted <= max(1.0, 2 * rate) + now * rate + 1e-6


def all_wait(queue: MessageQueue, *kinds: MessageClass) -> list[asyncio.Task[None]]:
    """Have one of each kind ask for a turn."""
    return [asyncio.create_task(queue.wait(kind)) for kind in kinds]


def errors(outcomes: list[BaseException | None]) -> list[str | None]:
    return [one.error if isinstance(one, RejectedError) else None for one in outcomes]


async def test_who_comes_alone_does_not_wait() -> None:
    entering = MessageQueue(1).wait(COMMAND)
    try:
        entering.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for the event loop")


async def test_many_go_through_one_by_one_in_the_order_of_arrival() -> None:
    queue = MessageQueue(50)
    entered: list[int] = []
    turn = 0

    async def enter(number: int) -> None:
        await queue.wait(COMMAND)
        entered.append(number)
        turns.append(turn)

    turns: list[int] = []
    tasks = [asyncio.create_task(enter(number)) for number in range(50)]
    while len(entered) < len(tasks):
        turn += 1
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert entered == list(range(50))
    assert len(set(turns)) == 50


async def test_one_that_gives_up_holds_nobody_up() -> None:
    queue = MessageQueue(50)
    tasks = all_wait(queue, COMMAND, COMMAND, COMMAND)
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[1].cancelled()
    assert not tasks[2].cancelled()


async def test_too_many_of_one_kind_are_refused_and_no_others() -> None:
    queue = MessageQueue(2)
    tasks = all_wait(queue, COMMAND, COMMAND, COMMAND, COMMAND, JOB)
    outcomes = errors(await asyncio.gather(*tasks, return_exceptions=True))
    assert outcomes == [None, None, None, "queue_full", None]


async def test_there_is_room_again_after_a_flood_and_one_that_gave_up() -> None:
    queue = MessageQueue(1)
    first, second = all_wait(queue, COMMAND, COMMAND)
    await first
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    for _ in range(3):
        await queue.wait(COMMAND)


async def test_what_waits_when_it_is_closed_is_refused() -> None:
    queue = MessageQueue(50)
    tasks = all_wait(queue, *[COMMAND] * 50)
    await tasks[0]
    queue.close()
    outcomes = errors(await asyncio.gather(*tasks[1:], return_exceptions=True))
    assert outcomes == ["shutting_down"] * 49
    with pytest.raises(RejectedError, match="shutting down"):
        await queue.wait(COMMAND)


def admission(rate: float = 5) -> Admission:
    return Admission(rate, frozenset({"head", "bed"}))


def test_only_commands_have_a_rate_limit() -> None:
    limited = admission(rate=1)
    for kind in (EMERGENCY, JOB, REQUEST):
        for _ in range(10):
            limited.check_rate(kind, "head", 0.0)
    limited.check_rate(COMMAND, "head", 0.0)
    limited.check_rate(COMMAND, "head", 0.0)
    with pytest.raises(RejectedError, match="more than 1 lines a second on head"):
        limited.check_rate(COMMAND, "head", 0.0)
    limited.check_rate(COMMAND, "bed", 0.0)


def test_each_line_of_a_command_counts() -> None:
    limited = admission(rate=5)
    limited.check_rate(COMMAND, "head", 0.0)
    limited.count_lines(COMMAND, "head", 10)
    with pytest.raises(RejectedError, match="more than 5 lines a second on head"):
        limited.check_rate(COMMAND, "head", 0.0)
    limited.check_rate(COMMAND, "head", 0.2)


def test_a_command_longer_than_the_burst_delays_the_next_ones() -> None:
    limited = admission(rate=5)
    limited.check_rate(COMMAND, "head", 0.0)
    limited.count_lines(COMMAND, "head", 30)
    for moment in (0.0, 1.0, 4.0):
        with pytest.raises(RejectedError, match="lines a second"):
            limited.check_rate(COMMAND, "head", moment)
    limited.check_rate(COMMAND, "head", 4.2)
    limited.check_rate(COMMAND, "bed", 0.0)


def test_the_lines_of_requests_and_jobs_do_not_count() -> None:
    limited = admission(rate=1)
    for kind in (EMERGENCY, REQUEST, JOB):
        limited.count_lines(kind, "head", 1000)
    limited.check_rate(COMMAND, "head", 0.0)


@given(
    rate=st.floats(0.01, 100),
    commands=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 1000)), min_size=1),
)
def test_no_more_lines_than_the_rate_and_a_burst_before_the_last_command(
    rate: float, commands: list[tuple[float, int]]
) -> None:
    limited, now, before, last = admission(rate), 0.0, 0, 0
    for pause, lines in commands:
        now += pause
        try:
            limited.check_rate(COMMAND, "head", now)
        except RejectedError:
            continue
        limited.count_lines(COMMAND, "head", lines)
        before, last = before + last, lines
        assert before + 1 <= max(1.0, 2 * rate) + now * rate + 1e-6


def test_topics_that_do_not_exist_share_one_rate() -> None:
    limited = admission(rate=1)
    for rest in ("haed", "bde"):
        limited.check_rate(COMMAND, rest, 0.0)
    with pytest.raises(RejectedError, match="on tol"):
        limited.check_rate(COMMAND, "tol", 0.0)


async def enter(
    admitted: Admission, kind: MessageClass, entered: list[MessageClass]
) -> str | None:
    try:
        await admitted.wait(kind)
    except RejectedError as error:
        return error.error
    entered.append(kind)
    return None


async def outcomes(
    admitted: Admission, kinds: list[MessageClass], entered: list[MessageClass]
) -> list[str | None]:
    return await asyncio.gather(*(enter(admitted, kind, entered) for kind in kinds))


async def test_a_flood_of_requests_delays_no_job() -> None:
    entered: list[MessageClass] = []
    errors = await outcomes(admission(), [REQUEST] * QUEUE_LIMIT + [JOB], entered)
    assert errors[-1] is None
    assert entered.index(JOB) <= 1


async def test_a_flood_of_commands_keeps_no_job_and_no_request_out() -> None:
    entered: list[MessageClass] = []
    kinds = [COMMAND] * (QUEUE_LIMIT + 2) + [JOB, REQUEST]
    errors = await outcomes(admission(), kinds, entered)
    assert errors == [None] * (QUEUE_LIMIT + 1) + ["queue_full", None, None]
    assert entered.index(REQUEST) <= 1


async def test_a_job_keeps_its_place_among_the_commands() -> None:
    entered: list[MessageClass] = []
    kinds = [COMMAND, COMMAND, JOB, COMMAND]
    await outcomes(admission(), kinds, entered)
    assert entered == kinds


async def test_a_stop_passes_whatever_waits() -> None:
    entered: list[MessageClass] = []
    await outcomes(admission(), [COMMAND] * 50 + [EMERGENCY], entered)
    assert entered.index(EMERGENCY) <= 1


async def test_closing_rejects_all_but_a_stop() -> None:
    admitted, entered = admission(), list[MessageClass]()
    admitted.close()
    kinds = [COMMAND, JOB, REQUEST, EMERGENCY]
    errors = await outcomes(admitted, kinds, entered)
    assert errors == ["shutting_down"] * 3 + [None]
    assert entered == [EMERGENCY]
