"""A port that is left to others, and a link that is closed on request."""

import pytest

from bridge.errors import RejectedError
from tests.support.live import Live, command_of, live
from tests.support.waiting import until

URL = "simulator://marlin?speed=100"


async def link(it: Live, command: str) -> None:
    """Carry out a command on ``link``."""
    chosen = command_of("link", command=command)
    await it.printer.change_link(chosen)  # type: ignore[arg-type]  # it is one of them


async def test_the_port_is_closed_until_it_is_wanted_back() -> None:
    async with live(URL) as it:
        await until(lambda: it.printer.state.heaters["tool0"].actual is not None)
        await link(it, "disconnect")
        assert it.printer.link.session is None
        state = it.printer.state
        assert (state.link, state.released, state.problem) == ("offline", True, None)
        assert "link connect" in state.away
        assert it.events[-1].name == "disconnected"
        assert it.events[-1].data == {"reason": "released"}
        assert it.printer.link.late(it.printer.observer.clock() + 1000) == 0

        await link(it, "disconnect")  # it is already
        with pytest.raises(RejectedError) as refused:
            await link(it, "reconnect")
        assert (refused.value.code, refused.value.error) == (409, "released")

        await link(it, "connect")
        await it.operational()
        assert not it.printer.state.released
        await link(it, "connect")  # nothing happens
        assert it.printer.state.link == "operational"
        assert "error" not in it.event_names


async def test_a_hot_printer_is_not_left_alone() -> None:
    async with live(URL) as it:
        await it.does("bed", command="target", target=60)
        await until(lambda: it.printer.state.heaters["bed"].target == 60)
        with pytest.raises(RejectedError, match="bed would stay on") as refused:
            await link(it, "disconnect")
        assert refused.value.error == "heaters_on"
        assert it.printer.state.link == "operational"


async def test_a_reconnect_that_somebody_wants_is_no_error_even_while_it_is_hot() -> (
    None
):
    async with live(URL) as it:
        await it.does("bed", command="target", target=60)
        await until(lambda: (it.printer.state.heaters["bed"].actual or 0) > 45)
        await link(it, "reconnect")
        await until(lambda: "disconnected" in it.event_names)
        await it.operational()
        assert "error" not in it.event_names
        [gone] = [event for event in it.events if event.name == "disconnected"]
        assert gone.data == {"reason": "reconnect"}


async def test_an_acknowledgement_needs_no_printer() -> None:
    async with live(URL) as it:
        await link(it, "disconnect")
        await link(it, "acknowledge")
        assert it.printer.state.trouble is None
