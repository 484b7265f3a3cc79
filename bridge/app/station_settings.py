"""What decides how one printer is served, and under which client id."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.app.scripts_folder import read_folder
from bridge.config import Config, Log, Metrics
from bridge.config import Printer as PrinterConfig


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
