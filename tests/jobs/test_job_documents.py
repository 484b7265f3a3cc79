"""What is published and kept of the queue and of past prints."""

from bridge.jobs import history, queue
from bridge.jobs.history import (
    Ended,
    HistoryRecord,
)
from bridge.jobs.queue import (
    PrintQueue,
    QueueEntry,
    QueueRecord,
)

WAITING = PrintQueue(
    (QueueEntry(id="a", path="parts/hook.gcode", added=1.5, source="upload"),),
    reason="cannot_start",
    problem="the bed is not heated",
)
CUBE = Ended(
    job="a",
    file="cube.gcode",
    origin="local",
    outcome="done",
    reason="",
    started=1000.0,
    ended=4600.0,
    elapsed=3500.4,
    filament=1234.5,
    layers=100,
)
CARD = Ended(
    job=None,
    file=None,
    origin="card",
    outcome="failed",
    reason="printer_reset",
    started=None,
    ended=9000.0,
    elapsed=None,
    filament=None,
    layers=None,
)


def test_an_empty_queue_says_so() -> None:
    assert queue.queue_state(PrintQueue()).model_dump() == {
        "held": True,
        "reason": "bed_not_cleared",
        "problem": "",
        "length": 0,
        "next": None,
        "prints": (),
    }


def test_a_queue_lists_its_prints_and_what_holds_it() -> None:
    assert queue.queue_state(WAITING).model_dump() == {
        "held": True,
        "reason": "cannot_start",
        "problem": "the bed is not heated",
        "length": 1,
        "next": "parts/hook.gcode",
        "prints": (
            {
                "job": "a",
                "file": "parts/hook.gcode",
                "added_at": "1970-01-01T00:00:01.500Z",
                "source": "upload",
            },
        ),
    }


def test_the_history_has_sums_over_all_prints() -> None:
    answer = history.past_prints([CARD], [CARD, CUBE]).model_dump()
    (failed,) = answer["prints"]
    assert failed["outcome"] == "failed"
    assert failed["elapsed"] is None
    assert answer["totals"] == {
        "prints": 2,
        "done": 1,
        "elapsed": 3500,
        "filament": 1234.5,
    }
    (done,) = history.past_prints([CUBE], [CUBE]).model_dump()["prints"]
    assert done == {
        "job": "a",
        "file": "cube.gcode",
        "origin": "local",
        "outcome": "done",
        "reason": "",
        "started_at": "1970-01-01T00:16:40.000Z",
        "ended_at": "1970-01-01T01:16:40.000Z",
        "elapsed": 3500,
        "filament": 1234.5,
        "layers": 100,
    }


def test_both_are_the_same_after_a_restart() -> None:
    queue = QueueRecord(queue=WAITING).model_dump_json()
    assert QueueRecord.model_validate_json(queue, strict=True).queue == WAITING
    prints = HistoryRecord(prints=(CARD, CUBE)).model_dump_json()
    again = HistoryRecord.model_validate_json(prints, strict=True)
    assert again.prints == (CARD, CUBE)
