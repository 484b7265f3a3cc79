"""The composition root: builds each printer with its broker, and runs them together."""

from pathlib import Path

from bridge.app.supervisor import Supervisor, Watch
from bridge.config import Config


async def run(
    config: Config, *, origin: Path | None = None, on_stations: Watch | None = None
) -> None:
    """Serve all configured printers until cancelled; see :class:`Supervisor`.

    Raises:
        BridgeError: A printer cannot be served at all, such as when another bridge
            owns its topics; the others are stopped as well.

    """
    await Supervisor(config, origin=origin, on_stations=on_stations).run()
