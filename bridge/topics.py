"""The table of all topics, and the topics of one printer.

Everything that concerns a topic reads :data:`TABLE`: what is subscribed to, what is
published with which QoS and RETAIN flag, ``info.topics``, ``docs/topics.md`` and the
AsyncAPI document. The payloads are models: of commands in ``bridge/commands``, of
published documents in ``bridge/printer/published``, and
``bridge/app/documentation.py`` says which of those belongs to which row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A row of the table.

    Attributes:
        suffix: what follows the printer's base topic and a slash. ``{heater}`` and
            ``{question}`` stand for one level that differs.
        direction: ``in``: the bridge subscribes to it; ``out``: it publishes there.
        retained: whether the bridge publishes with the RETAIN flag. Never set for
            ``in``: a retained command would be repeated by every start of the bridge,
            so it is refused.
        qos: with which the bridge publishes, or the highest with which it receives.
        text: what it is for, in Markdown.

    """

    suffix: str
    direction: Literal["in", "out"]
    retained: bool
    qos: Literal[0, 1]
    text: str

    @property
    def stem(self) -> str:
        """The suffix without the level that differs."""
        return self.suffix.partition("/{")[0]

    @property
    def name(self) -> str:
        """What ``info.topics`` calls it, such as ``sd_files``."""
        return self.stem.replace("/", "_")


def _out(suffix: str, text: str, *, retained: bool = True, qos: Literal[0, 1]) -> Topic:
    return Topic(suffix=suffix, direction="out", retained=retained, qos=qos, text=text)


def _in(suffix: str, text: str) -> Topic:
    return Topic(suffix=suffix, direction="in", retained=False, qos=1, text=text)


# QoS 0 is for what is repeated anyway: the next value makes up for a lost one.
AVAILABILITY = _out(
    "availability",
    "Whether the bridge is online; the last will publishes `offline`.",
    qos=1,
)
CONNECTION = _out(
    "connection", "Whether the printer is connected: `online` or `offline`.", qos=1
)
STATE = _out("state", "What the printer is doing.", qos=1)
TEMPERATURE = _out("temperature", "The temperatures of all heaters and sensors.", qos=0)
HEATER = _out(
    "temperature/{heater}",
    "The temperatures of one heater, unless `mqtt.per_heater_topics` is off.",
    qos=0,
)
SD_FILES = _out("sd/files", "The files on the SD card.", qos=1)
JOB_STATE = _out("job/state", "The print job, whoever started it.", qos=1)
JOB_RESULT = _out(
    "job/result", "How the last print ended; kept across restarts of the bridge.", qos=1
)
TOTALS = _out(
    "totals",
    "How many prints ended and how long they took; kept across restarts of the bridge.",
    qos=1,
)
FILES_STATE = _out("files/state", "The files that the bridge stores.", qos=1)
THUMBNAIL = _out(
    "job/thumbnail",
    "The picture of the selected file of the bridge, as PNG or JPEG, if "
    "`files.thumbnails` or `home_assistant.thumbnails` is on; otherwise empty.",
    qos=0,
)
QUEUE_STATE = _out(
    "queue/state", "The prints that wait, and whether the next one may start.", qos=1
)
ERROR = _out("error", "What went wrong, until it is acknowledged.", qos=1)
INFO = _out("info", "Versions, capabilities, limits and topics.", qos=1)
HEALTH = _out(
    "health",
    "Counters and round-trip times, with each heartbeat and after each new connection.",
    qos=0,
)
EVENT = _out("event", "What has just happened.", retained=False, qos=1)
CONSOLE = _out(
    "console",
    "The serial line, line by line, if `mqtt.console` is on.",
    retained=False,
    qos=0,
)
RESPONSE = _out(
    "response",
    "The response to each message that names no response topic of its own.",
    retained=False,
    qos=1,
)
REQUEST = _in("request/{question}", "Questions about the printer and the bridge.")
EMERGENCY = _in(
    "emergency", "Stops the printer at once; any message does, even an empty one."
)

