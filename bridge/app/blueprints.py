"""What a station is made from, so that a new configuration tells which ones stay."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.app.scripts_folder import read_folder
from bridge.app.station import client_id
from bridge.config import Config, Log, Metrics


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything that decides how one printer is served.

    Attributes:
        config: the configuration with this printer alone, and without what concerns
            only the process.
        base: the printer's base topic, which the others have a say in.
        client_id: likewise.
        scripts: what is in its folder of scripts.

    """

    config: Config
    base: str
    client_id: str
    scripts: Mapping[str, str]


def blueprints(config: Config) -> dict[str, Blueprint]:
    """Return each printer's blueprint by its id.

    Raises:
        ConfigError: A scripts folder cannot be read.

    """
    found: dict[str, Blueprint] = {}
    for printer in config.printers:
        alone = {"printers": (printer,), "log": Log(), "metrics": Metrics()}
        found[printer.id] = Blueprint(
            config.model_copy(update=alone),
            config.base(printer),
            client_id(config, printer),
            read_folder(printer.scripts_folder),
        )
    return found
