"""What becomes of heaters, in each state of a print, with each incident and family.

The cells are those of the print. The rule decides what is right, and no cell has its
own value: after the limits a heater is on only if a print runs.
"""

import pytest

from bridge.gcode.dialects import DIALECTS
from bridge.printer.control.heater_control import HeaterRecord
from bridge.printer.control.heater_policy import (
    HeaterLimits,
    HeaterPolicy,
    heaters_on,
    print_runs,
)
from tests.printer.test_print_matrix import (
    ENDS_PRINT,
    INCIDENTS,
    STATES,
    World,
    cells,
)
from tests.support.cases import case

HOT, COLD = "T:200 /200 B:60 /60", "T:200 /0 B:60 /0"
STEP = 600.0
LIMITS = HeaterLimits()
LONG = LIMITS.pause_other + 3600.0
"""Seconds after which the longest limit is over, with its warning."""
OFF = {"tool0": "M104 S0", "bed": "M140 S0"}


def restarted(rule: HeaterPolicy, now: float) -> HeaterPolicy:
    """Return the rule of a bridge that was killed and started again."""
    record = HeaterRecord.of(rule.memory, now).model_dump_json()
    memory = HeaterRecord.model_validate_json(record).memory(now)
    return HeaterPolicy(LIMITS, memory)


def left_alone(world: World, rule: HeaterPolicy) -> list[float]:
    """Let time pass without anybody; return when heaters went off."""
    begun, off = world.now, []
    while world.now < begun + LONG:
        world.now += STEP
        rule.look(world.observer.state, world.now)
        for name in rule.decide().off if rule.due() else ():
            world.sends(OFF[name])
            # A report shows it, as the one that the control asks for.
            world.says("T:200 /0" if name == "tool0" else "B:60 /0")
            off.append(world.now - begun)
    return off


@pytest.mark.parametrize("family", DIALECTS)
def test_after_the_limits_only_a_print_keeps_heaters_on(family: str) -> None:
    for state, incident in cells():
        with case(state, incident):
            check(family, state, incident)


def check(family: str, state: str, incident: str) -> None:
    world = World(DIALECTS[family])
    STATES[state](world)
    world.says(HOT)
    rule = HeaterPolicy(LIMITS)
    rule.look(world.observer.state, world.now)
    INCIDENTS[incident](world)
    if "killed" in incident:
        rule = restarted(rule, world.now)
    world.says(COLD if incident in ENDS_PRINT else HOT)
    rule.connected(world.now)
    rule.look(world.observer.state, world.now)
    off = left_alone(world, rule)

    after = world.observer.state
    if after.link != "operational":
        assert off == [], "it can be told nothing"
    elif print_runs(after):
        assert off == []
        assert set(heaters_on(after)) == (
            {*OFF} if incident not in ENDS_PRINT else set()
        )
    else:
        assert not heaters_on(after)
        assert len(off) == (0 if incident in ENDS_PRINT else len(OFF))
        # The time away and what was before it count.
        assert all(moment > LIMITS.pause_nozzle - 1200 for moment in off)
