"""The growth check itself: what it must find, and what it must not."""

import pytest

from tests.support.growth import ROOM, assert_no_growth


class Thing:
    """Something that could be kept by mistake."""

    def __init__(self) -> None:
        self.cycle = self


async def test_what_is_let_go_is_no_growth() -> None:
    async def make(_number: int) -> None:
        Thing()

    await assert_no_growth(make, 5)


async def test_a_thing_that_stays_each_time_is_found() -> None:
    kept = []

    async def make(_number: int) -> None:
        kept.append(Thing())

    with pytest.raises(AssertionError, match=r"more of .*Thing"):
        await assert_no_growth(make, 5)


async def test_bytes_that_pile_up_are_found() -> None:
    kept = bytearray()

    async def make(_number: int) -> None:
        kept.extend(bytes(2 * ROOM))

    with pytest.raises(AssertionError, match="bytes or more"):
        await assert_no_growth(make, 5)


async def test_what_grows_once_is_no_growth() -> None:
    caches: dict[int, list[Thing]] = {}
    count = 0

    async def make(_number: int) -> None:
        nonlocal count
        count += 1
        if count % 9 == 0 and len(caches) < 2:
            caches[count] = [Thing() for _ in range(1000)]

    await assert_no_growth(make, 5)