TABLE: tuple[Topic, ...] = (
    AVAILABILITY,
    CONNECTION,
    STATE,
    TEMPERATURE,
    HEATER,
    SD_FILES,
    JOB_STATE,
    JOB_RESULT,
    TOTALS,
    FILES_STATE,
    THUMBNAIL,
    QUEUE_STATE,
    ERROR,
    INFO,
    HEALTH,
    EVENT,
    CONSOLE,
    RESPONSE,
    _in(
        "head",
        "Moves the print head, sets the feedrate factor and turns the motors off.",
    ),
    _in("tool", "Sets the temperatures of hotends, extrudes, and selects tools."),
    _in("bed", "Sets the temperature of the bed."),
    _in("chamber", "Sets the temperature of the chamber."),
    _in("fan", "Sets the speed of the fans."),
    _in("light", "Switches the light."),
    _in("display", "Shows a text on the printer's display."),
    _in("script", "Runs the scripts that `home_assistant.scripts` lists."),
    _in("sd", "Mounts, releases and lists the SD card."),
    _in("job", "Starts, pauses, resumes and cancels the print."),
    _in("files", "Deletes and moves the files that the bridge stores."),
    _in("queue", "Changes the queue of prints, and releases it."),
    _in("link", "Connects and disconnects the printer, and acknowledges errors."),
    _in("command", "Sends G-code and scripts."),
    EMERGENCY,
    REQUEST,
)

_NAMED_STEMS = tuple((row.name, row.stem) for row in TABLE)

PUBLISHED = tuple(row for row in TABLE if row.direction == "out")
RECEIVED = tuple(row for row in TABLE if row.direction == "in")

COMMANDS = tuple(row.suffix for row in RECEIVED if row is not REQUEST)
"""The suffixes of the command topics."""

NEAR_MISSES = (
    "printhead",
    "storage",
    REQUEST.stem,
    f"{REQUEST.stem}/+/+",
    *(f"{name}/+" for name in COMMANDS),
)
"""What is meant as a command but is none: OctoPrint's names, and a level too many or
too few. All other topics below the base may belong to somebody else."""

LONGEST = 65_535
"""Bytes of UTF-8 that fit into an MQTT topic name (MQTT 5.0, 1.5.4)."""

_PUBLISHED_SUFFIXES = frozenset(row.suffix for row in PUBLISHED)
_FORGEABLE = frozenset(row.stem for row in TABLE) - {RESPONSE.suffix}


