"""A firmware that lives by the event loop's clock, at the end of a line with faults."""

import asyncio
from collections import deque
from collections.abc import Callable

from bridge.simulator.faults import Channel, Delivery, Faults
from bridge.simulator.firmware import Firmware

Wire = Callable[[str, bytes], None]
"""Is shown what is on the wire: ``">"`` and what the host sends, ``"<"`` and what the
printer says, both as the other side gets it."""


Arrive = Callable[[Delivery], None]


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
        self._under_way: dict[Arrive, deque[Delivery]] = {}
        self._alarms: dict[Arrive, asyncio.TimerHandle] = {}
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
        for alarm in self._alarms.values():
            alarm.cancel()
        for waiting in self._under_way.values():
            waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _carry(self, channel: Channel | None, data: bytes, arrive: Arrive) -> None:
        now = self._loop.time()
        if channel is None:
            arrive(Delivery(now, data))
            return
        self._under_way.setdefault(arrive, deque()).extend(channel.carry(data, now))
        self._deliver(arrive)

    def _deliver(self, arrive: Arrive) -> None:
        """Hand over what is due, in its order, however late the loop is."""
        if alarm := self._alarms.pop(arrive, None):
            alarm.cancel()
        waiting = self._under_way[arrive]
        while waiting and waiting[0].at <= self._loop.time():
            arrive(waiting.popleft())
        if waiting and not self._closed:
            when = waiting[0].at
            self._alarms[arrive] = self._loop.call_at(when, self._deliver, arrive)

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
