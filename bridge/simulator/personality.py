"""What can differ between the simulated firmwares: one value each, no hierarchy."""

from dataclasses import dataclass
from enum import Enum


class Family(Enum):
    """Which table of commands a firmware has."""

    MARLIN = "marlin"
    KLIPPER = "klipper"


class Powers(Enum):
    """How heater powers stand in a temperature report."""

    NONE = "none"
    BEHIND = "behind"  # ``@:0 B@:0`` at the end
    INLINE = "inline"  # ``@0`` behind each heater


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """What a firmware says, and what it does differently.

    Attributes:
        name: how the option calls it.
        family: its table of commands.
        identity: the first line of its answer to M115; ``{extruders}`` is filled in.
        capabilities: its ``Cap:`` lines; none: it has no such lines.
        banner: what it says after a reset.
        numbered: it checks numbers and checksums.
        repeats_silent: it drops a line that it already has without a word.
        complaint: the line before the request; ``{why}`` and ``{last}``.
        request: how it asks again; ``{n}`` is the number, ``{sum}`` a checksum.
        request_ok: an ``ok`` follows that acknowledges nothing.
        ok_first: each command is acknowledged when it arrives, before it runs.
        ok_number: the ``ok`` carries the line's number.
        busy: it says ``busy:`` while it works.
        early: the codes that it sees past a running command.
        idle_wait: it says ``wait`` each second while nothing is sent to it.
        actions: it says ``//action:`` lines.
        unknown: what it says to a command that it does not know.
        digits: behind the point in temperatures.
        bare_tool: it reports the current tool as ``T:``.
        first_tool: it reports ``T0:`` also when there is one tool only.
        tool_one: with several tools, ``T:`` is tool 0 and there is no ``T0:``.
        powers: where heater powers stand.
        slash: between temperature and target.
        report_tail: what follows in each temperature report.
        wait_energy: during M109 it says ``T:… E:0 W:…`` only.
        echoes_targets: it announces new targets as ``TargetExtr0:`` and ``TargetBed:``.
        position: M114's format.
        home_position: G28 and G92 report the position.
        e_apart: G90 and G91 leave the extruder's mode alone.
        words_unanswered: what is no G, M or T gets no ``ok``.
        idle_card: its answer to M27 when it does not print.
        lower_names: the names of its files are in lower case.
        long_names: it knows ``M20 L``, ``M20 T`` and ``M33``.
        halt: what it says when it stops for good.
        halt_resets: M112 restarts it.
        two_line_heat: heater errors come on two lines, as before Marlin 2.
        halt_answer: what it answers when it is halted; empty: it is deaf.
        mute: it never says anything but ``ok``.
        status: what it says beside when the display's text changes.

    """

    name: str
    family: Family = Family.MARLIN
    identity: str = ""
    capabilities: tuple[str, ...] = ()
    banner: tuple[str, ...] = ("start",)
    numbered: bool = True
    repeats_silent: bool = False
    complaint: str = "Error:{why}, Last Line: {last}"
    request: str = "Resend: {n}"
    request_ok: bool = True
    ok_first: bool = False
    ok_number: bool = False
    busy: bool = False
    early: frozenset[str] = frozenset()
    idle_wait: bool = False
    actions: bool = False
    unknown: str = 'echo:Unknown command: "{line}"'
    digits: int = 2
    bare_tool: bool = True
    first_tool: bool = False
    tool_one: bool = False
    powers: Powers = Powers.BEHIND
    slash: str = " /"
    report_tail: str = ""
    wait_energy: bool = False
    echoes_targets: bool = False
    position: str = "X:{x:.2f} Y:{y:.2f} Z:{z:.2f} E:{e:.2f} Count X:{cx} Y:{cy} Z:{cz}"
    home_position: bool = False
    e_apart: bool = False
    words_unanswered: bool = False
    idle_card: str = "Not SD printing"
    lower_names: bool = False
    long_names: bool = False
    halt: tuple[str, ...] = ("Error:Printer halted. kill() called!",)
    halt_resets: bool = False
    two_line_heat: bool = False
    halt_answer: str = ""
    mute: bool = False
    status: str = ""
