"""When a device is announced to Home Assistant; pure, so that time can be an example.

Home Assistant sets the entities of an announcement up one after the other, and loses
what a second one brings meanwhile: so there is a pause between two that differ. What is
left out of an announcement stays as it was: so a component that is no longer there is
first announced with nothing but its platform, which removes it, and then left out.
"""

from collections.abc import Mapping
from typing import cast

from bridge.home_assistant.discovery import Payload

PAUSE = 10.0
"""Seconds between two announcements."""


def components(payload: Payload) -> dict[str, str]:
    """Return the platforms of an announcement's components by their keys."""
    listed = cast("Mapping[str, Mapping[str, str]]", payload["components"])
    return {key: fields["platform"] for key, fields in listed.items()}


class Announcements:
    """Turns the device as it is into the announcements to make.

    Args:
        known: the components of the last announcement of an earlier run.

    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)
        self._said: Payload | None = None
        self._at = float("-inf")

    @property
    def known(self) -> Mapping[str, str]:
        """The platforms of the components that Home Assistant has now, by key."""
        return dict(self._known)

    def due(self, payload: Payload, now: float) -> Payload | None:
        """Return what to announce now, taken as done; ``None``: nothing.

        Args:
            payload: the device as it is.
            now: in seconds.

        """
        if now < self._at + PAUSE:
            return None
        present = components(payload)
        gone = {
            key: platform
            for key, platform in self._known.items()
            if present.get(key) != platform
        }
        listed = cast("Mapping[str, object]", payload["components"])
        stubs = {key: {"platform": platform} for key, platform in gone.items()}
        said = {**payload, "components": {**listed, **stubs}}
        if said == self._said:
            return None
        self._known = {key: p for key, p in present.items() if key not in gone}
        self._said, self._at = said, now
        return said
