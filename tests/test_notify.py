"""What a service manager hears."""

import os
import socket
from pathlib import Path

import pytest

from bridge.notify import Notifier
from tests.support.managers import manager


def test_every_message() -> None:
    with manager() as listening:
        notifier = Notifier(listening.environ)
        notifier.ready()
        notifier.alive()
        notifier.reloading()
        notifier.stopping()
        names = [next(iter(message)) for message in listening.heard]
        assert names == ["READY", "WATCHDOG", "RELOADING", "STOPPING"]
        assert int(listening.heard[2]["MONOTONIC_USEC"]) > 0


def test_a_status_is_told_when_it_is_new() -> None:
    with manager() as listening:
        notifier = Notifier(listening.environ)
        for text in ("one", "one", "two"):
            notifier.status(text)
        assert listening.heard == [{"STATUS": "one"}, {"STATUS": "two"}]


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0gcode2mqtt-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@gcode2mqtt-{os.getpid()}"}).ready()
        assert channel.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_it_wants_a_sign_of_life(
    environ: dict[str, str], seconds: float | None
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "/nowhere", **environ})
    assert notifier.watchdog == seconds


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/socket"}])
def test_nobody_who_listens_is_no_error(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    notifier.ready()
    assert notifier.watchdog is None


def test_a_manager_that_reads_nothing_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        notifier = Notifier({"NOTIFY_SOCKET": str(path)})
        for _ in range(5000):
            notifier.alive()
