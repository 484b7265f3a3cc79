"""Random faults on everything around and in a bridge, while stops are pressed.

Each emergency stop must reach its printer: within its bound while nothing is wrong, and
otherwise as soon as broker, process and link are back. Its sender presses again until
there is a response or the machine stands still, as a person does.
"""

import asyncio
import json
import random
import resource
import signal
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.brokers import BinaryMosquitto, Spec, binary
from tests.support.daemons import Daemon, daemon, none_left
from tests.support.printers import ScriptedPrinter, scripted
from tests.support.proxy import Proxy, proxied

BOUND = 10.0
"""Seconds for a stop while nothing is wrong; it takes some milliseconds, but the
machine may be busy."""

LONGEST = 90.0
"""Seconds for a stop in any case: the longest back-offs, one after the other."""

AGAIN = 1.0
"""Seconds after which a sender without a response presses again."""

LAST = 20
"""Presses at the end of that time of which the broker must have said that nobody was
there to receive them, or the stop counts as lost."""

NAMES = ("one", "two")
_PRESENCE = ("availability", "connection")


class Cable:
    """A printer that can be unplugged, and counts the stops that it has read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._before = 0
        self.printer: ScriptedPrinter | None = None

    @property
    def stops(self) -> int:
        """How many stops it has read, over all cables."""
        return self._before + self._read()

    def _read(self) -> int:
        if self.printer is None:
            return 0
        return sum(data.strip() == b"M112" for data in self.printer.wire.heard())

    def plug(self) -> None:
        """Plug it in."""
        self.printer = self._stack.enter_context(scripted(self._path))

    def unplug(self) -> None:
        """Pull the cable."""
        self._before += self._read()
        self.printer = None
        self._stack.close()

    def say(self, text: str) -> None:
        """Let the firmware say something, if it is there."""
        if self.printer is not None:
            self.printer.says(text)


class Presser:
    """A client that may press stops; it comes back whenever the broker does."""

    def __init__(self, port: int) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.latest: dict[str, bytes] = {}
        self.codes: dict[int, int] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="presser", protocol=paho.MQTTv5
        )
        # Not the emergency topics: the broker must be able to say that nobody listens.
        wanted = [(f"printers/+/{one}", 1) for one in ("response", *_PRESENCE)]
        self._client.on_connect = lambda client, *_: client.subscribe(wanted)
        self._client.on_publish = self._acknowledged
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> int | None:
        """Publish if there is a connection, and return the number of the message."""
        if not self._client.is_connected():
            return None
        return self._client.publish(topic, payload, qos).mid

    def was_taken(self, number: int | None) -> bool:
        """Return whether the broker has passed a message on to a subscriber.

        A PUBACK with the code 0x10 says that there is none (MQTT 5.0, 3.4.2.1).
        """
        return number is not None and self.codes.get(number) == 0

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.reinitialise()

    def _acknowledged(
        self, _client: object, _data: object, number: int, code: ReasonCode, _: object
    ) -> None:
        self.codes[number] = code.value

    def _hear(self, _client: object, _data: object, heard: paho.MQTTMessage) -> None:
        rest = heard.topic.rpartition("/")[2]
        if rest == "response":
            answer = json.loads(heard.payload)
            self.answers[answer.get("id") or ""] = answer
        elif rest in _PRESENCE:
            self.latest[heard.topic] = bytes(heard.payload)


@dataclass
class Report:
    """What became of the stops.

    Attributes:
        calm: seconds that each took while nothing was wrong.
        troubled: the same of the others.
        lost: those that never arrived.
        unreachable: how many did not arrive because the bridge had no connection to the
            broker for all the time, which the broker told those who pressed.
        faults: how many there were, by kind.
        answers: how many responses there were, by status; ``None``: the connection was
            lost after the stop had arrived.
        recovered: everything worked at the end.

    """

    calm: list[float] = field(default_factory=list)
    troubled: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unreachable: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    recovered: bool = False

    def __str__(self) -> str:
        """Return it in a few lines."""
        return "\n".join(
            [
                f"faults: {dict(self.faults)}",
                f"stops while nothing was wrong: {_figures(self.calm)}",
                f"other stops: {_figures(self.troubled)}",
                f"responses: {dict(self.answers)}",
                f"the broker said that nobody receives them: {self.unreachable}",
                f"lost: {self.lost or 'none'}; recovered: {self.recovered}",
            ]
        )


def _figures(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    middle, worst = statistics.median(seconds), max(seconds)
    return f"{len(seconds)}, median {middle:.3f} s, worst {worst:.3f} s"


@dataclass
class Chaos:
    """Everything that can go wrong, and those who press."""

    broker: BinaryMosquitto
    network: Proxy
    process: Daemon
    config: dict[str, Any]
    cables: dict[str, Cable]
    presser: Presser
    chance: random.Random
    report: Report = field(default_factory=Report)
    _number: int = 0
    _at_fault: int = 0
    _calm_since: float = 0.0

    async def run(self, seconds: float) -> Report:
        """Press stops for some seconds while faults come and go."""
        clock = asyncio.get_running_loop().time
        ends = clock() + seconds
        await self._healthy()
        faults = asyncio.create_task(self._faults(ends))
        while clock() < ends:
            await self._press(self.chance.choice(NAMES))
            await asyncio.sleep(self.chance.uniform(0.2, 2.0))
        await faults
        self.report.recovered = await self._healthy()
        for name in NAMES:
            await self._press(name)
        stops = [f"stop-{number + 1}" for number in range(self._number)]
        given = [self.presser.answers.get(stop, {}) for stop in stops]
        self.report.answers = Counter(str(one.get("status")) for one in given)
        return self.report

    async def _press(self, name: str) -> None:
        """Press until it stands still; then reset the printer."""
        clock = asyncio.get_running_loop().time
        cable, report = self.cables[name], self.report
        self._number += 1
        stop = f"stop-{self._number}"
        before, begun, calm = cable.stops, clock(), self._is_calm(name)
        topic, payload = f"printers/{name}/emergency", json.dumps({"id": stop}).encode()
        sent: list[int | None] = []
        while cable.stops == before and clock() - begun < LONGEST:
            if stop not in self.presser.answers:
                sent.append(self.presser.publish(topic, payload))
            calm = await self._stands_still(cable, before) and calm
        taken = clock() - begun
        answered = stop in self.presser.answers
        taken_late = any(map(self.presser.was_taken, sent[-LAST:]))
        if cable.stops == before and not answered and not taken_late:
            report.unreachable += 1
        elif cable.stops == before:
            report.lost.append(f"{stop} at {name}: {self.presser.answers.get(stop)}")
        else:
            calm = calm and self._is_calm(name)
            (report.calm if calm else report.troubled).append(taken)
        await asyncio.sleep(0.1)  # for the response, if there can be one
        cable.say("start\n")

    async def _stands_still(self, cable: Cable, before: int) -> bool:
        """Wait a while for a stop; return whether it came."""
        for _ in range(int(AGAIN / 0.005)):
            if cable.stops != before:
                return True
            await asyncio.sleep(0.005)
        return False

    def _is_calm(self, name: str) -> bool:
        latest = self.presser.latest
        return not self._at_fault and all(
            latest.get(f"printers/{name}/{topic}") == b"online"
            for topic in ("availability", "connection")
        )

    async def _healthy(self) -> bool:
        """Wait until all printers can be used; reset those that are not, as people do.

        A printer whose reset came while its link was away still counts as stopped.
        """
        for turn in range(int(LONGEST / 0.05)):
            if all(map(self._is_calm, NAMES)) or not self.process.running:
                return self.process.running
            for name in NAMES:
                if turn % 100 == 99 and not self._is_calm(name):
                    self.cables[name].say("start\n")
            await asyncio.sleep(0.05)
        return False

    async def _faults(self, ends: float) -> None:
        clock = asyncio.get_running_loop().time
        kinds: tuple[Callable[[], Awaitable[None]], ...] = (
            self.broker_crashes,
            self.broker_hangs,
            self.network_resets,
            self.network_swallows,
            self.process_freezes,
            self.reload_storm,
            self.disk_is_full,
            self.no_descriptors,
            self.firmware_is_silent,
            self.firmware_resets,
            self.firmware_talks_nonsense,
            self.cable_is_pulled,
            self.clients_flood,
        )
        order: list[Callable[[], Awaitable[None]]] = []
        while clock() < ends:
            if not order:  # each kind comes once before one comes again
                order = self.chance.sample(kinds, len(kinds))
            fault = order.pop()
            self.report.faults[fault.__name__] += 1
            self._at_fault += 1
            await fault()
            self._at_fault -= 1
            await asyncio.sleep(self.chance.uniform(0.3, 2.0))

    async def _while(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.3, 2.5))

    async def broker_crashes(self) -> None:
        """Kill the broker, which forgets all."""
        await asyncio.to_thread(self.broker.kill)
        await self._while()
        await asyncio.to_thread(self.broker.start)

    async def broker_hangs(self) -> None:
        """Let it do nothing for a while."""
        self.broker.signal(signal.SIGSTOP)
        await self._while()
        self.broker.signal(signal.SIGCONT)

    async def network_resets(self) -> None:
        """Reset all connections."""
        self.network.reset()

    async def network_swallows(self) -> None:
        """Lose what is sent, without a word; only the connections' end helps then."""
        self.network.swallowing = True
        await self._while()
        self.network.swallowing = False
        self.network.reset()

    async def process_freezes(self) -> None:
        """Stop the process, as a suspended or overloaded computer does."""
        self.process.signal(signal.SIGSTOP)
        await self._while()
        self.process.signal(signal.SIGCONT)

    async def reload_storm(self) -> None:
        """Change and reload the configuration as fast as signals can be sent."""
        for number in range(20):
            self.config["printers"][0]["name"] = f"name {self._number} {number}"
            self.process.write(self.config)
            self.process.signal(signal.SIGHUP)
            await asyncio.sleep(0.02)

    async def disk_is_full(self) -> None:
        """Let no file grow."""
        pid, kind = self.process.pid, resource.RLIMIT_FSIZE
        before = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (0, before[1]))
        await self._while()
        resource.prlimit(pid, kind, before)

    async def no_descriptors(self) -> None:
        """Let nothing be opened."""
        with none_left(self.process):
            self.network.reset()
            await self._while()

    async def firmware_is_silent(self) -> None:
        """Let a firmware answer nothing."""
        printer = self.cables[self.chance.choice(NAMES)].printer
        if printer is not None:
            printer.silent = True
            await self._while()
            printer.silent = False

    async def firmware_resets(self) -> None:
        """Press a reset button."""
        self.cables[self.chance.choice(NAMES)].say("start\n")

    async def firmware_talks_nonsense(self) -> None:
        """Let a firmware say what no firmware says."""
        cable = self.cables[self.chance.choice(NAMES)]
        for _ in range(20):
            cable.say("".join(map(chr, self.chance.choices(range(32, 127), k=60))))
            cable.say("\nError:checksum mismatch\n//action:prompt_show\n")
            await asyncio.sleep(0.01)

    async def cable_is_pulled(self) -> None:
        """Pull a cable, and plug it in again."""
        cable = self.cables[self.chance.choice(NAMES)]
        await asyncio.to_thread(cable.unplug)
        await self._while()
        await asyncio.to_thread(cable.plug)

    async def clients_flood(self) -> None:
        """Send more than can be carried out, some of it nonsense."""
        for number in range(500):
            base = f"printers/{NAMES[number % 2]}"
            line = {"command": "M117 not M112", "id": str(number)}
            self.presser.publish(f"{base}/command", json.dumps(line).encode(), 0)
            self.presser.publish(f"{base}/head", self.chance.randbytes(100), 0)
            if number % 50 == 0:
                await asyncio.sleep(0)


@asynccontextmanager
async def chaos(folder: Path, seed: int) -> AsyncIterator[Chaos]:
    """Start two printers, a broker, a network and the daemon.

    Args:
        folder: for the configuration, the log and the ports.
        seed: which faults come when.

    """
    with ExitStack() as stack:
        broker = BinaryMosquitto(Spec(), binary())
        stack.callback(broker.close)
        broker.start()
        cables = {name: Cable(folder / name) for name in NAMES}
        for cable in cables.values():
            cable.plug()
            stack.callback(cable.unplug)
        presser = Presser(broker.port)
        stack.callback(presser.close)
        async with proxied(broker.host, broker.port) as network:
            config: dict[str, Any] = {
                "mqtt": {
                    "host": "127.0.0.1",
                    "port": network.port,
                    "keepalive": 5,
                    "state_folder": str(folder / "state"),
                },
                "printers": [
                    {"id": x, "serial": {"port": str(folder / x), "baudrate": 115200}}
                    for x in NAMES
                ],
            }
            with daemon(folder, config) as process:
                yield Chaos(
                    broker,
                    network,
                    process,
                    config,
                    cables,
                    presser,
                    random.Random(seed),  # noqa: S311 - a plan of faults, no secret
                )
