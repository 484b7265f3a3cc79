"""``send``, ``watch`` and ``health``, against a real broker and a real bridge."""

import json
import os
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from bridge.cli.client import shown
from bridge.config import Config
from bridge.mqtt.messages import Message
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.daemons import SCRIPT, Daemon, daemon, run_script
from tests.support.mqtt_client import TestClient, connected
from tests.support.waiting import DEADLINE


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as running:
        yield running


@pytest.fixture(scope="module")
def seen(broker: Mosquitto) -> Iterator[TestClient]:
    with connected(broker.port, "printer/#", host=broker.host) as client:
        yield client


@pytest.fixture(scope="module")
def bridge(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("bridge")
    config = {
        "mqtt": {
            "host": broker.host,
            "port": broker.port,
            "state_folder": str(folder / "state"),
        },
        "printers": [{"serial": {"port": "simulator://marlin?speed=100"}}],
    }
    with daemon(folder, config) as running:
        yield running


@pytest.fixture
async def online(bridge: Daemon, seen: TestClient) -> Daemon:
    await seen.hears("printer/connection", b"online")
    return bridge


def place(broker: Mosquitto) -> tuple[str, str]:
    return "--broker", f"{broker.host}:{broker.port}"


@pytest.mark.usefixtures("online")
async def test_send_prints_the_response(broker: Mosquitto) -> None:
    done = run_script("send", *place(broker), "command", '{"command": "M114"}')
    response = json.loads(done.stdout)
    assert (done.returncode, response["status"]) == (0, "finished")
    assert response["output"][0].startswith("X:")


@pytest.mark.usefixtures("online")
async def test_a_refused_command_is_exit_code_1(broker: Mosquitto) -> None:
    payload = '{"command": "jog", "x": "far", "id": "mine"}'
    done = run_script("send", *place(broker), "head", payload)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "invalid_payload"
    assert json.loads(done.stdout)["id"] == "mine"


async def test_a_command_that_we_may_not_publish_is_an_error_at_once() -> None:
    acl = b"topic read printer/#\ntopic write printer/availability\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with (
        mosquitto(Spec(options=options, files={"acl": acl})) as broker,
        connected(broker.port) as bridge,
    ):
        await bridge.publish("printer/availability", b"online", retain=True)
        done = run_script("send", *place(broker), "head", '{"command": "home"}')
    assert (done.returncode, done.stdout) == (1, "")
    assert "publish on printer/head (not authorised)" in done.stderr


async def test_send_takes_the_broker_from_a_configuration(online: Daemon) -> None:
    done = run_script("send", "--config", online.config, "request/ping")
    assert done.returncode == 0
    assert json.loads(done.stdout)["command"] == "ping"


def test_a_command_that_nobody_would_hear_is_not_sent(
    broker: Mosquitto, seen: TestClient
) -> None:
    done = run_script("send", *place(broker), "--topic", "printer/none", "head")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no bridge is online at printer/none/availability" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "printer/none/head" not in {message.topic for message in seen.heard}


async def test_a_bridge_that_is_just_starting_gets_the_command(
    broker: Mosquitto, seen: TestClient
) -> None:
    with sending(broker, "--topic", "printer/late", "head"):
        await seen.publish("printer/late/availability", b"online", retain=True)
        await seen.hears("printer/late/head")


@pytest.mark.parametrize("payload", ["{}", "now", ""])
async def test_an_emergency_waits_for_nobody(
    broker: Mosquitto, seen: TestClient, payload: str
) -> None:
    """Whatever its payload is: any message stops the printer."""
    topic = f"printer/gone{len(payload)}"
    with sending(broker, "--topic", topic, "emergency", payload) as process:
        await seen.hears(f"{topic}/emergency")
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert said == "gcode2mqtt: stopped before it was done\n"


async def test_a_bridge_that_goes_away_is_not_waited_for(
    broker: Mosquitto, seen: TestClient
) -> None:
    await seen.publish("printer/away/availability", b"online", retain=True)
    with sending(broker, "--topic", "printer/away", "head") as process:
        await seen.hears("printer/away/head")
        await seen.publish("printer/away/availability", b"offline", retain=True)
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert "went offline before it answered" in said
    assert "may have been carried out" in said


async def test_a_bridge_that_comes_back_may_still_answer(
    broker: Mosquitto, seen: TestClient
) -> None:
    await seen.publish("printer/back/availability", b"online", retain=True)
    payload = '{"command": "home", "id": "late"}'
    with sending(broker, "--topic", "printer/back", "head", payload) as process:
        await seen.hears("printer/back/head")
        for word in (b"offline", b"online"):
            await seen.publish("printer/back/availability", word, retain=True)
        answer = b'{"id": "late", "status": "finished"}'
        await seen.publish("printer/back/response", answer)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 0


@contextmanager
def sending(broker: Mosquitto, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [SCRIPT, "send", *place(broker), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("payload", ["", "jog", "[1]", "3"])
def test_what_is_no_json_object_is_not_sent(payload: str) -> None:
    done = run_script("send", "head", payload)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["send", "head"], ["watch"]])
