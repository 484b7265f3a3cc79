"""What a check of one thing came to; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a diagnosis.

    Attributes:
        check: what was looked at, in a word or two.
        verdict: in order; worth knowing; or so wrong that the bridge fails.
        text: a sentence; where something is wrong it says what to do.
        printer: the id of the printer that it is about, if it is about one.

    """

    check: str
    verdict: Verdict
    text: str
    printer: str | None = None


_HEAD = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>gcode2mqtt</title>
<style>
:root { color-scheme: light dark; font-family: sans-serif }
body { max-width: 60rem; margin: 1rem auto; padding: 0 1rem }
td { padding: .4rem .8rem .4rem 0; vertical-align: top; overflow-wrap: anywhere }
.ok { color: #2e7d32 } .note { color: #0277bd } .wrong { color: #d32f2f }
.wrong { font-weight: bold }
</style>
<h1>gcode2mqtt</h1>
"""
_MARKS = {"ok": "OK", "note": "Note", "wrong": "Wrong"}


def page(findings: Iterable[Finding]) -> str:
    """Return the findings as a page of HTML that loads nothing else."""
    rows = list(findings)
    bad = sum(finding.verdict == "wrong" for finding in rows)
    summary = f"{bad} of {len(rows)} checks failed." if bad else "All is well."
    lines = "".join(map(_row, rows))
    text = f"<p>{summary} Reload the page to check again.\n"
    return f"{_HEAD}{text}<table>\n{lines}</table>\n"


def _row(finding: Finding) -> str:
    cells = (finding.printer or "", finding.check, finding.text)
    tds = "".join(f"<td>{escape(cell)}" for cell in cells)
    mark = _MARKS[finding.verdict]
    return f'<tr><td class="{finding.verdict}">{mark}{tds}\n'
