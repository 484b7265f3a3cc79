"""Which broker, and which of its addresses, the next attempt to connect uses.

``mqtt.host`` may be a name with several addresses (MQTT says nothing about them; a
resolver returns them in the order of RFC 6724), and ``mqtt.hosts`` names further
brokers, such as the other nodes of a cluster. They are tried in turn, each with its own
``mqtt.connect_timeout``: an address that takes no packets, or that never answers, must
not keep us from the next one. One that worked is tried first the next time.
"""

from collections.abc import Sequence
from enum import Enum
from typing import TypeVar

from bridge.config import Mqtt
from bridge.config.values import host_and_port

_Address = TypeVar("_Address")

FAILBACK_INTERVAL = 60.0
"""Seconds between two attempts to reach the first broker again while another one is in
use. Each is varied by up to a quarter, so that the printers of a farm do not all return
at the same moment."""


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
