"""In which line a message stands, and what is in whose way."""

import asyncio

from bridge.app.waiting_room import MOST_WAITING, Kind, WaitingRoom, kind_of
from bridge.errors import RejectedError


async def enter(room: WaitingRoom, rest: str, entered: list[str]) -> str | None:
    try:
        await room.through(rest)
    except RejectedError as error:
        return error.error
    entered.append(rest)
    return None


def test_a_message_is_for_what_its_topic_says() -> None:
    kinds = [kind_of(rest) for rest in ("head", "job", "request/state", "joblot")]
    assert kinds == [Kind.COMMAND, Kind.JOB, Kind.QUESTION, Kind.COMMAND]


async def test_a_flood_of_questions_is_in_no_command_s_way() -> None:
    room, entered = WaitingRoom(), list[str]()
    asked = ["request/info"] * MOST_WAITING
    async with asyncio.TaskGroup() as tasks:
        for rest in asked:
            tasks.create_task(enter(room, rest, entered))
        job = tasks.create_task(enter(room, "job", entered))
    assert job.result() is None
    assert entered.index("job") <= 1


async def test_a_flood_of_commands_keeps_no_job_and_no_question_out() -> None:
    room, entered = WaitingRoom(), list[str]()
    rests = ["head"] * (MOST_WAITING + 2) + ["job", "request/info"]
    outcomes = await asyncio.gather(*(enter(room, rest, entered) for rest in rests))
    assert outcomes == [None] * (MOST_WAITING + 1) + ["queue_full", None, None]
    assert entered.index("request/info") <= 1


async def test_a_job_keeps_its_place_among_the_commands() -> None:
    room, entered = WaitingRoom(), list[str]()
    rests = ["head", "bed", "job", "head"]
    await asyncio.gather(*(enter(room, rest, entered) for rest in rests))
    assert entered == rests


async def test_closing_it_refuses_both_lines() -> None:
    room, entered = WaitingRoom(), list[str]()
    room.close()
    assert await enter(room, "head", entered) == "shutting_down"
    assert await enter(room, "request/state", entered) == "shutting_down"
    assert entered == []
