"""SIGHUP: printers come, change and go while the others continue."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon, daemon
from tests.support.mqtt_client import TestClient, connected
from tests.support.printers import (
    ScriptedPrinter,
    SimulatedPrinter,
    scripted,
    simulated,
)
from tests.support.stages import Stage, stage
from tests.support.waiting import until

Json = dict[str, Any]
IDS = ("steady", "changed", "removed", "added")
READ_AGAIN = "configuration read again"


class Shop:
    """A bridge and as many printers as there are names."""

    def __init__(
        self,
        broker: Mosquitto,
        client: TestClient,
        base: str,
        printers: dict[str, ScriptedPrinter],
        folder: Path,
    ) -> None:
        self._broker = broker
        self.client = client
        self._base = base
        self.printers = printers
        self._folder = folder

    def config(self, *names: str, **sections: object) -> Json:
        """Return a configuration of these printers; keywords are its sections."""
        mqtt = {"host": self._broker.host, "port": self._broker.port}
        mqtt["state_folder"] = str(self._folder / "state")
        return {"mqtt": mqtt, "printers": [self.printer(x) for x in names], **sections}

    def printer(self, name: str, **settings: object) -> Json:
        """Return one printer's part of it."""
        serial = {"port": str(self.printers[name].link), "baudrate": 115200}
        return {
            "id": name,
            "topic": f"{self._base}/{name}",
            "serial": serial,
            **settings,
        }

    def topic(self, name: str, rest: str) -> str:
        """Return a topic of a printer."""
        return f"{self._base}/{name}/{rest}"

    def said(self, name: str, topic: str = "availability") -> list[bytes]:
        """Return what was published about a printer."""
        return self.client.payloads(self.topic(name, topic))

    async def online(self, *names: str, times: int = 1) -> None:
        """Wait until these printers can be used, for the so manieth time."""
        await until(lambda: all(self._is_online(name, times) for name in names), 20)

    def _is_online(self, name: str, times: int) -> bool:
        here = [self.said(name, topic) for topic in ("availability", "connection")]
        return all(said.count(b"online") >= times for said in here)

    def mark(self, printer: str, number: int) -> None:
        """Send a line that tells its number."""
        payload = {"command": f"M117 {number}", "id": f"{printer}-{number}", "ttl": 5}
        self.client.send(self.topic(printer, "command"), json.dumps(payload).encode())


@pytest.fixture
def shop(
    broker: Mosquitto, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Shop]:
    base = request.node.name
    with (
        connected(broker.port, f"{base}/#", host=broker.host) as client,
        scripted(tmp_path / "steady") as steady,
        scripted(tmp_path / "changed") as changed,
        scripted(tmp_path / "removed") as removed,
        scripted(tmp_path / "added") as added,
    ):
        printers = dict(zip(IDS, (steady, changed, removed, added), strict=True))
        yield Shop(broker, client, base, printers, tmp_path)


async def stream(shop: Shop, over: asyncio.Event) -> int:
    """Send lines to the printer that stays, until it is over; return how many."""
    number = 0
    while not over.is_set():
        number += 1
        shop.mark("steady", number)
        # As fast as they are answered, five ahead: the queue has room for that.
        await answered(shop, number - 4)
    await answered(shop, number)
    return number


async def answered(shop: Shop, count: int) -> None:
    await until(lambda: len(answers(shop)) >= count)


def answers(shop: Shop) -> list[Json]:
    return [json.loads(payload) for payload in shop.said("steady", "response")]


async def reload(process: Daemon, config: Json) -> None:
    process.write(config)
    before = process.log.count(READ_AGAIN)
    process.signal(signal.SIGHUP)
    await until(lambda: process.log.count(READ_AGAIN) > before, 20)


