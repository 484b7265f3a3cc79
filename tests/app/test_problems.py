"""A printer that is not served any more is visible: to the process and on MQTT."""

import asyncio
import json
import tempfile
from pathlib import Path

import pytest

from bridge.app.station import GRACE
from bridge.app.supervisor import Supervisor
from bridge.cli.main import main
from bridge.config import Config, Mqtt, PrinterConfig, Serial
from tests.support.apps import running
from tests.support.brokers import mosquitto
from tests.support.mqtt_client import connected
from tests.support.printers import scripted
from tests.support.users import without_rights
from tests.support.waiting import until

ONE = {"one": "simulator://marlin"}


def configured(folder: Path, serial: dict[str, str], broker: int = 1) -> Config:
    """Return printers by id and port; by default at a broker that is away."""
    printers = tuple(
        PrinterConfig(id=name, serial=Serial(port=place, baudrate=115200))
        for name, place in serial.items()
    )
    mqtt = Mqtt(host="127.0.0.1", port=broker, state_folder=folder / "state")
    return Config(mqtt=mqtt, printers=printers)


async def end(function: str) -> None:
    """Cancel the task that runs a function, as a fault in it might."""
    (task,) = [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__qualname__", "") == function
    ]
    task.cancel()
    await asyncio.wait([task])


async def test_a_link_is_stuck_when_what_is_due_is_very_late(tmp_path: Path) -> None:
    mute, absent = tmp_path / "printer", tmp_path / "none"
    config = configured(tmp_path, {"mute": str(mute), "absent": str(absent)})
    with scripted(mute, silent=True) as printer:
        async with running(config) as bridge:
            await until(lambda: bool(printer.wire.chunks))
            now = asyncio.get_running_loop().time()
            stations = {station.name: station for station in bridge.stations}
            assert [s.problem(now) for s in bridge.stations] == [None, None]
            text = stations["mute"].problem(now + GRACE + 20) or ""
            assert text.startswith("the link to mute has been stuck for ")


@pytest.mark.parametrize(
    ("function", "task"),
    [
        ("Link.run", "printer"),
        ("Printer.run", "printer"),
        ("Station._tick", "publisher"),
        ("Broker.run", "broker"),
    ],
)
async def test_a_task_that_ends_in_silence_is_a_problem_at_once(
    tmp_path: Path, function: str, task: str
) -> None:
    async with running(configured(tmp_path, ONE)) as bridge:
        (station,) = bridge.stations
        await until(lambda: station.printer.state.link == "operational")
        now = asyncio.get_running_loop().time()
        assert station.problem(now) is None
        await end(function)
        await until(lambda: station.problem(now) is not None)
        assert station.problem(now) == f"the {task} task of one has ended"


async def test_a_command_to_reconnect_fails_where_nothing_would_do_it(
    tmp_path: Path,
) -> None:
    with mosquitto() as broker:
        config = configured(tmp_path, ONE, broker.port)
        base = config.base(config.printers[0])
        async with running(config) as bridge:
            await bridge.online()
            await end("Link.run")
            with connected(broker.port, f"{base}/response") as client:
                await client.publish(f"{base}/link", b'{"command": "reconnect"}')
                heard = await client.hears(f"{base}/response")
    answer = json.loads(heard.payload)
    assert (answer["status"], answer["error"]) == ("failed", "disconnected")
    assert "restart the bridge" in answer["message"]


async def test_a_printer_that_nothing_serves_any_more(tmp_path: Path) -> None:
    names = {"one": "simulator://marlin", "two": "simulator://klipper"}
    supervisor = Supervisor(configured(tmp_path, names))
    serving = asyncio.create_task(supervisor.run())
    await supervisor.begun.wait()
    await until(
        lambda: all(s.printer.state.link == "operational" for s in supervisor.stations)
    )
    now = asyncio.get_running_loop().time()
    assert supervisor.problem(now) is None
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "two"]
    task.cancel()
    await asyncio.wait([task])
    assert supervisor.problem(now) == "two is no longer served"
    serving.cancel()
    await asyncio.wait([serving])


async def test_health_says_so(tmp_path: Path) -> None:
    with mosquitto() as broker:
        config = configured(tmp_path, ONE, broker.port)
        topic = f"{config.base(config.printers[0])}/health"
        async with running(config) as bridge:
            await bridge.online()
            with connected(broker.port, topic) as watcher:
                await watcher.hears(topic)
                assert json.loads(watcher.heard[0].payload)["problem"] is None
                await end("Link.run")
                wanted = b'"problem":"the printer task of one has ended"'
                await until(lambda: wanted in watcher.heard[-1].payload)


async def test_a_port_that_cannot_even_be_looked_at_costs_one_printer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = str(tmp_path / ("x" * 300))
    config = configured(tmp_path, ONE | {"two": port})
    async with running(config) as bridge:
        one, two = bridge.stations
        await until(lambda: one.printer.state.link == "operational")
        await until(lambda: f"{port} cannot be opened (File name too" in caplog.text)
        assert two.printer.state.link != "operational"
        now = asyncio.get_running_loop().time()
        assert [s.problem(now) for s in bridge.stations] == [None, None]


def test_check_warns_of_a_port_that_may_not_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        file = Path(name, "config.yaml")
        file.write_text(f"printers: [{{serial: {{port: {tmp_path}/port}}}}]")
        assert main(["check", "--config", str(file)]) == 0
        assert capsys.readouterr().err == ""
        with without_rights(tmp_path):
            assert main(["check", "--config", str(file)]) == 0
    assert capsys.readouterr().err == (
        f"warning: {file}:1: printer: no permission to open {tmp_path}/port: the "
        "folder it is in may not be read by the bridge's user\n"
    )
