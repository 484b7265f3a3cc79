"""The scripts on machines that lack something: each works, or says what to do."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.halves import ROOT

SCRIPTS = ROOT / "scripts"
CLEAN_ROOT = SCRIPTS / "clean-root"
TOOLS = ("bash", "basename", "cat", "cksum", "dirname", "env", "id", "locale", "ls")
MORE_TOOLS = ("mktemp", "nproc", "readlink", "rm", "sort")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Return a folder for the PATH: a minimal system's programs, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*TOOLS, *MORE_TOOLS):
        if (found := shutil.which(name)) is not None:  # not every system has "locale"
            (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what the scripts read, without an environment."""
    folder = tmp_path / "checkout"
    shutil.copytree(SCRIPTS, folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    return folder


def program(file: Path, text: str) -> Path:
    """Write a shell script that can be run, in place of what is there."""
    file.unlink(missing_ok=True)  # a link leads to one of the system's own programs
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def python_that_is(file: Path, version: str, otherwise: str = "exit 1") -> Path:
    """Write a Python of some version that can do nothing else."""
    says = f'case "$2" in *version_info*) echo {version} ;; *) {otherwise} ;; esac'
    return program(file, says)


def run(
    *command: str | Path, path: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of our own environment but what is named here."""
    places = str(path) if path is not None else os.environ["PATH"]
    return subprocess.run(
        command,
        env={"PATH": places, "HOME": "/nonexistent"} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def shell(
    checkout: Path, text: str, path: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run some lines of bash after those of environment.sh."""
    source = checkout / "scripts" / "environment.sh"
    lines = f'set -euo pipefail; . "{source}"\n{text}'
    return run("bash", "-c", lines, "test", path=path, **variables)


@pytest.mark.parametrize("script", ["demo", "test", "check"])
@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "as root: apt-get install python3"),
        ("dnf", "as root: dnf install python3"),
        ("", "as root: install the package python3"),
    ],
)
def test_without_python_one_line_says_how_to_install_it(
    checkout: Path, tools: Path, script: str, manager: str, command: str
) -> None:
    if manager:
        program(tools / manager, "exit 1")
    done = run(checkout / "scripts" / script, path=tools)
    wanted = f"{script}: Python 3.11 or newer is needed; {command}\n"
    assert (done.returncode, done.stderr) == (1, wanted)


def test_a_python_that_is_too_old_is_named(checkout: Path, tools: Path) -> None:
    old = python_that_is(tools / "python3", "3.9.2")
    done = run(checkout / "scripts" / "demo", path=tools)
    assert done.returncode == 1
    assert done.stderr == (
        f"demo: Python 3.11 or newer is needed, and {old} is 3.9.2; set "
        "PYTHON=/path/to/a/newer/one\n"
    )


def test_a_newer_python_beside_an_old_one_is_found(checkout: Path, tools: Path) -> None:
    python_that_is(tools / "python3", "3.9.2")
    newer = python_that_is(tools / "python3.12", "3.12.1")
    assert shell(checkout, "find_python", tools).stdout == f"{newer}\n"


@pytest.mark.parametrize("version", ["2.7.18", "3.9.2", "3.10.13"])
def test_the_python_that_is_asked_for_must_be_new_enough(
    checkout: Path, tools: Path, version: str
) -> None:
    """Nothing else is taken in its place."""
    python_that_is(tools / "python3", "3.13.1")
    old = python_that_is(tools / "old", version)
    done = shell(checkout, "find_python", tools, PYTHON=str(old))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"PYTHON={old} is Python {version}, and 3.11 or newer" in done.stderr


def test_the_python_that_is_asked_for_must_be_there(
    checkout: Path, tools: Path
) -> None:
    python_that_is(tools / "python3", "3.13.1")
    done = shell(checkout, "find_python", tools, PYTHON="/nonexistent/python")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PYTHON=/nonexistent/python cannot be run" in done.stderr


