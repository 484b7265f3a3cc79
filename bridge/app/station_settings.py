"""What decides how one printer is served, and under which client id."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bridge.app.scripts_folder import read_folder
from bridge.config import Config, Log, Metrics, PrinterConfig
from bridge.printer.knowledge.heaters import heaters_of


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

    def with_link_of(self, present: "StationSettings") -> "StationSettings":
        """Return these settings with the link of the present ones."""
        serial = present.printer.serial.model_copy(
            update={"log_file": self.printer.serial.log_file}
        )
        printer = self.printer.model_copy(update={"serial": serial})
        config = self.config.model_copy(update={"printers": (printer,)})
        return replace(self, config=config)


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
    if link_changes(present, wanted):
        return "link"
    return "settings" if _connection(present) == _connection(wanted) else "broker"


def link_changes(present: StationSettings, wanted: StationSettings) -> tuple[str, ...]:
    """Return the names of changed settings that need another link."""
    old, new = present.printer.serial, wanted.printer.serial
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
