"""What rides beside a command: its age, its id; and the response that comes back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands import Envelope, Origin, Outcome, Response, parse
from bridge.commands.deduplication import Receipts, Verdict
from bridge.commands.envelope import (
    expiry_message,
    lifetime,
    skew_warning,
    standstill_message,
)
from bridge.errors import ExpiredError, FailedError, RejectedError
from bridge.timestamps import timestamp

NOON = 1_795_348_800.0


def envelope(**fields: Any) -> Envelope:  # noqa: ANN401 - what JSON holds
    payload = {"command": "jog", "x": 1, **fields}
    return parse("head", json.dumps(payload).encode()).envelope


@pytest.mark.parametrize(
    ("issued_at", "seconds"),
    [
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T12:00:00.250+00:00", NOON + 0.25),
        ("2026-11-22T14:00:00+02:00", NOON),
        ("20261122T120000Z", NOON),
        (1_795_348_800, NOON),
        (1_795_348_800.5, NOON + 0.5),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140.0),
    ],
)
def test_issued_at_is_iso_or_epoch_seconds(
    issued_at: str | float, seconds: float
) -> None:
    assert envelope(issued_at=issued_at).issued_at == seconds


@pytest.mark.parametrize(
    ("fields", "message_expiry", "waited", "seconds"),
    [
        ({}, None, 0.0, None),
        ({}, None, 5.0, None),
        ({"issued_at": NOON - 500}, None, 0.0, None),
        ({"ttl": 10}, None, 0.0, 10),
        ({"ttl": 10, "issued_at": NOON - 4}, None, 0.0, 6),
        ({"ttl": 10, "issued_at": NOON - 60}, None, 0.0, -50),
        ({"ttl": 10, "issued_at": NOON + 300}, None, 0.0, 10),
        ({}, 5.0, 0.0, 5),
        ({"ttl": 10}, 5.0, 0.0, 5),
        ({"ttl": 3}, 5.0, 0.0, 3),
        ({"ttl": 10}, None, 8.0, 2),
        ({}, 5.0, 8.0, -3),
        ({"ttl": 10, "issued_at": NOON - 4}, None, 8.0, 6),
        ({"ttl": 10, "issued_at": NOON + 300}, None, 8.0, 2),
    ],
)
def test_for_how_long_a_command_lives(
    fields: dict[str, Any],
    message_expiry: float | None,
    waited: float,
    seconds: float | None,
) -> None:
    left = lifetime(envelope(**fields), NOON, message_expiry, waited)
    assert left == seconds


@given(st.floats(0, 1e10), st.floats(0.001, 1e6), st.floats(0, 1e10))
def test_no_clock_makes_a_command_live_longer_than_its_ttl(
    issued_at: float, ttl: float, arrived: float
) -> None:
    left = lifetime(envelope(issued_at=issued_at, ttl=ttl), arrived)
    assert left is not None
    assert left <= ttl


def test_a_command_expired_by_a_standstill_names_its_duration() -> None:
    assert "stood still for 61 s" in standstill_message(60.7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the MQTT message expired before the command could be sent"),
        ({"ttl": 5}, "the command was queued for longer than its ttl of 5 s"),
        (
            {"ttl": 5, "issued_at": NOON - 90.5},
            "issued_at was 90.5 s ago by the bridge's clock, but ttl is 5 s",
        ),
    ],
)
def test_an_expired_command_is_told_why(fields: dict[str, Any], message: str) -> None:
    assert expiry_message(envelope(**fields), NOON).startswith(message)


def test_a_clock_that_is_ahead_is_reported_but_does_no_harm() -> None:
    assert skew_warning(envelope(), NOON) is None
    assert skew_warning(envelope(issued_at=NOON + 60), NOON) is None
    warning = skew_warning(envelope(issued_at=NOON + 300), NOON)
    assert warning is not None
    assert warning.startswith("issued_at is 300 s in the future")


def test_time_stamps() -> None:
    assert timestamp(NOON + 0.4129) == "2026-11-22T12:00:00.412Z"
    assert timestamp(NOON) == "2026-11-22T12:00:00.000Z"


JOG = ("G91", "G0 X10 F6000", "G90")


def test_a_finished_response() -> None:
    outcome = Outcome(gcode=JOG, duration=0.03149)
    response = Response.to(Origin("head", "jog-17", "jog"), outcome, NOON + 0.412)
    assert response.model_dump_json() == (
        '{"id":"jog-17","topic":"head","command":"jog","status":"finished","code":200,'
        '"gcode":["G91","G0 X10 F6000","G90"],"output":[],"duration":0.031,'
        '"time":"2026-11-22T12:00:00.412Z"}'
    )


@pytest.mark.parametrize(
    ("error", "status", "code", "word"),
    [
        (RejectedError.conflict("m", "printing"), "rejected", 409, "printing"),
        (ExpiredError("m"), "expired", 410, "expired"),
        (FailedError.firmware("m"), "failed", 500, "firmware_error"),
    ],
)
def test_a_response_to_what_went_wrong(
    error: RejectedError, status: str, code: int, word: str
) -> None:
    response = Response.to(Origin("head"), Outcome(), NOON, error)
    assert json.loads(response.model_dump_json()) == {
        "topic": "head",
        "status": status,
        "code": code,
        "gcode": [],
        "output": [],
        "duration": 0.0,
        "time": "2026-11-22T12:00:00.000Z",
        "error": word,
        "message": "m",
    }


def test_what_is_not_known_in_an_answer_stays_null() -> None:
    data = {"bed": {"actual": None, "target": 60.0}}
    origin = Origin("request/bed", None, "bed", warning="set your clock")
    response = Response.to(origin, Outcome(data=data), NOON)
    answer = json.loads(response.model_dump_json())
    assert answer["data"] == data
    assert answer["warning"] == "set your clock"
    assert "error" not in answer


def test_all_warnings_are_in_one_text() -> None:
    origin = Origin("command", None, "command", warning="set your clock")
    response = Response.to(origin, Outcome(warnings=["changed", "unknown"]), NOON)
    assert response.warning == "set your clock; changed; unknown"
    assert Response.to(Origin("command"), Outcome(), NOON).warning is None


DONE = Response.to(Origin("head", "a", "jog"), Outcome(gcode=JOG), NOON)


def test_a_repeated_command_gets_the_response_of_the_first() -> None:
    receipts: Receipts[str] = Receipts()
    assert receipts.admit("a", "first", 0.0) is Verdict.EXECUTE
    assert receipts.admit("b", "other", 0.0) is Verdict.EXECUTE
    assert receipts.admit("a", "second", 1.0) is Verdict.WAIT
    assert receipts.admit("a", "third", 2.0) is Verdict.WAIT
    assert receipts.finish("a", DONE, 3.0) == ("second", "third")
    assert receipts.admit("a", "fourth", 4.0) == DONE
    assert receipts.finish("b", DONE, 5.0) == ()


def test_ten_minutes_after_its_end_a_command_is_new_again() -> None:
    receipts: Receipts[str] = Receipts()
    receipts.admit("a", "first", 0.0)
    assert receipts.admit("a", "again", 10_000.0) is Verdict.WAIT
    receipts.finish("a", DONE, 10_000.0)
    assert receipts.admit("a", "again", 10_599.9) == DONE
    assert receipts.admit("a", "again", 10_600.0) is Verdict.EXECUTE


def test_what_was_finished_stays_known_when_what_runs_is_interrupted() -> None:
    receipts: Receipts[str] = Receipts()
    for name in ("done", "running"):
        receipts.admit(name, "first", 0.0)
    receipts.finish("done", DONE, 1.0)
    receipts.interrupted()
    assert receipts.admit("done", "again", 2.0) == DONE
    assert receipts.admit("running", "again", 2.0) is Verdict.EXECUTE


def test_memory_is_bounded() -> None:
    receipts: Receipts[int] = Receipts(capacity=2)
    for name in ("a", "b", "c"):
        receipts.admit(name, 0, 0.0)
        receipts.finish(name, DONE, 0.0)
    assert receipts.admit("a", 0, 1.0) is Verdict.EXECUTE
    assert receipts.admit("c", 0, 1.0) == DONE
    for number in range(100):
        assert receipts.admit("a", number, 1.0) is Verdict.WAIT
    with pytest.raises(RejectedError, match="100 repeats") as caught:
        receipts.admit("a", 100, 1.0)
    assert (caught.value.code, caught.value.error) == (429, "queue_full")


def test_memory_is_bounded_by_what_it_holds() -> None:
    long = DONE.model_copy(update={"output": ("x" * 1000,)})
    receipts: Receipts[int] = Receipts(size=3000)
    for name in ("a", "b", "c"):
        receipts.admit(name, 0, 0.0)
        receipts.finish(name, long, 0.0)
    assert receipts.admit("a", 0, 1.0) is Verdict.EXECUTE
    assert receipts.admit("c", 0, 1.0) == long
    small: Receipts[int] = Receipts(size=1)
    small.admit("a", 0, 0.0)
    small.finish("a", long, 0.0)
    assert small.admit("a", 0, 1.0) == long


def test_a_response_that_is_too_large_tells_what_it_left_out() -> None:
    origin = Origin("request/state", "q", "state")
    outcome = Outcome(["M105"], ["T:20"], 0.5, {"history": [1] * 1000})
    short = Response.to(origin, outcome, 0.0).shortened(7000).model_dump()
    assert "7000 bytes" in short.pop("warning")
    assert short == {
        "id": "q",
        "topic": "request/state",
        "command": "state",
        "status": "finished",
        "code": 200,
        "gcode": (),
        "output": (),
        "duration": 0.5,
        "time": "1970-01-01T00:00:00.000Z",
    }
