"""A process that was frozen carries out nothing that was meant for back then."""

import signal
import time
from pathlib import Path

from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon
from tests.support.printers import scripted
from tests.support.stages import stage
from tests.support.waiting import until

KEEPALIVE = 5
"""Seconds; the smallest that the configuration allows."""

LONG = 2 * KEEPALIVE + 1.0
SHORT = 4.0


def is_frozen(process: Daemon) -> bool:
    """Return whether it is stopped by a signal; proc_pid_stat(5)."""
    status = Path(f"/proc/{process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


async def freeze(process: Daemon) -> None:
    """Stop the daemon, and wait until it does nothing more."""
    process.signal(signal.SIGSTOP)
    await until(lambda: is_frozen(process))


async def stays_frozen(process: Daemon, seconds: float) -> None:
    """Wait, and then let it continue; nobody else may have let it."""
    ends = time.monotonic() + seconds
    await until(lambda: time.monotonic() > ends or not is_frozen(process))
    assert is_frozen(process), "something else has sent it SIGCONT"
    process.signal(signal.SIGCONT)


async def test_what_was_sent_to_a_frozen_bridge_is_expired(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """All but the emergency stop, which is better late than never."""
    mqtt = {"mqtt": {"keepalive": KEEPALIVE}}
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "frozen", mqtt) as bridge,
    ):
        before = len(printer.wire.chunks)
        await freeze(bridge.daemon)
        replies = [
            await bridge.send("bed", {"command": "target", "target": 60}),
            await bridge.send("head", {"command": "jog", "x": 5}),
            await bridge.send("command", {"command": "M106", "ttl": 3600}),
            await bridge.send("command", {"commands": ["G28", "M84"]}),
            await bridge.send("request/ping"),
        ]
        await stays_frozen(bridge.daemon, LONG)
        for reply in replies:
            answer = await bridge.answer(reply)
            told = (answer["status"], answer["code"])
            assert told == ("expired", 410), f"{answer}\n{bridge.daemon.log}"
            assert "stood still" in answer["message"]
            assert answer["gcode"] == []
        said = bridge.client.payloads
        await until(lambda: said("frozen/availability").count(b"online") == 2)
        fence = await bridge.fence()
        assert printer.wire.sent(before) == [fence]

        await freeze(bridge.daemon)
        reply = await bridge.send("emergency")
        await stays_frozen(bridge.daemon, LONG)
        assert (await bridge.answer(reply))["status"] == "finished"
        await until(lambda: printer.wire.sent(before)[-1] == "M112")


async def test_a_short_standstill_counts_as_age(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "halting") as bridge,
    ):
        await freeze(bridge.daemon)
        heat = {"command": "target", "target": 60}
        late = await bridge.send("bed", {**heat, "ttl": SHORT / 2})
        by_mqtt = await bridge.send("bed", heat, MessageExpiryInterval=2)
        in_time = await bridge.send("bed", {**heat, "target": 50, "ttl": 600})
        without = await bridge.send("head", {"command": "jog", "x": 5})
        await stays_frozen(bridge.daemon, SHORT)
        answer = await bridge.answer(late)
        assert answer["status"] == "expired", f"{answer}\n{bridge.daemon.log}"
        assert (await bridge.answer(by_mqtt))["status"] == "expired"
        assert (await bridge.answer(in_time))["status"] == "finished"
        assert (await bridge.answer(without))["status"] == "finished"
        assert "M140 S60" not in printer.wire.sent()
