"""The complete set-up: a real broker, a printer on a pty, the daemon and a client."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon, daemon, wait_for
from tests.support.mqtt_client import TestClient, connected
from tests.support.printers import Printer, SimulatedPrinter
from tests.support.waiting import DEADLINE, until

Json = dict[str, Any]
AnyPrinter = TypeVar("AnyPrinter", bound=Printer)
_users: dict[tuple[int, str], str] = {}
"""The test that last used a base topic, by the broker's port and the topic."""


def config_of(
    broker: Mosquitto,
    port: Path | str,
    base: str,
    sections: Mapping[str, Any] | None = None,
    **printer: object,
) -> Json:
    """Return a configuration of one printer; sections of other names are merged in.

    Its id is made of its base topic: two bridges of one id would have one client id.
    """
    sections = dict(sections or {})
    mqtt = {"host": broker.host, "port": broker.port, **sections.pop("mqtt", {})}
    serial = {"port": str(port), "baudrate": 115200}
    serial.update(sections.pop("serial", {}))
    one = {"id": base.lower(), "topic": base, "serial": serial, **printer}
    return {"mqtt": mqtt, "printers": [one], **sections}


@dataclass
class Stage(Generic[AnyPrinter]):
    """Everything that a test interacts with.

    Attributes:
        base: the printer's base topic.
        client: hears everything below it, and ``reply/#``.
        daemon: the bridge.
        printer: the other end of the line.

    """

    base: str
    client: TestClient
    daemon: Daemon
    printer: AnyPrinter
    _marks: int = field(default=0)

    def topic(self, rest: str) -> str:
        """Return a topic below the base."""
        return f"{self.base}/{rest}"

    def latest(self, rest: str) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Return the last document received on a topic."""
        return json.loads(self.client.payloads(self.topic(rest))[-1])

    def events(self, since: int = 0) -> list[Json]:
        """Return the events, starting at an index."""
        heard = self.client.payloads(self.topic("event"))
        return [json.loads(payload) for payload in heard][since:]

    def event_names(self, since: int = 0) -> list[str]:
        """Return their names."""
        return [str(event["event"]) for event in self.events(since)]

    async def send(self, rest: str, payload: object = b"", **properties: object) -> str:
        """Send a message with a response topic of its own; return that."""
        reply = f"reply/{uuid.uuid4().hex}"
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        wanted: dict[str, Any] = {"ResponseTopic": reply, **properties}
        await self.client.publish(self.topic(rest), raw, **wanted)
        return reply

    async def answer(self, reply: str, within: float = DEADLINE) -> Json:
        """Wait for the response on a topic; it must be the only one."""
        await until(lambda: bool(self.client.payloads(reply)), within)
        responses = self.client.payloads(reply)
        assert len(responses) == 1, responses
        answer: Json = json.loads(responses[0])
        return answer

    async def call(
        self, rest: str, payload: object = b"", **properties: object
    ) -> Json:
        """Send a message and return its one response."""
        return await self.answer(await self.send(rest, payload, **properties))

    async def fence(self) -> str:
        """Return once everything sent earlier is on the wire: a later line is."""
        self._marks += 1
        line = f"M117 fence {self._marks}"
        answer = await self.call("command", {"command": line})
        assert answer["status"] == "finished", answer
        return line

    async def operational(self, within: float = DEADLINE) -> None:
        """Wait until the printer is operational."""
        await until(lambda: self._is("state", "operational"), within)

    async def becomes(self, word: str, within: float = DEADLINE) -> Json:
        """Wait until ``state`` says so, and return the document."""
        await until(lambda: self._is("state", word), within)
        document: Json = self.latest("state")
        return document

    def _is(self, rest: str, word: str) -> bool:
        return bool(self.client.payloads(self.topic(rest))) and (
            self.latest(rest)["state"] == word
        )


async def reset(bridge: Stage[SimulatedPrinter]) -> list[str]:
    """Reset the printer, wait until it is operational, and return the events."""
    events = len(bridge.events())
    bridge.printer.reset()
    await until(lambda: "connected" in bridge.event_names(events))
    await bridge.operational()
    await until(lambda: bridge.latest("error")["error"] == "")
    return bridge.event_names(events)


def _clear_what_others_left(broker: Mosquitto, base: str) -> None:
    """Clear the topics that say that a bridge is there, if another test retained them.

    A bridge that was killed leaves its printer online, and what is sent to the next one
    before it has subscribed is lost.
    """
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    before = _users.get((broker.port, base), test)
    _users[broker.port, base] = test
    if before != test:
        with connected(broker.port, host=broker.host) as client:
            for rest in ("availability", "connection", "state"):
                client.clear(f"{base}/{rest}")


@contextmanager
def stage(
    broker: Mosquitto,
    printer: AnyPrinter,
    folder: Path,
    base: str,
    sections: Mapping[str, Any] | None = None,
    **settings: object,
) -> Iterator[Stage[AnyPrinter]]:
    """Run everything; the block starts when the printer is operational."""
    config = config_of(broker, printer.link, base, sections, **settings)
    _clear_what_others_left(broker, base)
    with (
        connected(broker.port, f"{base}/#", "reply/#", host=broker.host) as client,
        daemon(folder, config) as process,
    ):
        running = Stage(base, client, process, printer)
        try:
            wait_for(
                lambda: (
                    not process.running
                    or client.payloads(f"{base}/connection")[-1:] == [b"online"]
                ),
                f"{base}/connection online",
                2 * DEADLINE,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{process.log}") from None
        assert process.running, process.log
        yield running
