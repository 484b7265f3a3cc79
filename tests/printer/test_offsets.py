"""Offsets outlive the printer's comings and goings, and are not targets."""

from bridge.gcode.dialects import MARLIN
from bridge.printer.knowledge import state as known
from bridge.printer.published import views
from tests.support.knowing import Knowing


def test_offsets_are_kept_over_resets_and_reconnects() -> None:
    printer = Knowing()
    kept = {"tool0": 5.0, "bed": -50.0}
    state = known.with_offsets(printer.state, kept)
    for again in (
        known.reset(state, now=1.0),
        known.disconnected(state, now=0),
        known.connecting(known.disconnected(state, now=0)),
        known.connected(known.connecting(state), dialect=MARLIN),
    ):
        assert again.offsets == kept


def test_the_published_target_is_the_printers_own() -> None:
    printer = Knowing()
    printer.become(known.with_offsets(printer.state, {"bed": 5.0}))
    printer.sends("M140 S65")
    printer.says(" T:20.0 /0.0 B:50.2 /65.0")
    bed = views.heater(printer.state, "bed")
    assert (bed.actual, bed.target, bed.offset) == (50.2, 65.0, 5.0)
