"""A firmware that lives by the event loop's clock, at the end of a line with faults."""

import asyncio
from collections.abc import Callable

from bridge.simulator.faults import Channel, Delivery, Faults
from bridge.simulator.firmware import Firmware

Wire = Callable[[str, bytes], None]
"""Is shown what is on the wire: ``">"`` and what the host sends, ``"<"`` and what the
printer says, both as the other side gets it."""


def _nowhere(_data: bytes) -> None:
    pass


class Clock:
    """Runs a firmware in real time.

    Attributes:
        firmware: who speaks.
        send: takes what the printer says; set it when somebody listens.

    """

    def __init__(
        self,
        firmware: Firmware,
        *,
        faults: Faults | None = None,
        wire: Wire | None = None,
    ) -> None:
        """Switch the firmware on; must be called within the event loop."""
        self.firmware = firmware
        self.send: Callable[[bytes], None] = _nowhere
        self._faults = faults
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.TimerHandle] = set()
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Press the reset button."""
        self._say(self.firmware.reset(self._loop.time()))

    def press(self, action: str, *arguments: str | float) -> None:
        """Do something at the printer, as :meth:`Firmware.panel` has it.

        Raises:
            ValueError: There is no such action, heater or file.

        """
        now = self._loop.time()
        self._say(self.firmware.panel(action, *arguments, now=now))

    def receive(self, data: bytes) -> None:
        """Take what the host sends."""
        channel = self._faults.to_printer if self._faults else None
        self._carry(channel, data, self._arrive)

    def close(self) -> None:
        """Switch it off; what is under way is lost."""
        self._closed = True
        for handle in self._under_way:
            handle.cancel()
        self._under_way.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _carry(
        self, channel: Channel | None, data: bytes, arrive: Callable[[Delivery], None]
    ) -> None:
        now = self._loop.time()
        if channel is None:
            arrive(Delivery(now, data))
            return
        for delivery in channel.carry(data, now):
            if delivery.at <= now:
                arrive(delivery)
            else:
                self._later(delivery, arrive)

    def _later(self, delivery: Delivery, arrive: Callable[[Delivery], None]) -> None:
        def come() -> None:
            self._under_way.discard(handle)
            arrive(delivery)

        handle = self._loop.call_at(delivery.at, come)
        self._under_way.add(handle)

    def _arrive(self, delivery: Delivery) -> None:
        if delivery.reset:
            self.reset()
        self._show(">", delivery.data)
        now = self._loop.time()
        self._say(self.firmware.receive_data(delivery.data, now))

    def _say(self, data: bytes) -> None:
        if self._closed:
            return
        if data:
            channel = self._faults.to_host if self._faults else None
            self._carry(channel, data, self._reach_host)
        if self._timer is not None:
            self._timer.cancel()
        due = self.firmware.next_event(self._loop.time())
        self._timer = None if due is None else self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._say(self.firmware.handle_time(self._loop.time()))

    def _reach_host(self, delivery: Delivery) -> None:
        self._show("<", delivery.data)
        self.send(delivery.data)

    def _show(self, direction: str, data: bytes) -> None:
        if self._wire is not None and data:
            self._wire(direction, data)
