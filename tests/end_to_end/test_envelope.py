"""The fields that every command may have: its id, its age, its timeout, its dry run."""

import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.brokers import Mosquitto
from tests.support.printers import ScriptedPrinter, scripted
from tests.support.stages import Stage, stage
from tests.support.waiting import until

QUEUE = 5
HOME = {"command": "home", "axes": ["x"]}


@pytest.fixture(scope="module")
def held(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage[ScriptedPrinter]]:
    """A printer that acknowledges no ``M400`` before it is released."""
    folder = tmp_path_factory.mktemp("held")
    sections = {"limits": {"queue": QUEUE}}
    with (
        scripted(folder / "printer") as printer,
        stage(broker, printer, folder, "held", sections) as running,
    ):
        yield running


@pytest_asyncio.fixture
async def busy(held: Stage[ScriptedPrinter]) -> AsyncIterator[Stage[ScriptedPrinter]]:
    """The same while it works on a line."""
    before = len(held.printer.wire.chunks)
    held.printer.held.add("M400")
    working = await held.send("command", {"command": "M400"})
    await until(lambda: held.printer.wire.sent(before) == ["M400"])
    yield held
    held.printer.release()
    assert (await held.answer(working))["status"] == "finished"
    await held.fence()


async def test_a_dry_run_sends_nothing(held: Stage[ScriptedPrinter]) -> None:
    before = len(held.printer.wire.chunks)
    answer = await held.call("head", {**HOME, "dry_run": True})
    assert (answer["status"], answer["gcode"]) == (
        "finished",
        ["G91", "G28 X0", "G90"],
    )
    refused = await held.call(
        "bed", {"command": "target", "target": 500, "dry_run": True}
    )
    assert refused["error"] == "out_of_limits"
    await held.fence()
    assert len(held.printer.wire.sent(before)) == 1


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_response_warns_of_what_was_changed(
    held: Stage[ScriptedPrinter], *, dry_run: bool
) -> None:
    before = len(held.printer.wire.chunks)
    lines = ["M117 Gr\u00fc\u00dfe; * M110 N5", "M4242 S1", "M4242 S1"]
    answer = await held.call("command", {"commands": lines, "dry_run": dry_run})
    text = "M117 Gruesse, x m110 N5"
    assert (answer["status"], answer["gcode"][:2]) == ("finished", [text, "M4242 S1"])
    changed, unknown = answer["warning"].split("; ")
    assert changed == 'the text was sent as "Gruesse, x m110 N5"'
    assert unknown.startswith("M4242 is not in the table of codes of ")
    await held.fence()
    assert (text in held.printer.wire.sent(before)) is not dry_run


@pytest.mark.parametrize("command", ["M84", "M108", "M112"])
async def test_too_old_on_arrival(held: Stage[ScriptedPrinter], command: str) -> None:
    before = len(held.printer.wire.chunks)
    old = {"command": command, "issued_at": time.time() - 10, "ttl": 5}
    answer = await held.call("command", old)
    assert (answer["status"], answer["code"]) == ("expired", 410)
    assert answer["error"] == "expired"
    assert "issued_at was 10" in answer["message"]
    await held.fence()
    assert len(held.printer.wire.sent(before)) == 1


async def test_in_time(held: Stage[ScriptedPrinter]) -> None:
    fresh = {"command": "M84", "issued_at": time.time(), "ttl": 60}
    assert (await held.call("command", fresh))["status"] == "finished"


async def test_a_clock_that_is_ahead_is_told(held: Stage[ScriptedPrinter]) -> None:
    ahead = {"command": "M84", "issued_at": time.time() + 600, "ttl": 60}
    answer = await held.call("command", ahead)
    assert answer["status"] == "finished"
    assert "in the future" in answer["warning"]


async def test_too_old_when_its_turn_comes(busy: Stage[ScriptedPrinter]) -> None:
    before = len(busy.printer.wire.chunks)
    reply = await busy.send("command", {"command": "M84", "ttl": 0.05})
    late = time.monotonic() + 0.1
    await busy.call("request/info")
    await until(lambda: time.monotonic() > late)
    busy.printer.release()
    answer = await busy.answer(reply)
    assert (answer["status"], answer["error"], answer["gcode"]) == (
        "expired",
        "expired",
        [],
    )
    assert "ttl of 0.05 s" in answer["message"]
    await busy.fence()
    assert "M84" not in busy.printer.wire.sent(before)


