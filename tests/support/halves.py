"""Which half of the package a module belongs to: the pure one or the one that does I/O.

A module is pure unless it is listed here. Run as a program, it prints the pure files as
``coverage report --include`` wants them.
"""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BRIDGE = ROOT / "bridge"

DOES_IO = (
    "__main__.py",
    "app/*.py",
    "cli/*.py",
    "config/*.py",  # resolves paths
    "config_file/*.py",
    "demo/*.py",
    "field_docs.py",  # reads the source of models
    "files/index.py",
    "files/inspector.py",
    "files/library.py",
    "files/store.py",
    "files/stored.py",  # has paths
    "files/worker.py",
    "home_assistant/announcer.py",
    "logs.py",
    "mqtt/broker.py",
    "mqtt/broker_checks.py",
    "mqtt/client.py",
    "mqtt/connect.py",
    "mqtt/duplicate_bridge.py",
    "mqtt/emergency.py",
    "mqtt/error_text.py",  # names the errors of sockets and TLS
    "mqtt/one_shot.py",
    "mqtt/own_topics.py",
    "mqtt/retained_copies.py",
    "mqtt/session.py",
    "mqtt/takeover.py",
    "notify.py",
    "printer/control/command_queue.py",
    "printer/control/hook_runner.py",
    "printer/control/heater_control.py",
    "printer/control/status_poller.py",
    "printer/control/stopped_firmware.py",
    "printer/link/probe.py",
    "printer/link/link.py",
    "printer/link/session.py",
    "printer/link/setup.py",
    "printer/link/wire_file.py",
    "printer/printing/print_commands.py",
    "printer/printing/print_file.py",
    "printer/printing/job_report.py",
    "printer/printing/print_run.py",
    "printer/printing/runner.py",
    "printer/port/descriptor.py",
    "printer/port/errors.py",
    "printer/port/read_buffer.py",
    "printer/port/ports.py",
    "printer/port/rfc2217.py",
    "printer/port/serial_port.py",
    "printer/port/simulated.py",
    "printer/port/tcp.py",
    "printer/port/transport.py",
    "printer/printer.py",
    "simulator/serve*.py",
    "state_files.py",
    "threads.py",
    "timeout.py",
    "upload/server.py",
    "upload/fetch.py",
    "upload/handlers.py",
    "upload/inbox.py",
    "upload/targets.py",  # its methods wait
)


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(BRIDGE.rglob("*.py"))


def is_pure(module: Path) -> bool:
    """Return whether a module must do no I/O."""
    return not any(module.match(f"bridge/{pattern}") for pattern in DOES_IO)


if __name__ == "__main__":
    pure = [str(path.relative_to(ROOT)) for path in modules() if is_pure(path)]
    print(",".join(pure))  # noqa: T201  # the program's output
