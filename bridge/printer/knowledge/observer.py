"""The state of one printer, kept up to date by everything received and sent."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.commands import accessories
from bridge.config import PrinterConfig, Profile
from bridge.gcode import line as lines
from bridge.gcode import reply_types as replies
from bridge.gcode.dialects import UNKNOWN, Dialect, detect
from bridge.gcode.events import Connected, Restarted
from bridge.gcode.line import MOVES, Line, code_of
from bridge.printer.knowledge import age, events, print_job, print_record
from bridge.printer.knowledge import state as knowledge
from bridge.printer.knowledge.history import History
from bridge.printer.knowledge.model import (
    Consequence,
    PrinterState,
    Problem,
    changed_fields,
    counted,
    evolve,
)
from bridge.printer.knowledge.print_record import LOST, PrinterRecord
from bridge.printer.knowledge.print_table import PrintJob
from bridge.printer.knowledge.problems import UnsolicitedErrors
from bridge.printer.limits import travel
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.link.events import Closed, LinkEvent, Opened, PortAddress, Ready
from bridge.printer.link.identity import configured_dialect
from bridge.printer.link.wire_log import WireLog

FOUND_WITHIN = 30.0
"""Seconds after the start of the bridge in which a printer may still be missing that
was printing or hot when the bridge ended. Ports appear some seconds after the computer
has started, and a board that was reset takes some seconds to answer."""


class Observer:
    """Derives the printer's state from what happens; it sends nothing.

    ``on_change`` is called after every change of ``state`` that a document or an event
    may show, ``on_touch`` after each change, and ``on_event`` for what happened.
    """

    def __init__(  # noqa: PLR0913 - what it watches with, and who listens
        self,
        config: PrinterConfig,
        *,
        history: History,
        wire: WireLog,
        clock: Callable[[], float],
        on_change: Callable[[], None],
        on_event: Callable[[events.StateEvent], None],
        on_touch: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._wire = wire
        self.clock = clock
        """Returns the time in seconds, on a monotonic clock."""
        self._begun = clock()
        self._on_change = on_change
        self._on_event = on_event
        self._on_touch = on_touch
        self.state = knowledge.initial(config.profile)
        self.history = history
        self._unsolicited = UnsolicitedErrors()
        self._limiter = events.EventLimiter()
        self.dialect: Dialect = UNKNOWN
        self.place: PortAddress | None = None
        self.coordinates = Coordinates()
        """The position of the head, and its coordinate system."""

    def listen(self, on_change: Callable[[], None]) -> None:
        """Call another function after every change of ``state``."""
        self._on_change = on_change

    @property
    def profile(self) -> Profile:
        """The machine and its limits."""
        return self._config.profile

    def configure(self, config: PrinterConfig) -> None:
        """Apply other settings; the known state is kept.

        Heaters that the profile no longer has are forgotten.
        """
        before = knowledge.initial(self._config.profile).heaters
        self._config = config
        wanted = knowledge.initial(config.profile).heaters
        known = self.state.heaters
        others = {name: heater for name, heater in known.items() if name not in before}
        heaters = {name: known.get(name, wanted[name]) for name in wanted}
        self.set_state(replace(self.state, heaters={**heaters, **others}))

    def handle(self, event: LinkEvent) -> None:
        """Process what was received over the link, or a change of the link."""
        match event:
            case Opened():
                self.dialect = configured_dialect(self._config.serial) or UNKNOWN
                self.set_state(_still_stopped(knowledge.connecting(self.state)))
            case Connected():
                return  # it answers; what it is comes with Ready
            case Ready(identity, place):
                self.place = place
                self.dialect = identity.dialect
                for line in identity.reports:
                    self.line_sent(line)
                known = knowledge.connected(self.state, dialect=self.dialect)
                self.set_state(
                    knowledge.identified(known, identity.firmware, identity.fields)
                )
            case Restarted():
                self.coordinates = Coordinates()
                self.set_state(knowledge.reset(self.state, now=self.clock()))
            case Closed(reason, word):
                self._closed(reason, word)
            case _:
                self._said(event)

    def answered_in_turn(self, before: PrintJob) -> None:
        """Apply an answer to ``M27``, which was sent when the job was ``before``."""
        job = print_job.answered_in_turn(self.state.job, before, self.clock())
        self.set_state(replace(self.state, job=job))

    def expire(self, ages: age.MaxAges) -> None:
        """Forget values that are older than this."""
        self.set_state(age.expire(self.state, now=self.clock(), ages=ages))

    def line_sent(self, line: str) -> None:
        """Apply the effect of a line that is being sent."""
        said = self._read(line)
        if said.code in MOVES and not self.state.halted:
            before, self.state = self.state, knowledge.moved(self.state, line, said)
            if self.state.moved and not before.moved:
                self.state = age.follow(self.state, self.clock())
            self._on_touch()
        else:
            state = knowledge.sent(
                self.state,
                line,
                now=self.clock(),
                dialect=self.dialect,
                profile=self._config.profile,
            )
            self.set_state(state)
        # Until it is known how far the move came, the position is unknown.
        self.coordinates = travel.lost(self.coordinates, said)

    def line_finished(self, line: str, place: Coordinates | None) -> None:
        """Note the position after a line; ``None``: the line failed.

        A report that came meanwhile may have been queried before the line began, so the
        position is queried again.
        """
        read = self._read(line)
        moves = travel.moves(read)
        if place is None:
            self.coordinates = travel.lost(self.coordinates, read)
        else:
            if self.state.moved_by_print:
                place = Coordinates(frame=place.frame)
            elif not moves:  # it may have been reported meanwhile
                place = self.coordinates.in_frame(place.frame)
            self.coordinates = place
        if moves and not self.state.moved:
            self.set_state(replace(self.state, moved=True))

    def _read(self, line: str) -> Line:
        return lines.read(line, self.dialect.name)

    @property
    def position(self) -> Mapping[str, float]:
        """The reported position of the head in mm by axis, as far as it is known."""
        return self.coordinates.position

    def line_failed(self, line: str) -> None:
        """Note that a line was not executed, or not for certain."""
        now = self.clock()
        self.set_state(knowledge.line_failed(self.state, line, now=now))

    def line_acknowledged(self) -> None:
        """Apply the ``ok`` of the line in flight."""
        state = self.state
        if code_of(state.line) in MOVES and not state.waiting and not state.halted:
            self.state = evolve(state, line="")  # all that an ok changes here
            self._on_touch()
        else:
            self._apply(replies.Ok())

    def set_offsets(self, offsets: Mapping[str, float]) -> None:
        """Save heater offsets, in °C."""
        self.set_state(knowledge.with_offsets(self.state, offsets))

    def choose(self, choices: Mapping[str, float]) -> None:
        """Save what later commands use, such as ``jog_distance``."""
        known = accessories.chosen(self.state.accessories, choices)
        self.set_state(replace(self.state, accessories=known))

    def emergency_stopped(self, error: str) -> None:
        """Note that the machine was stopped on request."""
        problem = self._problem("emergency_stop", error, "stopped")
        self.set_state(knowledge.failed(self.state, problem))

    def stop_kept(self, error: str) -> None:
        """Note that a stop was requested that could not be sent yet."""
        problem = self._problem("emergency_stop", error, "stopped")
        self.set_state(_still_stopped(replace(self.state, problem=problem)))

    def restore(self, kept: PrinterRecord, epoch: float) -> None:
        """Start with what an earlier run has saved, without any event."""
        self.state = print_record.restore(
            self.state, kept, now=self.clock(), epoch=epoch
        )

    def bridge_failed(self, error: str) -> None:
        """Note that a bug in the bridge has ended the connection."""
        problem = self._problem("internal_error", error, "disconnected")
        state, now = self.state, self.clock()
        self.set_state(
            knowledge.disconnected(state, problem, error, "internal_error", now=now)
        )

    def report_unsolicited(self, text: str) -> None:
        """Report an error that no response will contain."""
        if self.state.halted:  # it is part of the reason for which the printer stopped
            return
        left_out = self._unsolicited.admit(text, self.clock())
        if left_out is not None:
            data = {"error": text, "left_out": left_out}
            self._on_event(events.StateEvent("complaint", data))

    def attach_logs(self) -> None:
        """Add the last lines of the wire log to the problem."""
        self.set_state(knowledge.with_logs(self.state, self._wire.tail))

    def acknowledge_problem(self) -> None:
        """Forget the last problem, because a person has acknowledged it."""
        self.set_state(knowledge.acknowledged(self.state))

    def disconnected(self) -> None:
        """Note that the bridge has closed the link."""
        self.set_state(knowledge.disconnected(self.state, now=self.clock()))

    def set_state(self, state: PrinterState) -> None:
        """Replace the state, and report the changes."""
        before = self.state
        if state.job.result is not before.job.result:
            state = replace(state, totals=counted(state.totals, state.job.result))
        self.state = state = age.follow(state, self.clock())
        changed = changed_fields(before, state) if state is not before else set()
        if _concerns_control(changed, before, state):
            self._on_touch()
        if not _matters(changed, before, state):
            return
        if state.moved_by_print and (self.position or self.coordinates.spans):
            self._report_position({})  # the print moves it
        for event in events.diff(before, state):
            if admitted := self._limiter.admit(event, self.clock()):
                self._on_event(admitted)
        self._on_change()

    def answered(self) -> None:
        """Note that the printer's question was answered."""
        self.set_state(knowledge.answered(self.state))

    def _said(self, reply: replies.Reply) -> None:
        if isinstance(reply, replies.FirmwareReport):
            self._recognise(reply.name)
        self._apply(reply)
        if isinstance(reply, replies.PositionReport):
            moving = self.state.moved_by_print
            self._report_position({} if moving else _coordinates(self.state))
        elif isinstance(reply, replies.TemperatureReport):
            self.history.add(self.state.heaters, self.clock())
        elif isinstance(reply, replies.Refusal) and reply.unsolicited:
            self.report_unsolicited(reply.text)

    def _recognise(self, firmware: str) -> None:
        """Use the dialect of the firmware that has named itself from here on."""
        dialect = detect(firmware)
        if self.dialect.name == UNKNOWN.name != dialect.name:
            self.dialect = dialect
            self.set_state(knowledge.other_dialect(self.state, dialect))

    def _report_position(self, position: Mapping[str, float]) -> None:
        self.coordinates = self.coordinates.reported(position)

    def _apply(self, reply: replies.Reply) -> None:
        state = knowledge.apply(
            self.state,
            reply,
            now=self.clock(),
            dialect=self.dialect,
            profile=self._config.profile,
        )
        fault = state.fault
        if fault is not None and fault is not self.state.fault:
            fault = replace(fault, logs=tuple(self._wire.tail))
            state = replace(state, fault=fault)
        self.set_state(state)

    def _closed(self, reason: str, word: str) -> None:
        self.coordinates = Coordinates(frame=self.coordinates.frame.reconnected())
        state, problem = self.state, None
        lost = word == LOST and state.link == "operational"
        if (lost and knowledge.is_missed(state)) or self._is_not_found(word):
            problem = self._problem(LOST, reason, "disconnected")
        away = knowledge.disconnected(state, problem, reason, word, now=self.clock())
        unseen = state.unseen and problem is None and word != "released"
        away = replace(away, released=word == "released", unseen=unseen)
        self.set_state(_still_stopped(away))

    def _is_not_found(self, word: str) -> bool:
        """Return whether a printer that an earlier run watched is missing.

        Not at once, because a serial port may appear some seconds after the computer
        starts.
        """
        late = self.clock() >= self._begun + FOUND_WITHIN
        return word == LOST and self.state.unseen and late

    def _problem(self, reason: str, error: str, consequence: Consequence) -> Problem:
        return Problem(
            error=error,
            reason=reason,
            consequence=consequence,
            logs=tuple(self._wire.tail),
            time=self.clock(),
        )


