"""``gcode2mqtt app``: the daemon as an app of Home Assistant OS."""

import argparse
import http.client
import json
import logging
import os
import time
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from bridge import logs
from bridge.app.service import Service
from bridge.cli.run import serve
from bridge.config import Config, Log
from bridge.config_file import Document, checked, read
from bridge.errors import BridgeError, ConfigError
from bridge.home_assistant import app_options
from bridge.notify import Notifier
from bridge.printer.port.ports import list_ports

log = logging.getLogger("bridge.app")

TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the name of the variable
"""The environment variable with which the Supervisor lets the app use its API."""

RETRY = 5.0
"""Seconds until the Supervisor is asked for its broker again."""

_TIMEOUT = 10.0
_MAX_RESPONSE = 65_536

PORT_GROUPS = frozenset({18, 20})
"""The groups of serial ports: ``dialout`` is 18 on Home Assistant OS, whose devices the
container sees with the host's numbers, and 20 on Debian."""


class NoBrokerError(BridgeError):
    """The Supervisor has no broker at the moment."""


def app(chosen: argparse.Namespace) -> int:
    """Run the daemon with the app's options until a signal; return 0.

    Raises:
        ConfigError: The options, or the user's own file, cannot be used.
        BridgeError: It cannot continue.

    """
    logs.configure(Log())
    options = _options(chosen.data / "options.json")
    written = _own_file(options, chosen.folder)
    mqtt: app_options.Tree = {}
    if not app_options.has_broker(written and written.value):
        mqtt = _wait_for_broker(chosen.supervisor, os.environ.get(TOKEN), RETRY)
    endpoint = app_options.endpoint(chosen.port)
    build = partial(_config, options, mqtt, endpoint, chosen.data, chosen.folder)
    config = build()
    logs.configure(config.log, logs.secrets(config))
    folders = [chosen.data / "state", chosen.folder]
    drop_rights(port_groups(config), folders, chosen.user)
    service = Service(
        build,
        chosen.data / "options.json",
        Notifier(os.environ),
        report_to=frozenset({chosen.ingress}),
    )
    serve(config, service)
    return 0


def _options(file: Path) -> Any:  # noqa: ANN401 - whatever the file has
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read: {error.strerror}; only Home Assistant's "
            "Supervisor writes it, and gcode2mqtt run is for all other machines"
        ) from None
    except ValueError:
        raise ConfigError(f"{file}: this is not JSON") from None


def _own_file(options: object, folder: Path) -> Document | None:
    name = options.get("config_file") if isinstance(options, dict) else None
    return read(folder / str(name)) if name else None


def _config(
    options: object,
    mqtt: app_options.Tree,
    endpoint: app_options.Tree,
    data: Path,
    folder: Path,
) -> Config:
    """Return the configuration; the user's own file is read each time."""
    below, places = app_options.settings(options, str(data), str(folder))
    below["mqtt"] |= mqtt
    written = _own_file(options, folder) or Document({}, {})
    own = written.value
    tree = app_options.merged(below, own)
    if isinstance(tree, dict):
        tree["metrics"] = endpoint
    listed = isinstance(own, dict) and own.get("printers") is not None
    places = app_options.places_of(places, written.places, printers=listed)
    return checked(Document(tree, places), folder)


def _wait_for_broker(
    supervisor: tuple[str, int], token: str | None, pause: float
) -> app_options.Tree:
    """Return the section ``mqtt``, as soon as the Supervisor has a broker."""
    said = ""
    while True:
        try:
            return app_options.broker(ask_for_broker(supervisor, token))
        except NoBrokerError as error:
            # At boot the broker's app may start after this one.
            if str(error) != said:
                log.warning("%s; asking again every %g seconds", error, pause)
            said = str(error)
            time.sleep(pause)


def ask_for_broker(supervisor: tuple[str, int], token: str | None) -> dict[str, Any]:
    """Return what the Supervisor says about its MQTT service.

    Raises:
        NoBrokerError: It has none, or does not answer.
        ConfigError: There is no token, or the Supervisor does not accept it.

    """
    if not token:
        raise ConfigError(
            f"{TOKEN} is not set, so this is no app of Home Assistant OS; use "
            "gcode2mqtt run"
        )
    client = http.client.HTTPConnection(*supervisor, timeout=_TIMEOUT)
    try:
        client.request(
            "GET", "/services/mqtt", headers={"Authorization": f"Bearer {token}"}
        )
        response = client.getresponse()
        content = response.read(_MAX_RESPONSE)
    except (OSError, http.client.HTTPException) as error:
        raise NoBrokerError(f"the Supervisor does not answer ({error})") from None
    finally:
        client.close()
    if response.status in {401, 403}:
        raise ConfigError("the Supervisor does not accept the app's token")
    try:
        service = json.loads(content)["data"]
        app_options.broker(service)
    except (ValueError, TypeError, KeyError):
        raise NoBrokerError(
            "Home Assistant has no MQTT broker: install and start the app "
            "Mosquitto broker, or name another broker in a file of your own "
            "(option config_file)"
        ) from None
    else:
        return dict(service)


def port_groups(config: Config) -> frozenset[int]:
    """Return the groups of the configured serial ports, and of those that exist.

    A port that is plugged in later has one of :data:`PORT_GROUPS`.
    """
    names = [printer.serial.port for printer in config.printers]
    names += [port.device for port in list_ports()]
    return PORT_GROUPS | groups_of(name for name in names if name.startswith("/"))


def groups_of(files: Iterable[str]) -> frozenset[int]:
    """Return the groups of the files that exist, except root's."""
    groups = set()
    for file in files:
        try:
            groups.add(Path(file).stat().st_gid)
        except OSError:
            continue  # unplugged
    return frozenset(groups - {0})


def drop_rights(groups: Collection[int], folders: Iterable[Path], user: int) -> None:
    """Give the folders to a user, and become that user permanently.

    The Supervisor starts apps as root. A process that is not root is left as it is.

    Args:
        groups: the groups to keep, for the serial ports.
        folders: where the daemon writes; they are created if they do not exist.
        user: the id of the user and of its group.

    """
    if os.geteuid() != 0:
        return
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for place, _, files in os.walk(folder):
            for name in (".", *files):
                os.chown(Path(place, name), user, user, follow_symlinks=False)
    os.setgroups(sorted(groups))
    os.setgid(user)
    os.setuid(user)
