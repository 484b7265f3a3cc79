"""All commands, by topic."""

from collections.abc import Mapping

from bridge.commands import (
    emergency,
    files,
    head,
    heaters,
    job,
    link,
    outputs,
    queue,
    raw,
    requests,
)
from bridge.commands.base import Command

COMMANDS: tuple[type[Command], ...] = (
    *head.COMMANDS,
    *heaters.COMMANDS,
    *outputs.COMMANDS,
    *job.COMMANDS,
    *files.COMMANDS,
    *queue.COMMANDS,
    *link.COMMANDS,
    *raw.COMMANDS,
    *emergency.COMMANDS,
    *requests.COMMANDS,
)


def _by_topic() -> Mapping[str, Mapping[str, type[Command]]]:
    topics: dict[str, dict[str, type[Command]]] = {}
    for command in COMMANDS:
        topics.setdefault(command.topic, {})[command.name] = command
    return topics


TOPICS: Mapping[str, Mapping[str, type[Command]]] = _by_topic()
"""Topic to name to command; ``emergency`` and each ``request/…`` have one command."""
