"""What can be typed."""

import argparse
from collections.abc import Callable
from pathlib import Path

from bridge import __version__

_EXIT_CODES = """\
exit codes:
  0  done, or stopped by Ctrl-C or SIGTERM
  1  it could not go on, for example because the broker refuses the password
  2  the configuration or the command line is wrong
"""

_MAIN = f"""\
examples:
  gcode2mqtt demo                     see it work, without a printer or a broker
  gcode2mqtt init                     write a first configuration, by a few questions
  gcode2mqtt check --config my.yaml   see what a configuration means
  gcode2mqtt run --config my.yaml     run the daemon

{_EXIT_CODES}"""

_RUN = """\
Without --config it reads ./config.yaml, or else /etc/gcode2mqtt/config.yaml.
Environment variables such as BRIDGE_MQTT__PASSWORD override the file.

SIGTERM and SIGINT stop it in order. SIGHUP reads the file again: printers that it
changes begin anew, the others go on; a file with a mistake is refused, and the old one
stays in force.

examples:
  gcode2mqtt run
  BRIDGE_LOG__LEVEL=debug gcode2mqtt run --config my.yaml
"""

_INIT = """\
Asks for the broker, shows the serial ports, asks the printer what it is, and writes a
commented configuration; with an account at the broker also its password, into a file of
its own that only you can read. An existing file is never touched.

examples:
  gcode2mqtt init
  gcode2mqtt init --config ender.yaml
"""

_PORTS = """\
Shows the name to configure first: one that stays when other devices come and go.

example:
  gcode2mqtt ports
"""

_COMPLETION = """\
examples:
  gcode2mqtt completion bash > ~/.local/share/bash-completion/completions/gcode2mqtt
  gcode2mqtt completion fish > ~/.config/fish/completions/gcode2mqtt.fish
  gcode2mqtt completion zsh >> ~/.zshrc
"""

_CHECK = """\
Prints every setting in force, also those by default and from the environment, without
secrets. Exit code 2, and one line that names the place, where something is wrong.

example:
  gcode2mqtt check --config my.yaml
"""

_HEALTH = """\
Asks the broker for the daemon's availability and its last sign of life, for probes such
as a container's. Exit code 1 where a printer's bridge is not there.

example:
  gcode2mqtt health --config my.yaml
"""

_DOCTOR = """\
Tries everything that the daemon needs: the broker, TLS, the account, the right to each
topic, what is left on the topics, the serial port and the printer. One line each; what
is wrong comes with a remedy and makes the exit code 1. To try the printer it opens its
port, which resets most boards; --no-printer leaves that out.

examples:
  gcode2mqtt doctor --config my.yaml
  gcode2mqtt doctor --config my.yaml --json
"""

_PURGE = """\
Clears the retained topics of this configuration's printers, and of former ones, for
example before the bridge is given up. It must not run meanwhile. Exit code 1 where the
broker refuses to clear one.

example:
  gcode2mqtt purge --config my.yaml
"""

_DEMO = """\
Starts an MQTT broker on a free port of this machine, a simulated printer and the
bridge, and tells what to try. Nothing outside of it is touched.

examples:
  gcode2mqtt demo                            until Ctrl-C
  gcode2mqtt demo --script                   watch it play a short scenario
  gcode2mqtt demo --broker localhost:1883    with a broker of your own
"""

_SIMULATE = """\
A printer that is not there, for the bridge or any other host program.

examples:
  gcode2mqtt simulate --pty ./printer        then, in the configuration,
                                             serial: {port: ./printer}
  gcode2mqtt simulate --tcp 127.0.0.1:7000   serial: {port: "socket://127.0.0.1:7000"}
  gcode2mqtt simulate --pty ./printer --firmware klipper --speed 10
"""

_SEND = """\
Publishes one message and prints the response, for those who have no MQTT client. Exit
code 1 where the response is not "finished", and where no bridge is online within five
seconds: then nothing is sent but an emergency.

examples:
  gcode2mqtt send head '{"command": "home", "axes": ["x", "y"]}'
  gcode2mqtt send bed '{"command": "target", "target": 60}'
  gcode2mqtt send command '{"command": "M114"}'
"""

_WATCH = """\
Prints what is published below the printer's topic, until Ctrl-C.

examples:
  gcode2mqtt watch
  gcode2mqtt watch --broker broker.lan:1883 --topic printers/ender
"""

