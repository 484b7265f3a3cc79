"""A real Mosquitto: in a container where an engine can run one, otherwise the binary.

Never a skip: where neither is to be had, the tests that ask for a broker fail with the
line that installs it. ``GCODE2MQTT_TEST_BROKER`` forces one with ``container`` or
``binary``.
"""

import base64
import functools
import gc
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from tests.support.ports import held_port, held_socket
from tests.support.waiting import DEADLINE

IMAGE = "eclipse-mosquitto:2"
CHOICE = "GCODE2MQTT_TEST_BROKER"
PLUGIN = "mosquitto_dynamic_security.so"
RUNNING = " running"
"""How a line of Mosquitto's log ends once all its listeners are open."""


class BrokerUnavailableError(RuntimeError):
    """No real broker could be started; the tests must fail on this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a test needs from the broker.

    Attributes:
        options: lines of ``mosquitto.conf`` after the listener; ``{folder}`` is where
            the files are, ``{plugins}`` where Mosquitto's own plugins are.
        whole: a ``mosquitto.conf`` instead, with ``{port}``, ``{second_port}`` and
            ``{third_port}``.
        files: what lies beside the configuration.
        persistent: retained messages survive an orderly restart.
        websockets: it listens for them, on a port of their own.

    """

    options: str = "allow_anonymous true"
    whole: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    persistent: bool = False
    websockets: bool = False

    def configuration(self, places: Mapping[str, object]) -> str:
        """Return a ``mosquitto.conf``, with the places filled in."""
        lines = [
            f"persistence {str(self.persistent).lower()}",
            "persistence_location {folder}/",
            "listener {port}",
            self.options,
        ]
        if self.websockets:
            lines += ["listener {second_port}", "protocol websockets"]
        text = self.whole or "\n".join(lines) + "\n"
        for name, value in places.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text


class Mosquitto(Protocol):
    """A broker that a test can start and stop; it keeps its ports."""

    host: str
    port: int
    second_port: int
    third_port: int

    def start(self) -> None:
        """Start it and wait until it listens."""

    def stop(self) -> None:
        """Stop it cleanly."""

    def kill(self) -> None:
        """Kill it."""

    def log(self) -> str:
        """Return its log."""

    def close(self) -> None:
        """Stop it for good."""


class BinaryMosquitto:
    """The binary on the PATH."""

    host = "127.0.0.1"

    def __init__(self, spec: Spec, binary: str) -> None:
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="mosquitto-"))
        self._log = self._folder / "log"
        # Held, so that nobody else takes them while the broker is down.
        self._held = held_socket(), held_socket(), held_socket()
        self.port, self.second_port, self.third_port = (
            one.getsockname()[1] for one in self._held
        )
        for name, content in spec.files.items():
            (self._folder / name).write_bytes(content)
        # Started by root it would drop its privileges, and could not read our folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        places = {
            "folder": self._folder,
            "plugins": next(Path("/usr/lib").rglob(PLUGIN)).parent,
            "port": self.port,
            "second_port": self.second_port,
            "third_port": self.third_port,
        }
        text = spec.configuration(places)
        (self._folder / "mosquitto.conf").write_text(user + text)

    def start(self) -> None:
        before = self.log().count(RUNNING)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "-v", "-c", str(self._folder / "mosquitto.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _wait_for_log(self, before)

    def stop(self) -> None:
        if self._process is None:
            return
        ends = time.monotonic() + DEADLINE
        while True:
            # A broker that has only just started can miss the signal.
            self._process.terminate()
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                if time.monotonic() > ends:
                    raise
            else:
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        self.stop()
        for held in self._held:
            held.close()
        shutil.rmtree(self._folder)


class ContainerMosquitto:
    """The official image."""

    def __init__(self, spec: Spec) -> None:
        folder = "/mosquitto/config"
        text = spec.configuration(
            {
                "folder": folder,
                "plugins": "/usr/lib",
                "port": 1883,
                "second_port": 9001,
                "third_port": 1884,
            }
        )
        # Fixed ports on the host, because a restart must not change them.
        with (
            held_port() as self.port,
            held_port() as self.second_port,
            held_port() as self.third_port,
        ):
            pass
        container = DockerContainer(IMAGE)
        container.with_bind_ports(1883, self.port)
        container.with_bind_ports(9001, self.second_port)
        container.with_bind_ports(1884, self.third_port)
        for name, content in {**spec.files, "mosquitto.conf": text.encode()}.items():
            container.with_copy_into_container(content, f"{folder}/{name}", 0o644)
        self._container = container
        container.start()
        self.host = container.get_container_host_ip()
        _wait_for_log(self, 0)

    def start(self) -> None:
        before = self.log().count(RUNNING)
        self._container.get_wrapped_container().start()
        _wait_for_log(self, before)

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=10)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def log(self) -> str:
        return b"".join(self._container.get_logs()).decode(errors="replace")

    def close(self) -> None:
        self._container.stop()


@contextmanager
def mosquitto(spec: Spec | None = None, *, start: bool = True) -> Iterator[Mosquitto]:
    """Run a broker; without ``start`` it is only prepared, and its port is closed."""
    broker = _make(spec if spec is not None else Spec())
    try:
        if not start:
            broker.stop()
        yield broker
    finally:
        broker.close()


def hashed(password: str) -> tuple[str, str]:
    """Return a salt and the hash that Mosquitto stores with it, in 101 rounds."""
    salt = b"twelve bytes"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return base64.b64encode(salt).decode(), base64.b64encode(digest).decode()


def password_line(username: str, password: str) -> str:
    """Return a line of a password file as ``mosquitto_passwd`` writes it."""
    salt, digest = hashed(password)
    return f"{username}:$7$101${salt}${digest}\n"


def binary() -> str:
    """Return the path of Mosquitto's binary.

    Raises:
        BrokerUnavailableError: There is none; the message says how to install it.

    """
    places = os.pathsep.join(
        [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    )
    found = shutil.which("mosquitto", path=places)
    if found is None:
        raise BrokerUnavailableError(
            "no broker for the tests: no container engine answers and there is no "
            "mosquitto on the PATH; as root: apt-get install mosquitto"
        )
    return found


def _make(spec: Spec) -> Mosquitto:
    if os.environ.get(CHOICE, _engine()) == "container":
        return ContainerMosquitto(spec)
    broker = BinaryMosquitto(spec, binary())
    broker.start()
    return broker


@functools.cache
def _engine() -> str:
    """Return the default: a container if one can run."""
    with warnings.catch_warnings():
        # A failed attempt leaks its socket, which is reported when collected.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            # Without a limit, an engine that does not respond would cost a minute.
            client = DockerClient(timeout=2).client
            client.ping()
            client.close()
            ContainerMosquitto(Spec()).close()
        except Exception:  # noqa: BLE001 - whatever is wrong there, the binary will do
            return "binary"
        finally:
            gc.collect()
    return "container"


def _wait_for_log(broker: Mosquitto, before: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while broker.log().count(RUNNING) <= before:
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(f"mosquitto does not start:\n{broker.log()}")
        time.sleep(0.01)
