"""What a printer said and nobody has read yet."""

import asyncio

from bridge.printer.port.read_buffer import ReadBuffer


async def test_everything_there_is_comes_at_once() -> None:
    buffer = ReadBuffer()
    buffer.put(b"ok\n")
    buffer.put(b"T:20\n")
    assert await buffer.get() == b"ok\nT:20\n"


async def test_the_end_comes_after_what_is_there() -> None:
    buffer = ReadBuffer()
    buffer.put(b"T:2")
    buffer.end()
    buffer.put(b"late")
    assert [await buffer.get(), await buffer.get()] == [b"T:2", b""]


async def test_closing_drops_what_is_there() -> None:
    buffer = ReadBuffer()
    buffer.put(b"T:2")
    buffer.close()
    assert await buffer.get() == b""


async def test_bytes_between_a_wake_up_and_its_cancellation_stay() -> None:
    buffer = ReadBuffer()
    reading = asyncio.create_task(buffer.get())
    await asyncio.sleep(0)
    buffer.put(b"ok\n")
    buffer.put(b"ok\n")
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert await buffer.get() == b"ok\nok\n"


async def test_it_knows_when_it_is_full() -> None:
    buffer = ReadBuffer()
    buffer.put(bytes(ReadBuffer.LIMIT - 1))
    assert not buffer.full
    buffer.put(b"!")
    assert buffer.full
    await buffer.get()
    assert not buffer.full
