"""What `streaming.py` runs in processes of their own: one host each.

streaming_hosts.py asyncio|session|execute|stream|stream4 PORT LINES
streaming_hosts.py asyncio+uvloop|… PORT LINES
streaming_hosts.py publish BROKER LINES
"""

import asyncio
import json
import os
import sys
import termios
import time
import tty
from collections.abc import Awaitable, Callable
from functools import partial, reduce
from operator import xor

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bridge.cli.run import event_loop
from bridge.commands import parse
from bridge.config import Limits, PrinterConfig, Serial, Telemetry
from bridge.gcode.dialects import MARLIN
from bridge.gcode.events import Connected, PrinterEvent
from bridge.gcode.protocol import Protocol
from bridge.printer.control.command_queue import Run
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port.transport import open_transport
from bridge.printer.printer import Listeners, Printer

BATCH = 200
IN_FLIGHT = 10
"""Commands that are published before their responses have come."""


FIRST = 1000
"""The number of the first move, as the bridge's: on a slow line each digit counts."""


def move(i: int) -> str:
    """Return the i-th move; the firmware checks that E goes up by 0.001."""
    return f"G1 X{i % 200}.{i % 997:03} Y{i % 180}.{i % 10} E{i // 1000}.{i % 1000:03}"


def report(seconds: float, processor: float) -> None:
    """Print what a host took."""
    print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)


async def timed(work: Awaitable[object]) -> None:
    """Await work, and report what it took."""
    begun, used = time.perf_counter(), time.process_time()
    await work
    report(time.perf_counter() - begun, time.process_time() - used)


async def with_asyncio(port: str, lines: int) -> None:
    """Stream with the least that asyncio needs: a reader with a callback."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(descriptor, termios.TCSANOW)
    loop, state = asyncio.get_running_loop(), {"next": 0}
    over: asyncio.Future[None] = loop.create_future()

    def send(number: int, text: str) -> None:
        payload = f"N{number} {text}".encode()
        os.write(descriptor, b"%b*%d\n" % (payload, reduce(xor, payload)))

    def readable() -> None:
        for line in os.read(descriptor, 4096).split(b"\n"):
            if not line.startswith(b"ok"):
                continue
            if state["next"] == lines:
                over.set_result(None)
                return
            send(FIRST + state["next"], move(state["next"]))
            state["next"] += 1

    loop.add_reader(descriptor, readable)
    begun, used = time.perf_counter(), time.process_time()
    send(FIRST - 1, f"M110 N{FIRST - 1}")
    await over
    report(time.perf_counter() - begun, time.process_time() - used)


async def with_session(port: str, lines: int) -> None:
    """Stream through a session, one line after the other."""

    async def stream(session: Session) -> None:
        for i in range(lines):
            await session.line(move(i))

    await in_session(port, stream)


async def with_stream(port: str, lines: int, lines_in_flight: int = 1) -> None:
    """Stream through a session, which pulls the lines from an iterator."""

    async def stream(session: Session) -> None:
        await session.start_stream(
            map(move, range(lines)), on_sent=lambda *_: None, on_done=lambda _: None
        ).finished()

    await in_session(port, stream, lines_in_flight)


async def in_session(
    port: str, stream: Callable[[Session], Awaitable[None]], lines_in_flight: int = 1
) -> None:
    """Connect a session, without anything above it, and stream."""
    transport = await open_transport(port, 115_200)
    connected = asyncio.Event()

    def on_event(event: PrinterEvent) -> None:
        if isinstance(event, Connected):
            connected.set()

    protocol = Protocol(MARLIN, lines_in_flight=lines_in_flight)
    session = Session(transport, protocol, on_event=on_event, wire=WireLog())
    running = asyncio.create_task(session.run())
    await connected.wait()
    await asyncio.sleep(1.5)  # until nothing is in doubt any more
    await timed(stream(session))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def with_printer(port: str, lines: int) -> None:
    """Stream through a printer: with its state and its limits."""
    here = asyncio.Event()

    def on_change() -> None:
        if printer.state.link == "operational":
            here.set()

    listeners = Listeners(on_change, lambda _event: None, lambda _entry: None)
    printer = Printer(
        PrinterConfig(id="one", serial=Serial(port=port, baudrate=115_200)),
        listeners,
        telemetry=Telemetry(),
        limits=Limits(queue=100_000),
    )
    running = asyncio.create_task(printer.run())
    await here.wait()
    await asyncio.sleep(1.5)

    async def stream() -> None:
        for begin in range(0, lines, BATCH):
            request = parse("command", batch(begin, min(lines, begin + BATCH)))
            await printer.execute(request.command, Run())

    await timed(stream())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def batch(begin: int, end: int) -> bytes:
    """Return the payload of a command of some moves."""
    moves = [move(i) for i in range(begin, end)]
    return json.dumps({"commands": moves, "id": f"batch-{begin}"}).encode()


def publish(broker: int, lines: int) -> None:
    """Publish commands to a printer called ``one``, and wait for their responses."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    state = {"online": 0, "sent": 0, "done": 0, "failed": 0}

    def on_message(_client: object, _data: object, heard: paho.MQTTMessage) -> None:
        if heard.topic.endswith("/connection"):
            state["online"] = heard.payload == b"online"
        elif heard.topic.endswith("/response"):
            state["done"] += 1
            if json.loads(heard.payload)["status"] != "finished":
                print(heard.payload[-300:], file=sys.stderr)
                state["failed"] += 1

    client.on_message = on_message
    client.connect("127.0.0.1", broker)
    client.subscribe("printers/one/connection")
    client.subscribe("printers/one/response", qos=1)

    def until(wanted: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 600
        while not wanted():
            client.loop(0.01)
            if time.monotonic() > deadline:
                sys.exit(f"no end: {state}")

    until(lambda: bool(state["online"]))
    time.sleep(3)
    print("online", flush=True)
    begun = time.perf_counter()
    for begin in range(0, lines, BATCH):
        payload = batch(begin, min(lines, begin + BATCH))
        client.publish("printers/one/command", payload, qos=1)
        state["sent"] += 1
        until(lambda: state["done"] > state["sent"] - IN_FLIGHT)
    until(lambda: state["done"] == state["sent"])
    report(time.perf_counter() - begun, 0.0)
    if state["failed"]:
        sys.exit(f"{state['failed']} commands failed")


def main() -> None:
    """Run one host."""
    host, port, lines = sys.argv[1], sys.argv[2], int(sys.argv[3])
    host, _, loop = host.partition("+")
    if host == "publish":
        publish(int(port), lines)
        return
    hosts = {
        "asyncio": with_asyncio,
        "session": with_session,
        "stream": with_stream,
        "stream4": partial(with_stream, lines_in_flight=4),
        "execute": with_printer,
    }
    with asyncio.Runner(loop_factory=event_loop(loop or "asyncio")) as runner:
        runner.run(hosts[host](port, lines))


if __name__ == "__main__":
    main()