def test_a_broker_that_is_not_there_is_exit_code_1(command: list[str]) -> None:
    done = run_script(*command, "--broker", "127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("online")
async def test_watch_prints_what_is_published(broker: Mosquitto) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - the test waits for nothing else
        [SCRIPT, "watch", *place(broker)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        pattern = r"\d\d:\d\d:\d\d printer/availability online\n"
        assert any(re.fullmatch(pattern, line) for line in lines)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) == 0


async def test_watch_can_show_events_and_responses_only(
    broker: Mosquitto, seen: TestClient
) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - the test waits for nothing else
        [SCRIPT, "watch", *place(broker), "--topic", "printer/noisy", "--events"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        await seen.publish("printer/noisy/response", b"ready?", retain=True)
        assert process.stdout.readline().endswith(" printer/noisy/response ready?\n")
        await seen.publish("printer/noisy/state", b"{}")
        await seen.publish("printer/noisy/event", "é\x1b[31m\n".encode())
        assert process.stdout.readline().endswith(
            " printer/noisy/event é\\x1b[31m\\n\n"
        )
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    await seen.publish("printer/noisy/response", b"", retain=True)


WIDTH = 40
LONG = b"x" * 100


@pytest.mark.parametrize("full", [False, True])
async def test_watch_shortens_lines_for_a_terminal_only(
    broker: Mosquitto,
    seen: TestClient,
    full: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """What is read by a program is whole (see the test before)."""
    await seen.publish("printer/wide/state", LONG, retain=True)
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, WIDTH))
    options = ["--full"] if full else []
    with subprocess.Popen(  # noqa: ASYNC220 - the test waits for nothing else
        [SCRIPT, "watch", *place(broker), "--topic", "printer/wide", *options],
        stdout=slave,
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
        start_new_session=True,
    ) as process:
        os.close(slave)
        with os.fdopen(master, encoding="utf-8", newline="\n") as terminal:
            line = terminal.readline().rstrip("\r\n")
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(DEADLINE) == 0
    assert len(line) == (
        WIDTH if not full else len("00:00:00 printer/wide/state ") + 100
    )
    assert line.endswith("…") is not full
    await seen.publish("printer/wide/state", b"", retain=True)


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        (b"plain", "12:30:00 a/b plain"),
        ("é…".encode(), "12:30:00 a/b é…"),
        (b"two\nlines", r"12:30:00 a/b two\nlines"),
        (b"\x1b[2J", r"12:30:00 a/b \x1b[2J"),
        (b"\x9b2J", r"12:30:00 a/b \x9b2J"),
        ("\u202egnp".encode(), r"12:30:00 a/b \u202egnp"),
        (b"\xff\x00", r"12:30:00 a/b \xff\x00"),
        (b"", "12:30:00 a/b "),
    ],
)
def test_what_others_send_does_not_control_the_terminal(
    payload: bytes, line: str
) -> None:
    message = Message(topic="a/b", payload=payload)
    assert shown(message, datetime(2026, 1, 1, 12, 30)) == line  # noqa: DTZ001 - people's own time


async def test_broker_topic_and_printer_are_found_in_the_configuration(
    online: Daemon, tmp_path: Path
) -> None:
    """As for every other subcommand: ./config.yaml, and the only printer in it."""
    (tmp_path / "config.yaml").symlink_to(online.config)
    done = run_script("send", "request/ping", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = run_script("send", "request/ping", "--printer", "printer", cwd=tmp_path)
    assert done.returncode == 0
    done = run_script("send", "request/ping", "--printer", "pinter", cwd=tmp_path)
    assert done.returncode == 2
    assert 'there is no "pinter"; did you mean "printer"?' in done.stderr


def test_one_of_several_printers_must_be_chosen(tmp_path: Path) -> None:
    ports = [f"/dev/none{number}" for number in range(2)]
    config = {"printers": [{"id": f"p{p[-1]}", "serial": {"port": p}} for p in ports]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    done = run_script("send", "request/ping", cwd=tmp_path)
    assert done.returncode == 2
    assert "the configuration has several printers; choose --printer" in done.stderr


def test_an_emergency_stop_that_nobody_heard_says_so(broker: Mosquitto) -> None:
    topic = "printer/deserted"
    done = run_script("send", *place(broker), "--topic", topic, "emergency")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f"it was published, but no bridge is online at {topic}/availability"
        in done.stderr
    )


def test_a_misspelt_topic_is_not_waited_for(broker: Mosquitto) -> None:
    done = run_script("send", *place(broker), "haed", '{"command": "home"}')
    assert done.returncode == 2
    assert 'unknown topic "haed"; did you mean "head"?' in done.stderr


async def test_health_sees_the_daemon(online: Daemon, seen: TestClient) -> None:
    await seen.hears("printer/health")
    done = run_script("health", "--config", online.config)
    assert (done.returncode, done.stdout) == (0, "printer: online\n")


def write(folder: Path, broker: Mosquitto, topic: str) -> Path:
    config = {
        "mqtt": {"host": broker.host, "port": broker.port},
        "printers": [{"topic": topic}],
    }
    Config.model_validate(config)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.mark.parametrize(
    ("retained", "problem"),
    [
        ((b"offline", b"{}"), "offline, says elsewhere/availability"),
        ((b"online", b"no json"), "no heartbeat on elsewhere/health"),
        (
            (b"online", b'{"time": "2020-01-01T00:00:00Z"}'),
            "the last heartbeat on elsewhere/health is ",
        ),
        (
            (b"online", b'{"time": "2999-01-01T00:00:00Z", "problem": "it is stuck"}'),
            "it is stuck",
        ),
    ],
)
async def test_health_sees_that_there_is_no_daemon(
    broker: Mosquitto,
    seen: TestClient,
    tmp_path: Path,
    retained: tuple[bytes, bytes],
    problem: str,
) -> None:
    for what, payload in zip(("availability", "health"), retained, strict=True):
        await seen.publish(f"elsewhere/{what}", payload, retain=True)
    done = run_script("health", "--config", write(tmp_path, broker, "elsewhere"))
    assert done.returncode == 1
    assert done.stdout.startswith(f"printer: {problem}")


def test_health_without_a_word_from_anybody(broker: Mosquitto, tmp_path: Path) -> None:
    done = run_script("health", "--config", write(tmp_path, broker, "nobody"))
    assert done.returncode == 1
    assert done.stdout == "printer: offline, says nobody/availability\n"
