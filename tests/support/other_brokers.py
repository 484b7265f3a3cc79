"""Real brokers other than Mosquitto, where they are installed: they are never required.

Debian has RabbitMQ (``rabbitmq-server``), NATS (``nats-server``) and ejabberd; aedes
comes from npm, into a folder that ``GCODE2MQTT_AEDES`` names.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.topics import TABLE, Topics
from tests.support.ports import held_port
from tests.support.waiting import DEADLINE

AEDES = "GCODE2MQTT_AEDES"
START_TIMEOUT = 120.0
"""Seconds; RabbitMQ takes ten on an idle machine."""

AEDES_SCRIPT = """
import { Aedes } from 'aedes'
import net from 'node:net'
const [, , port, ...forbidden] = process.argv
const refuse = (what) => forbidden.includes(what) ? new Error('no right') : null
const broker = await Aedes.createBroker({
  authorizePublish: (_, packet, done) => done(refuse('publish ' + packet.topic)),
  authorizeSubscribe: (_, wanted, done) => {
    const error = refuse('subscribe ' + wanted.topic)
    error ? done(error) : done(null, wanted)
  },
})
net.createServer(broker.handle).listen(+port, '127.0.0.1')
"""
NATS_CONFIG = """
server_name: test
host: 127.0.0.1
port: -1
jetstream {{ store_dir: "{folder}" }}
mqtt {{ host: 127.0.0.1, port: {port} }}
"""
EJABBERD_CONFIG = """
hosts: [localhost]
auth_method: [anonymous]
anonymous_protocol: both
allow_multiple_connections: true
listen:
- {{port: {port}, ip: 127.0.0.1, module: mod_mqtt, backlog: 1000}}
modules:
  mod_mqtt:
    access_publish: {publish}
    access_subscribe: {subscribe}
"""
_TOPICS = Topics("printer")
EVERY_TOPIC = (
    *(_TOPICS.of(row) for row in TABLE),
    *(*_TOPICS.commands, *_TOPICS.near_misses, _TOPICS.heaters),
    *("printer/doctor", "homeassistant/status", "homeassistant/device/+/config"),
)
NATS_NODE = """
server_name: node{number}
host: 127.0.0.1
port: -1
jetstream {{ store_dir: "{folder}/{number}" }}
cluster {{ name: test, host: 127.0.0.1, port: {route}, routes: [{routes}] }}
mqtt {{ host: 127.0.0.1, port: {port}, stream_replicas: 3 }}
"""
NODES = 3
RABBIT_CONFIG = """
listeners.tcp = none
mqtt.listeners.tcp.1 = 127.0.0.1:{port}
mqtt.allow_anonymous = true
load_definitions = {folder}/definitions.json
"""


RABBIT_CLUSTER = """
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.discovery_retry_limit = 2
"""
RABBIT_PEER = "cluster_formation.classic_config.nodes.{number} = test{port}@localhost\n"


@dataclass(frozen=True, slots=True)
class Start:
    """How a broker is started.

    Attributes:
        command: program and arguments.
        environment: what is added to the environment.
        cleanup: a command that is run afterwards.

    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    cleanup: Sequence[str] = ()


def _aedes(folder: Path, port: int, forbidden: Sequence[str]) -> Start | None:
    place = os.environ.get(AEDES)
    if place is None or shutil.which("node") is None:
        return None
    (folder / "serve.mjs").write_text(AEDES_SCRIPT)
    (folder / "node_modules").symlink_to(Path(place).resolve() / "node_modules")
    return Start(["node", str(folder / "serve.mjs"), str(port), *forbidden])


def _nats(folder: Path, port: int, _forbidden: Sequence[str]) -> Start | None:
    if shutil.which("nats-server") is None:
        return None
    config = folder / "nats.conf"
    config.write_text(NATS_CONFIG.format(folder=folder, port=port))
    return Start(["nats-server", "-c", str(config)])


def _ejabberd(folder: Path, port: int, forbidden: Sequence[str]) -> Start | None:
    libraries = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
    if not libraries or shutil.which("erl") is None:
        return None

    def allowed(verb: str) -> str:
        """Return rules without what is forbidden; a filter allows what it matches."""
        topics = [one.partition(" ")[2] for one in forbidden if one.startswith(verb)]
        every = EVERY_TOPIC if topics else ("#",)
        return json.dumps({one: "all" for one in every if one not in topics})

    rules = {verb: allowed(verb) for verb in ("publish", "subscribe")}
    config = folder / "ejabberd.yml"
    config.write_text(EJABBERD_CONFIG.format(port=port, **rules))
    environment = {
        "HOME": str(folder),
        "ERL_LIBS": str(libraries[-1].parent.parent),
        "EJABBERD_CONFIG_PATH": str(config),
        "EJABBERD_LOG_PATH": str(folder / "log"),
    }
    # Debian's command changes the user; without a name the node needs no epmd.
    place = ["-mnesia", "dir", f'"{folder}/data"']
    return Start(["erl", "-noinput", *place, "-s", "ejabberd"], environment)


def _rabbitmq(folder: Path, port: int, forbidden: Sequence[str]) -> Start | None:
    return _rabbitmq_node(folder, port, forbidden, _free_port(), folder)


