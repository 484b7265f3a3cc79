"""A first configuration: what is asked on a terminal, and what is written."""

import contextlib
import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.cli.init import port_problem, short_id
from bridge.config_file import load
from tests.support.brokers import Spec, mosquitto, password_line
from tests.support.daemons import SCRIPT, run_script
from tests.support.printers import simulated
from tests.support.waiting import DEADLINE


class Terminal:
    """The script at a terminal, and a person who reads and types."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            [SCRIPT, "init", *arguments],
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def reads(self, text: str) -> None:
        """Read until a text is there; what came before it is forgotten."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], 0.1)
            if ready:
                self.shown += self._more()
            assert time.monotonic() < deadline, f"no {text!r} in {self.shown!r}"
        self.shown = self.shown.partition(text)[2]

    def answers(self, question: str, answer: str) -> None:
        """Wait for a question, and answer it."""
        self.reads(question)
        os.write(self._master, answer.encode() + b"\n")

    def types(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def interrupts(self) -> None:
        """Press Ctrl-C, again where it came a moment before the script was reading.

        Sent as a signal: the pseudo-terminal is nobody's controlling one.
        """
        deadline = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < deadline:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)

    def ends(self) -> int:
        """Return the exit code."""
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        """Hang up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _more(self) -> str:
        try:
            return os.read(self._master, 4096).decode()
        except OSError:  # it has ended
            return ""


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    running = Terminal(folder, *arguments)
    try:
        yield running
    finally:
        running.close()


def test_everything_is_found_and_written(tmp_path: Path) -> None:
    spec = Spec(
        options="allow_anonymous false\npassword_file {folder}/passwords",
        files={"passwords": password_line("bridge", "hunter2").encode()},
    )
    url = "simulator://marlin?speed=1000&extruders=2&bed=0"
    with (
        mosquitto(spec) as broker,
        simulated(url, tmp_path / "port"),
        terminal(tmp_path) as person,
    ):
        person.answers("MQTT broker [localhost:1883]: ", "localhost:0")
        person.reads("with a port from 1 to 65535")
        for wrong, problem in (
            ("my broker", "must not contain spaces"),
            ("me@broker", "must be HOST or HOST:PORT, without"),
            ("mqtt://broker", "must be HOST or HOST:PORT, without"),
            ("broker/mqtt", "must not contain a path"),
        ):
            person.answers("MQTT broker [localhost:1883]: ", wrong)
            person.reads(problem)
        person.answers("MQTT broker [localhost:1883]: ", "127.0.0.1:1")
        person.answers("account there (empty: none): ", "")
        person.answers("keep it anyway? (y/n) [n]: ", "")
        person.answers("MQTT broker", f"{broker.host}:{broker.port}")
        person.answers("account there", "bridge")
        person.answers("password (not shown)", "hunter2")
        person.reads("the broker accepts the account")
        person.answers("called? [3D printer]: ", 'Ender "3"')
        person.answers("Its id, in topics [ender-3]: ", "not good")
        person.reads("an id is made of")
        person.answers("Its id, in topics [ender-3]: ", "")
        person.answers("ath", "COM3")
        person.reads("gcode2mqtt runs on Linux")
        person.answers("ath", str(tmp_path / "prot"))
        # A message begins on a line of its own, and what is wrong is asked again.
        wrong = f"\r\n  there is no {tmp_path / 'prot'}; is the printer plugged in"
        person.reads(f"{wrong} and switched on?\r\n")
        person.answers("keep it anyway? (y/n) [n]: ", "")
        person.answers("ath", str(tmp_path / "port"))
        person.answers("Ask it what it is?", "y")
        person.reads("heated bed: no")
        person.reads("config.yaml is written, with the topic printer. Next:")
        person.reads("gcode2mqtt run\r\n")
        person.reads("gcode2mqtt send request/state")
        assert person.ends() == 0
    config = load(tmp_path / "config.yaml", {})
    (printer,) = config.printers
    assert (config.mqtt.host, config.mqtt.port) == (broker.host, broker.port)
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "hunter2"
    secret = tmp_path / "config.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "hunter2" not in (tmp_path / "config.yaml").read_text()
    assert (printer.id, printer.name) == ("ender-3", 'Ender "3"')
    assert config.base(printer) == "printer"
    with (tmp_path / "config.yaml").open("a") as file:
        file.write("  - {id: second, topic: printers/second, serial: {port: x}}\n")
    two = load(tmp_path / "config.yaml", {})
    assert [two.base(one) for one in two.printers] == ["printer", "printers/second"]
    assert printer.serial.port == str(tmp_path / "port")
    assert printer.serial.baudrate == 115_200
    assert (printer.profile.extruders, printer.profile.heated_bed) == (2, False)


def test_without_broker_and_printer_it_is_written_to_be_corrected(
    tmp_path: Path,
) -> None:
    with terminal(tmp_path, "--config", "mine.yaml") as person:
        person.answers("MQTT broker", "127.0.0.1:1")
        person.answers("account there", "")
        person.answers("keep it anyway?", "y")
        person.answers("called?", "")
        person.answers("Its id", "")
        person.answers("ath", str(tmp_path / "nowhere"))
        person.answers("keep it anyway?", "y")
        person.answers("Ask it what it is?", "y")
        person.reads("the file will need correcting")
        person.reads("gcode2mqtt run --config mine.yaml")
        assert person.ends() == 0
    config = load(tmp_path / "mine.yaml", {})
    assert config.printers[0].id == "3d-printer"
    assert config.printers[0].serial.port == str(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("port", "problem"),
    [
        ("/dev/ttyUSB99", "there is no /dev/ttyUSB99; is the printer plugged in"),
        ("nowhere/port", "there is no nowhere/port"),
        ("/dev", "/dev is a folder, no port"),
        ("/etc/passwd", "/etc/passwd is a file, no port"),
        ("/dev/null/ttyUSB0", "there is no /dev/null/ttyUSB0"),
        ("/dev/\u0442tyACM0", "there is no"),
        ("/dev/null", None),
        ("auto", None),
        ("socket://printer:23", None),
    ],
)
def test_what_is_wrong_with_a_port_is_said(port: str, problem: str | None) -> None:
    said = port_problem(port)
    assert said is None if problem is None else said is not None and problem in said


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Größe 3", "groesse-3"),
        ("ENDER-3 V2", "ender-3-v2"),
        ("Straße/Küche", "strasse-kueche"),
        ("Élan Ñandú", "elan-nandu"),
        ("Łódź", "lodz"),
        ("Ærø", "aeroe"),
        ("プリンタ", "printer"),
        ("--- ", "printer"),
        ("x" * 100, "x" * 64),
    ],
)
def test_an_id_is_made_from_the_name(name: str, short: str) -> None:
    assert short_id(name) == short


@pytest.mark.parametrize("keys", [b"\x03", b"\x04"])
def test_who_stops_it_leaves_nothing(tmp_path: Path, keys: bytes) -> None:
    with terminal(tmp_path) as person:
        person.reads("MQTT broker")
        if keys == b"\x03":
            person.interrupts()
        else:
            person.types(keys)
        person.reads("gcode2mqtt: stopped; nothing was written")
        assert person.ends() == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["config.yaml", "config.password"])
def test_what_exists_is_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with terminal(tmp_path) as person:
        person.reads(f"{name} exists already")
        assert person.ends() == 2
    assert (tmp_path / name).read_text() == "mine"


def test_without_a_terminal_nobody_can_be_asked() -> None:
    done = run_script("init")
    assert done.returncode == 2
    assert "there is no terminal" in done.stderr
