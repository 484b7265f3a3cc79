"""The dashboard in the real Home Assistant, in a real browser, in every state."""

from pathlib import Path

import pytest

from tests.support import screenshots
from tests.support.browser import DESKTOP, PHONE
from tests.support.daemons import wait_for

pytestmark = pytest.mark.home_assistant

SHOWN = {
    "idle": ("Ready", "Safe to power off", "Cool down", "Home"),
    "printing": ("Printing", "Progress", "A rather long file name", "Pause", "Cancel"),
    "filament": ("The filament has run out", "Nozzle Parked", "Continue", "Answer 1"),
    "error": ("Stopped", "kill() called", "Acknowledge", "Last print:"),
    "printer-gone": ("Status", "Reconnect"),
    "bridge-gone": (
        "No connection to the printer's bridge",
        "The emergency stop does not",
    ),
}
BROKEN = ("Entity not found", "Configuration error", "non-numeric", "unavailable")
STOP = "img[alt='Emergency stop']"


def test_no_card_is_broken_in_any_state(tmp_path: Path) -> None:
    with screenshots.opened(tmp_path) as (scene, chromium, hass):
        address = screenshots.install(hass)
        page = screenshots.hass_page(hass, chromium, dark=False)
        page.open(address)
        for state in screenshots.STATES:
            scene.show(state)
            page.shows(*SHOWN[state])
            for size in (DESKTOP, PHONE):
                page.look(size)
                text = str(page.run("deep.text()"))
                assert not [word for word in BROKEN if word in text], (state, text)
                assert not page.run("deep.shown('hui-error-card, hui-warning').length")
                assert text.count("Ender 3") == 0
                if state != "bridge-gone":
                    # The stop is on the screen without scrolling.
                    box = page.run(
                        f'deep.shown("{STOP}")[0].getBoundingClientRect().toJSON()'
                    )
                    assert 0 < box["top"] < 200
                    assert 300 < box["width"] <= size[0]
        assert not page.errors


def test_the_stop_stops(tmp_path: Path) -> None:
    with screenshots.opened(tmp_path) as (scene, chromium, hass):
        address = screenshots.install(hass)
        page = screenshots.hass_page(hass, chromium, dark=True)
        page.open(address)
        page.shows("Safe to power off", "Cool down")
        page.click(STOP)
        sent = scene.printer.wire.sent
        wait_for(lambda: any("M112" in line for line in sent()), "the stop")
        page.shows("Acknowledge")
