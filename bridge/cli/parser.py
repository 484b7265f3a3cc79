"""The command line: commands, options, help texts and the types of their values."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from bridge import __version__

APP_PORT = 9464
"""The port of the app's pages; ``deploy/home-assistant-os/config.yaml`` names it."""

APP_USER = 10_001
"""The user and group in the container; ``deploy/Dockerfile`` creates them."""

_EXIT_CODES = """\
exit codes:
  0  success, or stopped by Ctrl-C or SIGTERM
  1  failure, for example because the broker rejects the password
  2  error in the configuration or the command line
"""

_MAIN = f"""\
examples:
  gcode2mqtt demo                     try it without a printer or a broker
  gcode2mqtt init                     answer a few questions to create a configuration
  gcode2mqtt check --config my.yaml   check a configuration and show all settings
  gcode2mqtt run --config my.yaml     run the daemon

{_EXIT_CODES}"""

_RUN = """\
Without --config it reads ./config.yaml or, if that does not exist,
/etc/gcode2mqtt/config.yaml. Environment variables such as BRIDGE_MQTT__PASSWORD
override the file.

SIGTERM and SIGINT stop the daemon. SIGHUP reloads the file: changed settings are
applied while the printers go on; those of a serial port wait for the end of a print. If
the file has an error, the daemon keeps its current configuration.

examples:
  gcode2mqtt run
  BRIDGE_LOG__LEVEL=debug gcode2mqtt run --config my.yaml
"""

_APP = """\
For the container of the app; it reads options.json, which Home Assistant's Supervisor
writes, and asks the Supervisor for the broker. It starts as root, joins the groups of
the serial ports, and goes on as a user without rights. On other machines use
"gcode2mqtt run".

example:
  gcode2mqtt app --data /data --folder /config
"""

_INIT = """\
Asks for the broker and the serial port, detects the printer's properties, and writes
a commented configuration. If the broker needs a password, it is written to a separate
file that only you can read. Existing files are never changed.

examples:
  gcode2mqtt init
  gcode2mqtt init --config ender.yaml
"""

_PORTS = """\
The first name on each line is the one to configure: it does not change when other
devices are plugged in or removed.

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
Prints all settings, including defaults and environment variables, but no passwords. If
there are errors, it prints the place and the reason of each; the exit code is 2.

example:
  gcode2mqtt check --config my.yaml
"""

_HEALTH = """\
Reads the daemon's availability and its last heartbeat from the broker, for health
checks such as those of containers. The exit code is 1 if the bridge of any printer is
offline.

example:
  gcode2mqtt health --config my.yaml
"""

_DOCTOR = """\
Checks everything that the daemon needs: the broker, TLS, the account, the permissions
for each topic, leftover retained messages, the serial port and the printer. It prints
one line for each check and says how to fix each problem; the exit code is 1 if there
is one. To check the printer it opens the port, which resets most boards; --no-printer
omits that.

examples:
  gcode2mqtt doctor --config my.yaml
  gcode2mqtt doctor --config my.yaml --json
"""

_PURGE = """\
Deletes the retained messages of the printers in this configuration, and of former ones,
for example before uninstalling the bridge. Stop the bridge first. The exit code is 1 if
the broker refuses to delete one.

example:
  gcode2mqtt purge --config my.yaml
"""

_DEMO = """\
Starts an MQTT broker on a free port of this machine, a simulated printer and the
bridge, and shows commands to try. Nothing else on the machine is changed.

examples:
  gcode2mqtt demo                            run until Ctrl-C
  gcode2mqtt demo --script                   run a short scenario and check the results
  gcode2mqtt demo --broker localhost:1883    use your own broker
"""

_SIMULATE = """\
Simulates a printer, for the bridge or any other host program.

examples:
  gcode2mqtt simulate --pty ./printer        then, in the configuration,
                                             serial: {port: ./printer}
  gcode2mqtt simulate --tcp 127.0.0.1:7000   serial: {port: "socket://127.0.0.1:7000"}
  gcode2mqtt simulate --pty ./printer --firmware klipper --speed 10
"""

_CLIENT = """\
The broker, the account and the printer's topic are those of --config, ./config.yaml or
/etc/gcode2mqtt/config.yaml; without a configuration they are localhost:1883, none and
"printer".
"""

