"""What a printer said and nobody has read yet."""

import asyncio

from bridge.printer.port.inbox import Inbox


async def test_everything_there_is_comes_at_once() -> None:
    inbox = Inbox()
    inbox.put(b"ok\n")
    inbox.put(b"T:20\n")
    assert await inbox.get() == b"ok\nT:20\n"


async def test_the_end_comes_after_what_is_there() -> None:
    inbox = Inbox()
    inbox.put(b"T:2")
    inbox.end()
    inbox.put(b"late")
    assert [await inbox.get(), await inbox.get()] == [b"T:2", b""]


async def test_closing_drops_what_is_there() -> None:
    inbox = Inbox()
    inbox.put(b"T:2")
    inbox.close()
    assert await inbox.get() == b""


async def test_bytes_between_a_wake_up_and_its_cancellation_stay() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(b"ok\n")
    inbox.put(b"ok\n")
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert await inbox.get() == b"ok\nok\n"


async def test_it_knows_when_it_is_full() -> None:
    inbox = Inbox()
    inbox.put(bytes(Inbox.LIMIT - 1))
    assert not inbox.full
    inbox.put(b"!")
    assert inbox.full
    await inbox.get()
    assert not inbox.full
