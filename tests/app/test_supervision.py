"""What goes wrong with one printer is its own trouble; the others continue."""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from bridge.app.service import Service
from bridge.app.station import Station
from bridge.app.supervisor import Supervisor
from bridge.config import Config, Serial
from bridge.errors import FailedError
from bridge.notify import Notifier
from tests.support.apps import running
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.mqtt_client import connected
from tests.support.printers import scripted, simulated
from tests.support.printing import layers
from tests.support.waiting import until


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as broker:
        yield broker


def config_of(broker: Mosquitto, *names: str, **mqtt: object) -> Config:
    printers = [{"id": x, "serial": {"port": "simulator://marlin"}} for x in names]
    where = {"host": broker.host, "port": broker.port, **mqtt}
    return Config.model_validate({"mqtt": where, "printers": printers})


def bug(*_: object) -> NoReturn:
    raise ZeroDivisionError


def in_a_periodic_task(station: Station) -> None:
    station.publisher.tick = bug  # type: ignore[method-assign]  # injects a bug


def in_what_looks_after_the_printer(station: Station) -> None:
    station.printer.heat.next_due = bug  # type: ignore[method-assign]  # injects a bug


def in_the_task_of_the_link(station: Station) -> None:
    station.printer.link._places = bug  # type: ignore[method-assign]  # noqa: SLF001 - injects a bug
    station.printer.link.reconnect()


def in_a_listener_of_the_link(station: Station) -> None:
    station.printer.observer.handle = bug  # type: ignore[method-assign, assignment]  # injects a bug


def in_a_message(station: Station) -> None:
    station.printer.queue.arrival = bug
    station.broker._shared.on_message = bug  # noqa: SLF001 - injects a bug


def in_a_deferred_callback(station: Station) -> None:
    station.publisher.changed = bug  # type: ignore[method-assign]  # injects a bug


def in_a_timer(station: Station) -> None:
    """No task awaits what a timer raises: only the event loop gets it."""
    session = station.printer.link.session
    assert session is not None
    session.protocol.handle_timeout = bug  # type: ignore[method-assign, assignment]  # injects a bug
    session.protocol.next_timeout = float  # type: ignore[method-assign]  # it is due


@pytest.mark.parametrize(
    "inject",
    [
        in_a_periodic_task,
        in_what_looks_after_the_printer,
        in_the_task_of_the_link,
        in_a_listener_of_the_link,
        in_a_message,
        in_a_deferred_callback,
        in_a_timer,
    ],
)
async def test_a_bug_restarts_its_printer_alone(
    broker: Mosquitto,
    caplog: pytest.LogCaptureFixture,
    inject: Callable[[Station], None],
) -> None:
    names = (f"sick-{inject.__name__}", f"well-{inject.__name__}")
    base, other = (f"printers/{name}" for name in names)
    with connected(broker.port, f"{base}/#", f"{other}/#") as client:
        async with running(config_of(broker, *names, will_delay=300)) as app:
            await app.online()
            sick, well = app.stations
            untouched = well.printer.link.session
            inject(sick)
            heat = b'{"command": "target", "target": 50}'
            await client.publish(f"{base}/bed", heat)
            await until(lambda: len(app.stations) == 3)
            app.stations.remove(sick)
            await app.online()
            assert not app.task.done()
            assert well.printer.link.session is untouched
            said = [json.loads(x) for x in client.payloads(f"{base}/event")]
            errors = [x for x in said if x["event"] == "error"]
            error = next(x for x in errors if x["reason"] == "internal_error")
            assert "ZeroDivisionError" in error["error"]
            told = [json.loads(x)["reason"] for x in client.payloads(f"{base}/error")]
            assert "internal_error" in told
            assert client.payloads(f"{base}/availability")[-2:] == [
                b"offline",
                b"online",
            ]
            assert b"offline" not in client.payloads(f"{other}/availability")
    (record,) = (x for x in caplog.records if x.levelno == logging.ERROR)
    assert "the others are not affected" in record.message
    assert "ZeroDivisionError" in (record.exc_text or str(record.exc_info))


