"""Motion that leaves no trace: the lines that give the modal state back."""

from collections.abc import Sequence

from bridge.commands.base import Context, Program
from bridge.gcode import modal
from bridge.gcode.words import format_number


def program(context: Context, lines: Sequence[str], move: str) -> Program:
    """Return a program that ends in the modal state in which it began.

    Args:
        context: holds the modal state before it, and how the firmware keeps it.
        lines: what is sent; only G90, G91, M82, M83, G0, G1 and G28 are undone.
        move: ``G0`` or ``G1``, with which the feedrate is given back.

    The feedrate is given back where it is known; where nobody has set one yet, the
    firmware's default cannot be asked for and the move's own stays.

    """
    return Program(
        tuple(lines), (*_modes(context, lines), *_feed(context, lines, move))
    )


def _after(context: Context, lines: Sequence[str]) -> modal.Modal:
    state = context.modal
    for line in lines:
        state = modal.track(
            state, line, g90_sets_extruder=context.dialect.g90_sets_extruder
        )
    return state


def _modes(context: Context, lines: Sequence[str]) -> list[str]:
    before = context.modal
    axes = "G91" if before.relative else "G90"
    extruder = "M83" if before.own_relative_e else "M82"
    orders = [[axes], [extruder, axes], [axes, extruder]]
    if "G91" not in lines:
        orders.insert(0, [])
    # What G90 does to the extruder differs even between versions of one firmware, so
    # both readings have to come out as they were.
    for order in orders[:-1]:
        if _same_modes(_after(context, [*lines, *order]), before):
            return order
    return orders[-1]


def _same_modes(one: modal.Modal, other: modal.Modal) -> bool:
    return (one.relative, one.relative_e, one.own_relative_e) == (
        other.relative,
        other.relative_e,
        other.own_relative_e,
    )


def _feed(context: Context, lines: Sequence[str], move: str) -> list[str]:
    before = context.modal.feedrate
    if before is None or _after(context, lines).feedrate == before:
        return []
    return [f"{move} F{format_number(before)}"]
