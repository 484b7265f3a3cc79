"""``gcode2mqtt check``."""

import argparse
import os
import sys

from bridge.app import upload_service
from bridge.app.scripts_folder import check_scripts
from bridge.config import Config
from bridge.config_file import dump, load, written_at
from bridge.mqtt.connect import tls_context
from bridge.mqtt.error_text import AttemptError
from bridge.printer.port.errors import permission_problem


def check(chosen: argparse.Namespace) -> int:
    """Print the configuration in force, unless ``--quiet``; return 0.

    Problems with which the bridge would still start are warnings on standard error: a
    port that this user may not open, files for TLS that this user may not read, and
    whatever keeps slicers from uploading.

    Raises:
        ConfigError: It cannot be used.

    """
    config = load(chosen.config, os.environ)
    place = written_at(chosen.config, os.environ)
    check_scripts(config, place)
    if not chosen.quiet:
        print(dump(config), end="")
    for index, printer in enumerate(config.printers):
        if problem := permission_problem(printer.serial.port):
            where = place(("printers", index, "serial", "port"))
            print(f"warning: {where}: {printer.id}: {problem}", file=sys.stderr)
    if problem := _tls_problem(config):
        print(f"warning: {place(('mqtt', 'tls'))}: {problem}", file=sys.stderr)
    for finding in upload_service.examine(config):
        if finding.verdict == "wrong":
            print(f"warning: {finding.text}", file=sys.stderr)
    return 0


def _tls_problem(config: Config) -> str | None:
    if not config.mqtt.tls.enabled:
        return None
    try:
        tls_context(config.mqtt.tls)
    except AttemptError as error:
        return error.message
    return None