def received(suffix: str) -> Topic:
    """Return the row of a topic that the bridge receives, such as ``request/state``.

    Raises:
        LookupError: There is none.

    """
    for row in RECEIVED:
        if suffix == row.suffix or (row is REQUEST and _is_request(suffix)):
            return row
    raise LookupError(suffix)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one printer.

    Attributes:
        base: what they all begin with, without a slash at its end.

    """

    base: str

    def of(self, row: Topic) -> str:
        """Return the topic of a row; not of one with a level that differs."""
        return f"{self.base}/{row.suffix}"

    @property
    def availability(self) -> str:
        """Where the bridge says whether it is there."""
        return self.of(AVAILABILITY)

    @property
    def connection(self) -> str:
        """Where it says whether the printer is connected."""
        return self.of(CONNECTION)

    @property
    def state(self) -> str:
        """Where it says what the printer is doing."""
        return self.of(STATE)

    @property
    def temperature(self) -> str:
        """The temperatures of all heaters."""
        return self.of(TEMPERATURE)

    def heater(self, name: str) -> str:
        """Return the retained topic of one heater, such as ``tool0``.

        Raises:
            ValueError: The name does not make exactly one level of a topic.

        """
        if not name or any(mark in name for mark in "/+#\0"):
            raise ValueError(f"not a level of a topic: {name!r}")
        return f"{self.base}/{HEATER.stem}/{name}"

    @property
    def heaters(self) -> str:
        """The topic filter of all heaters."""
        return f"{self.base}/{HEATER.stem}/+"

    @property
    def sd_files(self) -> str:
        """The files on the SD card."""
        return self.of(SD_FILES)

    @property
    def job_state(self) -> str:
        """The print job."""
        return self.of(JOB_STATE)

    @property
    def job_result(self) -> str:
        """How the last print ended."""
        return self.of(JOB_RESULT)

    @property
    def totals(self) -> str:
        """All prints so far."""
        return self.of(TOTALS)

    @property
    def thumbnail(self) -> str:
        """The picture of the selected file."""
        return self.of(THUMBNAIL)

    @property
    def queue_state(self) -> str:
        """The prints that wait."""
        return self.of(QUEUE_STATE)

    @property
    def files_state(self) -> str:
        """The files that the bridge stores."""
        return self.of(FILES_STATE)

    @property
    def error(self) -> str:
        """What went wrong."""
        return self.of(ERROR)

    @property
    def info(self) -> str:
        """Versions and limits, and which bridge serves these topics."""
        return self.of(INFO)

    @property
    def health(self) -> str:
        """Counters."""
        return self.of(HEALTH)

    @property
    def event(self) -> str:
        """What has just happened."""
        return self.of(EVENT)

    @property
    def console(self) -> str:
        """The serial line, line by line."""
        return self.of(CONSOLE)

    @property
    def response(self) -> str:
        """Responses to messages that name no response topic of their own."""
        return self.of(RESPONSE)

    @property
    def question(self) -> str:
        """A question that a running bridge answers at once, however busy it is."""
        return f"{self.base}/{REQUEST.stem}/info"

    @property
    def emergency(self) -> str:
        """Any message here stops the machine, even an empty one."""
        return self.of(EMERGENCY)

    @property
    def commands(self) -> tuple[str, ...]:
        """The topic filters of commands and requests, to subscribe to."""
        levels = (*COMMANDS, f"{REQUEST.stem}/+")
        return tuple(f"{self.base}/{level}" for level in levels)

    @property
    def near_misses(self) -> tuple[str, ...]:
        """Further topic filters to subscribe to, so that no mistake stays unanswered.

        None of them overlaps with a command: a broker may deliver a message twice that
        matches two subscriptions (MQTT 5.0, 3.3.4). And no wildcard takes the place of
        several: it would need the right to read everything, and on MQTT 3.1.1 the
        broker would send us back what we publish.
        """
        return tuple(f"{self.base}/{level}" for level in NEAR_MISSES)

    def retained(self, heaters: Iterable[str]) -> tuple[str, ...]:
        """Return the topics that a printer with these heaters leaves at the broker."""
        fixed = (row for row in PUBLISHED if row.retained and row is not HEATER)
        return (*map(self.of, fixed), *map(self.heater, heaters))

    def table(self) -> dict[str, str]:
        """Return every topic by its name, as ``info.topics`` lists them."""
        return {name: f"{self.base}/{stem}" for name, stem in _NAMED_STEMS}

    def split(self, topic: str) -> str | None:
        """Return what follows the base, or ``None`` for a topic of somebody else."""
        base, slash, rest = topic.partition(f"{self.base}/")
        return rest if slash and not base and rest else None

    def is_command(self, topic: str) -> bool:
        """Return whether a message on this topic would be executed or answered."""
        rest = self.split(topic)
        return rest is not None and (rest in COMMANDS or _is_request(rest))

    def is_asked(self, topic: str, *, retained: bool) -> bool:
        """Return whether a message that we received needs a response.

        What is retained on a near miss is somebody's state, and no command. Some of our
        own states match a near miss, and MQTT 3.1.1 sends them back to us.
        """
        if self.is_command(topic):
            return True
        rest = self.split(topic)
        return rest is not None and rest not in _PUBLISHED_SUFFIXES and not retained

    def is_told(self, topic: str) -> bool:
        """Return whether a message there would be taken for one of the bridge."""
        rest = self.split(topic)
        return rest is not None and (
            rest in _FORGEABLE or rest.startswith(f"{HEATER.stem}/")
        )


def response_topic_allowed(
    topic: str, topics: Topics, prefixes: Iterable[str], bases: Iterable[str] = ()
) -> bool:
    """Return whether a sender may have its response on this topic.

    Whoever can send a request could otherwise publish wherever the bridge can, command
    the printer through a response, or have the bridge publish a false state.

    Args:
        topic: the MQTT 5 Response Topic of the request.
        topics: the topics of the printer that was asked.
        prefixes: what it may begin with, besides ``<base>/``.
        bases: those of all printers of the process; a prefix may include them.

    """
    if not _is_publishable(topic) or topics.is_command(topic) or topics.is_told(topic):
        return False
    if topic.startswith(f"{topics.base}/"):
        return True
    if topic.startswith(tuple(f"{base}/" for base in bases)):
        return False  # another printer would carry the response out
    return topic.startswith(tuple(filter(None, prefixes)))


def _is_publishable(topic: str) -> bool:
    """Return whether a broker lets anybody publish on such a topic."""
    if not topic or any(mark in topic for mark in "+#") or topic.startswith("$"):
        return False
    # For a character that cannot be printed, a broker may close the connection, again
    # and again.
    return topic.isprintable() and len(topic.encode(errors="replace")) <= LONGEST


def _is_request(suffix: str) -> bool:
    first, _, more = suffix.partition("/")
    return first == REQUEST.stem and bool(more)
