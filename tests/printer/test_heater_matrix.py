"""What becomes of heaters, in each state of a print, with each incident and family.

The cells are those of the print. The rule decides what is right, and no cell has its
own value: after the limits a heater is on only if a print runs.
"""

from dataclasses import replace

import pytest

from bridge.gcode.dialects import DIALECTS
from bridge.printer.control.heater_control import HeaterRecord
from bridge.printer.control.heater_policy import (
    HeaterPolicy,
)
from bridge.printer.control.idle_timeout import (
    HeaterLimits,
    heaters_on,
    print_runs,
)
from tests.printer.test_print_matrix import (
    ENDS_PRINT,
    INCIDENTS,
    STATES,
    UNNOTICED,
    World,
    cells,
)
from tests.support.cases import case

HOT, COLD = "T:200 /200 B:60 /60", "T:200 /0 B:60 /0"
STEP = 600.0
BROKER = 1200.0
"""Seconds without the broker after which a heater of an idle printer goes off."""

LIMITS = HeaterLimits(broker=BROKER)
LONG = LIMITS.pause_other + 3600.0
"""Seconds after which the longest limit is over, with its warning."""
OFF = {"tool0": "M104 S0", "bed": "M140 S0"}


def restarted(rule: HeaterPolicy, now: float) -> HeaterPolicy:
    """Return the rule of a bridge that was killed and started again."""
    record = HeaterRecord.of(rule.memory, now).model_dump_json()
    memory = HeaterRecord.model_validate_json(record).memory(now)
    return HeaterPolicy(LIMITS, memory)


def left_alone(
    world: World, rule: HeaterPolicy, *, broker: bool
) -> list[tuple[float, str]]:
    """Let time pass without anybody; return when heaters went off, and why."""
    begun, off = world.now, list[tuple[float, str]]()
    while world.now < begun + LONG:
        world.now += STEP
        rule.look(world.observer.state, world.now, broker=broker)
        for name, cause in rule.decide().off.items() if rule.due() else ():
            world.sends(OFF[name])
            # A report shows it, as the one that the control asks for.
            world.says("T:200 /0" if name == "tool0" else "B:60 /0")
            off.append((world.now - begun, cause))
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
    if "broker" in incident:
        rule.look(world.observer.state, world.now, broker=False)
    INCIDENTS[incident](world)
    if "killed" in incident or incident == "reload_of_the_link":
        rule = restarted(rule, world.now)
    rule.limits = replace(LIMITS)  # as a reload does
    world.says(COLD if incident in ENDS_PRINT else HOT)
    if incident not in UNNOTICED:
        rule.connected(world.now)
    alone = incident == "broker_away"
    rule.look(world.observer.state, world.now, broker=not alone)
    off = left_alone(world, rule, broker=not alone)

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
        unseen = alone and not after.job.active
        least = BROKER if unseen else LIMITS.pause_nozzle
        assert all(moment > least - 1200 for moment, _ in off)
        assert all((cause == "broker") == unseen for _, cause in off)
        if unseen:
            assert all(moment <= BROKER for moment, _ in off)


LEASE = 7200.0
"""Seconds for which a command holds the bed: longer than the limit without use."""


@pytest.mark.parametrize("family", DIALECTS)
def test_a_lease_lasts_as_long_as_it_was_asked_for_over_each_incident(
    family: str,
) -> None:
    for incident in INCIDENTS:
        with case(incident):
            check_lease(family, incident)


def check_lease(family: str, incident: str) -> None:
    world = World(DIALECTS[family])
    STATES["idle"](world)
    world.says("T:200 /200 B:20 /0")
    rule = HeaterPolicy(LIMITS)
    rule.look(world.observer.state, world.now)
    world.sends("M140 S60")
    rule.commanded({"bed": 60.0}, world.now, LEASE)
    until = world.now + LEASE
    world.says(HOT)
    rule.look(world.observer.state, world.now)
    INCIDENTS[incident](world)
    if "killed" in incident or incident == "reload_of_the_link":
        rule = restarted(rule, world.now)
    world.says(COLD if incident in ENDS_PRINT else HOT)
    if incident not in UNNOTICED:
        rule.connected(world.now)
    alone = incident == "broker_away"
    rule.look(world.observer.state, world.now, broker=not alone)
    begun = world.now
    off = left_alone(world, rule, broker=not alone)

    assert not heaters_on(world.observer.state)
    if incident in ENDS_PRINT:
        assert off == []
        return
    moments = {cause: begun + moment for moment, cause in off}
    assert set(moments) == {"hold", "broker" if alone else "idle"}
    assert until <= moments["hold"] <= until + STEP
    assert min(moments.values()) < until, "the lease of the bed keeps nothing else on"