_SEND = f"""\
Publishes a message and prints the response. The exit code is 1 if the response is not
"finished", or if no bridge is online within five seconds; in that case nothing is sent,
except for an emergency stop, which is published at once.

{_CLIENT}
examples:
  gcode2mqtt send head '{{"command": "home", "axes": ["x", "y"]}}'
  gcode2mqtt send bed '{{"command": "target", "target": 60}}'
  gcode2mqtt send command '{{"command": "M114"}}' --printer ender
"""

_WATCH = f"""\
Prints everything published below the printers' topics, with the time, until Ctrl-C.

{_CLIENT}
examples:
  gcode2mqtt watch
  gcode2mqtt watch --events --printer ender
  gcode2mqtt watch --broker broker.lan:1883 --topic printers/ender
"""

_SCHEMA = """\
examples:
  gcode2mqtt schema > schema.json             JSON Schema of all payloads
  gcode2mqtt schema asyncapi > asyncapi.json  the whole interface in AsyncAPI 3
"""

_REPLAY = """\
Reads a log of the serial connection and shows how the bridge interprets each line from
the printer, and which lines have no meaning for it, for bug reports and for new
firmwares. It reads the bridge's own log (serial.log_file), OctoPrint's serial.log and
terminal, the logs of Pronterface and Repetier-Host, and a bare capture, in any
encoding, of any size, and packed with gzip.

examples:
  gcode2mqtt replay wire.log
  gcode2mqtt replay --summary serial.log
  ssh pi cat serial.log | gcode2mqtt replay -
"""


# What argparse says about a wrong value; there is no other way to find out.
_CHOICE = re.compile(r"argument (\S+): invalid choice: (.+) \(choose from (.+)\)")
_NUMBER = re.compile(r"argument (\S+): invalid int value: '(.*)'")
_MISSING = re.compile(r"the following arguments are required: (.+)")
_GCODE = re.compile(r"[GMTgmt]\d{1,4}")


class _HintingParser(argparse.ArgumentParser):
    """Suggests what may have been meant."""

    subcommands: "dict[str, argparse.ArgumentParser]"

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with 2."""
        if found := _MISSING.fullmatch(message):
            message += f"; {self.prog} --help explains them"
        elif found := _CHOICE.fullmatch(message):
            word = found[2].strip("'")
            known = [choice.strip("'") for choice in found[3].split(", ")]
            hint = _meant(word, known) if found[1] == "COMMAND" else ""
            close = get_close_matches(word.lower(), known, 1)
            if not hint and close:
                hint = f"; did you mean {close[0]}?"
            message = f'{found[1]}: there is no "{word}"{hint} '
            message += f"(known: {', '.join(known)})"
        elif found := _NUMBER.fullmatch(message):
            message = f'{found[1]}: must be a whole number, not "{found[2]}"'
        super().error(message)


_OTHER_COMMANDS = {
    **dict.fromkeys(("help", "--usage"), "--help"),
    "version": "--version",
    **dict.fromkeys(("start", "serve", "daemon"), "run"),
    **dict.fromkeys(("status", "ping"), "health"),
    **dict.fromkeys(("test", "validate", "config"), "check"),
    **dict.fromkeys(("list", "devices"), "ports"),
    **dict.fromkeys(("listen", "sub", "subscribe", "monitor"), "watch"),
    **dict.fromkeys(("pub", "publish"), "send"),
    **dict.fromkeys(("setup", "configure", "wizard"), "init"),
    **dict.fromkeys(("uninstall", "clear", "clean"), "purge"),
    **dict.fromkeys(("diagnose", "debug"), "doctor"),
}
"""What other programs call a subcommand, and its name."""
_SERVICE = ("stop", "restart", "reload", "enable")


def _meant(word: str, known: Sequence[str]) -> str:
    """Return what somebody may have meant by a word that is not a subcommand."""
    if word in _OTHER_COMMANDS:
        return f"; did you mean {_OTHER_COMMANDS[word]}?"
    if word in _SERVICE:
        return f"; a service is managed with: systemctl {word} gcode2mqtt"
    return _meant_to_send(word) if word not in known else ""


def _meant_to_send(word: str) -> str:
    """Return how a command is sent to the printer, if a word is a topic or G-code."""
    # Imported only for this message: it takes a while, and --help must be quick.
    from bridge.commands import payload_form  # noqa: PLC0415
    from bridge.commands.registry import TOPICS  # noqa: PLC0415

    is_code = _GCODE.fullmatch(word) is not None
    topic = "command" if is_code else word.strip("/").removeprefix("printer/")
    if topic not in TOPICS:
        return ""
    example = payload_form(topic).partition("such as ")[2].removesuffix(", or empty")
    if is_code:
        example = f'{{"command": "{word}"}}'
    return f"; write: gcode2mqtt send {topic} '{example}'"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was typed, as ``command`` and the command's arguments.

    Prints what is wrong with it, and exits with 2.
    """
    parser = build()
    arguments = sys.argv[1:] if arguments is None else arguments
    first = arguments[0] if arguments else ""
    if first.startswith("-") and first not in {"-h", "--help", "--version"}:
        # Otherwise argparse says that the command is missing, but it may follow.
        parser.error(_misplaced(first))
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        subcommand = parser.subcommands[chosen.command]
        subcommand.error(_unknown(unknown[0], chosen.command, subcommand))
    return chosen


