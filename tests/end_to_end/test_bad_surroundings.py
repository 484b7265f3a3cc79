"""What is wrong around the bridge costs one clear line, and no command."""

from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.daemons import run_script
from tests.support.printers import scripted
from tests.support.stages import stage

FULL = Path("/dev/full")


async def test_a_state_folder_that_cannot_be_one(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """Permissions stop nobody who runs the tests as root; a file is not a folder."""
    (tmp_path / "state").write_text("in the way")
    mqtt = {"mqtt": {"state_folder": str(tmp_path / "state")}}
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "stateless", mqtt) as running,
    ):
        await running.fence()
        said = [x for x in running.daemon.log.splitlines() if "state_folder" in x]
        assert len(said) == 1
        assert "cannot" in said[0]
        assert str(tmp_path / "state") in said[0]


async def test_a_disk_that_is_full(broker: Mosquitto, tmp_path: Path) -> None:
    wire = {"serial": {"log_file": str(FULL)}}
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "full", wire) as running,
    ):
        await running.fence()
        said = [x for x in running.daemon.log.splitlines() if str(FULL) in x]
        assert len(said) == 1
        assert "No space left on device" in said[0]
        assert "everything continues without this log" in said[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("metrics: {port: 65536}", "metrics.port must be a whole number from 1 to"),
        ("metrics: {port: 0}", "metrics.port must be a whole number from 1 to"),
        ("metrics: {hosts: a}", "did you mean metrics.host?"),
        ("mqtt: {port: 123456}", "mqtt.port must be a whole number from 1 to 65535"),
        (
            "mqtt: {username: a, password_file: .}",
            "mqtt.password_file cannot be read",
        ),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, text: str, problem: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"{text}\nprinters: [{{}}]\n")
    done = run_script("run", "--config", config)
    assert done.returncode == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
