"""What outlives a connection to the broker."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bridge.config import Mqtt
from bridge.mqtt.large import Suspects
from bridge.mqtt.memory import Memory
from bridge.mqtt.messages import Lane, Message, Publication
from bridge.mqtt.outbox import Outbox
from bridge.mqtt.topics import Topics
from bridge.pauses import Repeats

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Who we are on the broker, and what we do there.

    Attributes:
        client_id: our name; must be unique at the broker.
        topics: the printer's topics.
        instance: names this process in the retained ``info``, unlike any other; empty:
            other bridges are not looked for.
        subscriptions: what to hear.
        optional: what to hear where we may; nobody is warned where we may not.
        memory: remembers retained topics across restarts.

    """

    client_id: str
    topics: Topics
    instance: str = ""
    subscriptions: Sequence[str] = ()
    optional: Sequence[str] = ()
    memory: Memory | None = None


@dataclass(slots=True)
class Statistics:
    """What went over all connections of one broker.

    Attributes:
        connects: connections on which we said ``online``.
        received: messages from the broker.
        sent: messages that the broker has taken.
        refused: messages that it has not taken, for want of a right or for their size.
        protocol: the MQTT version of the latest connection.
        connected_since: when we said it on the present one, with a zone; ``None``:
            there is none.

    """

    connects: int = 0
    received: int = 0
    sent: int = 0
    refused: int = 0
    protocol: str | None = None
    connected_since: datetime | None = None

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(self.connects - 1, 0)


@dataclass(slots=True, kw_only=True)
class Desk:
    """What the sessions of one broker share.

    Attributes:
        config: how to be on the broker.
        presence: who we are there.
        on_message: gets what is heard.
        on_connected: called on each connection, after the retained topics were queued.
        outbox: what waits.
        statistics: what has been counted.
        suspects: what may be too large for the broker.
        warnings: what has been said about each topic.

    """

    config: Mqtt
    presence: Presence
    on_message: Callable[[Message], None]
    on_connected: Callable[[], None] | None = None
    outbox: Outbox = field(default_factory=Outbox)
    statistics: Statistics = field(default_factory=Statistics)
    suspects: Suspects = field(default_factory=Suspects)
    warnings: dict[str, Repeats] = field(default_factory=dict)

    @property
    def topics(self) -> Topics:
        """The printer's topics."""
        return self.presence.topics

    def place(self, publication: Publication) -> str:
        """Return where a message goes, in words that do not depend on its sender."""
        topic = publication.topic
        if publication.lane is not Lane.RESPONSE or topic == self.topics.response:
            return topic
        prefixes = (
            f"{self.topics.base}/",
            *filter(None, self.config.response_prefixes),
        )
        return next((f"{start}…" for start in prefixes if topic.startswith(start)), "…")

    def warn(self, subject: str, text: str) -> None:
        """Log a warning about a topic, unless it was said lately.

        Nothing of what a sender may choose belongs into the subject or the text.
        """
        said = self.warnings.setdefault(subject, Repeats())
        line = said.note(text, time.monotonic())
        if line is not None:
            log.warning("%s", line)