def _misplaced(word: str) -> str:
    """Return what to do with an option before the subcommand."""
    known = ["--help", "--version"]
    if close := get_close_matches(word, known, 1):
        return f"there is no {word}; did you mean {close[0]}?"
    return (
        f"there is no {word} here (known: {', '.join(known)}); options follow the "
        "command, for example: gcode2mqtt run --config my.yaml"
    )


def _unknown(word: str, command: str, parser: argparse.ArgumentParser) -> str:
    """Return what to write instead of an unknown argument."""
    options = re.findall(r"--[a-z][a-z-]*", parser.format_usage())
    if word.startswith("-"):
        if word in {"-v", "--verbose", "--debug", "--log-level"}:
            return (
                f"there is no {word}; the level of the log is log.level in the "
                "configuration, or BRIDGE_LOG__LEVEL=debug in the environment"
            )
        close = get_close_matches(word.partition("=")[0], options, 1)
        if re.fullmatch("-[a-z]", word):  # -c
            close = [one for one in options if one.startswith(f"-{word}")][:1]
        known = ", ".join(dict.fromkeys([*options, "--help"]))
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"there is no {word}{hint} (known: {known})"
    if command == "send":
        return (
            f'"{word}" is one word too many; put the payload in single quotes, for '
            """example: gcode2mqtt send command '{"command": "G28"}'"""
        )
    if command == "watch" and not word.endswith((".yaml", ".yml")):
        return (
            "name the printer's topic with --topic; write: gcode2mqtt watch "
            f"--topic {word.partition('/#')[0]}"
        )
    if "--config" in options:
        return f"name the file with --config; write: {parser.prog} --config {word}"
    return f'"{word}" is one word too many; {parser.prog} --help explains the arguments'


def build() -> _HintingParser:
    """Return the parser, whose result has ``command`` and the command's arguments."""
    parser = _HintingParser(
        prog="gcode2mqtt",
        description="Connects 3D printers on serial ports to an MQTT broker.",
        epilog=_MAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"gcode2mqtt {__version__}"
    )
    parser.subcommands = {}
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, does: str, text: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            epilog=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.subcommands[name] = added
        return added

    _add_config(add("init", "create a configuration interactively", _INIT))
    _add_run(add("run", "run the daemon", _RUN))
    _add_app(add("app", "run the daemon as an app of Home Assistant OS", _APP))
    _add_demo(add("demo", "run everything with a simulated printer", _DEMO))
    _add_simulate(add("simulate", "run only the simulated printer", _SIMULATE))
    _add_check(add("check", "check a configuration and print it", _CHECK))
    _add_config(add("health", "check whether the daemon is running", _HEALTH))
    _add_doctor(add("doctor", "find out why it does not work", _DOCTOR))
    _add_config(add("purge", "delete all retained messages", _PURGE))
    add("ports", "list the serial ports by their permanent names", _PORTS)
    _add_send(add("send", "send a command to a printer over MQTT", _SEND))
    _add_watch(add("watch", "print everything that a printer publishes", _WATCH))
    _add_schema(
        add("schema", "print the interface as JSON Schema or AsyncAPI", _SCHEMA)
    )
    _add_replay(add("replay", "explain a log of the serial connection", _REPLAY))
    _add_completion(add("completion", "print a completion script", _COMPLETION))
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=_file, metavar="FILE", help="the configuration file"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--event-loop",
        choices=("asyncio", "uvloop"),
        default="asyncio",
        help="asyncio is the default; uvloop has to be installed",
    )


