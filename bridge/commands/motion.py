"""Restores the modal state (positioning modes, feedrate) after a motion command."""

from collections.abc import Sequence
from functools import lru_cache

from bridge.commands.base import Context, Program
from bridge.gcode import modal
from bridge.gcode.line import format_number, read
from bridge.gcode.modal import Modal

_MODES = ("G90", "G91", "M82", "M83")


def program(context: Context, lines: Sequence[str], move: str) -> Program:
    """Return a program that restores the modal state after its lines.

    Args:
        context: the modal state before the lines, and the firmware's rules for it.
        lines: the lines; the effects of G90, G91, M82, M83, G0, G1 and G28 are undone.
        move: ``G0`` or ``G1``, the code that restores the feedrate.

    The feedrate is restored if it is known. Before anybody has set one, the firmware's
    default is unknown and cannot be queried, so the feedrate of the move remains.

    """
    now = context.modal
    modes = Modal(now.relative, now.relative_e, now.own_relative_e)
    setting = tuple(line for line in lines if line in _MODES)
    orders = _orders(modes, setting, context.dialect.g90_sets_extruder)
    return Program(tuple(lines), (*orders, *_feed(context, lines, move)))


@lru_cache(maxsize=64)
def _orders(
    before: Modal,
    lines: tuple[str, ...],
    g90_sets_extruder: bool,  # noqa: FBT001 - a cache takes its keys by position
) -> tuple[str, ...]:
    """Return the lines that restore the modes after lines that set some.

    ``before`` has nothing but modes. There are few combinations, and each jog asks.
    """
    axes = "G91" if before.relative else "G90"
    extruder = "M83" if before.own_relative_e else "M82"
    orders = [(axes,), (extruder, axes), (axes, extruder)]
    if "G91" not in lines:
        orders.insert(0, ())
    # Whether G90 also sets the extruder's mode differs even between versions of one
    # firmware, so the modes must be right under both interpretations.
    for order in orders[:-1]:
        after = before
        for line in (*lines, *order):
            after = modal.track(after, line, g90_sets_extruder=g90_sets_extruder)
        if after == before:
            return order
    return orders[-1]


def _feed(context: Context, lines: Sequence[str], move: str) -> list[str]:
    before = context.modal.feedrate
    if before is None:
        return []
    after = before
    for line in lines:
        said = read(line, context.dialect.name)  # the family that it is parsed for
        if said.row.is_move:
            after = said.values.get("F") or after
    return [] if after == before else [f"{move} F{format_number(before)}"]
