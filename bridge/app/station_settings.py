"""What decides how one printer is served, and what a print in progress postpones."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Literal

from pydantic import ValidationError

from bridge.app.scripts_folder import read_folder
from bridge.config import Config, Log, Metrics, PrinterConfig
from bridge.errors import ConfigError
from bridge.printer.knowledge.heaters import heaters_of
from bridge.validation_errors import sentence


@dataclass(frozen=True, slots=True)
class StationSettings:
    """Everything that decides how one printer is served.

    When the configuration is read again, a station whose settings are the same is not
    touched, whatever else has changed.

    Attributes:
        config: the configuration with this printer alone, and without what concerns
            only the process.
        base: the printer's base topic, which depends on how many printers there are.
        client_id: likewise.
        scripts: what is in its folder of scripts.

    """

    config: Config
    base: str
    client_id: str
    scripts: Mapping[str, str]

    @property
    def printer(self) -> PrinterConfig:
        """The settings of the printer itself."""
        return self.config.printers[0]


Need = Literal["nothing", "settings", "broker", "link"]
"""What has to be begun again for other settings: nothing at all, nothing but the
settings have to be replaced, the connection to the broker, or the link to the printer.
Most boards are reset when their port is opened, which ends a print."""

_OWN_CONNECTION = {"scripts"}
"""Fields of ``home_assistant`` that need no other subscriptions and topics."""


def need_of(present: StationSettings, wanted: StationSettings) -> Need:
    """Return what other settings need."""
    if wanted == present:
        return "nothing"
    if link_changes(present.printer, wanted.printer):
        return "link"
    return "settings" if _connection(present) == _connection(wanted) else "broker"


def link_changes(present: PrinterConfig, wanted: PrinterConfig) -> tuple[str, ...]:
    """Return the names of changed settings that need another link."""
    old, new = present.serial, wanted.serial
    return tuple(
        f"serial.{name}"
        for name in type(old).model_fields
        if name != "log_file" and getattr(old, name) != getattr(new, name)
    )


def _connection(settings: StationSettings) -> tuple[object, ...]:
    """Return what decides about the connection to the broker and its topics."""
    shown = settings.config.home_assistant.model_dump(exclude=_OWN_CONNECTION)
    heaters = tuple(heaters_of(settings.printer.profile))
    return (settings.base, settings.client_id, settings.config.mqtt, shown, heaters)


@dataclass(frozen=True, slots=True)
class Postponed:
    """A configuration without what would end the prints that are under way.

    Attributes:
        config: what can be applied now.
        settings: the names of the settings that wait, by the present id of the printer.
        added: ids of new printers that wait for a port on which a print is under way.
        printing: ids of the printers whose prints are waited for.

    """

    config: Config
    settings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    printing: frozenset[str] = frozenset()


def postpone(
    config: Config,
    served: Mapping[str, PrinterConfig],
    printing: Mapping[str, str | None],
) -> Postponed:
    """Return what of a configuration can be applied while prints are under way.

    A printer that prints keeps its link and its id. Another printer that needs the port
    of such a link waits as well, with the link that it has or without one.

    Args:
        config: the configuration that was read.
        served: the settings of the printers that are served now, by their ids.
        printing: the ports that are in use by prints, by the ids of their printers;
            ``None``: not known.

    Raises:
        ConfigError: What is left contradicts itself, such as two printers with one
            topic, of which one waits. Nothing can be applied before the print has
            ended.

    """
    devices = {name: _devices(served[name], port) for name, port in printing.items()}
    renamed = _renamed(config, served, devices)
    wanted = {_device(printer.serial.port) for printer in config.printers}
    ids = {printer.id for printer in config.printers}.union(renamed.values())
    # A printer that is removed ends its print, but none that is served loses it so.
    held = {name: own for name, own in devices.items() if name in ids or own & wanted}
    if not held:
        return Postponed(config)
    leaving = tuple(served[name] for name in held if name not in ids)
    while True:
        found = _with_links(config, served, held, renamed, leaving)
        # One that waits keeps its port, which a third printer may want.
        waiting = found.settings.keys() - held.keys()
        if not waiting:
            return _checked(replace(found, printing=frozenset(printing)))
        held |= {name: _devices(served[name], None) for name in waiting}


def _with_links(
    config: Config,
    served: Mapping[str, PrinterConfig],
    held: Mapping[str, set[str]],
    renamed: Mapping[str, str],
    leaving: tuple[PrinterConfig, ...],
) -> Postponed:
    """Return the configuration with links that are held as they are."""
    printers: list[PrinterConfig] = []
    settings: dict[str, tuple[str, ...]] = {one.id: ("id",) for one in leaving}
    added: list[str] = []
    for printer in config.printers:
        name = renamed.get(printer.id, printer.id)
        wanted = _device(printer.serial.port)
        taken = any(wanted in devices for one, devices in held.items() if one != name)
        if name in served and (name in held or taken):
            kept = _with_link_of(served[name], printer)
            links = link_changes(served[name], printer)
            if waits := links if name == printer.id else ("id", *links):
                settings[name] = waits
            printers.append(kept)
        elif taken:
            added.append(printer.id)
        else:
            printers.append(printer)
    left = config.model_copy(update={"printers": (*printers, *leaving)})
    return Postponed(left, settings, tuple(added))


def _with_link_of(present: PrinterConfig, wanted: PrinterConfig) -> PrinterConfig:
    """Return the wanted settings with the id and the link of the present ones."""
    update = {"log_file": wanted.serial.log_file}
    serial = present.serial.model_copy(update=update)
    return wanted.model_copy(update={"id": present.id, "serial": serial})


def _renamed(
    config: Config,
    served: Mapping[str, PrinterConfig],
    devices: Mapping[str, set[str]],
    *,
    anywhere: bool = True,
) -> dict[str, str]:
    """Return the present ids of served printers that have another one, by that.

    Args:
        config: the configuration that was read.
        served: the settings of the printers that are served now.
        devices: the ports of those that are asked about.
        anywhere: one that is to be looked for at all ports may be one of them.

    """
    ids = {printer.id for printer in config.printers}
    new = [printer for printer in config.printers if printer.id not in served]
    renamed: dict[str, str] = {}
    for name, own in devices.items():
        if name in ids:
            continue
        ports = {served[name].serial.port, *own}
        left = [one for one in new if one.id not in renamed]
        if heir := _heir(left, ports, anywhere=anywhere):
            renamed[heir] = name
    return renamed


def _heir(
    new: Iterable[PrinterConfig], ports: Collection[str], *, anywhere: bool
) -> str | None:
    """Return the id of the first new printer at one of these ports, or at any."""
    at_port = (one.id for one in new if _device(one.serial.port) in ports)
    at_any = (one.id for one in new if anywhere and one.serial.port == "auto")
    return next(chain(at_port, at_any), None)


def former_ids(
    config: Config,
    served: Mapping[str, PrinterConfig],
    ports: Mapping[str, str | None],
) -> dict[str, str]:
    """Return the present ids of printers that are to have another one, by that.

    Args:
        config: what is to be served.
        served: the settings of the printers that are served now.
        ports: their ports; ``None``: not known.

    """
    devices = {name: _devices(served[name], port) for name, port in ports.items()}
    return _renamed(config, served, devices, anywhere=False)


def _devices(printer: PrinterConfig, port: str | None) -> set[str]:
    """Return what a printer's port may be called: as it is set, and as it is open."""
    ports = {printer.serial.port, port or "auto"} - {"auto"}
    # Each printer with a simulated one has its own.
    return {_device(one) for one in ports if not one.startswith("simulator:")}


