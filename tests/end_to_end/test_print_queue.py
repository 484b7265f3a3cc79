"""The queue of prints: what waits, what starts it, and what survives a restart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.brokers import Mosquitto
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Stage, stage
from tests.support.waiting import until

PRINTER = "simulator://marlin?speed=1000"
SHORT = b"G28\nG1 Z5 F600\nG1 X10 Y10 F6000\nM117 done\n"
LONG = b"G28\n" + b"G1 X10 F6000\nG1 X90 F6000\n" * 4000


@contextmanager
def queueing(
    broker: Mosquitto, folder: Path, printer: SimulatedPrinter, **queue: bool
) -> Iterator[Stage[SimulatedPrinter]]:
    """Run a bridge that has three files; the block may start again in a folder."""
    sections = {
        "files": {"folder": str(folder / "files"), "keep_free": 0},
        "mqtt": {"state_folder": str(folder / "state")},
    }
    files = folder / "files/queue"
    files.mkdir(parents=True, exist_ok=True)
    for name, content in (("a", SHORT), ("b", SHORT), ("long", LONG)):
        files.joinpath(f"{name}.gcode").write_bytes(content)
    settings = {"queue": queue} if queue else {}
    with stage(broker, printer, folder, "queue", sections, **settings) as bridge:
        yield bridge


async def call(bridge: Stage[SimulatedPrinter], command: str, **fields: object) -> Any:  # noqa: ANN401 - a JSON document
    """Send a command to the queue, and return the data of its answer."""
    answer = await bridge.call("queue", {"command": command, **fields})
    assert answer["status"] == "finished", answer
    return answer["data"]


async def listed(bridge: Stage[SimulatedPrinter]) -> None:
    """Wait until all files are known."""
    topic = bridge.topic("files/state")
    await until(
        lambda: (
            bool(bridge.client.payloads(topic))
            and bridge.latest("files/state")["count"] == 3
        )
    )


def waiting(bridge: Stage[SimulatedPrinter]) -> list[str]:
    return [one["file"] for one in bridge.latest("queue/state")["prints"]]


async def ended(bridge: Stage[SimulatedPrinter], count: int) -> list[dict[str, Any]]:
    """Return the history as soon as so many prints have ended."""
    ends = {"print_done", "print_cancelled", "print_failed"}
    await until(lambda: len([e for e in bridge.event_names() if e in ends]) >= count)
    await bridge.becomes("operational")
    answer = await bridge.call("request/history")
    prints: list[dict[str, Any]] = answer["data"]["prints"]
    return prints


async def test_each_print_needs_a_release_of_its_own(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated(PRINTER, tmp_path / "printer") as printer,
        queueing(broker, tmp_path, printer) as bridge,
    ):
        await listed(bridge)
        first = await call(bridge, "add", file="a.gcode")
        more = await call(bridge, "add", file="b.gcode", copies=2)
        assert (first["held"], first["reason"]) == (True, "bed_not_cleared")
        assert len({*first["jobs"], *more["jobs"]}) == 3
        assert bridge.latest("job/state")["state"] == "idle"
        # Nobody may delete what is to be printed.
        refused = await bridge.call("files", {"command": "delete", "path": "a.gcode"})
        assert (refused["code"], refused["error"]) == (409, "in_use")

        await call(bridge, "move", job=more["jobs"][1], to=0)
        await call(bridge, "release")
        (past,) = await ended(bridge, 1)
        assert (past["job"], past["file"], past["outcome"]) == (
            more["jobs"][1],
            "b.gcode",
            "done",
        )
        await until(lambda: waiting(bridge) == ["a.gcode", "b.gcode"])
        assert bridge.latest("queue/state")["held"]

        await call(bridge, "release")
        prints = await ended(bridge, 2)
        assert [one["file"] for one in prints] == ["a.gcode", "b.gcode"]
        await call(bridge, "clear")
        assert waiting(bridge) == []
        deleted = await bridge.call("files", {"command": "delete", "path": "a.gcode"})
        assert deleted["status"] == "finished", deleted


async def test_a_print_in_the_way_uses_the_release_up(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """Also one that somebody starts by name; and it cannot be released meanwhile."""
    with (
        simulated(PRINTER, tmp_path / "printer") as printer,
        queueing(broker, tmp_path, printer) as bridge,
    ):
        await listed(bridge)
        await call(bridge, "release")
        assert bridge.latest("queue/state")["held"] is False
        started = await bridge.call("job", {"command": "start", "file": "long.gcode"})
        assert started["status"] == "finished", started
        await until(lambda: bridge.latest("queue/state")["held"])
        added = await call(bridge, "add", file="a.gcode")
        assert added["length"] == 1
        refused = await bridge.call("queue", {"command": "release"})
        assert (refused["code"], refused["error"]) == (409, "printing")
        cancelled = await bridge.call("job", {"command": "cancel"})
        assert cancelled["status"] == "finished", cancelled
        (past,) = await ended(bridge, 1)
        assert (past["file"], past["outcome"]) == ("long.gcode", "cancelled")
        assert bridge.latest("queue/state")["reason"] == "print_failed"
        assert waiting(bridge) == ["a.gcode"]


async def test_a_machine_that_clears_its_bed_prints_one_after_the_other(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated(PRINTER, tmp_path / "printer") as printer,
        queueing(broker, tmp_path, printer, hold=False) as bridge,
    ):
        await listed(bridge)
        await call(bridge, "add", file="a.gcode", copies=2)
        await call(bridge, "add", file="b.gcode")
        await call(bridge, "release")
        prints = await ended(bridge, 3)
        assert [one["file"] for one in prints] == ["b.gcode", "a.gcode", "a.gcode"]
        assert all(one["outcome"] == "done" for one in prints)
        totals = (await bridge.call("request/history", {"limit": 1}))["data"]["totals"]
        assert (totals["prints"], totals["done"]) == (3, 3)


async def test_the_queue_and_the_history_survive_a_restart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with simulated(PRINTER, tmp_path / "printer") as printer:
        with queueing(broker, tmp_path, printer) as bridge:
            await listed(bridge)
            await call(bridge, "release")
            await call(bridge, "add", file="a.gcode")
            before = await ended(bridge, 1)
            kept = await call(bridge, "add", file="b.gcode", copies=2)
        with queueing(broker, tmp_path, printer) as bridge:
            await listed(bridge)
            state = bridge.latest("queue/state")
            assert [one["job"] for one in state["prints"]] == kept["jobs"]
            assert state["held"]
            history = await bridge.call("request/history")
            assert history["data"]["prints"] == before
            await call(bridge, "release")
            (now, *_) = await ended(bridge, 1)
            assert now["job"] == kept["jobs"][0]


async def test_a_print_that_cannot_be_started_holds_the_queue(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated(PRINTER, tmp_path / "printer") as printer,
        queueing(broker, tmp_path, printer) as bridge,
    ):
        await listed(bridge)
        bad = tmp_path / "files/queue/bad.gcode"
        bad.write_bytes(b"M104 S900\n")
        assert (await bridge.call("files", {"command": "rescan"}))["code"] == 200
        await call(bridge, "add", file="bad.gcode")
        await call(bridge, "release")
        await until(lambda: bridge.latest("queue/state")["reason"] == "cannot_start")
        assert "900" in bridge.latest("queue/state")["problem"]
        # What is gone from the disk is gone from the queue.
        bad.unlink()
        await bridge.call("files", {"command": "rescan"})
        await until(lambda: waiting(bridge) == [])
        assert bridge.latest("queue/state")["problem"] == ""
        names = [e["action"] for e in bridge.events() if e["event"] == "queue_changed"]
        assert names == ["added", "released", "cannot_start", "file_gone"]


async def test_what_is_wrong_is_named(broker: Mosquitto, tmp_path: Path) -> None:
    with (
        simulated(PRINTER, tmp_path / "printer") as printer,
        queueing(broker, tmp_path, printer) as bridge,
    ):
        await listed(bridge)
        for payload, code, word in (
            ({"command": "add", "file": "nothing.gcode"}, 404, "nothing.gcode"),
            ({"command": "add", "file": "a.gcode", "copies": 0}, 400, "copies"),
            ({"command": "add", "file": "a.gcode", "copies": 101}, 400, "copies"),
            ({"command": "remove", "job": "nobody"}, 404, "nobody"),
            ({"command": "move", "job": "nobody", "to": 0}, 404, "nobody"),
            ({"command": "add"}, 400, "file"),
            ({"command": "bed_cleared"}, 400, "release"),
        ):
            refused = await bridge.call("queue", payload)
            assert (refused["status"], refused["code"]) == ("rejected", code), refused
            assert word in refused["message"]
        await call(bridge, "add", file="a.gcode", copies=100)
        full = await bridge.call("queue", {"command": "add", "file": "a.gcode"})
        assert (full["code"], full["error"]) == (409, "queue_full")