async def test_printers_come_change_and_go_while_one_works(
    shop: Shop, tmp_path: Path
) -> None:
    before = shop.config("steady", "changed", "removed", limits={"rate": 10_000})
    after = shop.config("steady", "changed", "added", limits={"rate": 10_000})
    after["printers"][1]["profile"] = {"max_temperature": {"bed": 50}}
    over = asyncio.Event()
    with daemon(tmp_path, before) as process:
        await shop.online("steady", "changed", "removed")
        wire = len(shop.printers["steady"].wire.chunks)
        work = asyncio.create_task(stream(shop, over))
        await until(lambda: len(answers(shop)) >= 20)
        await reload(process, after)
        await shop.online("added")
        await until(lambda: shop.said("removed")[-2:] == [b"offline", b""])
        middle = len(answers(shop))
        await until(lambda: len(answers(shop)) >= middle + 20)
        over.set()
        count = await work
        # None was lost, late (they would have expired) or done twice.
        assert [answer["status"] for answer in answers(shop)] == ["finished"] * count
        sent = shop.printers["steady"].wire.sent(wire)
        assert sent == [f"M117 {number}" for number in range(1, count + 1)]
        assert shop.said("steady") == [b"online"]
        assert shop.said("changed") == [b"online"]
        assert "added: added; changed: changed; removed: removed" in process.log
        await refuses_heat(shop)
        process.signal(signal.SIGTERM)
        assert process.ended() == 0


async def refuses_heat(shop: Shop) -> None:
    """The printer that was changed knows its new limit."""
    payload = json.dumps({"command": "target", "target": 60}).encode()
    await shop.client.publish(shop.topic("changed", "bed"), payload)
    answer = json.loads(
        (await shop.client.hears(shop.topic("changed", "response"))).payload
    )
    assert answer["error"] == "out_of_limits"


BAD = {
    "unknown key": "mqtt: {hots: x}\nprinters: [{}]\n",
    "no YAML": "mqtt: {host: [\n",
    "a missing password file": (
        "mqtt: {username: a, password_file: nowhere}\nprinters: [{}]\n"
    ),
    "a missing scripts folder": "printers: [{scripts_folder: nowhere}]\n",
    "a port out of range": "metrics: {port: 65536}\nprinters: [{}]\n",
    "no file": None,
}


async def test_a_bad_file_is_refused_and_the_old_one_stays(
    shop: Shop, tmp_path: Path
) -> None:
    with daemon(tmp_path, shop.config("steady")) as process:
        await shop.online("steady")
        for number, text in enumerate(BAD.values(), 1):
            await is_refused(process, text, number)
            shop.mark("steady", number)
            await answered(shop, number)
        assert shop.said("steady") == [b"online"]
        assert {answer["status"] for answer in answers(shop)} == {"finished"}
        # And a good one is taken after that.
        await reload(process, shop.config("steady", "added"))
        await shop.online("added")


async def is_refused(process: Daemon, text: str | None, times: int) -> None:
    process.config.unlink(missing_ok=True)
    if text is not None:
        process.config.write_text(text)
    process.signal(signal.SIGHUP)
    refused = "ERROR   app: the old configuration remains in effect: "
    await until(lambda: process.log.count(refused) == times)


async def test_what_is_said_and_how_much_changes_at_once(
    shop: Shop, tmp_path: Path
) -> None:
    with daemon(tmp_path, shop.config("steady")) as process:
        await shop.online("steady")
        form = {"format": "json", "level": "info"}
        await reload(process, shop.config("steady", log=form))
        line = process.log.splitlines()[-1]
        assert json.loads(line)["message"] == f"{READ_AGAIN}; 1 left alone"
        assert shop.said("steady") == [b"online"]


async def test_a_command_is_not_executed_again_after_a_reload(
    shop: Shop, tmp_path: Path
) -> None:
    """Ten minutes are promised, whatever is changed meanwhile."""
    config = shop.config("steady")
    (printer,) = config["printers"]
    with daemon(tmp_path, config) as process:
        await shop.online("steady")
        shop.mark("steady", 1)
        await answered(shop, 1)
        for times, change in enumerate(
            (
                {"name": "Another name"},
                {
                    "profile": {"heated_chamber": True}
                },  # another connection to the broker
                {"serial": {**printer["serial"], "ok_timeout": 20}},  # another link
            ),
            1,
        ):
            printer |= change
            await reload(process, config)
            await shop.online("steady", times=times)
            shop.mark("steady", 1)
            await answered(shop, 1 + times)
        first, *others = answers(shop)
        assert others == [first] * 3
        assert shop.printers["steady"].wire.sent().count("M117 1") == 1


