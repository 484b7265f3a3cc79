"""The bridge starts and serves whatever is in its state folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import Config
from tests.support.apps import running
from tests.support.brokers import mosquitto

ORIGIN = Path("/my.yaml")


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 100)


def of_another_shape(path: Path) -> None:
    path.write_text('{"retained": 1, "components": [], "port": null}')


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def unreadable(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize(
    "damage", [deep, binary, of_another_shape, a_directory, a_link, unreadable]
)
async def test_a_damaged_state_folder_does_not_prevent_the_start(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    state = tmp_path / "state"
    with mosquitto() as broker:
        config = Config.model_validate(
            {
                "mqtt": {
                    "host": broker.host,
                    "port": broker.port,
                    "state_folder": state,
                },
                "printers": [{"serial": {"port": "simulator://marlin"}}],
            }
        )
        async with running(config, ORIGIN) as app:
            await app.online()
        files = sorted(state.iterdir())
        kinds = {file.name.partition(".")[2].rpartition(".")[0] for file in files}
        assert len(kinds) >= 3, kinds  # a list of topics, a device, and the lock
        for file in files:
            damage(file)
        async with running(config, ORIGIN) as app:
            await app.online()
