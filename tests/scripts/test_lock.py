"""The lock files have what pyproject.toml asks for, and name no registry."""

import re
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement

from tests.support.halves import ROOT

FOLDER = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN = PROJECT["project"]["dependencies"]
DEMO = PROJECT["project"]["optional-dependencies"]["demo"]
DEV = PROJECT["project"]["optional-dependencies"]["dev"]
BUILD = PROJECT["build-system"]["requires"]
WANTED = {
    "run": RUN,
    "demo": [*RUN, *DEMO, *BUILD],
    "dev": [*RUN, *DEMO, *DEV, *BUILD],
    "build": BUILD,
}
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)((?:.*\\\n)*.*)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    text = (FOLDER / f"{name}.txt").read_text()
    return {package: version for package, version, _ in PIN.findall(text)}


def requirements(lines: Iterable[str]) -> list[Requirement]:
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", WANTED)
def test_what_is_locked_is_what_the_project_asks_for(name: str) -> None:
    locked = pins(name)
    for wanted in requirements(WANTED[name]):
        version = locked.get(wanted.name.lower())
        assert version is not None, f"{wanted.name}: run scripts/lock"
        assert wanted.specifier.contains(version), f"{wanted.name}: run scripts/lock"


@pytest.mark.parametrize("name", WANTED)
def test_every_version_comes_with_hashes(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    found = PIN.findall(text)
    assert len(found) == len(re.findall(r"^\w", text, re.MULTILINE))
    assert all("--hash=sha256:" in rest for _, _, rest in found)


@pytest.mark.parametrize("name", WANTED)
def test_no_registry_is_named(name: str) -> None:
    """Whose index is used is the business of each machine's own pip."""
    text = (FOLDER / f"{name}.txt").read_text()
    assert "://" not in text
    assert "index" not in text


@pytest.mark.parametrize("name", ["run", "demo", "build"])
def test_all_files_agree(name: str) -> None:
    assert pins(name).items() <= pins("dev").items()


def test_what_builds_the_package_is_named_once_more_alike() -> None:
    """An environment without build isolation needs it beforehand."""
    lines = (FOLDER / "build.in").read_text().splitlines()
    assert set(BUILD) <= set(lines)


def test_what_is_relied_on_has_an_upper_bound() -> None:
    """Stubs follow the versions of what they describe, and only mypy reads them."""
    everything = requirements([*RUN, *DEMO, *DEV, *BUILD])
    relied_on = [one for one in everything if not one.name.startswith("types-")]
    for one in relied_on:
        operators = {specifier.operator for specifier in one.specifier}
        assert operators == {">=", "<"}, one


def test_the_image_installs_what_is_locked() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    installs = re.findall(r"pip (?:install|wheel) (.*?)(?: \\)?\n", text)
    assert len(installs) == 4
    for one in installs:
        assert "--require-hashes" in one or "--no-deps" in one
    assert "!requirements\n" in (ROOT / ".dockerignore").read_text()
