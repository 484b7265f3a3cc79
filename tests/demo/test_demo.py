"""The demo as a newcomer starts it, and what becomes of it when things go wrong."""

import dataclasses
import io
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.config import Mqtt
from bridge.demo import broker as demo_broker
from bridge.demo.output import LEFT_OUT, DemoOutput
from bridge.demo.scenario import STEPS, ScenarioRunner, Step, lines_to_try, run_scenario
from bridge.demo.setup import DemoSetup, run_demo
from bridge.errors import BrokerError
from bridge.mqtt.one_shot import OneShotClient
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.daemons import SCRIPT, run_script
from tests.support.mqtt_client import connected
from tests.support.waiting import DEADLINE


def test_the_scenario_shows_both_sides_and_ends_well() -> None:
    done = run_script("demo", "--script")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    shown = done.stdout
    assert LEFT_OUT in shown
    assert 'MQTT → printer/head {"command": "jog", "x": 10, "y": 5, "z": 0.02}' in shown
    assert shown.index("G91*") < shown.index("G0 X10 Y5 Z0.02 F200*")
    assert "wire → M112\n" in shown
    assert "/api/files/local: 201 Created" in shown
    assert '"state": "paused", "file": "square.gcode"' in shown
    assert '"layer": 4, "layers": 4' in shown
    assert "MQTT ← printer/connection online" in shown
    assert f"✓ {len(STEPS)} of {len(STEPS)} steps succeeded" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_somebody_stops_it(number: signal.Signals) -> None:
    with subprocess.Popen(
        [SCRIPT, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        shown = [next(line for line in lines if "Try this" in line)]
        shown += [next(lines) for _ in range(3)]
        assert all("127.0.0.1" in line for line in shown[1:])
        assert any("until Ctrl-C" in line for line in lines)
        # As the terminal does it: to the whole group.
        os.killpg(process.pid, number)
        before = time.monotonic()
        rest = process.stdout.read()
        assert process.wait(DEADLINE) == 0
    assert "Traceback" not in rest
    assert time.monotonic() - before < DEADLINE


def test_it_ends_after_the_time_that_was_asked_for() -> None:
    assert run_script("demo", "--seconds", "0.5").returncode == 0


def test_a_broker_that_is_not_there_is_one_line() -> None:
    done = run_script("demo", "--script", "--broker", "127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def own() -> Iterator[Mosquitto]:
    with mosquitto() as running:
        yield running


async def test_nothing_is_left_on_a_broker_of_the_user_s(own: Mosquitto) -> None:
    output = DemoOutput(io.StringIO())

    async def play(setup: DemoSetup) -> bool:
        return await run_scenario(setup, output)

    assert await run_demo(play, output.wire, (own.host, own.port))
    with connected(own.port, "#", host=own.host) as later:
        await later.publish("marker")
        await later.hears("marker")
        assert [heard.topic for heard in later.heard] == ["marker"]


async def test_it_works_with_the_broker_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_broker, "find_mosquitto", lambda: None)
    out = io.StringIO()
    output = DemoOutput(out)

    async def play(setup: DemoSetup) -> bool:
        assert setup.broker.startswith("iotcore (for MQTT 3.1.1 at port ")
        return await run_scenario(setup, output)

    assert await run_demo(play, output.wire), out.getvalue()


JOG = STEPS[0]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (dataclasses.replace(JOG, status="failed"), "the response says ('finished', N"),
        (dataclasses.replace(JOG, wire=("G91",)), "sent ['G91', 'G0 X10 Y5 Z"),
        (
            dataclasses.replace(JOG, until=lambda _latest: False),
            "the expected state was not reached",
        ),
        (
            Step(title="", topic="response/none", payload=""),
            "there was no response",
        ),
    ],
)
async def test_a_step_that_goes_wrong_is_seen(step: Step, problem: str) -> None:
    out = io.StringIO()
    output = DemoOutput(out)

    async def play(setup: DemoSetup) -> bool:
        usual = ScenarioRunner(setup, output, step_timeout=DEADLINE)
        # Only what never happens is waited for in vain, so that may be short.
        in_vain = problem in {
            "the expected state was not reached",
            "there was no response",
        }
        hasty = ScenarioRunner(setup, output, step_timeout=0.5 if in_vain else DEADLINE)
        return await usual.wait_until_online() and await hasty.run_step(step)

    assert not await run_demo(play, output.wire)
    assert f"✗ {problem}" in out.getvalue()


async def test_a_bridge_that_fails_ends_the_play(own: Mosquitto) -> None:
    async def play(setup: DemoSetup) -> bool:
        rival = Mqtt(host=own.host, port=own.port)
        assert setup.mqtt.port == rival.port
        own.stop()
        await ScenarioRunner(setup, DemoOutput(io.StringIO())).wait_for(lambda: False)
        return True

    with pytest.raises(BrokerError):
        await run_demo(play, lambda _direction, _data: None, (own.host, own.port))


def test_newcomers_without_mosquitto_s_clients_have_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = DemoSetup(
        broker="iotcore",
        mqtt=Mqtt(host="127.0.0.1", port=4711),
        base="printer",
        client=OneShotClient.__new__(OneShotClient),
        upload=5000,
        key="0123456789abcdef",
    )
    monkeypatch.setattr("sys.argv", [str(SCRIPT)])
    monkeypatch.setenv("PATH", "/nowhere")
    watch, jog, where = lines_to_try(setup)
    assert watch == f"{SCRIPT} watch --broker 127.0.0.1:4711 --topic printer"
    assert jog.endswith("""head '{"command": "jog", "x": 10, "y": 5}'""")
    assert where.endswith("""command '{"command": "M114"}'""")
    monkeypatch.setattr("sys.argv", ["-c"])
    assert " -m bridge watch " in lines_to_try(setup)[0]


def test_mosquitto_s_clients_are_offered_where_they_are(tmp_path: Path) -> None:
    setup = DemoSetup(
        broker="mosquitto",
        mqtt=Mqtt(host="127.0.0.1", port=4711),
        base="printer",
        client=OneShotClient.__new__(OneShotClient),
        upload=5000,
        key="0123456789abcdef",
    )
    lines = lines_to_try(setup, which=lambda name: str(tmp_path / name))
    assert lines[0] == "mosquitto_sub -h 127.0.0.1 -p 4711 -v -t 'printer/#'"
