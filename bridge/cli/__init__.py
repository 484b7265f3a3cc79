"""The console script ``gcode2mqtt``: its commands and exit codes, and nothing else."""

from bridge.cli.main import main

__all__ = ["main"]
