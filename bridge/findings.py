"""What a check of one thing came to; pure."""

from dataclasses import dataclass
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