async def test_another_state_folder_begins_everything_anew(
    shop: Shop, tmp_path: Path
) -> None:
    config = shop.config("steady")
    with daemon(tmp_path, config) as process:
        await shop.online("steady")
        config["mqtt"]["state_folder"] = str(tmp_path / "elsewhere")
        await reload(process, config)
        await shop.online("steady", times=2)
        assert shop.said("steady") == [b"online", b"offline", b"online"]
        assert list((tmp_path / "elsewhere").iterdir())


async def test_a_port_that_moves_to_another_printer_is_free_in_time(
    shop: Shop, tmp_path: Path
) -> None:
    config = shop.config("removed")
    with daemon(tmp_path, config) as process:
        await shop.online("removed")
        heir = shop.printer("added")
        heir["serial"]["port"] = str(shop.printers["removed"].link)
        config["printers"] = [heir]
        await reload(process, config)
        await shop.online("added")
        assert "in use" not in process.log


FILE = "ARATHE~1.GCO"
SETTINGS: dict[str, Json] = {
    "a limit": {"printer": {"profile": {"max_temperature": {"bed": 50}}}},
    "a name": {"printer": {"name": "Another name"}},
    "a script": {"printer": {"scripts": {"hello": "M117 hello"}}},
    "blocked": {"printer": {"blocked": {"M117": "no"}}},
    "telemetry": {"telemetry": {"interval": 1, "heartbeat": 30, "history": 5}},
    "rights": {"rights": {"raw": False}},
    "the rate": {"limits": {"rate": 7, "queue": 20}},
    "Home Assistant's scripts": {"home_assistant": {"scripts": ["hello"]}},
    "Home Assistant's prefix": {"home_assistant": {"prefix": "elsewhere"}},
    "the broker's settings": {"mqtt": {"keepalive": 20}},
    "the state folder": {"mqtt": {"state_folder": "elsewhere"}},
    "the topic": {"printer": {"topic": "{base}/elsewhere"}},
    "a heater": {"printer": {"profile": {"heated_chamber": True}}},
    "the idle timeout": {"printer": {"profile": {"idle_heaters": 5}}},
    "the log of the line": {"serial": {"log_file": "wire.log"}},
    "another printer": {"added": True},
}
"""Settings that need no other link, and so must not end a print."""


def merged(config: Json, change: Json, base: str, port: str) -> Json:
    """Return a configuration of one printer with something changed."""
    text = json.dumps(change).replace("{base}", base)
    change = json.loads(text)
    printer = {**config["printers"][0], **change.pop("printer", {})}
    printer["serial"] = {**printer["serial"], **change.pop("serial", {})}
    printers = [printer]
    if change.pop("added", False):
        printers.append({"id": "second", "serial": {"port": port}})
    mqtt = {**config["mqtt"], **change.pop("mqtt", {})}
    return {**config, **change, "mqtt": mqtt, "printers": printers}


async def begin_print(bridge: Stage[SimulatedPrinter]) -> None:
    answer = await bridge.call("command", {"commands": [f"M23 {FILE}", "M24"]})
    assert answer["status"] == "finished"
    await bridge.becomes("printing")


def opened(printer: SimulatedPrinter) -> int:
    """Return how often the bridge has introduced itself to the printer."""
    return b"".join(printer.wire.heard()).count(b"M115")


