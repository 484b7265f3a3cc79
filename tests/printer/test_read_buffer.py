"""What a printer said and nobody has read yet."""

import asyncio

from bridge.printer.port.read_buffer import CHUNK, ReadBuffer


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


async def test_bytes_are_delivered_as_they_arrive() -> None:
    buffer, got = ReadBuffer(), list[bytes]()
    delivering = asyncio.create_task(buffer.deliver(got.append))
    await asyncio.sleep(0)
    buffer.put(b"ok\n")
    assert got == [b"ok\n"]
    buffer.put(b"T:20\n")
    buffer.end()
    await delivering
    assert got == [b"ok\n", b"T:20\n"]


async def test_a_backlog_is_delivered_in_parts_and_in_order() -> None:
    buffer, got = ReadBuffer(), list[bytes]()
    backlog = bytes(range(256)) * 10
    buffer.put(backlog)
    delivering = asyncio.create_task(buffer.deliver(got.append))
    await asyncio.sleep(0)
    buffer.put(b"later")
    buffer.end()
    await delivering
    assert b"".join(got) == backlog + b"later"
    assert max(map(len, got)) <= CHUNK


async def test_a_flood_is_delivered_in_parts() -> None:
    buffer, got = ReadBuffer(), list[bytes]()
    delivering = asyncio.create_task(buffer.deliver(got.append))
    await asyncio.sleep(0)
    buffer.put(bytes(3 * CHUNK))
    buffer.put(b"!")
    buffer.end()
    await delivering
    assert [len(part) for part in got] == [CHUNK, CHUNK, CHUNK, 1]


async def test_closing_drops_what_was_not_delivered() -> None:
    buffer, got = ReadBuffer(), list[bytes]()
    delivering = asyncio.create_task(buffer.deliver(got.append))
    await asyncio.sleep(0)
    buffer.put(bytes(3 * CHUNK))
    buffer.close()
    await delivering
    assert got == []
    await asyncio.sleep(0)


async def test_what_arrives_after_a_delivery_was_cancelled_can_be_read() -> None:
    buffer, got = ReadBuffer(), list[bytes]()
    delivering = asyncio.create_task(buffer.deliver(got.append))
    await asyncio.sleep(0)
    buffer.put(bytes(2 * CHUNK))
    delivering.cancel()
    await asyncio.wait([delivering])
    buffer.put(b"ok\n")
    rest = await buffer.get()
    assert len(b"".join(got)) + len(rest) == 2 * CHUNK + 3