def _rabbitmq_node(  # noqa: PLR0913, PLR0917 - what the nodes of a cluster share, and do not
    folder: Path,
    port: int,
    forbidden: Sequence[str],
    epmd: int,
    home: Path,
    cluster: Sequence[int] = (),
) -> Start | None:
    """Return how to start one node; ``None``: RabbitMQ is not installed.

    Args:
        folder: where it keeps its files.
        port: where it listens.
        forbidden: see :func:`other_broker`.
        epmd: the port of Erlang's port mapper, one for all nodes of a cluster.
        home: the folder with the cookie, by which Erlang's nodes trust each other.
        cluster: the ports of all nodes of its cluster.

    """
    # Debian's command changes the user; this is the program itself.
    programs = sorted(Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"))
    if not programs:
        return None
    text = RABBIT_CONFIG.format(port=port, folder=folder)
    if cluster:
        peers = enumerate(cluster, 1)
        text += RABBIT_CLUSTER + "".join(
            RABBIT_PEER.format(number=number, port=other) for number, other in peers
        )
    (folder / "rabbitmq.conf").write_text(text)
    (folder / "definitions.json").write_text(_definitions(forbidden))
    (folder / "plugins").write_text("[rabbitmq_mqtt].\n")
    environment = {
        "HOME": str(home),
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
    }
    cleanup = ["epmd", "-port", str(epmd), "-kill"]
    return Start([str(programs[-1])], environment, cleanup)


def _definitions(forbidden: Sequence[str]) -> str:
    """Return RabbitMQ's accounts and rights, where topics have dots for slashes."""

    def pattern(verb: str) -> str:
        topics = [one.partition(" ")[2] for one in forbidden if one.startswith(verb)]
        names = "|".join(topic.replace("/", "\\.") for topic in topics)
        return f"^(?!({names})$).*" if names else ".*"

    account = {"user": "guest", "vhost": "/"}
    rights = {"configure": ".*", "write": ".*", "read": ".*"}
    topics = {"write": pattern("publish"), "read": pattern("subscribe")}
    document = {
        "users": [{"name": "guest", "password": "guest", "tags": ""}],
        "vhosts": [{"name": "/"}],
        "permissions": [account | rights],
        "topic_permissions": [account | topics | {"exchange": "amq.topic"}],
    }
    return json.dumps(document)


BROKERS: Mapping[str, Callable[[Path, int, Sequence[str]], Start | None]] = {
    "aedes": _aedes,
    "ejabberd": _ejabberd,
    "NATS": _nats,
    "RabbitMQ": _rabbitmq,
}


@contextmanager
def other_broker(name: str, *forbidden: str) -> Iterator[int | None]:
    """Run a broker and yield its port; ``None``: it is not installed.

    Args:
        name: a key of :data:`BROKERS`.
        forbidden: what it closes the connection over, as ``publish printer/state``;
            not NATS.

    """
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    with held_port() as port:
        pass
    start = BROKERS[name](folder, port, forbidden)
    try:
        if start is None:
            yield None
            return
        with _running(start, folder, port):
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def nats_cluster() -> Iterator[Mapping[int, "subprocess.Popen[bytes]"] | None]:
    """Run three nodes and yield the process of each by its port; ``None``: no NATS."""
    program = shutil.which("nats-server")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ports = [_free_port() for _ in range(2 * NODES)]
        routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports[NODES:])
        nodes = {}
        for number, port in enumerate(ports[:NODES]):
            config = Path(name) / f"{number}.conf"
            places = {"number": number, "folder": name, "routes": routes, "port": port}
            config.write_text(NATS_NODE.format(route=ports[NODES + number], **places))
            node = subprocess.Popen(
                [program, "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_end, node)
            nodes[port] = node
        yield nodes


def kill(node: "subprocess.Popen[bytes]") -> None:
    """Kill a node of RabbitMQ, and the processes that it has started."""
    os.killpg(node.pid, signal.SIGKILL)
    node.wait()


@contextmanager
def rabbitmq_cluster() -> Iterator[Mapping[int, "subprocess.Popen[bytes]"] | None]:
    """Run three nodes and yield the process of each by its port.

    ``None``: RabbitMQ is not installed. A node is killed with :func:`kill`.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ports, epmd = [_free_port() for _ in range(NODES)], _free_port()
        nodes = {}
        for port in ports:
            folder = Path(name) / str(port)
            folder.mkdir()
            start = _rabbitmq_node(folder, port, (), epmd, Path(name), ports)
            if start is None:
                yield None
                return
            if port != ports[0]:  # the first one is ended last
                start = replace(start, cleanup=())
            # One after the other, so that the second one finds the first.
            nodes[port] = stack.enter_context(_running(start, folder, port))
        yield nodes


def _free_port() -> int:
    with held_port() as port:
        return port


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


@contextmanager
def _running(
    start: Start, folder: Path, port: int
) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, **start.environment}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            start.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, folder, port)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if start.cleanup:
            _clean_up(start.cleanup, environment)


def _clean_up(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command until it succeeds: epmd does not end while a node is registered."""
    ends = time.monotonic() + DEADLINE
    while subprocess.run(
        command, env=environment, check=False, capture_output=True
    ).returncode:
        if time.monotonic() > ends:
            raise RuntimeError(f"{command!r} fails")
        time.sleep(0.1)


def _wait(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> None:
    ends = time.monotonic() + START_TIMEOUT
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > ends:
            text = (folder / "output").read_text(errors="replace")
            raise RuntimeError(f"{process.args!r} does not start:\n{text}")
        time.sleep(0.1)
