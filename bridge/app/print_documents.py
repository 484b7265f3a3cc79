"""``docs/prints.md``: how the bridge follows a print, with the table drawn."""

from collections.abc import Iterator

from bridge.printer.knowledge.print_table import PHASES, TABLE, Transition

_HEADING = """\
# How the bridge follows a print

Written from the code by `scripts/documents`; do not edit.

A print from the card may be started, paused and cancelled at the printer's own panel,
and most firmwares report none of that. The bridge asks for the byte counter every
second and concludes the rest. `bridge/printer/knowledge/print_table.py` is a table: the
phase and what is heard give the next phase, the events that are published, and how
the print ended. What is not in the table changes nothing.

* Nothing is reported of a print that was not seen to begin: after a restart of the
  bridge there is no second `print_started`, and each `print_started` has exactly one
  end.
* When the link is lost, a print keeps its phase and is not confirmed any more. If the
  printer is back and prints, it goes on, and the time counts. If the printer denies
  the print three times, the print has `failed` with the reason `connection_lost`, at
  the moment at which it was last seen. If all of the file had been read by then, it
  is `done`. The same holds for a print during which the bridge was restarted: it
  keeps the print in its state folder.
* Klipper stops at the first line of a file that it refuses. The print has failed
  (`file_error`) if the byte counter stands still from then on.
* A firmware that restarts while it is connected ends the print at once
  (`printer_reset`).
* A failed print stays on `error` (`consequence`: `print_failed`), and `attention`
  stays `error`, until somebody acknowledges it or the next print begins; not after an
  emergency stop, which somebody has asked for.
* A print that waits for a heater is `heating` in `job/state`. Nothing is estimated
  from that time, and there is no time left until several estimates agree.
* Old Marlin denies a paused print. That counts only if the same firmware reported the
  byte counter during the same pause, has no file open any more (`M27 C`), or was
  disconnected.

## The phases

```mermaid
stateDiagram-v2
    [*] --> idle"""

_HEARD = """\
```

`asked_…`: a line was sent. `told_…`: a line or host action of the firmware. `rose`,
`stood`: the byte counter, `_again`: twice in a row, `_still`: three times in a row,
`reads_on`: five times in a row. `denied`: `Not SD printing`, `_for_good`: three times
in a row. `ended_unseen`: the same after the link was lost. `short_print`: the end of
a print that began and ended between two polls.

## Every transition

| phase | what is heard | next phase | events | outcome |
|---|---|---|---|---|"""


def markdown() -> str:
    """Return ``docs/prints.md``."""
    return "\n".join([_HEADING, *_arrows(), _HEARD, *_rows()]) + "\n"


def _arrows() -> Iterator[str]:
    labels: dict[tuple[str, str], list[str]] = {}
    for (phase, heard), transition in TABLE.items():
        labels.setdefault((phase, transition.to), []).append(heard)
    for (start, end), words in labels.items():
        yield f"    {start} --> {end}: {', '.join(words)}"


def _rows() -> Iterator[str]:
    for phase in PHASES:
        for (start, heard), transition in TABLE.items():
            if start == phase:
                yield f"| {phase} | `{heard}` | {_next(transition)} |"


def _next(transition: Transition) -> str:
    events = ", ".join(f"`{name}`" for name in transition.events)
    reason = f" (`{transition.reason}`)" if transition.reason else ""
    return f"{transition.to} | {events} | {transition.outcome or ''}{reason}"
