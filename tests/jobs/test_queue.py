"""The queue of prints: its order, what holds it, and what releases it."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RejectedError
from bridge.jobs import queue as queues
from bridge.jobs.queue import CAPACITY, PrintQueue, QueueEntry


def entries(*jobs: str) -> tuple[QueueEntry, ...]:
    return tuple(
        QueueEntry(id=job, path=f"{job}.gcode", added=1.0, source="mqtt")
        for job in jobs
    )


def order(queue: PrintQueue) -> str:
    return "".join(entry.id for entry in queue.entries)


ABC = PrintQueue(entries("a", "b", "c"))


def test_a_new_queue_is_held_because_the_bed_may_not_be_clear() -> None:
    queue = queues.add(PrintQueue(), entries("a"))
    assert queue.next() is None
    assert (queue.held, queue.reason) == (True, "bed_not_cleared")


def test_a_release_starts_one_print_and_no_more() -> None:
    queue = queues.release(ABC)
    first = queue.next()
    assert first is not None
    assert first.id == "a"
    queue = queues.begun(queue, "a", hold_each=True)
    assert (order(queue), queue.next(), queue.reason) == ("bc", None, "bed_not_cleared")


def test_a_release_waits_for_a_print_to_come() -> None:
    queue = queues.release(PrintQueue())
    assert queue.next() is None
    assert queues.add(queue, entries("a")).next() is not None


def test_the_printers_menu_says_no_more_than_that_the_bed_is_clear() -> None:
    cannot_start = queues.refused(queues.release(ABC), "no such file")
    for queue, obstacle in (
        (ABC, None),
        (queues.release(ABC), None),
        (queues.begun(queues.release(ABC), "a", hold_each=True), None),
        (PrintQueue(), "empty"),
        (queues.release(PrintQueue()), "empty"),
        (queues.hold(PrintQueue()), "empty"),
        (queues.hold(ABC), "held"),
        (queues.hold(queues.release(ABC)), "held"),
        (queues.stopped(queues.release(ABC)), "stopped"),
        (queues.ended(queues.release(ABC), done=False), "print_failed"),
        (cannot_start, "cannot_start"),
    ):
        assert queues.obstacle(queue) == obstacle, queue


def test_a_print_from_elsewhere_uses_the_release_up() -> None:
    queue = queues.begun(queues.release(ABC), None, hold_each=True)
    assert (order(queue), queue.held) == ("abc", True)


def test_a_machine_that_clears_its_bed_goes_on_until_a_print_fails() -> None:
    queue = queues.begun(queues.release(ABC), "a", hold_each=False)
    queue = queues.ended(queue, done=True)
    assert (order(queue), queue.held) == ("bc", False)
    queue = queues.ended(queues.begun(queue, "b", hold_each=False), done=False)
    assert (queue.held, queue.reason) == (True, "print_failed")


def test_who_holds_the_queue_is_not_overruled_by_a_print() -> None:
    queue = queues.hold(ABC)
    for after in (
        queues.begun(queue, None, hold_each=True),
        queues.ended(queue, done=False),
    ):
        assert (after.held, after.reason) == (True, "held")


def test_a_stop_holds_the_queue_until_it_is_released() -> None:
    released = queues.release(ABC)
    stopped = queues.stopped(released)
    assert (order(stopped), stopped.next()) == ("abc", None)
    assert (stopped.held, stopped.reason, stopped.problem) == (True, "stopped", "")
    # The print that was stopped has failed, which is not the reason.
    assert queues.ended(stopped, done=False) == stopped
    # A print from the card may begin after the reset; then the bed is in question.
    assert queues.begun(stopped, None, hold_each=True).reason == "bed_not_cleared"
    assert queues.begun(stopped, None, hold_each=False).reason == "stopped"
    assert queues.hold(stopped).reason == "held"
    assert queues.release(stopped) == released
    refused = queues.refused(released, "the bed has no thermistor")
    assert queues.stopped(refused).problem == ""


def test_a_print_that_is_refused_stays_and_holds_the_queue() -> None:
    queue = queues.refused(queues.release(ABC), "the bed has no thermistor")
    assert (order(queue), queue.reason) == ("abc", "cannot_start")
    assert queue.problem
    after = queues.remove(queue, "b")  # which was not the problem
    assert (after.reason, after.problem) == (queue.reason, queue.problem)
    for after in (
        queues.remove(queue, "a"),
        queues.move(queue, "a", 2),
        queues.clear(queue),
    ):
        assert (after.reason, after.problem) == ("bed_not_cleared", "")
    assert not queues.release(queue).problem


@pytest.mark.parametrize(
    ("job", "to", "result"),
    [("a", 0, "abc"), ("a", 1, "bac"), ("a", 9, "bca"), ("c", 0, "cab")],
)
def test_a_print_moves_to_another_place(job: str, to: int, result: str) -> None:
    assert order(queues.move(ABC, job, to)) == result


def test_prints_of_files_that_are_gone_leave_the_queue() -> None:
    queue = queues.without_files(ABC, lambda path: path != "b.gcode")
    assert order(queue) == "ac"
    assert queues.without_files(queue, lambda _: True) is queue
    assert queue.uses("a.gcode")
    assert not queue.uses("b.gcode")


def test_a_print_that_is_not_there_is_named() -> None:
    with pytest.raises(RejectedError, match='"x"') as removal:
        queues.remove(ABC, "x")
    with pytest.raises(RejectedError, match='"x"') as moving:
        queues.move(ABC, "x", 0)
    for refusal in (removal, moving):
        assert (refusal.value.code, refusal.value.error) == (404, "not_found")


def test_the_queue_has_an_end() -> None:
    full = queues.add(PrintQueue(), entries(*map(str, range(CAPACITY))))
    with pytest.raises(RejectedError, match="room for 0 more") as refusal:
        queues.add(full, entries("x"))
    assert (refusal.value.code, refusal.value.error) == (409, "queue_full")
    with pytest.raises(RejectedError, match="room for 1 more"):
        queues.add(queues.remove(full, "7"), entries("x", "y"))


def test_an_id_is_never_used_twice() -> None:
    random = map(str, count(1))
    assert queues.fresh_id(lambda: next(random), {"1", "2"}) == "3"


@given(st.lists(st.tuples(st.sampled_from("armc"), st.integers(0, 5)), max_size=30))
def test_no_print_is_lost_or_doubled(changes: list[tuple[str, int]]) -> None:
    queue, numbers, waiting = PrintQueue(), count(), list[str]()
    for what, number in changes:
        job = waiting[number % len(waiting)] if waiting else None
        match what:
            case "a":
                waiting.append(f"j{next(numbers)}")
                queue = queues.add(queue, entries(waiting[-1]))
            case "r" if job:
                waiting.remove(job)
                queue = queues.remove(queue, job)
            case "m" if job:
                waiting.remove(job)
                waiting.insert(number, job)
                queue = queues.move(queue, job, number)
            case "c" if number == 5:
                waiting.clear()
                queue = queues.clear(queue)
        assert [entry.id for entry in queue.entries] == waiting


@given(
    changes=st.lists(st.sampled_from("hrbcdf"), max_size=30), hold_each=st.booleans()
)
def test_no_print_starts_without_a_release(
    changes: list[str], *, hold_each: bool
) -> None:
    """Whatever happens: one release, one print."""
    queue, released = PrintQueue(entries(*map(str, range(30)))), False
    for what in changes:
        match what:
            case "h":
                released, queue = False, queues.hold(queue)
            case "r":
                released, queue = True, queues.release(queue)
            case "b" if (first := queue.next()) is not None:
                queue = queues.begun(queue, first.id, hold_each=hold_each)
                released = not hold_each
            case "c":
                queue = queues.begun(queue, None, hold_each=hold_each)
                released = released and not hold_each
            case "d" | "f":
                queue = queues.ended(queue, done=what == "d")
                released = released and what == "d"
        assert (queue.next() is not None) is released
