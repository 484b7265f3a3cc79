"""Restores the modal state (positioning modes, feedrate) after a motion command."""

from collections.abc import Sequence

from bridge.commands.base import Context, Program
from bridge.gcode import modal
from bridge.gcode.line import format_number, read


def program(context: Context, lines: Sequence[str], move: str) -> Program:
    """Return a program that restores the modal state after its lines.

    Args:
        context: the modal state before the lines, and the firmware's rules for it.
        lines: the lines; the effects of G90, G91, M82, M83, G0, G1 and G28 are undone.
        move: ``G0`` or ``G1``, the code that restores the feedrate.

    The feedrate is restored if it is known. Before anybody has set one, the firmware's
    default is unknown and cannot be queried, so the feedrate of the move remains.

    """
    return Program(
        tuple(lines), (*_modes(context, lines), *_feed(context, lines, move))
    )


def _after(context: Context, lines: Sequence[str]) -> modal.Modal:
    state, dialect = context.modal, context.dialect
    for line in lines:
        state = modal.track(
            state,
            read(line, dialect.name),  # it will be parsed for this family anyway
            g90_sets_extruder=dialect.g90_sets_extruder,
        )
    return state


def _modes(context: Context, lines: Sequence[str]) -> list[str]:
    before = context.modal
    axes = "G91" if before.relative else "G90"
    extruder = "M83" if before.own_relative_e else "M82"
    orders = [[axes], [extruder, axes], [axes, extruder]]
    if "G91" not in lines:
        orders.insert(0, [])
    # Whether G90 also sets the extruder's mode differs even between versions of one
    # firmware, so the modes must be right under both interpretations.
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
