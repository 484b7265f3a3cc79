"""Runs the command that the command line names, and turns its end into an exit code."""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from bridge.cli import parser
from bridge.errors import BridgeError, ConfigError

# Only the chosen command is imported, so that --help is quick on a small machine.
COMMANDS = {
    "init": "bridge.cli.init:init",
    "run": "bridge.cli.run:run",
    "app": "bridge.cli.app:app",
    "demo": "bridge.cli.demo:demo",
    "simulate": "bridge.cli.simulate:simulate",
    "check": "bridge.cli.check:check",
    "health": "bridge.cli.health:health",
    "doctor": "bridge.cli.doctor:doctor",
    "purge": "bridge.cli.purge:purge",
    "ports": "bridge.cli.ports:ports",
    "schema": "bridge.cli.schema:schema",
    "replay": "bridge.cli.replay:replay",
    "send": "bridge.cli.client:send",
    "watch": "bridge.cli.client:watch",
    "completion": "bridge.cli.completion:completion",
}

FAILED = 1
WRONG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that was typed, and return the exit code."""
    chosen = parser.parse(arguments)
    try:
        code = _function(chosen.command)(chosen)
        sys.stdout.flush()
    except ConfigError as error:
        return _complain(error, WRONG)
    except BridgeError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _complain(BridgeError("stopped before it was done"), FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _function(command: str) -> Callable[[argparse.Namespace], int]:
    module, _, name = COMMANDS[command].partition(":")
    # Imports make no garbage; looking for it would cost a tenth of the start.
    gc.disable()
    try:
        function: Callable[[argparse.Namespace], int]
        function = getattr(import_module(module), name)
    finally:
        gc.freeze()
        gc.enable()
    return function


def _complain(error: BridgeError, code: int) -> int:
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    for problem in problems:
        line = "".join(char if char.isprintable() else "�" for char in problem)
        print(f"gcode2mqtt: {line}", file=sys.stderr)
    return code
