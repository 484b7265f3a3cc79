"""What the next attempt to connect uses: broker, address, MQTT version, last will.

``mqtt.host`` may be a name with several addresses (MQTT says nothing about them; a
resolver returns them in the order of RFC 6724), and ``mqtt.hosts`` names further
brokers, such as the other nodes of a cluster. They are tried in turn, each with its own
``mqtt.connect_timeout``: an address that takes no packets, or that never answers, must
not keep us from the next one. One that worked is tried first the next time.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Literal, TypeVar

from bridge.config import Mqtt
from bridge.config.values import host_and_port
from bridge.mqtt.error_text import MISSING_RIGHT, AttemptError, Hint
from bridge.mqtt.messages import Version

_Address = TypeVar("_Address")

FAILBACK_INTERVAL = 60.0
"""Seconds between two attempts to reach the first broker again while another one is in
use. Each is varied by up to a quarter, so that the printers of a farm do not all return
at the same moment."""


MAX_CLOSED = 2
"""Connections closed without CONNACK after which the other MQTT version is tried."""


class Next(Enum):
    """What there is left to try after a failure."""

    ADDRESS = "address"
    """Another address of the same broker."""
    BROKER = "broker"
    """Another broker; all addresses of this one have failed."""
    NOTHING = "nothing"
    """Every address of every broker has failed; the next attempt starts over."""


class BrokerAddresses:
    """Takes the brokers and their addresses in turn.

    Args:
        config: the brokers, and how to connect.

    Attributes:
        failovers: how often another broker than the one before was connected to.

    """

    def __init__(self, config: Mqtt) -> None:
        self._configs = [config.model_copy(update={"hosts": ()})]
        for further in config.hosts:
            host, port = host_and_port(further, config.port)
            update = {"host": host, "port": port, "hosts": ()}
            self._configs.append(config.model_copy(update=update))
        self._broker = 0
        self._address = 0
        self._known = 1
        self._failed = 0
        self._last: int | None = None
        self.failovers = 0

    @property
    def config(self) -> Mqtt:
        """How to connect to the broker that is next."""
        return self._configs[self._broker]

    @property
    def first(self) -> Mqtt | None:
        """How to connect to the first broker; ``None``: that is the present one."""
        return None if self._broker == 0 else self._configs[0]

    def choose(self, found: Sequence[_Address]) -> _Address:
        """Return which of the present broker's addresses is next; at least one."""
        self._known = len(found)
        return found[self._address % len(found)]

    def failed(self, *, refused: bool = False) -> Next:
        """Go on to what is next.

        Args:
            refused: the broker answered and refused the connection, as it would on its
                other addresses.

        """
        self._failed = self._known if refused else self._failed + 1
        self._address = (self._address + 1) % self._known
        if self._failed < self._known:
            return Next.ADDRESS
        self._start_with((self._broker + 1) % len(self._configs))
        return Next.BROKER if self._broker else Next.NOTHING

    def connected(self) -> None:
        """Stay with the present address; start over with it after the next loss."""
        self._failed = 0
        if self._last not in {None, self._broker}:
            self.failovers += 1
        self._last = self._broker

    def return_to_first(self) -> None:
        """Use the first broker for the next attempt: it is there again."""
        self._start_with(0)

    def _start_with(self, broker: int) -> None:
        self._broker, self._address, self._known, self._failed = broker, 0, 1, 0


class WillFallback:
    """Decides whether to connect with a last will.

    A broker may refuse a connection whose last will has a topic that the account may
    not write (MQTT 5.0, 3.1.2.5 leaves it open), with the same code as a wrong
    password, or by closing it. So a client that was accepted a moment before, without a
    last will, is what tells the two apart.
    """

    def __init__(self) -> None:
        self.wanted = True
        self._closed = 0

    def failed(self, error: AttemptError, *, checked: bool) -> bool:
        """Note a failed attempt; return whether to try at once without a last will.

        Args:
            error: how it failed.
            checked: the broker had just accepted the check for other bridges.

        """
        without, self.wanted = not self.wanted, True
        if without or not checked:
            self._closed = 0
            return False
        # Once, it may as well have been the network.
        self._closed = self._closed + 1 if error.hint is Hint.CLOSED else 0
        refused = error.code in MISSING_RIGHT
        self.wanted = not refused and self._closed < MAX_CLOSED
        return not self.wanted

    def accepted(self) -> bool:
        """Note an accepted connection; return whether it has no last will.

        The next one has, because the account may have got the right meanwhile.
        """
        without, self.wanted = not self.wanted, True
        self._closed = 0
        return without


class ProtocolFallback:
    """Chooses MQTT 5, or 3.1.1 for brokers that do not support 5.

    Some brokers refuse the version in CONNACK; others close the connection, or never
    answer, and so does one that is still starting. After :data:`MAX_CLOSED` of those,
    the versions are tried in turn until one is accepted, which is then kept.
    """

    def __init__(self, protocol: Literal["auto", "5", "3.1.1"]) -> None:
        self._fixed = protocol != "auto"
        self._current = Version.V311 if protocol == "3.1.1" else Version.V5
        self._settled = self._fixed
        self._closed = 0

    @property
    def current(self) -> Version:
        """The version to try."""
        return self._current

    def failed(self, hint: Hint) -> None:
        """Note how an attempt failed."""
        if self._fixed or (self._settled and hint is not Hint.VERSION):
            return
        if hint is Hint.VERSION:
            self._change()
        elif hint is Hint.CLOSED:
            self._closed += 1
            if self._current is Version.V311 or self._closed >= MAX_CLOSED:
                self._change()

    def accepted(self) -> bool:
        """Note an accepted connection; return whether it is the first one on 3.1.1."""
        first = not self._settled and self._current is Version.V311
        self._settled = True
        return first

    def _change(self) -> None:
        self._closed = 0
        self._settled = False
        self._current = Version.V311 if self._current is Version.V5 else Version.V5
