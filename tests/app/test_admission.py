"""Which messages come in, in which order, and how many."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.app.admission import (
    QUEUE_LIMIT,
    Admission,
    MessageClass,
    MessageQueue,
    RateLimiter,
    classify,
)
from bridge.errors import RejectedError

COMMAND, JOB = MessageClass.COMMAND, MessageClass.JOB
REQUEST, EMERGENCY = MessageClass.REQUEST, MessageClass.EMERGENCY


@pytest.mark.parametrize(
    ("rest", "payload", "kind"),
    [
        ("head", b"{}", COMMAND),
        ("command", b'{"command": "G28"}', COMMAND),
        ("command", b'{"command": "m112"}', EMERGENCY),
        ("command", b'{"commands": ["G28", "M112"]}', EMERGENCY),
        ("command", b'{"command": "M 112"}', EMERGENCY),
        ("command", b'{"command": "m0112"}', EMERGENCY),
        ("command", rb'{"command": "M\u0031\u0031\u0032"}', EMERGENCY),
        ("command", rb'{"command": "\u004d112"}', EMERGENCY),
        ("command", rb'{"command": "M117 Gr\u00fc\u00dfe"}', COMMAND),
        ("command", b'{"command": "M1120"}', EMERGENCY),
        ("command", b'{"command": "M11"}', COMMAND),
        ("command", b'{"command": "M117 M112"}', EMERGENCY),
        ("head", b'{"command": "M112"}', COMMAND),
        ("emergency", b"", EMERGENCY),
        ("job", b"{}", JOB),
        ("joblot", b"{}", COMMAND),
        ("request/state", b"{}", REQUEST),
        ("request/emergency", b"M112", REQUEST),
    ],
)
def test_a_message_is_classified_by_its_topic_and_a_search_for_the_stop(
    rest: str, payload: bytes, kind: MessageClass
) -> None:
    assert classify(rest, payload) is kind


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
    limited.count_lines(COMMAND, "head", 10, 0.0)
    with pytest.raises(RejectedError, match="more than 5 lines a second on head"):
        limited.check_rate(COMMAND, "head", 0.0)
    limited.check_rate(COMMAND, "head", 0.2)


def test_a_command_longer_than_the_burst_delays_the_next_ones() -> None:
    limited = admission(rate=5)
    limited.check_rate(COMMAND, "head", 0.0)
    limited.count_lines(COMMAND, "head", 30, 0.0)
    for moment in (0.0, 1.0, 4.0):
        with pytest.raises(RejectedError, match="lines a second"):
            limited.check_rate(COMMAND, "head", moment)
    limited.check_rate(COMMAND, "head", 4.2)
    limited.check_rate(COMMAND, "bed", 0.0)


def test_what_only_looked_like_a_stop_is_counted_when_it_is_known() -> None:
    limited = admission(rate=1)
    for _ in range(2):
        limited.check_rate(EMERGENCY, "head", 0.0)
        limited.count_lines(EMERGENCY, "head", 1, 0.0)
    with pytest.raises(RejectedError, match="lines a second"):
        limited.count_lines(EMERGENCY, "head", 1, 0.0)


def test_the_lines_of_requests_and_jobs_do_not_count() -> None:
    limited = admission(rate=1)
    for kind in (REQUEST, JOB):
        limited.count_lines(kind, "head", 1000, 0.0)
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
        limited.count_lines(COMMAND, "head", lines, now)
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