_UNPUBLISHED = {
    *("line", "uses", "tool_before", "moved", "failure", "notes"),
    *("measured_at", "sensed_at", "placed_at", "counted_at", "reported_at"),
    "expected_since",
}
"""Fields that are in no document and no event, or only together with others. They
change with each line or report."""


_MEASURED = {"reported_at", "measured_at", "sensed_at", "sensors"}
"""Fields that change with each report of the temperatures."""


def _concerns_control(
    changed: set[str], before: PrinterState, after: PrinterState
) -> bool:
    """Return whether the queries, or the heaters that may be on, can have changed.

    Measured temperatures do not affect either; only targets do.
    """
    changed = changed - _MEASURED
    if changed != {"heaters"}:
        return bool(changed)
    old, new = before.heaters, after.heaters
    return old.keys() != new.keys() or any(
        heater.target != old[name].target for name, heater in new.items()
    )


def _matters(changed: set[str], before: PrinterState, after: PrinterState) -> bool:
    """Return whether anything has changed that is published."""
    changed -= _UNPUBLISHED
    if changed == {"modal"}:  # many moves of a print set the feedrate
        return replace(before.modal, feedrate=after.modal.feedrate) != after.modal
    return bool(changed)


def _still_stopped(state: PrinterState) -> PrinterState:
    """Stay in ``error``: the reason matters more than that it is disconnected."""
    problem = state.problem
    if problem is None or problem.consequence == "disconnected":
        return state
    return replace(state, link="error")


def _coordinates(state: PrinterState) -> Mapping[str, float]:
    place = state.position
    if place is None:
        return {}
    known = {"x": place.x, "y": place.y, "z": place.z}
    return known if place.e is None else {**known, "e": place.e}
