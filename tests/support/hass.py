"""A real Home Assistant Core, without a screen, connected to a broker.

``GCODE2MQTT_HASS`` is the Python in which it is installed, with what comes before it;
where that changes the root folder, ``GCODE2MQTT_HASS_ROOT`` is the new one:

    GCODE2MQTT_HASS="chroot /srv/sid /opt/ha/bin/python" GCODE2MQTT_HASS_ROOT=/srv/sid
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

CHOICE, ROOT = "GCODE2MQTT_HASS", "GCODE2MQTT_HASS_ROOT"
STARTED = "MQTT client initialized, birth message sent"
DEADLINE = 120.0
"""Seconds allowed for a start, also on a slow machine."""

Json = dict[str, Any]

_CLIENT = "http://localhost/"
_OWNER = {"name": "Test", "username": "test", "password": "test", "language": "en"}
_ENTRY = re.compile(
    r"^\S+ \S+ (WARNING|ERROR|CRITICAL) \(.*?\) \[(\S+)\] (.*)$", re.MULTILINE
)
_CONFIGURATION = """\
homeassistant: {name: Test, unit_system: metric, time_zone: UTC, country: DE}
api:
websocket_api:
logger: {default: warning, logs: {homeassistant.components.mqtt: info}}
automation: !include automations.yaml
"""
_WEBSOCKET = """
import asyncio, json, sys, aiohttp

async def main():
    url, token, messages = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    results = []
    async with aiohttp.ClientSession() as web, web.ws_connect(url) as line:
        await line.receive_json()
        await line.send_json({"type": "auth", "access_token": token})
        assert (await line.receive_json())["type"] == "auth_ok"
        for number, message in enumerate(messages, 1):
            await line.send_json({"id": number, **message})
            results.append(await line.receive_json())
    print(json.dumps(results))