def _add_app(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=Path("/data"), help="folder with options.json"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("/config"), help="folder of the user"
    )
    parser.add_argument(
        "--supervisor",
        type=broker,
        default=("supervisor", 80),
        metavar="HOST:PORT",
        help="the Supervisor's API",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=APP_PORT,
        help="port of /healthz and the report (default: %(default)s)",
    )
    parser.add_argument(
        "--user",
        type=int,
        default=APP_USER,
        metavar="NUMBER",
        help="the user and group to go on as (default: %(default)s)",
    )
    parser.add_argument(
        "--ingress",
        # https://developers.home-assistant.io/docs/apps/presentation#ingress
        default="172.30.32.2",
        metavar="ADDRESS",
        help="the only client that gets the report (default: %(default)s)",
    )


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="print errors and warnings only"
    )


def _add_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "form",
        nargs="?",
        choices=("json", "asyncapi"),
        default="json",
        help="%(choices)s",
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the log; - is the standard input"
    )
    parser.add_argument("--firmware", default="auto", help="the firmware family")
    parser.add_argument(
        "--summary",
        action="store_true",
        help="print only what was understood, and what was not",
    )


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="%(choices)s")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--no-printer", action="store_true", help="do not open the serial port"
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--script", action="store_true", help="run a short scenario and exit"
    )
    parser.add_argument(
        "--broker", type=broker, metavar="HOST:PORT", help="use this broker"
    )
    parser.add_argument(
        "--seconds", type=positive(86_400), metavar="N", help="exit after this time"
    )


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--pty", type=Path, metavar="PATH", help="create a link to a pseudo-terminal"
    )
    place.add_argument(
        "--tcp", type=address, metavar="HOST:PORT", help="listen on a TCP port"
    )
    parser.add_argument(
        "--firmware", default="marlin", metavar="NAME", help="firmware to simulate"
    )
    parser.add_argument(
        "--speed",
        type=positive(1000),
        default=1.0,
        metavar="X",
        help="speed of heating and motion relative to a real printer",
    )


def _add_client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=_file,
        metavar="FILE",
        help="the configuration with the broker, the account and the printer's topic",
    )
    parser.add_argument(
        "--printer", metavar="ID", help="which printer of the configuration"
    )
    parser.add_argument(
        "--broker",
        type=broker,
        metavar="HOST:PORT",
        help="a broker without an account, instead of that of the configuration",
    )
    parser.add_argument(
        "--topic", type=_base, help="the printer's topic (default: printer)"
    )


def _add_watch(parser: argparse.ArgumentParser) -> None:
    _add_client(parser)
    parser.add_argument(
        "--events", action="store_true", help="only events and responses"
    )
    parser.add_argument(
        "--full", action="store_true", help="do not cut lines at the terminal's width"
    )


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to", metavar="TOPIC", help="head, tool, bed, request/state, …")
    parser.add_argument("payload", nargs="?", default="{}", help="a JSON object")
    _add_client(parser)


def _base(text: str) -> str:
    base = text.strip("/")
    if not base or "#" in base:
        raise argparse.ArgumentTypeError(
            f'"{text}" is not the topic of one printer, such as printer or '
            "printers/ender"
        )
    return base


def _file(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name of the file is empty")
    return Path(text)


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[::1]:port``.

    Raises:
        argparse.ArgumentTypeError: The text has another form.

    """
    if "://" in text:
        plain = text.partition("://")[2]
        raise argparse.ArgumentTypeError(f'"{text}": write only {plain}')
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() else -1
    if not colon or not host or not 0 <= number <= 65535:  # noqa: PLR2004  # TCP's own
        raise argparse.ArgumentTypeError(
            f'"{text}" is not HOST:PORT with a port up to 65535, such as localhost:1883'
        )
    return host.strip("[]"), number


def broker(text: str) -> tuple[str, int]:
    """Return host and port of a broker; port 0 is not valid.

    Raises:
        argparse.ArgumentTypeError: The text is not of the form ``host:port``.

    """
    host, port = address(text)
    if not port:
        raise argparse.ArgumentTypeError(
            f'"{text}": port 0 is not valid; write 1 to 65535'
        )
    if ":" in host and not text.startswith("["):
        raise argparse.ArgumentTypeError(
            f'"{text}": write [ADDRESS]:PORT, such as [::1]:1883'
        )
    # Imported only here: the models take a while, and --help must be quick.
    from bridge.config.values import host_and_port  # noqa: PLC0415

    try:
        return host_and_port(text, port)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}": {error}') from None


def positive(most: float) -> Callable[[str], float]:
    """Return a function that reads a number above 0 and up to ``most``."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(
                f'"{text}" is not a number above 0 and up to {most:g}'
            )
        return value

    return number
