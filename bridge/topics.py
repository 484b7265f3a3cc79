"""Every topic, built in one place; the MQTT interface says what travels on each."""

from collections.abc import Iterable
from dataclasses import dataclass

COMMANDS = (
    "head",
    "tool",
    "bed",
    "chamber",
    "sd",
    "job",
    "link",
    "command",
    "emergency",
)
"""The topics a printer is commanded on, without their base."""

REQUESTS = "request"
"""What questions begin with; what is asked for is the next level."""

NEAR_MISSES = (
    "printhead",
    "storage",
    REQUESTS,
    f"{REQUESTS}/+/+",
    *(f"{name}/+" for name in COMMANDS),
)
"""What is meant for a command but is none: OctoPrint's names, and levels too many or
too few. All other topics below the base may be somebody else's."""

LONGEST = 65_535
"""Bytes of UTF-8 that fit into an MQTT topic name (MQTT 5.0, 1.5.4)."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one printer.

    Attributes:
        base: what they all begin with, without a slash at its end.

    """

    base: str

    @property
    def availability(self) -> str:
        """Retained: is the bridge there; the last will."""
        return f"{self.base}/availability"

    @property
    def connection(self) -> str:
        """Retained: is the printer on its line."""
        return f"{self.base}/connection"

    @property
    def state(self) -> str:
        """Retained: what the printer is doing."""
        return f"{self.base}/state"

    @property
    def temperature(self) -> str:
        """Retained: all heaters."""
        return f"{self.base}/temperature"

    def heater(self, name: str) -> str:
        """Return the retained topic of one heater, such as ``tool0``.

        Raises:
            ValueError: The name does not make exactly one level of a topic.

        """
        if not name or any(mark in name for mark in "/+#\0"):
            raise ValueError(f"not a level of a topic: {name!r}")
        return f"{self.base}/temperature/{name}"

    @property
    def sd_files(self) -> str:
        """Retained: the files on the card."""
        return f"{self.base}/sd/files"

    @property
    def job_state(self) -> str:
        """Retained: the print job."""
        return f"{self.base}/job/state"

    @property
    def error(self) -> str:
        """Retained: what went wrong, until somebody has seen it."""
        return f"{self.base}/error"

    @property
    def info(self) -> str:
        """Retained: versions, capabilities and limits, and whose topics these are."""
        return f"{self.base}/info"

    @property
    def health(self) -> str:
        """Retained: counters."""
        return f"{self.base}/health"

    @property
    def event(self) -> str:
        """What happened, as it happens."""
        return f"{self.base}/event"

    @property
    def console(self) -> str:
        """The serial line, line by line."""
        return f"{self.base}/console"

    @property
    def response(self) -> str:
        """Answers to messages that name no response topic of their own."""
        return f"{self.base}/response"

    @property
    def question(self) -> str:
        """What a living bridge answers at once, however busy its printer is."""
        return f"{self.base}/{REQUESTS}/info"

    @property
    def emergency(self) -> str:
        """Any message here stops the machine, an empty one too."""
        return f"{self.base}/emergency"

    @property
    def commands(self) -> tuple[str, ...]:
        """What to subscribe to."""
        levels = (*COMMANDS, f"{REQUESTS}/+")
        return tuple(f"{self.base}/{level}" for level in levels)

    @property
    def near_misses(self) -> tuple[str, ...]:
        """What to subscribe to, too, so that no mistake is met with silence.

        None of them overlaps with a command: a broker may deliver twice what matches
        two subscriptions. And no wildcard takes the place of several: it would need
        the right to read all, and MQTT 3.1.1 would give us back what we publish.
        """
        return tuple(f"{self.base}/{level}" for level in NEAR_MISSES)

    def retained(self, heaters: Iterable[str]) -> tuple[str, ...]:
        """Return the topics that a printer with these heaters leaves at the broker."""
        fixed = (
            self.availability,
            self.connection,
            self.state,
            self.temperature,
            self.sd_files,
            self.job_state,
            self.error,
            self.info,
            self.health,
        )
        return (*fixed, *map(self.heater, heaters))

    def table(self) -> dict[str, str]:
        """Return every topic by what it is for, as ``info`` tells them."""
        said = ("availability", "connection", "state", "temperature", "sd_files")
        more = ("job_state", "error", "info", "health", "event", "console", "response")
        known = {name: str(getattr(self, name)) for name in (*said, *more)}
        return known | {name: f"{self.base}/{name}" for name in (*COMMANDS, REQUESTS)}

    def split(self, topic: str) -> str | None:
        """Return what follows the base, or ``None`` for a topic of somebody else."""
        base, slash, rest = topic.partition(f"{self.base}/")
        return rest if slash and not base and rest else None

    def is_command(self, topic: str) -> bool:
        """Tell whether a message on this topic would be executed or answered."""
        rest = self.split(topic)
        if rest is None:
            return False
        first, _, more = rest.partition("/")
        return rest in COMMANDS or (first == REQUESTS and bool(more))

    def is_asked(self, topic: str, *, retained: bool) -> bool:
        """Tell whether a message that we heard below our base wants an answer.

        What is retained beside a command is somebody's state. Our own states come back
        on MQTT 3.1.1.
        """
        if self.is_command(topic):
            return True
        own = topic in {self.sd_files, self.job_state}
        return self.split(topic) is not None and not own and not retained

    def is_told(self, topic: str) -> bool:
        """Tell whether a message on this topic would be taken for the printer's own."""
        told = {*self.table().values()} - {self.response}
        return topic in told or topic.startswith(f"{self.temperature}/")


def response_topic_allowed(topic: str, topics: Topics, prefixes: Iterable[str]) -> bool:
    """Tell whether a sender may have its answer on this topic.

    Whoever can send a request could otherwise publish anywhere that the bridge can,
    command the printer with an answer, or have it tell what is not true.

    Args:
        topic: the MQTT 5 Response Topic of the request.
        topics: the topics of the printer that was asked.
        prefixes: what it may begin with, beside ``<base>/``.

    """
    if not topic or any(mark in topic for mark in "+#") or topic.startswith("$"):
        return False
    if not topic.isprintable():
        return False  # a broker may drop the connection for it, again and again
    if len(topic.encode(errors="replace")) > LONGEST:
        return False
    if topics.is_command(topic) or topics.is_told(topic):
        return False
    return topic.startswith((f"{topics.base}/", *filter(None, prefixes)))