_SCHEMA = """\
examples:
  gcode2mqtt schema > schema.json             JSON Schema of every payload
  gcode2mqtt schema asyncapi > asyncapi.json  the whole interface as AsyncAPI 3
"""

_REPLAY = """\
Reads a log of the wire (serial.log_file) and prints what the bridge makes of each line
of the printer, for bug reports and new firmwares.

example:
  gcode2mqtt replay wire.log
"""


def build() -> argparse.ArgumentParser:
    """Return the parser; it fills in ``command``, and the command's own arguments."""
    parser = argparse.ArgumentParser(
        prog="gcode2mqtt",
        description="Makes a 3D printer on a serial line part of an MQTT network.",
        epilog=_MAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"gcode2mqtt {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, does: str, text: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            epilog=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _add_config(add("init", "write a first configuration", _INIT))
    _add_config(add("run", "run the daemon", _RUN))
    _add_demo(add("demo", "show everything at work, without a printer", _DEMO))
    _add_simulate(add("simulate", "run the simulated printer alone", _SIMULATE))
    _add_config(add("check", "check a configuration and print it", _CHECK))
    _add_config(add("health", "tell whether the running daemon is well", _HEALTH))
    _add_doctor(add("doctor", "find out why it does not work", _DOCTOR))
    _add_config(add("purge", "clear everything at the broker", _PURGE))
    add("ports", "list the serial ports by stable name", _PORTS)
    _add_send(add("send", "send a command to a printer over MQTT", _SEND))
    _add_client(add("watch", "watch what a printer publishes", _WATCH))
    schema = add("schema", "print the interface for programs", _SCHEMA)
    schema.add_argument(
        "form",
        nargs="?",
        choices=("json", "asyncapi"),
        default="json",
        help="%(choices)s",
    )
    replay = add("replay", "explain a log of the wire", _REPLAY)
    replay.add_argument("file", type=Path, help="the log")
    replay.add_argument("--firmware", default="auto", help="the firmware's family")
    completion = add("completion", "print a script that completes words", _COMPLETION)
    completion.add_argument(
        "shell", choices=("bash", "zsh", "fish"), help="%(choices)s"
    )
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--no-printer", action="store_true", help="do not open the serial port"
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--script", action="store_true", help="play a short scenario, then end"
    )
    parser.add_argument(
        "--broker", type=broker, metavar="HOST:PORT", help="use this broker"
    )
    parser.add_argument(
        "--seconds", type=positive(86_400), metavar="N", help="end after this time"
    )


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--pty", type=Path, metavar="PATH", help="a link to a pseudo-terminal"
    )
    place.add_argument("--tcp", type=address, metavar="HOST:PORT", help="a TCP port")
    parser.add_argument(
        "--firmware", default="marlin", metavar="NAME", help="whose part it plays"
    )
    parser.add_argument(
        "--speed",
        type=positive(1000),
        default=1.0,
        metavar="X",
        help="how many times faster than a real one it heats and moves",
    )


def _add_client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--broker",
        type=broker,
        default=("localhost", 1883),
        metavar="HOST:PORT",
        help="the broker (default: localhost:1883)",
    )
    parser.add_argument(
        "--topic", default="printer", help="the printer's topic (default: %(default)s)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="take the broker's settings from it"
    )


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to", metavar="TOPIC", help="head, tool, bed, request/state, …")
    parser.add_argument("payload", nargs="?", default="{}", help="a JSON object")
    _add_client(parser)


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[::1]:port``.

    Raises:
        argparse.ArgumentTypeError: It is not of this form.

    """
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() else -1
    if not colon or not host or not 0 <= number <= 65535:  # noqa: PLR2004  # TCP's own
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), number


def broker(text: str) -> tuple[str, int]:
    """Return host and port of a broker, which has no port 0.

    Raises:
        argparse.ArgumentTypeError: It is not of the form ``host:port``.

    """
    host, port = address(text)
    if not port:
        raise argparse.ArgumentTypeError(f"{text!r}: no broker has the port 0")
    if ":" in host and not text.startswith("["):
        raise argparse.ArgumentTypeError(f"{text!r}: write [ADDRESS]:PORT")
    return host, port


def positive(most: float) -> Callable[[str], float]:
    """Return a reader of numbers above 0 and up to ``most``."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no number above 0 and up to {most:g}"
            )
        return value

    return number