async def test_a_printer_that_fails_again_and_again_is_tried_less_and_less(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug that is there from the start is published too, and harms nobody else."""
    begun: list[str] = []
    clock = asyncio.get_running_loop().time

    def breaks(stations: Sequence[Station]) -> None:
        for station in stations:
            if station.name == "broken":
                begun.append(station.name)
                station.publisher.tick = bug  # type: ignore[method-assign]  # injects a bug

    supervisor = Supervisor(config_of(broker, "broken", "sound"), on_stations=breaks)
    task = asyncio.create_task(supervisor.run())
    with connected(broker.port, "printers/#") as client:
        try:
            await until(lambda: len(begun) == 4)
            assert not task.done()
            waits = re.findall(r"not served for ([\d.]+) s", caplog.text)
            pauses = [float(wait) for wait in waits]
            assert pauses[2] > pauses[0], pauses
            # Between the failure of a task and the end of its station there is one.
            await until(lambda: supervisor.problem(clock()) is None)
            await until(
                lambda: any(
                    b"internal_error" in x
                    for x in client.payloads("printers/broken/error")
                )
            )
            await client.hears("printers/sound/connection", b"online")
            await client.publish("printers/sound/request/ping")
            await client.hears("printers/sound/response")
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    records = [x for x in caplog.records if "traceback" in x.message]
    assert len(records) >= 3


async def test_a_reload_removes_a_printer_that_waits_to_start_again(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(config_of(broker, "waits", "one", "two"))
    task = asyncio.create_task(supervisor.run())
    await supervisor.begun.wait()
    waits, *others = supervisor.stations
    waits.publisher.tick = bug  # type: ignore[method-assign]  # injects a bug
    await until(lambda: "is not served for" in caplog.text)
    await supervisor.change(config_of(broker, "one", "two"))
    assert [*supervisor.stations] == others
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_stop_that_waits_for_its_printer_survives_a_failure_and_a_reload(
    broker: Mosquitto, tmp_path: Path
) -> None:
    port = tmp_path / "port"
    config = config_of(broker, "absent")
    away = Serial(port=str(port), baudrate=115200)
    printer = config.printers[0].model_copy(update={"serial": away})
    config = config.model_copy(update={"printers": (printer,)})
    patient = away.model_copy(update={"connect_timeout": 31.0})
    changed = printer.model_copy(update={"serial": patient})
    built: list[Station] = []
    supervisor = Supervisor(config, on_stations=built.extend)
    task = asyncio.create_task(supervisor.run())
    await supervisor.begun.wait()
    with pytest.raises(FailedError):
        built[0].printer.stop()
    built[0].publisher.tick = bug  # type: ignore[method-assign]  # injects a bug
    await until(lambda: len(built) == 2)
    assert built[1].printer.stop_owed
    problem = built[1].printer.state.problem
    assert problem is not None
    assert problem.reason == "emergency_stop", "it matters more than the failure"
    await supervisor.change(config.model_copy(update={"printers": (changed,)}))
    assert built[2].printer.stop_owed
    with scripted(port) as other:
        await until(lambda: built[2].printer.state.halted)
        assert other.wire.sent()[0] == "M112"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("kind", ["a reload", "a cancellation"])
async def test_what_ends_the_process_lets_each_printer_say_offline(
    broker: Mosquitto, kind: str
) -> None:
    """Whatever `will_delay` says: nobody knows how long the process will be away."""
    names = (f"{kind[2:]}-one", f"{kind[2:]}-two")
    bases = [f"printers/{name}" for name in names]
    config = config_of(broker, *names, will_delay=300)

    def broken_disk() -> NoReturn:
        raise ZeroDivisionError

    service = Service(broken_disk, Path("config.yaml"), Notifier({}))
    with connected(broker.port, *(f"{base}/#" for base in bases)) as client:
        task = asyncio.create_task(service.run(config))
        for base in bases:
            await client.hears(f"{base}/connection", b"online")
        if kind == "a reload":
            service.reload()
        else:
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result, BaseException)
        for base in bases:
            await client.hears(f"{base}/availability", b"offline")


@pytest.mark.parametrize(
    "inject",
    [
        in_a_periodic_task,
        in_what_looks_after_the_printer,
        in_the_task_of_the_link,
        in_a_timer,
    ],
)
async def test_a_bug_in_a_print_fails_it_and_leaves_nothing_hot(
    broker: Mosquitto, tmp_path: Path, inject: Callable[[Station], None]
) -> None:
    """What is printed by then is not sent again, and a person can continue with it."""
    name = f"printing-{inject.__name__}"
    base, link = f"printers/{name}", tmp_path / "tty"
    (tmp_path / "files" / name).mkdir(parents=True)
    text = "M104 S200\n" + "".join(f"{line}\n" for line in layers(400, 20))
    (tmp_path / "files" / name / "a.gcode").write_text(text)
    state = str(tmp_path / "state")
    serial = {"port": str(link), "baudrate": 115_200}
    config = Config.model_validate(
        {
            "mqtt": {"host": broker.host, "port": broker.port, "state_folder": state},
            "printers": [{"id": name, "topic": base, "serial": serial}],
            "files": {"folder": str(tmp_path / "files"), "keep_free": 0},
        }
    )
    with (
        simulated("simulator://marlin?speed=100", link) as printer,
        connected(broker.port, f"{base}/#") as client,
    ):
        async with running(config) as app:
            (sick,) = app.stations
            await until(
                lambda: (
                    b'"count":1'
                    in b"".join(client.payloads(f"{base}/files/state")[-1:])
                )
            )
            await until(lambda: sick.printer.state.link == "operational")
            start = {"command": "start", "file": "a.gcode"}
            await client.publish(f"{base}/job", json.dumps(start).encode())
            await until(lambda: (sick.printer.state.job.layer or 0) >= 4)
            inject(sick)
            await until(lambda: len(app.stations) == 2)
            app.stations.remove(sick)
            (well,) = app.stations
            await until(lambda: well.printer.state.link == "operational")
            sent = printer.wire.sent()
            moves = [x for x in sent if x.startswith("G1 X") and " E" in x]
            expected = [x for x in layers(400, 20) if x.startswith("G1 X")]
            assert moves == expected[: len(moves)]
            result = well.printer.state.job.result
            assert result is not None
            assert (result.outcome, result.file) == ("failed", "a.gcode")
            assert result.reason in {"bridge_stopped", "connection_lost"}
            assert not well.printer.printing.active
            point = well.printer.printing.interrupted
            assert point is not None
            assert point.targets["tool0"] == 200
            # Off before the link was closed, and not first by the next station.
            heaters = printer.firmware.machine.heaters
            if inject is not in_the_task_of_the_link:  # then the port is closed before
                assert heaters["tool0"].target == 0
            readers = [x.name for x in threading.enumerate() if "print" in x.name]
            assert not [x for x in readers if x != f"printer {link.name}"]
            # The queue does not begin another one on a bed that is not clear.
            assert printer.wire.sent().count("M104 S200") == 1
            await client.publish(f"{base}/job", json.dumps(start).encode())
            await until(lambda: well.printer.printing.active)
            await client.publish(f"{base}/job", b'{"command": "cancel"}')
            await until(lambda: not well.printer.printing.active)
