"""``gcode2mqtt completion``: what a shell needs to complete our command line."""

import argparse
from collections.abc import Iterator, Mapping

from bridge.cli import parser

PROGRAM = "gcode2mqtt"

_BASH = """\
_gcode2mqtt() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" options=
    case "${{COMP_WORDS[COMP_CWORD-1]}}" in
        --config | --pty | replay) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    COMPREPLY=($(compgen -W "$options" -- "$word"))
}}
complete -F _gcode2mqtt gcode2mqtt
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def completion(chosen: argparse.Namespace) -> int:
    """Print a script for a shell; return 0."""
    words = known()
    match chosen.shell:
        case "fish":
            print("\n".join(_fish(words)))
        case "zsh":
            print(_ZSH + _bash(words), end="")
        case _:
            print(_bash(words), end="")
    return 0


def known() -> dict[str, tuple[str, list[str]]]:
    """Return each command with what it does and the words that may follow it."""
    found: dict[str, tuple[str, list[str]]] = {}
    # argparse has no public way to ask a parser what it takes.
    for action in parser.build()._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                found[name] = (helps[name], list(_words(command)))
    return found


def _words(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:  # noqa: SLF001 - see above
        yield from (name for name in action.option_strings if name.startswith("--"))
        if not action.option_strings and action.choices:
            yield from map(str, action.choices)


def _bash(words: Mapping[str, tuple[str, list[str]]]) -> str:
    cases = "\n".join(
        f'        {name}) options="{" ".join(following)}" ;;'
        for name, (_, following) in words.items()
    )
    return _BASH.format(commands=" ".join([*words, "--help", "--version"]), cases=cases)


def _fish(words: Mapping[str, tuple[str, list[str]]]) -> Iterator[str]:
    yield f"complete -c {PROGRAM} -f"
    for name, (does, following) in words.items():
        here = f"-n '__fish_seen_subcommand_from {name}'"
        yield f"complete -c {PROGRAM} -n __fish_use_subcommand -a {name} -d '{does}'"
        for word in following:
            value = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            files = " -rF" if word in {"--config", "--pty"} else ""
            yield f"complete -c {PROGRAM} {here} {value}{files}"