async def test_no_setting_but_those_of_the_link_touches_the_link_in_a_print(
    broker: Mosquitto, tmp_path: Path
) -> None:
    sections: Json = {"mqtt": {"state_folder": str(tmp_path / "state")}}
    base = "untouched"
    with (
        simulated("simulator://marlin?speed=2", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, base, sections) as bridge,
    ):
        original = yaml.safe_load(bridge.daemon.config.read_text())
        await bridge.operational()
        await begin_print(bridge)
        before = opened(printer)
        for what, change in SETTINGS.items():
            port = str(tmp_path / "absent")
            await reload(bridge.daemon, merged(original, change, base, port))
            assert "left alone" in bridge.daemon.log, what
            await reload(bridge.daemon, original)
            assert opened(printer) == before, what
            assert "disconnected" not in bridge.event_names(), what
        bridge.client.heard.clear()
        await reload(bridge.daemon, original | {"home_assistant": {"enabled": False}})
        # It connects to the broker again; until it has subscribed, commands are lost.
        said = bridge.client.payloads
        await until(lambda: b"online" in said(f"{base}/availability"))
        await until(lambda: bool(said(f"{base}/state")))
        assert bridge.latest("state")["state"] == "printing"
        await bridge.fence()
        assert opened(printer) == before


async def test_what_needs_another_link_waits_for_the_end_of_a_print(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated("simulator://marlin?speed=30", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "postponed") as bridge,
    ):
        config = yaml.safe_load(bridge.daemon.config.read_text())
        await bridge.operational()
        await begin_print(bridge)
        before = opened(printer)
        config["printers"][0]["serial"]["firmware"] = "marlin"
        config["printers"][0]["name"] = "Another name"
        await reload(bridge.daemon, config)
        assert "waiting for the end of a print: postponed" in bridge.daemon.log
        await until(lambda: "settings_pending" in bridge.event_names())
        (event,) = [e for e in bridge.events() if e["event"] == "settings_pending"]
        assert event["settings"] == ["serial.firmware"]
        await until(lambda: bridge.latest("health")["pending"] == ["serial.firmware"])
        await until(lambda: bridge.latest("info")["machine"]["name"] == "Another name")
        assert opened(printer) == before
        names = bridge.event_names
        assert (await bridge.call("job", {"command": "cancel"}))["code"] == 200
        await until(lambda: "print_cancelled" in names())
        end = names().index("print_cancelled")
        assert names()[:end].count("connected") == 1
        await until(lambda: "connected" in names()[end:], 30)
        assert opened(printer) > before
        assert "a print has ended; changed: postponed" in bridge.daemon.log
        await until(lambda: bridge.latest("health")["pending"] == [])


async def test_a_printer_keeps_its_id_until_its_print_has_ended(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated("simulator://marlin?speed=30", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "old-id") as bridge,
    ):
        config = yaml.safe_load(bridge.daemon.config.read_text())
        await bridge.operational()
        await begin_print(bridge)
        before = opened(printer)
        config["printers"][0] |= {"id": "new-id", "name": "Another name"}
        await reload(bridge.daemon, config)
        assert "waiting for the end of a print: old-id" in bridge.daemon.log
        await until(lambda: bridge.latest("health")["pending"] == ["id"])
        await until(lambda: bridge.latest("info")["machine"]["name"] == "Another name")
        (event,) = [e for e in bridge.events() if e["event"] == "settings_pending"]
        assert event["settings"] == ["id"]
        # Reading it again changes nothing, and going back leaves nothing that waits.
        await reload(bridge.daemon, config)
        back = json.loads(json.dumps(config))
        back["printers"][0]["id"] = "old-id"
        await reload(bridge.daemon, back)
        await until(lambda: bridge.latest("health")["pending"] == [])
        await reload(bridge.daemon, config)
        assert opened(printer) == before
        names = bridge.event_names
        assert (await bridge.call("job", {"command": "cancel"}))["code"] == 200
        await until(lambda: "print_cancelled" in names())
        end = names().index("print_cancelled")
        assert names()[:end].count("connected") == 1
        ended = "a print has ended; added: new-id; removed: old-id"
        await until(lambda: ended in bridge.daemon.log, 30)
        await until(lambda: "connected" in names()[end:], 30)
        assert opened(printer) > before
        await until(lambda: bridge.latest("health")["pending"] == [])
        await until(lambda: bridge.latest("job/result")["outcome"] == "cancelled")
        # A released port stays so under yet another id.
        assert (await bridge.call("link", {"command": "disconnect"}))["code"] == 200
        config["printers"][0]["id"] = "third-id"
        before = opened(printer)
        await reload(bridge.daemon, config)
        await until(lambda: bridge.latest("info")["machine"]["id"] == "third-id")
        assert bridge.latest("state")["released"]
        await bridge.call("request/refresh")
        assert opened(printer) == before
        assert bridge.latest("job/result")["outcome"] == "cancelled"
        # Nothing waited any more, so nothing was applied a second time.
        assert bridge.daemon.log.count("a print has ended") == 1