asyncio.run(main())
"""


class HomeAssistant:
    """One instance with its own configuration; it can be stopped and restarted."""

    def __init__(self, broker: tuple[str, int], integrations: str = "") -> None:
        given = os.environ.get(CHOICE)
        assert given, f"{CHOICE} is not set; docs/home-assistant.md says how to test"
        self._command = shlex.split(given)
        self._root = Path(os.environ.get(ROOT, "/"))
        (self._root / "tmp").mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="hass-", dir=self._root / "tmp"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._token = ""
        self.used: set[tuple[str, str]] = set()
        """The actions that were performed, and on which entity."""
        self._process: subprocess.Popen[bytes] | None = None
        self._write(integrations)
        self.launch()
        self._onboard()
        self._connect(*broker)
        self.started()

    @property
    def token(self) -> str:
        """An access token of its owner."""
        return self._token

    @property
    def text(self) -> str:
        """What it has logged since its start."""
        path = self._folder / "home-assistant.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def connects(self) -> int:
        """How often it has connected to the broker since its start."""
        return self.text.count(STARTED)

    def complaints(self) -> list[str]:
        """Return the warnings and errors that concern MQTT or templates."""
        words = ("mqtt", "template", "gcode2mqtt")
        return [
            " ".join(entry.groups())
            for entry in _ENTRY.finditer(self.text)
            if any(word in entry[0].lower() for word in words)
        ]

    def states(self) -> dict[str, Json]:
        """Return every entity's state by its id."""
        listed = self._request("GET", "/api/states")
        return {entry["entity_id"]: entry for entry in listed}

    def state(self, entity: str) -> str:
        """Return one entity's state; ``""`` if there is no such entity."""
        entry = self.states().get(entity)
        return str(entry["state"]) if entry else ""

    def becomes(self, entity: str, state: str, within: float = 10.0) -> float:
        """Wait until an entity has a state; return the seconds it took."""
        begun = time.monotonic()
        self._wait_for(lambda: self.state(entity) == state, within, entity)
        return time.monotonic() - begun

    def call(self, service: str, entity: str, **data: object) -> None:
        """Perform an action, such as ``number.set_value``, on an entity."""
        path = f"/api/services/{service.replace('.', '/')}"
        self._request("POST", path, {"entity_id": entity, **data})
        self.used.add((service, entity))

    def enable(self, *entities: str) -> None:
        """Enable entities that are disabled by default; all of MQTT's without any.

        Home Assistant sets up the whole integration again, half a minute later.
        """
        (listed,) = self.ask({"type": "config/entity_registry/list"})
        wanted = [
            entry["entity_id"]
            for entry in listed["result"]
            if entry["platform"] == "mqtt" and entry["disabled_by"]
            if not entities or entry["entity_id"] in entities
        ]
        assert len(wanted) >= len(entities), wanted
        connects = self.connects
        update = {"type": "config/entity_registry/update", "disabled_by": None}
        answers = self.ask(*({**update, "entity_id": entity} for entity in wanted))
        assert all(answer["success"] for answer in answers), answers

        def there() -> bool:
            states = self.states()
            missing = {"attributes": {"restored": True}}  # known from the registry only
            listed = [states.get(entity, missing) for entity in wanted]
            return not any(entry["attributes"].get("restored") for entry in listed)

        self._wait_for(lambda: self.connects > connects)
        self._wait_for(there)

    def rows(self, since: float) -> Counter[str]:
        """Return how many states its recorder has written, by entity.

        Args:
            since: seconds since the epoch.

        """
        path = self._folder / "home-assistant_v2.db"
        query = (
            "SELECT states_meta.entity_id, count(*) FROM states JOIN states_meta"
            " USING (metadata_id) WHERE last_updated_ts >= ? GROUP BY 1"
        )
        with closing(sqlite3.connect(path, timeout=30)) as database:
            return Counter(dict(database.execute(query, (since,))))

    def image(self, entity: str) -> bytes:
        """Return the picture that an image entity shows; empty if it shows none."""
        try:
            return bytes(self._send("GET", f"/api/image_proxy/{entity}"))
        except OSError:
            return b""

    def publish(self, topic: str, payload: Json) -> None:
        """Publish a message, as an automation does."""
        data = {"topic": topic, "payload": json.dumps(payload), "qos": 1}
        self._request("POST", "/api/services/mqtt/publish", data)

    def automate(self, blueprints: Path, automations: list[Json]) -> None:
        """Install these automations, made from the blueprints in a folder."""
        inside = self._folder / "blueprints" / "automation" / blueprints.parent.name
        shutil.copytree(blueprints, inside, dirs_exist_ok=True)
        (self._folder / "automations.yaml").write_text(json.dumps(automations))
        self._request("POST", "/api/services/automation/reload", {})

    def fire(self, event: str, **data: object) -> None:
        """Fire an event, as the app does when a notification's button is pressed."""
        self._request("POST", f"/api/events/{event}", data)

    def phone(self, name: str, push_url: str) -> str:
        """Register a phone with the app; return the id of its device.

        Args:
            name: the phone's.
            push_url: where Home Assistant sends its notifications.

        """
        app = {"app_id": "test", "app_name": "Test", "app_version": "1"}
        phone = {"device_name": name, "manufacturer": "Test", "model": "Test"}
        system = {"os_name": "Test", "os_version": "1", "supports_encryption": False}
        push = {"push_token": "token", "push_url": push_url}
        made = {"device_id": name, **app, **phone, **system, "app_data": push}
        self._request("POST", "/api/mobile_app/registrations", made)
        (devices,) = self.ask({"type": "config/device_registry/list"})
        return next(
            str(device["id"]) for device in devices["result"] if device["name"] == name
        )

    def pretend(self, entity: str, state: str) -> None:
        """Set the state of an entity that belongs to no integration."""
        self._request("POST", f"/api/states/{entity}", {"state": state})

    def ask(self, *messages: Json) -> list[Json]:
        """Return the answers to WebSocket messages."""
        url = f"ws://127.0.0.1:{self.port}/api/websocket"
        script = ["-c", _WEBSOCKET, url, self._token, json.dumps(messages)]
        answer = subprocess.run(
            [*self._command, *script], capture_output=True, check=True, timeout=60
        )
        results: list[Json] = json.loads(answer.stdout)
        return results

    def launch(self) -> None:
        """Start it without waiting."""
        (self._folder / "home-assistant.log").unlink(missing_ok=True)
        inside = Path("/") / self._folder.relative_to(self._root)
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                [
                    *(*self._command, "-m", "homeassistant", "--config", str(inside)),
                    *("--skip-pip", "--log-no-color"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"},
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, cleanly by default."""
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(60)
            self._process = None

    def started(self) -> None:
        """Wait until it has subscribed over MQTT."""
        self._wait_for(lambda: STARTED in self.text)

    def close(self) -> None:
        """Stop it and remove everything it wrote."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self._folder)

    def _write(self, integrations: str) -> None:
        (self._folder / ".storage").mkdir()
        (self._folder / "configuration.yaml").write_text(_CONFIGURATION + integrations)
        (self._folder / "automations.yaml").write_text("[]\n")
        # Set in YAML, it would be provisional for five minutes until reverted.
        server = {
            "server_host": ["127.0.0.1"],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": False,
            "ssl_profile": "modern_v6",
            "use_x_frame_options": True,
            "created_at": "2026-01-01T00:00:00+00:00",
            "error": None,
            "error_message": None,
        }
        data = {"stable": server, "pending": None, "yaml_migration_done": True}
        stored = {"version": 3, "minor_version": 1, "key": "http", "data": data}
        (self._folder / ".storage" / "http").write_text(json.dumps(stored))

    def _onboard(self) -> None:
        self._wait_for(self._answers)
        made = self._request(
            "POST", "/api/onboarding/users", {**_OWNER, "client_id": _CLIENT}
        )
        form = {
            "grant_type": "authorization_code",
            "code": made["auth_code"],
            "client_id": _CLIENT,
        }
        self._token = self._request("POST", "/auth/token", form, form=True)[
            "access_token"
        ]
        # Its pages show nothing else until all steps are done.
        for step, data in (
            ("core_config", {}),
            ("analytics", {}),
            ("integration", {"client_id": _CLIENT, "redirect_uri": _CLIENT}),
        ):
            self._request("POST", f"/api/onboarding/{step}", data)
        (made,) = self.ask(
            {
                "type": "auth/long_lived_access_token",
                "client_name": "test",
                "lifespan": 365,
            }
        )
        self._token = made["result"]

    def _answers(self) -> bool:
        try:
            self._request("GET", "/api/onboarding")
        except OSError:
            return False
        return True

    def _connect(self, host: str, port: int) -> None:
        self._wait_for(
            lambda: self._request("GET", "/api/config")["state"] == "RUNNING"
        )
        path = "/api/config/config_entries/flow"
        flow = self._request("POST", path, {"handler": "mqtt"})
        other = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"}
        answers = {
            "broker": host,
            "port": port,
            "protocol": "5",
            "other_settings": other,
        }
        made = self._request("POST", f"{path}/{flow['flow_id']}", answers)
        assert made["type"] == "create_entry", made

    def _wait_for(
        self,
        condition: Callable[[], object],
        within: float = DEADLINE,
        what: str = "Home Assistant",
    ) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert self._process is None or self._process.poll() is None, self.text
            late = time.monotonic() > deadline
            assert not late, f"{what}: {self.state(what)}; {self.complaints()}"
            time.sleep(0.05)

    def _request(
        self, method: str, path: str, data: object = None, *, form: bool = False
    ) -> Any:  # noqa: ANN401 - whatever JSON it is
        return json.loads(self._send(method, path, data, form=form) or b"null")

    def _send(
        self, method: str, path: str, data: object = None, *, form: bool = False
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        body = None
        if isinstance(data, dict) and form:
            body = urllib.parse.urlencode(data).encode()
        elif data is not None:
            body = json.dumps(data).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.url + path, body, headers, method=method
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise OSError(f"{method} {path}: {error.code}") from None


@contextmanager
def home_assistant(
    broker: tuple[str, int], integrations: str = ""
) -> Iterator[HomeAssistant]:
    """Run a new instance, with these further lines in its configuration."""
    running = HomeAssistant(broker, integrations)
    try:
        yield running
    finally:
        running.close()
