"""One command at a time, in the order of arrival."""

import asyncio

import pytest

from bridge.errors import FailedError, RejectedError
from bridge.printer.control.turns import Turns


def gone() -> FailedError:
    return FailedError.disconnected("gone")


async def test_the_order_of_arrival() -> None:
    turns, order = Turns(10), list[int]()

    async def take(number: int) -> None:
        async with turns.turn(1):
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(take(number) for number in range(4)))
    assert order == [0, 0, 1, 1, 2, 2, 3, 3]
    assert turns.waiting == 0


async def test_what_is_too_much_does_not_wait() -> None:
    turns = Turns(3)
    async with turns.turn(2):
        assert turns.waiting == 2
        with pytest.raises(RejectedError, match=r"limits\.queue allows 3") as caught:
            async with turns.turn(2):
                raise AssertionError
        assert (caught.value.error, caught.value.code) == ("queue_full", 429)
        assert turns.waiting == 2
    async with turns.turn(3):
        assert turns.waiting == 3


async def test_an_interruption_ends_what_waits() -> None:
    turns = Turns(10)

    async def wait() -> None:
        async with turns.turn(1):
            raise AssertionError

    async with turns.turn(1) as interrupted:
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert interrupted() is None
        turns.interrupt(gone)
        assert isinstance(interrupted(), FailedError)
    with pytest.raises(FailedError, match="gone"):
        await waiting
    assert turns.waiting == 0


async def test_an_interruption_is_none_of_later_ones_business() -> None:
    turns = Turns(10)
    turns.interrupt(gone)
    async with turns.turn(1) as interrupted:
        assert interrupted() is None


async def test_who_gives_up_waiting_frees_the_place() -> None:
    turns = Turns(10)

    async def wait() -> None:
        async with turns.turn(1):
            raise AssertionError

    async with turns.turn(1):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert turns.waiting == 1


async def test_some_go_first_however_many_wait() -> None:
    turns, order, go_on = Turns(4), list[str](), asyncio.Event()

    async def take(name: str, *, first: bool = False) -> None:
        async with turns.turn(1, first=first):
            order.append(name)
            await go_on.wait()

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(take(f"patient {number}"))
        await asyncio.sleep(0)
        for number in range(2):
            tasks.create_task(take(f"urgent {number}", first=True))
        await asyncio.sleep(0)
        assert turns.waiting == 6
        with pytest.raises(RejectedError):
            await take("one too many")
        go_on.set()
    patient = [f"patient {number}" for number in range(4)]
    assert order == [patient[0], "urgent 0", "urgent 1", *patient[1:]]
    assert turns.waiting == 0


async def test_those_who_go_first_are_not_without_number() -> None:
    turns = Turns(1)
    async with turns.turn(1, first=True):
        with pytest.raises(RejectedError):
            async with turns.turn(1, first=True):
                raise AssertionError
