"""The bridge under a service manager: notifications, and a hang that ends them."""

import os
import re
import signal
import time
from pathlib import Path

from tests.support.brokers import Mosquitto
from tests.support.cases import case
from tests.support.daemons import daemon
from tests.support.managers import Manager, manager
from tests.support.mqtt_client import connected
from tests.support.printers import scripted
from tests.support.stages import config_of
from tests.support.waiting import until

WATCHDOG = 0.6


async def test_from_ready_to_stopping(broker: Mosquitto, tmp_path: Path) -> None:
    with (
        manager(WATCHDOG) as listening,
        scripted(tmp_path / "printer") as printer,
        daemon(
            tmp_path,
            config_of(broker, printer.link, "service"),
            listening.environ,
        ) as process,
    ):
        await until(lambda: listening.count("WATCHDOG") >= 3, 20)
        assert listening.heard[0] == {"READY": "1"}
        whole = {
            "STATUS": "printers connected: 1 of 1, at the broker: 1 of 1",
        }
        await until(lambda: whole in listening.heard)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        process.signal(signal.SIGHUP)
        await until(lambda: listening.count("READY") == 2)
        assert listening.count("RELOADING") == 1
        reloading = next(x for x in listening.heard if "RELOADING" in x)
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert before <= int(reloading["MONOTONIC_USEC"]) <= after
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
        assert listening.heard[-1] == {"STOPPING": "1"}


async def test_a_reload_with_an_error_is_said_until_one_succeeds(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        manager(WATCHDOG) as listening,
        scripted(tmp_path / "printer") as printer,
        daemon(
            tmp_path,
            config_of(broker, printer.link, "mistaken"),
            listening.environ,
        ) as process,
    ):
        good = process.config.read_text()
        await until(lambda: listening.count("READY") == 1)
        process.config.write_text(good + "log: {level: loud}\ncolour: red\n")
        process.signal(signal.SIGHUP)
        await until(lambda: any("old configuration" in x for x in stati(listening)))
        assert "colour is not a known key" in stati(listening)[-1]
        assert "log.level must be debug, info, warning or error" in process.log
        process.config.write_text(good + "log: {level: debug}\n")
        process.signal(signal.SIGHUP)
        await until(lambda: stati(listening)[-1].startswith("printers connected"))
        # What docs/troubleshooting.md asks for: lines, replies and responses.
        with connected(broker.port, "mistaken/connection", host=broker.host) as client:
            await client.hears("mistaken/connection", b"online")
            for topic, payload in (
                ("command", '{"command": "M117 seen", "id": "seen"}'),
                ("command", '{"command": "G28", "id": "dry", "dry_run": true}'),
                ("command", '{"command": "G28", "id": "late", "ttl": 1e-9}'),
                ("bed", '{"command": "target", "target": 999, "id": "hot"}'),
                ("head", "home"),
                ("request/ping", ""),
                ("head/jog", "{}"),
            ):
                await client.publish(f"mistaken/{topic}", payload.encode())
        for said in (
            r"wire: \[.*\] >>> .*M117 seen",
            r"wire: \[.*\] <<< ok",
            r"commands: \[.*\] command command: finished \(id seen, ",
            r"commands: \[.*\] command command: finished \(id dry, ",
            r"commands: \[.*\] command command: expired, expired: .* \(id late, ",
            r"commands: \[.*\] bed target: rejected, out_of_limits: .*999.* \(id hot, ",
            r"commands: \[.*\] head : rejected, invalid_json: .*not JSON: home ",
            r"commands: \[.*\] request/ping ping: finished \(id None, ",
            r"commands: \[.*\] head/jog : rejected, unknown_topic: .*did you mean ",
        ):
            line = re.compile(f"DEBUG   {said}")
            with case(said):
                await until(lambda: line.search(process.log) is not None)  # noqa: B023 - called at once


def stati(listening: Manager) -> list[str]:
    return [heard["STATUS"] for heard in listening.heard if "STATUS" in heard]


async def test_the_watchdog_is_notified_without_printer_and_broker(
    tmp_path: Path,
) -> None:
    config = {
        "mqtt": {"host": "127.0.0.1", "port": 1},
        "printers": [{"serial": {"port": str(tmp_path / "none")}}],
    }
    with (
        manager(WATCHDOG) as listening,
        daemon(tmp_path, config, listening.environ) as process,
    ):
        await until(lambda: listening.count("WATCHDOG") >= 5, 20)
        process.signal(signal.SIGTERM)
        assert process.ended() == 0


async def test_a_bridge_that_hangs_gives_no_sign_of_life(
    broker: Mosquitto, tmp_path: Path
) -> None:
    config = config_of(broker, tmp_path / "printer", "hung")
    with (
        manager(WATCHDOG) as listening,
        daemon(tmp_path, config, listening.environ) as process,
    ):
        await until(lambda: listening.count("WATCHDOG") >= 3, 20)
        process.signal(signal.SIGSTOP)
        quiet = Quiet(WATCHDOG * 3)
        await until(lambda: quiet.since(listening.count("WATCHDOG")), 30)
        process.signal(signal.SIGCONT)
        seen = listening.count("WATCHDOG")
        await until(lambda: listening.count("WATCHDOG") > seen)


async def test_a_log_of_the_wire_that_is_a_pipe_does_not_hang_the_bridge(
    broker: Mosquitto, tmp_path: Path
) -> None:
    pipe = tmp_path / "wire.log"
    os.mkfifo(pipe)
    config = config_of(broker, tmp_path / "printer", "piped")
    config["printers"][0]["serial"]["log_file"] = str(pipe)
    with (
        manager(WATCHDOG) as listening,
        scripted(tmp_path / "printer"),
        daemon(tmp_path, config, listening.environ) as process,
    ):
        await until(lambda: "connected firmware" in process.log)
        seen = listening.count("WATCHDOG")
        await until(lambda: listening.count("WATCHDOG") > seen + 3)
        assert process.log.count("cannot be written") == 1


class Quiet:
    """Tells whether a count has not changed for some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._count = -1
        self._since = time.monotonic()

    def since(self, count: int) -> bool:
        if count != self._count:
            self._count, self._since = count, time.monotonic()
        return time.monotonic() - self._since > self._seconds