LONG = "G28\n" + "G1 X10 F6000\nG1 X90 F6000\n" * 4000
IN_A_LOCAL_PRINT: dict[str, Json] = {
    "the id": {"printer": {"id": "another"}},
    "the folder of the files": {"files": {"folder": "elsewhere"}},
    "whether files are stored, and a limit": {
        "files": {"enabled": False},
        "printer": {"profile": {"max_speed": 1000}},
    },
    "the connection to the broker": {
        "mqtt": {"state_folder": "elsewhere", "keepalive": 20},
        "printer": {"topic": "{base}/elsewhere", "profile": {"heated_chamber": True}},
        "added": True,
    },
}


async def prints_on(printer: SimulatedPrinter) -> None:
    wire = len(printer.wire.chunks)
    await until(lambda: len(printer.wire.sent(wire)) > 5)


async def test_a_print_of_the_bridge_goes_on_whatever_is_read_again(
    broker: Mosquitto, tmp_path: Path
) -> None:
    base = "streamed"
    sections: Json = {
        "mqtt": {"state_folder": str(tmp_path / "state")},
        "files": {"folder": str(tmp_path / "files"), "keep_free": 0},
    }
    files = tmp_path / "files" / base
    files.mkdir(parents=True)
    files.joinpath("long.gcode").write_text(LONG)
    with (
        simulated("simulator://marlin?speed=5", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, base, sections) as bridge,
    ):
        original = yaml.safe_load(bridge.daemon.config.read_text())
        await until(lambda: bool(bridge.client.payloads(f"{base}/files/state")))
        await until(lambda: bridge.latest("files/state")["count"] == 1)
        wire = len(printer.wire.chunks)
        start = {"command": "start", "file": "long.gcode", "origin": "local"}
        assert (await bridge.call("job", start))["code"] == 200
        before = opened(printer)
        for what, change in IN_A_LOCAL_PRINT.items():
            port = str(tmp_path / "absent")
            for config in (merged(original, change, base, port), original):
                await reload(bridge.daemon, config)
                await prints_on(printer)
                assert opened(printer) == before, what
        lines = [line for line in printer.wire.sent(wire) if line.startswith("G1 X")]
        assert lines == (LONG.splitlines()[1:])[: len(lines)]
        await bridge.becomes("printing")
        assert (await bridge.call("job", {"command": "cancel"}))["code"] == 200
        await until(lambda: bridge.latest("job/result")["outcome"] == "cancelled")
        assert bridge.event_names().count("print_started") == 1
        assert "print_failed" not in bridge.event_names()


async def test_a_printer_that_is_removed_is_left_cold(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated("simulator://marlin?speed=30", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "dropped") as bridge,
    ):
        config = yaml.safe_load(bridge.daemon.config.read_text())
        await bridge.operational()
        answer = await bridge.call("bed", {"command": "target", "target": 60})
        assert answer["status"] == "finished"
        other = {"id": "other", "serial": {"port": str(tmp_path / "absent")}}
        await reload(bridge.daemon, config | {"printers": [other]})
        assert "M140 S0" in printer.wire.sent()
        await until(lambda: "heaters_off" in bridge.event_names())
        events = [e for e in bridge.events() if e["event"] == "heaters_off"]
        assert [event["cause"] for event in events] == ["exit"]
