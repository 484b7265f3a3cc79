"""What becomes of prints and heaters if the real process is killed or frozen, and more.

Each incident meets all states of a print at once, on several families: one process
serves a printer for each of them. What is right is :func:`expected` of the pure matrix,
and no cell has its own value. ``scripts/law`` runs all incidents on more families.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.simulator.card import CardFile
from tests.printer.test_print_matrix import ENDS, UNNOTICED, expected
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.cases import case, examples
from tests.support.daemons import Daemon
from tests.support.mqtt_client import TestClient, connected
from tests.support.printers import SimulatedPrinter
from tests.support.stages import Stage
from tests.support.waiting import until

LONG = 90.0
"""Seconds for all printers together, on a slow machine with much to do."""

MOVES = b"".join(
    b"G1 X%d Y%d F3000\n" % place
    for _ in range(600)
    for place in ((20, 20), (80, 20), (80, 80), (20, 80))
)
FILES = {
    "printing": b"G28\n" + MOVES,
    "heating": b"M140 S60\nM104 S200\nM190 S110\nM109 S250\n" + MOVES,
    # Long moves wait in the firmware when all of the file has been read.
    "finishing": b"G28\n" + b"G1 X20 F600\nG1 X180 F60\n" * 4,
}
SPEED = {"heating": 1, "finishing": 1}
FAMILIES = ("marlin", "klipper", "prusa")
MORE_FAMILIES = (*FAMILIES, "marlin1", "repetier", "smoothieware")
WORDS = {
    "idle": "operational",
    "heating": "printing",
    "printing": "printing",
    "pausing": "paused",
    "paused": "paused",
    "finishing": "finishing",
}
"""What ``state`` says in the end of a cell whose print has not ended."""

RUNS = {"printing", "finishing"}
SHORT = {"idle_heaters": 0.1, "pause_heaters": {"nozzle": 0.1, "bed": 0.1}}
HOT = {"tool0": 200.0, "bed": 60.0}


@dataclass
class Cell:
    """A printer in one state of its print.

    Attributes:
        family: its firmware.
        state: of the print.
        seen: what is heard of it.
        mark: how many events there were before the incident.

    """

    family: str
    state: str
    seen: Stage[SimulatedPrinter]
    mark: int = field(default=0)

    @property
    def printer(self) -> SimulatedPrinter:
        """The printer itself."""
        return self.seen.printer

    @property
    def rule(self) -> str:
        """Its state by the name of the pure matrix: without a print it is hot."""
        return "hot" if self.state == "idle" else self.state

    def phase(self) -> str:
        """Return the phase that is published."""
        return str(self.seen.latest("state")["state"])

    def targets(self) -> set[float]:
        """Return the targets of the firmware's heaters."""
        return {
            heater.target for heater in self.printer.firmware.machine.heaters.values()
        }

    def is_hot(self) -> bool:
        """Return whether the bridge knows that heaters are on."""
        return self.state == "heating" or bool(self.seen.latest("state")["heat_reason"])

    async def reach(self) -> None:
        """Bring the printer into its state."""
        printer = self.printer
        if self.state != "heating":
            for name, target in HOT.items():
                printer.press("target", name, target)
        await until(self.is_hot, LONG)
        if self.state == "error":
            printer.press("kill")
            await self.seen.becomes("error", LONG)
        if self.state in {"idle", "error"}:
            return
        name = "FINISHING" if self.state == "finishing" else "PRINTING"
        name = "HEATING" if self.state == "heating" else name
        await self.starts(f"{name}.GCO")
        match self.state:
            case "heating":
                await until(lambda: self.seen.latest("job/state")["heating"], LONG)
            case "finishing":
                await self.seen.becomes("finishing", LONG)
            case "paused":
                await self.seen.call("job", {"command": "pause"})
                await self.seen.becomes("paused", LONG)

    async def starts(self, file: str) -> None:
        """Print a file of the card."""
        for command in ({"command": "select", "file": file}, {"command": "start"}):
            answer = await self.seen.call("job", command)
            assert answer["status"] == "finished", answer
        if self.state in {"printing", "pausing", "paused"}:
            await self.seen.becomes("printing", LONG)

    async def is_about_to_pause(self) -> None:
        """Return as soon as the firmware is told to pause."""
        word = "PAUSE" if self.family == "klipper" else "M25"
        await self.seen.send("job", {"command": "pause"})
        await until(lambda: word in self.printer.wire.sent(), LONG)