async def test_message_expiry_counts_too(busy: Stage[ScriptedPrinter]) -> None:
    before = len(busy.printer.wire.chunks)
    reply = await busy.send("command", {"command": "M84"}, MessageExpiryInterval=1)
    late = time.monotonic() + 1.05
    await busy.call("request/info")
    await until(lambda: time.monotonic() > late)
    busy.printer.release()
    answer = await busy.answer(reply)
    assert (answer["status"], answer["code"]) == ("expired", 410)
    assert "MQTT message expired" in answer["message"]
    await busy.fence()
    assert "M84" not in busy.printer.wire.sent(before)


async def test_a_repeated_id_is_not_executed_again(
    held: Stage[ScriptedPrinter],
) -> None:
    before = len(held.printer.wire.chunks)
    first = await held.call("command", {"command": "M84", "id": "once"})
    second = await held.call("command", {"command": "M84", "id": "once"})
    assert first == second
    await held.fence()
    assert held.printer.wire.sent(before).count("M84") == 1


async def test_an_id_repeated_while_it_works(busy: Stage[ScriptedPrinter]) -> None:
    before = len(busy.printer.wire.chunks)
    replies = [
        await busy.send("command", {"command": "M84", "id": "at once"})
        for _ in range(3)
    ]
    await busy.call("request/info")
    busy.printer.release()
    answers = [await busy.answer(reply) for reply in replies]
    assert answers == [answers[0]] * 3
    assert answers[0]["status"] == "finished"
    await busy.fence()
    assert busy.printer.wire.sent(before).count("M84") == 1


async def test_a_question_may_have_the_same_id_again(
    held: Stage[ScriptedPrinter],
) -> None:
    before = len(held.printer.wire.chunks)
    for _ in range(2):
        answer = await held.call(
            "command", {"command": "M84", "dry_run": True, "id": "q"}
        )
        assert (answer["id"], answer["status"]) == ("q", "finished")
        assert (await held.call("request/ping", {"id": "q"}))["status"] == "finished"
    await held.fence()
    assert len(held.printer.wire.sent(before)) == 1


async def test_a_timeout_while_it_runs(held: Stage[ScriptedPrinter]) -> None:
    before = len(held.printer.wire.chunks)
    held.printer.held.add("M400")
    lines = {"commands": ["M106 S1", "M400", "M107"], "timeout": 1}
    answer = await held.call("command", lines)
    assert (answer["status"], answer["error"]) == ("failed", "timeout")
    assert (answer["code"], answer["gcode"]) == (408, ["M106 S1", "M400"])
    assert "1 s" in answer["message"]
    held.printer.release()
    await held.fence()
    assert "M107" not in held.printer.wire.sent(before)


async def test_a_timeout_in_the_queue(busy: Stage[ScriptedPrinter]) -> None:
    before = len(busy.printer.wire.chunks)
    answer = await busy.call("command", {"command": "M84", "timeout": 0.05})
    assert (answer["error"], answer["gcode"]) == ("timeout", [])
    busy.printer.release()
    await busy.fence()
    assert "M84" not in busy.printer.wire.sent(before)


async def test_a_full_queue(busy: Stage[ScriptedPrinter]) -> None:
    fits = await busy.send("command", {"commands": ["M84"] * (QUEUE - 1)})
    answer = await busy.call("command", {"command": "M107"})
    assert (answer["status"], answer["error"]) == ("rejected", "queue_full")
    assert answer["code"] == 429
    assert "limits.queue" in answer["message"]
    busy.printer.release()
    assert (await busy.answer(fits))["status"] == "finished"


async def test_commands_wait_their_turn(busy: Stage[ScriptedPrinter]) -> None:
    before = len(busy.printer.wire.chunks)
    first = await busy.send("head", HOME)
    second = await busy.send("command", {"command": "M84"})
    await busy.call("request/info")
    assert busy.printer.wire.sent(before) == []
    busy.printer.release()
    assert (await busy.answer(first))["status"] == "finished"
    assert (await busy.answer(second))["status"] == "finished"
    assert busy.printer.wire.sent(before) == ["G91", "G28 X0", "G90", "M84"]
