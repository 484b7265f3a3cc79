"""What is received and not looked at yet: in which line it stands, and how many may."""

from enum import StrEnum

from bridge.app.turnstile import Turnstile
from bridge.commands.job import Cancel

MOST_WAITING = 1000
"""Messages of one kind that are received and not looked at yet; others are refused."""


class Kind(StrEnum):
    """What a message is for: told by its topic, before anything is read."""

    COMMAND = "command"
    JOB = "job"
    QUESTION = "question"


def kind_of(rest: str) -> Kind:
    """Return what a message is for, by its topic without the base."""
    if rest.startswith("request/"):
        return Kind.QUESTION
    return Kind.JOB if rest == Cancel.topic else Kind.COMMAND


class WaitingRoom:
    """Where the messages to one printer wait, no kind of them in the way of another.

    A job keeps its place among the commands, so that what prepares a print comes before
    it, but is not refused because they are many. Questions have no such order, and
    stand in a line of their own.
    """

    def __init__(self) -> None:
        self._commands = Turnstile(MOST_WAITING)
        self._questions = Turnstile(MOST_WAITING)

    async def through(self, rest: str) -> None:
        """Wait for the turn of a message on this topic.

        Raises:
            RejectedError: Too many of its kind wait, or the bridge is shutting down.

        """
        kind = kind_of(rest)
        line = self._questions if kind is Kind.QUESTION else self._commands
        await line.through(kind)

    def close(self) -> None:
        """Let nobody in any more."""
        self._commands.close()
        self._questions.close()
