"""What the shells complete."""

import shlex
import shutil
import subprocess

import pytest

from bridge.cli.completion import known
from bridge.cli.main import COMMANDS
from tests.support.daemons import run_script


def script(shell: str) -> str:
    done = run_script("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completed(*words: str) -> list[str]:
    """Return what bash offers for the last word."""
    bash = shutil.which("bash")
    assert bash is not None
    line = " ".join(map(shlex.quote, words))
    ask = (
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _gcode2mqtt;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "-uc", f"{script('bash')}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("gcode2mqtt", "re"), ["replay"]),
        (("gcode2mqtt", "--v"), ["--version"]),
        (("gcode2mqtt", "run", "--c"), ["--config"]),
        (("gcode2mqtt", "schema", "a"), ["asyncapi"]),
        (("gcode2mqtt", "completion", ""), ["--help", "bash", "zsh", "fish"]),
        (("gcode2mqtt", "run", "--config", "/etc/host"), ["/etc/hostname"]),
        (("gcode2mqtt", "fly", "--"), []),
    ],
)
def test_bash_offers(words: tuple[str, ...], offered: list[str]) -> None:
    assert set(offered) <= set(completed(*words)) or completed(*words) == offered


def test_every_command_is_known_with_what_it_does() -> None:
    assert known().keys() == COMMANDS.keys()
    assert all(does for does, _ in known().values())


@pytest.mark.parametrize("shell", ["fish", "zsh"])
def test_other_shells_know_the_commands_too(shell: str) -> None:
    assert all(name in script(shell) for name in COMMANDS)


def test_another_shell_is_refused() -> None:
    assert run_script("completion", "csh").returncode == 2
