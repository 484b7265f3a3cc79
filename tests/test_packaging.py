"""What is in the wheel and in the source archive, and that the wheel is enough."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import Parser
from pathlib import Path

import pytest

from bridge import __version__
from tests.support.halves import BRIDGE, ROOT

BUILD = "from hatchling.build import build_{kind} as build; print(build({folder!r}))"


def built(kind: str, folder: Path) -> Path:
    """Return an archive that was built from this tree, without an index."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(kind=kind, folder=str(folder))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_every_module_and_nothing_else(names: set[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for path in BRIDGE.rglob("*.py")}
    package = {name for name in names if name.startswith("bridge/")}
    assert package == {*modules, "bridge/py.typed"}
    rest = names - package
    assert all(f"-{__version__}.dist-info/" in name for name in rest)
    assert any(name.endswith("licenses/LICENSE") for name in rest)


def test_the_wheel_says_what_it_is(wheel: Path, names: set[str]) -> None:
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
    with zipfile.ZipFile(wheel) as archive:
        said = Parser().parsestr(archive.read(metadata).decode())
        entry = archive.read(scripts).decode()
    assert (said["Name"], said["Version"]) == ("gcode2mqtt", __version__)
    assert said["Requires-Python"] == ">=3.11"
    assert "gcode2mqtt = bridge.cli:main" in entry


def test_the_version_is_in_one_place() -> None:
    places = [ROOT / "pyproject.toml", *BRIDGE.rglob("*.py")]
    found = [path for path in places if f'"{__version__}"' in path.read_text()]
    assert found == [BRIDGE / "__init__.py"]


def test_the_source_archive_has_what_is_needed_to_build_and_try_it(
    tmp_path: Path,
) -> None:
    with tarfile.open(built("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "bridge/py.typed",
        "config.example.yaml",
        "deploy/Dockerfile",
        "deploy/systemd/gcode2mqtt.service",
        "docker-compose.yml",
        "docs/installation.md",
        "pyproject.toml",
        "requirements/run.txt",
        "scripts/test",
        "tests/conftest.py",
    }
    assert not wanted - names
    assert not [name for name in names if "__pycache__" in name]


@contextmanager
def empty_environment(folder: Path) -> Iterator[Path]:
    """Make an environment that has only what the package requires."""
    venv.create(folder, with_pip=False, symlinks=True)
    yield folder / "bin" / "python"


def test_the_wheel_alone_is_a_program(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are this environment's; the package is only the wheel's."""
    with empty_environment(tmp_path / "environment") as python:
        places = [str(wheel), *dependencies()]
        done = subprocess.run(
            [python, "-P", "-m", "bridge", "check", "--config", config(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "port: simulator://marlin" in done.stdout


def dependencies() -> list[str]:
    return [place for place in sys.path if place.endswith("site-packages")]


def config(folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text("printers: [{serial: {port: 'simulator://marlin'}}]\n")
    return file