@dataclass
class Fleet:
    """One process with a printer in each state of each family.

    Attributes:
        broker: where all is published.
        folder: with the state files and the configuration.
        cells: the printers.
        client: hears everything.
        daemon: the present process.

    """

    broker: Mosquitto
    folder: Path
    cells: list[Cell]
    client: TestClient
    daemon: Daemon

    def config(self, profile: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the configuration, with limits for heaters if there are any."""
        return configuration(
            self.broker,
            self.folder,
            {x.seen.base: x.printer for x in self.cells},
            profile,
        )

    def serve(self, process: Daemon) -> None:
        """Use another process from now on."""
        self.daemon = process
        for cell in self.cells:
            cell.seen.daemon = process


def configuration(
    broker: Mosquitto,
    folder: Path,
    printers: dict[str, SimulatedPrinter],
    profile: dict[str, Any] | None = None,
) -> dict[str, Any]:
    one = [
        {
            "id": base.rpartition("/")[2],
            "topic": base,
            "serial": {"port": str(printer.link), "baudrate": 115200},
            "profile": profile or {},
        }
        for base, printer in printers.items()
    ]
    mqtt = {
        "host": broker.host,
        "port": broker.port,
        "state_folder": str(folder / "state"),
        "will_delay": 0,
    }
    return {"mqtt": mqtt, "printers": one}


def printer_for(folder: Path, family: str, state: str) -> SimulatedPrinter:
    """Return a simulated printer with the files that its state needs."""
    url = f"simulator://{family}?speed={SPEED.get(state, 5)}"
    printer = SimulatedPrinter(url, folder / f"{family}-{state}")
    card = printer.firmware.machine.card
    files = (CardFile(f"{name.upper()}.GCO", data) for name, data in FILES.items())
    card.files = {file.name: file for file in files}
    return printer


def states_of(family: str) -> tuple[str, ...]:
    """Return the states in which a print of a family can be found.

    Klipper has carried out a file as soon as it has read it, and Repetier's firmware
    restarts by itself when it is stopped.
    """
    never = {("klipper", "finishing"), ("repetier", "error")}
    return tuple(x for x in (*WORDS, "error") if (family, x) not in never)


@contextmanager
def fleet(
    broker: Mosquitto, folder: Path, name: str, families: tuple[str, ...]
) -> Iterator[Fleet]:
    """Run the printers and the bridge."""
    with ExitStack() as stack:
        printers: dict[str, tuple[str, str, SimulatedPrinter]] = {}
        for family in families:
            for state in states_of(family):
                printer = printer_for(folder, family, state)
                stack.callback(printer.close)
                printers[f"{name}/{family}-{state}"] = (family, state, printer)
        topics = (f"{name}/#", "reply/#")
        client = stack.enter_context(connected(broker.port, *topics, host=broker.host))
        ends = {base: printer for base, (_, _, printer) in printers.items()}
        process = Daemon(folder, configuration(broker, folder, ends))
        cells = [
            Cell(family, state, Stage(base, client, process, printer))
            for base, (family, state, printer) in printers.items()
        ]
        running = Fleet(broker, folder, cells, client, process)
        try:
            yield running
        finally:
            running.daemon.close()
        assert "Traceback" not in running.daemon.log, running.daemon.log


async def together(work: Callable[[Cell], Any], cells: list[Cell]) -> None:
    """Do something with all printers at once."""

    async def named(cell: Cell) -> None:
        with case(cell.family, cell.state):
            await work(cell)

    async with asyncio.TaskGroup() as tasks:
        for cell in cells:
            tasks.create_task(named(cell))


# The incidents. Each ends when the printers are seen again.


async def bridge_killed(all_: Fleet) -> None:
    former = all_.cells[0].seen.latest("info")["instance"]
    all_.daemon.signal(signal.SIGKILL)
    all_.daemon.ended()
    all_.serve(Daemon(all_.folder, all_.config(SHORT)))
    for cell in all_.cells:
        await until(lambda c=cell: c.seen.latest("info")["instance"] != former, LONG)  # type: ignore[misc]


async def frozen(all_: Fleet) -> None:
    """Stop the process until each print has gone on by some lines."""
    all_.daemon.signal(signal.SIGSTOP)
    running = [
        x.printer.firmware.machine.card for x in all_.cells if x.state == "printing"
    ]
    places = [card.position for card in running]
    await until(
        lambda: all(
            card.position > place + 500
            for card, place in zip(running, places, strict=True)
        ),
        LONG,
    )
    all_.daemon.signal(signal.SIGCONT)
    await together(lambda cell: cell.seen.call("request/info"), all_.cells)
    await with_short_limits(all_)


async def reload(all_: Fleet) -> None:
    await with_short_limits(all_)


async def cable_pulled(all_: Fleet) -> None:
    for cell in all_.cells:
        cell.printer.unplug()
    await together(lambda cell: cell.seen.becomes("offline", LONG), _alive(all_))
    for cell in all_.cells:
        cell.printer.plug()
    await with_short_limits(all_)


async def with_short_limits(all_: Fleet) -> None:
    """Read other limits for heaters; that touches neither a link nor a print."""
    all_.daemon.write(all_.config(SHORT))
    all_.daemon.signal(signal.SIGHUP)
    await until(lambda: "configuration read again" in all_.daemon.log, LONG)


def _alive(all_: Fleet) -> list[Cell]:
    """Return those that are not stopped, which is what is said of those that are."""
    return [cell for cell in all_.cells if cell.state != "error"]


INCIDENTS: dict[str, Callable[[Fleet], Awaitable[None]]] = {
    incident.__name__: incident
    for incident in (
        bridge_killed,
        frozen,
        reload,
        cable_pulled,
    )
}
USUAL = ("bridge_killed", "frozen")
"""Those that only a real process can suffer; the others are tried by `scripts/law`.

What the printer and the broker suffer is in ``test_power.py`` and the pure matrix."""


async def settles(cell: Cell, incident: str) -> None:
    """Wait until the bridge has found out what has become of the print."""
    right, seen = expected(cell.rule, incident), cell.seen
    if right.outcome is not None:
        await until(lambda: bool(ENDS & set(seen.event_names(cell.mark))), LONG)
        await until(lambda: seen.latest("job/result")["outcome"] is not None, LONG)
        await seen.becomes("operational", LONG)
    elif cell.state == "heating":
        # A bridge that is new to it waits until the firmware answers again.
        await until(
            lambda: cell.phase() in {"connecting", "starting", "printing"}, LONG
        )
    elif cell.state != "error":
        await seen.becomes(WORDS[cell.state], LONG)


def check(cell: Cell, incident: str) -> None:
    """Compare what was published with what is right."""
    right, seen = expected(cell.rule, incident), cell.seen
    names = seen.event_names(cell.mark)
    assert "print_started" not in names
    ends = [name for name in names if name in ENDS]
    if right.outcome is None:
        assert ends == []
    else:
        assert ends == [f"print_{right.outcome[0]}"]
        result = seen.latest("job/result")
        assert (result["outcome"], result["reason"]) == right.outcome
    if cell.state == "error" and incident not in UNNOTICED:
        return  # Klipper says to each host that it is shut down, Marlin says nothing
    reasons = [x["reason"] for x in seen.events(cell.mark) if x["event"] == "error"]
    assert tuple(reasons) == right.errors
    # One that heats and is silent alarms until it answers; Marlin says that it is busy.
    waits = bool(right.errors) and cell.phase() == "connecting"
    allowed = {right.attention, "error"} if waits else {right.attention}
    assert seen.latest("state")["attention"] in allowed


async def heaters_are_right(cell: Cell) -> None:
    """After the limits, they are on only while a print runs."""
    runs = WORDS.get(cell.state) in RUNS
    seen = cell.seen
    if runs and cell.phase() != "operational":
        assert cell.targets() != {0.0}
        # One that waits for a heater may report no targets; then nothing is known.
        known = {"print", None} if cell.state == "heating" else {"print"}
        assert seen.latest("state")["heat_reason"] in known
        assert seen.latest("state")["heaters_off_at"] is None
        return
    await until(lambda: cell.targets() == {0.0}, LONG)
    if cell.state != "error":
        await until(lambda: seen.latest("state")["heat_reason"] is None, LONG)


@pytest.mark.parametrize("incident", INCIDENTS if examples(1) > 1 else USUAL)
async def test_what_becomes_of_prints_and_heaters(
    tmp_path: Path, incident: str
) -> None:
    families = MORE_FAMILIES if examples(1) > 1 else FAMILIES
    with mosquitto(Spec(), start=False) as broker:
        broker.start()
        with fleet(broker, tmp_path, incident, families) as all_:
            await together(lambda cell: cell.seen.operational(LONG), all_.cells)
            await together(Cell.reach, all_.cells)
            for cell in all_.cells:
                cell.mark = len(cell.seen.events())
            pausing = [cell for cell in all_.cells if cell.state == "pausing"]
            await together(Cell.is_about_to_pause, pausing)
            await INCIDENTS[incident](all_)
            await together(lambda cell: settles(cell, incident), all_.cells)
            # Those that go off first: by then the others have had as much time.
            for cell in sorted(all_.cells, key=lambda x: WORDS.get(x.state) in RUNS):
                with case(cell.family, cell.state):
                    check(cell, incident)
                    await heaters_are_right(cell)
