"""Another client that uses our client id: how it is noticed and reported.

A broker disconnects a client when another one connects with its client id (MQTT 5.0,
3.1.4), and anyone can send a client id. So a takeover must never end the bridge, which
watches heaters.
"""

import contextlib
import logging
import time
from collections.abc import Callable

from bridge.config import Mqtt
from bridge.log_dedupe import LogDedupe
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, Loss
from bridge.mqtt.messages import Version
from bridge.mqtt.one_shot import OneShotClient
from bridge.timeout import timeout

log = logging.getLogger("bridge.mqtt.broker")

CONTEST_WINDOW = 60.0
"""Seconds. A connection that lasted longer was not lost to a client that reconnects in
turn with ours."""

MAX_TAKEOVERS = 2
"""Takeovers in a row after which they are reported."""

CHECK_CLIENT_ID = "{client_id}-witness"
"""Beginning of the client id of the takeover check; it may be in the access lists of
brokers."""

QUIET = 0.5
"""Seconds after which another connection would have ended as well, if the network or
the broker had failed."""

CHECK_TIMEOUT = 2.0
"""Seconds that the broker has to answer the takeover check."""


class Conflicts:
    """What other clients do to this bridge at the broker, for people to see.

    Args:
        on_conflict: called with each text that is logged.

    """

    def __init__(self, on_conflict: Callable[[str], None] | None = None) -> None:
        self._on_conflict = on_conflict
        self._dedupe = LogDedupe()
        self._latest: tuple[str, float] | None = None

    def report(self, text: str) -> None:
        """Log it, even if connections in between succeed, but not each time."""
        now = time.monotonic()
        self._latest = text, now
        line = self._dedupe.filter(text, now)
        if line is not None:
            log.warning("%s", line)
            if self._on_conflict is not None:
                self._on_conflict(text)

    @property
    def latest(self) -> str | None:
        """The latest conflict; ``None``: there was none for :data:`CONTEST_WINDOW`."""
        if self._latest is None or time.monotonic() - self._latest[1] > CONTEST_WINDOW:
            return None
        return self._latest[0]


class ClientId:
    """The client id to connect with: another one while somebody takes ours over.

    Access rights may belong to the usual id, so that is tried again later, and the
    other one is given up if the broker does not allow it.

    Args:
        usual: the client id as long as nobody else uses it.

    """

    def __init__(self, usual: str) -> None:
        self._usual = usual
        self._other: str | None = None
        self._may_differ = True

    @property
    def current(self) -> str:
        """The client id for the next connection."""
        return self._other or self._usual

    @property
    def differs(self) -> bool:
        """Whether that is not the usual one."""
        return self._other is not None

    def taken_over(self) -> bool:
        """Use another one from now on; return whether to try it at once."""
        first = self._other is None
        if self._may_differ:
            self._other = unique_id(self._usual)
        return first and self._may_differ

    def refused(self) -> None:
        """Note that the broker does not allow the current one, which differs."""
        self._other = None
        self._may_differ = False

    def lasted(self, seconds: float) -> None:
        """Note how long a connection was up; after a while the usual id is tried."""
        if seconds >= CONTEST_WINDOW:
            self._other = None


class TakeoverDetector:
    """Decides when another client is using our client id."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def suspected(self) -> bool:
        """Whether the latest connection may have been taken over."""
        return self._count > 0

    def contested(
        self, loss: Loss, *, reference_connected: bool, lasted: float
    ) -> bool:
        """Note how a connection ended; return whether to report a takeover.

        A single loss without a reason only raises the suspicion. The second in a row is
        certain when the broker says so, or when it closed this connection only.

        Args:
            loss: how it ended.
            reference_connected: the connection of the :class:`TakeoverCheck` was still
                up.
            lasted: how many seconds it was up.

        """
        certain = loss.taken_over or (loss.unexplained and reference_connected)
        if lasted >= CONTEST_WINDOW or not certain:
            self._count = 0
        self._count += loss.taken_over or loss.unexplained
        return certain and self._count >= MAX_TAKEOVERS


class TakeoverCheck:
    """A second, idle connection that shows whether the broker closed only the first.

    A broker disconnects a client when another one connects with its client id, but few
    say so: MQTT 3.1.1 has no reason codes, and Mosquitto 2.0.11 closes the connection
    without DISCONNECT on MQTT 5 too. When that happens while a connection with another
    client id stays up, neither the network nor a broker restart was the cause.

    Args:
        config: how to reach the broker.
        client_id: the client id of this connection.
        version: the MQTT version.
        topic: a topic that we are allowed to subscribe to.

    """

    def __init__(
        self, config: Mqtt, *, client_id: str, version: Version, topic: str
    ) -> None:
        self._topic = topic
        self._client = OneShotClient(config, client_id=client_id, version=version)
        self._connected = False

    async def connect(self) -> None:
        """Connect; if that fails, nothing can be confirmed later."""
        with contextlib.suppress(AttemptError):
            await self._client.connect()
            self._connected = True

    @property
    def connected(self) -> bool:
        """Whether the connection could be made."""
        return self._connected

    async def is_connected(self, *, ask: bool = True) -> bool:
        """Return whether the broker still answers on this connection.

        Args:
            ask: subscribe to the topic; otherwise the broker may close the connection
                over that. Then we only check whether it is still up after a moment.

        """
        if not self._connected:
            return False
        try:
            if ask:
                async with timeout(CHECK_TIMEOUT):
                    await self._client.subscribe([self._topic], replay=False)
                return True
            async with timeout(QUIET):
                while True:
                    await self._client.next_message()
        except AttemptError:
            return False
        except TimeoutError:
            return not ask

    def close(self) -> None:
        """Close the connection; safe to call again."""
        self._client.close()