def _device(port: str) -> str:
    """Return the one name of a port that may have several, such as symbolic links."""
    return port if "://" in port or port == "auto" else os.path.realpath(port)


def _checked(found: Postponed) -> Postponed:
    """Check a mixture of two configurations as one that was read is checked."""
    try:
        Config.model_validate(dict(found.config))
    except ValidationError as error:
        problem = "; ".join(map(sentence, error.errors(include_url=False)))
        raise ConfigError(
            f"{', '.join(_names(found))} cannot be changed before the print has ended, "
            f"and without that the rest contradicts itself: {problem}"
        ) from error
    return found


def _names(found: Postponed) -> Iterator[str]:
    for name, settings in found.settings.items():
        yield from (f"{name} {setting}" for setting in settings)
    yield from found.added


def station_settings(config: Config, digest: str) -> dict[str, StationSettings]:
    """Return each printer's settings by its id.

    Args:
        config: the whole configuration.
        digest: what distinguishes its client ids.

    Raises:
        ConfigError: A scripts folder cannot be read.

    """
    found: dict[str, StationSettings] = {}
    for printer in config.printers:
        alone = {"printers": (printer,), "log": Log(), "metrics": Metrics()}
        found[printer.id] = StationSettings(
            config.model_copy(update=alone),
            config.base(printer),
            client_id(config, printer, digest),
            read_folder(printer.scripts_folder),
        )
    return found


def client_id(config: Config, printer: PrinterConfig, digest: str) -> str:
    """Return a printer's client id.

    It is the same after a restart: brokers may give access rights by it. Nobody may
    guess it, because whoever connects with it disconnects the printer.

    Args:
        config: the whole configuration.
        printer: the printer's part of it.
        digest: what others cannot guess
            (:func:`bridge.state_files.installation_digest`).

    """
    named = config.mqtt.client_id
    if named is None:
        return f"gcode2mqtt-{printer.id}-{digest}"
    return named if len(config.printers) == 1 else f"{named}-{printer.id}"


def emergency_id(config: Config) -> str:
    """Return what the client ids of the connection for emergency stops begin with."""
    return f"{config.mqtt.client_id or 'gcode2mqtt'}-emergency"