def test_every_python_is_found_once(
    tmp_path: Path, checkout: Path, tools: Path
) -> None:
    """Those on the PATH and pyenv's, beside the system's own."""
    found = 'echo "$0"'
    pyenv = tmp_path / ".pyenv" / "versions"
    for place, version in (
        (tools / "python3", "3.98.1"),
        (tools / "python3.98", "3.98.1"),
        (tools / "python3.97", "3.97.0"),
        (tools / "python3.10", "3.10.9"),
        (tools / "python3.96-config", "3.96.0"),
        (pyenv / "3.97.0" / "bin" / "python3", "3.97.0"),
        (pyenv / "3.98.2" / "bin" / "python3", "3.98.2"),
        (pyenv / "3.9.1" / "bin" / "python3", "3.9.1"),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        python_that_is(place, version, found)
    done = shell(checkout, "every_python", tools, HOME=str(tmp_path))
    lines = [line.split() for line in done.stdout.splitlines()]
    ours = [line for line in lines if line[1].startswith(str(tmp_path))]
    assert ours == [
        ["3.98.1", str(tools / "python3")],
        ["3.97.0", str(tools / "python3.97")],
        ["3.98.2", str(pyenv / "3.98.2" / "bin" / "python3")],
    ]
    system = [line for line in lines if line not in ours]
    assert len(system) <= 1
    assert lines[: len(system)] == system


def test_with_python_set_it_is_the_only_one(checkout: Path, tools: Path) -> None:
    python_that_is(tools / "python3", "3.98.1", 'echo "$0"')
    only = python_that_is(tools / "only", "3.97.1", 'echo "$0"')
    done = shell(checkout, "every_python", tools, PYTHON=str(only))
    assert done.stdout == f"3.97.1 {only}\n"


def test_the_missing_venv_module_is_named(checkout: Path, tools: Path) -> None:
    """Debian has it in a package of its own; only root can install that."""
    program(tools / "apt-get", "exit 1")
    python_that_is(tools / "python3", "3.11.2")
    program(tools / "id", "echo 1000")
    done = run(checkout / "scripts" / "demo", path=tools)
    assert done.returncode == 1
    assert "as root: apt-get install python3.11-venv" in done.stderr


def test_a_link_to_a_script_runs_it(tmp_path: Path, checkout: Path) -> None:
    link = tmp_path / "elsewhere" / "demo"
    link.parent.mkdir()
    link.symlink_to(checkout / "scripts" / "demo")
    second = tmp_path / "again"
    second.symlink_to(link)
    done = run(second, PYTHON="/nonexistent/python")
    assert "again: PYTHON=/nonexistent/python cannot be run" in done.stderr


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "not.there"])
def test_a_path_may_have_any_letters(tmp_path: Path, locale: str) -> None:
    """Python reads the paths of editable installations in the locale's encoding."""
    checkout = tmp_path / "Drücker Δ"
    shutil.copytree(SCRIPTS, checkout / "scripts")
    bare = f'"{sys.executable}" -m venv --without-pip "$venv"'
    (checkout / "here.py").write_text("")
    packages = (
        '"$("$venv/bin/python" -c "import site; print(site.getsitepackages()[0])")"'
    )
    installed = f'echo "$root" >{packages}/editable.pth'
    text = f'{bare}; {installed}; "$venv/bin/python" -c "import here"'
    done = shell(checkout, text, LC_ALL=locale)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def readable() -> Iterator[Path]:
    """Return a folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_checkout_that_is_read_only_names_the_way_out(readable: Path) -> None:
    checkout = readable / "checkout"
    shutil.copytree(SCRIPTS, checkout / "scripts")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    shutil.copytree(ROOT / "requirements", checkout / "requirements")
    python = python_that_is(readable / "python3", "3.13.1")
    checkout.chmod(0o555)
    # Root may write everywhere.
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = run(*user, checkout / "scripts" / "demo", PYTHON=str(python))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"demo: {checkout}/.venv cannot be written; choose another place with "
        "GCODE2MQTT_VENV=/path"
    )


def test_a_folder_that_is_no_environment_is_left_alone(
    tmp_path: Path, checkout: Path, tools: Path
) -> None:
    """Not even where GCODE2MQTT_VENV names it; making an environment empties it."""
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis").write_text("all of it")
    python = python_that_is(tools / "python3", "3.13.1", otherwise="exit 0")
    demo = checkout / "scripts" / "demo"
    done = run(demo, path=tools, PYTHON=str(python), GCODE2MQTT_VENV=str(precious))
    assert done.returncode == 1
    assert f"{precious} is not a virtual environment, and not empty" in done.stderr
    assert (precious / "thesis").read_text() == "all of it"


def usable(checkout: Path, venv: Path, python: str = "") -> bool:
    done = shell(checkout, "usable_venv", GCODE2MQTT_VENV=str(venv), PYTHON=python)
    assert done.stderr == ""
    return done.returncode == 0


def made(folder: Path, pip: str) -> Path:
    """Make an environment with a pip of some version."""
    bare = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(bare, check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "pip.py").write_text(f'__version__ = "{pip}"')
    return folder


def test_an_environment_with_an_old_pip_is_made_again(
    tmp_path: Path, checkout: Path
) -> None:
    venv = made(tmp_path / "venv", "20.3.4")
    assert not usable(checkout, venv)
    (pip,) = venv.glob("lib/python*/site-packages/pip.py")
    pip.write_text('__version__ = "22.3"')
    assert usable(checkout, venv)
    pip.write_text('__version__ = "26.0.dev1"')
    assert usable(checkout, venv)


def test_an_environment_whose_python_is_gone_is_made_again(
    tmp_path: Path, checkout: Path
) -> None:
    venv = made(tmp_path / "venv", "25.0")
    for link in (venv / "bin").glob("python*"):
        link.unlink()
    (venv / "bin" / "python").symlink_to("/nonexistent/python")
    assert not usable(checkout, venv)


def test_an_environment_of_another_python_is_made_again(
    tmp_path: Path, checkout: Path
) -> None:
    venv = made(tmp_path / "venv", "25.0")
    assert usable(checkout, venv, python=sys.executable)
    other = program(tmp_path / "python3.99", "echo /usr/bin/python3.99")
    assert not usable(checkout, venv, python=str(other))


def test_an_index_that_cannot_be_reached_is_one_line(checkout: Path) -> None:
    done = shell(
        checkout,
        "pip_install --index-url http://127.0.0.1:9/simple --retries 1 not-to-be-found",
        GCODE2MQTT_VENV=sys.prefix,
        PIP_CONFIG_FILE="/dev/null",
    )
    assert done.returncode == 1
    assert done.stderr == (
        "test: the package index cannot be reached; the first run needs a network "
        "(pip's index and proxy settings apply)\n"
    )


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("[Errno 13] Permission denied: '/venv/lib'", "/venv cannot be written"),
        ("[Errno 30] Read-only file system: '/venv'", "/venv cannot be written"),
        ("error: something else", "the installation failed; see above"),
    ],
)
def test_what_pip_says_most_is_explained(checkout: Path, said: str, line: str) -> None:
    done = shell(checkout, f'explain_pip "{said}"', GCODE2MQTT_VENV="/venv")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"test: {line}")


def test_the_clean_root_runs_what_the_readme_says() -> None:
    (line,) = re.findall(r"^commands=\((.*)\)$", CLEAN_ROOT.read_text(), re.MULTILINE)
    commands = re.findall(r'"(.*?)"', line)
    assert len(commands) == 2
    readme = (ROOT / "README.md").read_text()
    for command in commands:
        assert re.search(rf"(?m)(^|`){re.escape(command)}(\s|`)", readme), command


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("1000", "this needs root: sudo scripts/clean-root"),
        ("0", "this needs debootstrap; as root: apt-get install debootstrap"),
    ],
)
def test_what_a_clean_root_lacks_is_one_line(
    checkout: Path, tools: Path, user: str, line: str
) -> None:
    program(tools / "id", f"echo {user}")
    done = run(checkout / "scripts" / "clean-root", path=tools)
    assert (done.returncode, done.stderr) == (1, f"clean-root: {line}\n")


def test_no_script_names_a_registry() -> None:
    """Where packages come from is decided by each machine's own settings."""
    for script in SCRIPTS.iterdir():
        assert not re.search(r"https?://", script.read_text()), script.name
