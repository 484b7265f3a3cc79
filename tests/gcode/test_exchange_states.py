"""The table of states, and that every conversation keeps to it."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.gcode.counters import Counters
from bridge.gcode.dialects import DIALECTS, MARLIN, Dialect
from bridge.gcode.events import Event, LinkFailed, Restarted
from bridge.gcode.exchange import Exchange
from bridge.gcode.exchange_states import (
    TRANSITIONS,
    Change,
    ExchangeState,
    SendPause,
)
from bridge.gcode.reply_types import Busy, Ok, TransferError
from bridge.gcode.window import Queue, QueuedLine, Transmitter, Window

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 1000


@pytest.mark.parametrize("state", ExchangeState)
def test_every_state_ends_when_nothing_is_left(state: ExchangeState) -> None:
    changes = TRANSITIONS[state]
    assert changes[Change.ALL_ACKNOWLEDGED] is ExchangeState.IDLE
    assert changes[Change.SOME_UNSENT] is ExchangeState.READY
    assert changes[Change.PROBE_QUEUED] is ExchangeState.PROBE_DUE


def test_only_a_queued_probe_leads_to_probing() -> None:
    sent = {state: changes.get(Change.SENT) for state, changes in TRANSITIONS.items()}
    assert [state for state in sent if sent[state] is ExchangeState.PROBING] == [
        ExchangeState.PROBE_DUE
    ]
    assert sent[ExchangeState.PROBING] is None


@dataclass
class Talk:
    """An exchange, its queue and a clock."""

    dialect: Dialect
    queue: Queue = field(default_factory=Queue)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.transmitter = Transmitter(self.dialect, Window(FIRST), Counters())
        self.exchange = Exchange(self.transmitter, confirm_after=1.0)

    def does(self, deed: str, number: int) -> bool:
        """Let something happen; return whether the conversation continues."""
        exchange, now = self.exchange, self.now
        near = self.transmitter.window.next - number
        deeds: dict[str, Callable[[], object]] = {
            "queue": lambda: self.queue.push(QueuedLine("M114", number), ahead=False),
            "send": lambda: exchange.data_to_send(self.queue, now),
            "ok": lambda: exchange.process_ok(Ok(), now),
            "numbered ok": lambda: exchange.process_ok(Ok(near), now),
            "temperatures": lambda: exchange.process_ok(Ok(temperature=True), now),
            "resend": lambda: exchange.process_resend(near, now),
            "complaint": lambda: exchange.process_transfer_error(
                TransferError("damaged", near)
            ),
            "busy": lambda: exchange.process_replies([Busy("")], "busy", now),
            "wait": lambda: exchange.process_wait(now),
            "start?": lambda: exchange.suspect_reset(now),
            "urgent": lambda: exchange.note_urgent_line(now),
            "time": self.time_passes,
        }
        events = deeds[deed]()
        return not isinstance(events, list) or not any(
            isinstance(event, LinkFailed | Restarted) for event in events
        )

    def time_passes(self) -> list[Event]:
        due = self.exchange.next_timeout()
        self.now = self.now + 1.0 if due is None else max(self.now, due)
        return self.exchange.handle_timeout(self.now)

    def check(self) -> None:
        exchange, window = self.exchange, self.transmitter.window
        state, due = exchange.state, exchange.next_timeout()
        assert (state is ExchangeState.IDLE) == window.idle
        if state in {ExchangeState.READY, ExchangeState.PROBE_DUE}:
            assert window.has_unsent
        if state in {ExchangeState.IN_FLIGHT, ExchangeState.PROBING}:
            assert window.head is not None
            assert due is not None, "a line in flight has a deadline"
        if exchange.pause is not SendPause.NO_PAUSE:
            assert due is not None, "a pause ends"
            assert exchange.data_to_send(self.queue, self.now) == b""


DEEDS = (
    "queue", "send", "ok", "numbered ok", "temperatures", "resend", "complaint",
    "busy", "wait", "start?", "urgent", "time",
)  # fmt: skip


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(DIALECTS)),
    late_ok=st.sampled_from([True, False]),
    deeds=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(-1, 4)), max_size=60),
)
def test_a_state_agrees_with_the_lines_and_deadlines(
    name: str, deeds: list[tuple[str, int]], *, late_ok: bool
) -> None:
    talk = Talk(replace(DIALECTS[name], resend_ok=late_ok))
    for deed, number in deeds:
        if not talk.does(deed, number):
            break
        talk.check()


def test_a_link_that_was_given_up_has_no_deadline() -> None:
    talk = Talk(MARLIN)
    talk.does("queue", 1)
    talk.does("send", 0)
    while talk.does("time", 0):
        talk.does("send", 0)
    assert talk.exchange.next_timeout() is None
