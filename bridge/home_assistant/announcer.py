"""Publishes the discovery message of a printer, and everything on a birth message."""

import asyncio
import logging
import random
from collections.abc import Callable
from pathlib import Path

from bridge import __version__
from bridge.commands.outputs import CASE_LIGHT, has_light
from bridge.config import Config, LightSettings, PrinterConfig
from bridge.gcode.dialects import DIALECTS, UNKNOWN
from bridge.gcode.reply_types import FileEntry
from bridge.home_assistant.discovery import (
    Announcements,
    KnownDevice,
    components,
    config_topic,
    discovery,
    printable_files,
    render,
)
from bridge.home_assistant.entities import Device, PrintableFile
from bridge.mqtt.broker import Broker
from bridge.mqtt.messages import Message
from bridge.printer.printer import Printer
from bridge.state_files import DEVICE, recall, remember
from bridge.topics import Topics

log = logging.getLogger("bridge.app")

SPREAD = 2.0
"""Seconds over which many printers spread their reaction to one birth message, so that
they do not all publish everything in the same moment."""

LIFETIMES = 3
"""Heartbeats without a report after which Home Assistant shows a temperature as
unavailable (``expire_after``)."""


class Announcer:
    """Announces one printer as a device, unless discovery is switched off.

    Args:
        config: the whole configuration.
        printer: the printer.
        topics: its topics.
        broker: where to publish.
        folder: the state folder; ``None``: nothing is kept between runs.
        stored: returns the paths of the files that the bridge stores, the newest first.
            After a change, the tuple is a different object.

    """

    def __init__(  # noqa: PLR0913 - a printer, its topics and where to publish
        self,
        config: Config,
        printer: Printer,
        topics: Topics,
        broker: Broker,
        *,
        folder: Path | None,
        stored: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._config = config
        self._settings = config.home_assistant
        self._printer = printer
        self._topics = topics
        self._broker = broker
        self._file = folder / f"{printer.config.id}{DEVICE}" if folder else None
        known = recall(self._file, KnownDevice) if self._file else None
        self._known = known or KnownDevice()
        self._announcements = Announcements(self._known.components)
        self._described: KnownDevice | None = None
        self._listed: tuple[FileEntry, ...] | None = None
        self._stored = stored
        self._files: tuple[object, ...] = ()
        self._born: asyncio.TimerHandle | None = None

    def configure(self, config: Config) -> None:
        """Describe the device with other settings from now on."""
        self._config = config
        self._settings = config.home_assistant
        self._described = None

    @staticmethod
    def subscriptions(config: Config) -> tuple[str, ...]:
        """Return the topics to subscribe to, besides those of commands."""
        settings = config.home_assistant
        return (settings.birth_topic,) if settings.enabled else ()

    @staticmethod
    def topic(config: Config, name: str) -> str | None:
        """Return where a printer is announced, by its id; ``None``: it is not."""
        settings = config.home_assistant
        return config_topic(settings.prefix, name) if settings.enabled else None

    def tick(self) -> bool:
        """Publish the discovery message if it has changed; to be called every second.

        The message is about 50 kB, and is put together only when what it is made from
        has changed. The configuration and the names of the scripts change only with
        :meth:`configure`.

        Returns:
            Whether it was published. Sensors whose values expire then need a value.

        """
        if not self._settings.enabled:
            return False
        printer = self._printer
        self._known = self._known.learn(printer.state, printer.observer.dialect.name)
        self._learn_files()
        if self._known is not self._described:
            self._described = self._known
            self._announcements.change(discovery(self._device()))
        said = self._announcements.due(asyncio.get_running_loop().time())
        if said is None:
            return False
        topic = config_topic(self._settings.prefix, printer.config.id)
        self._broker.publish(topic, render(said), qos=1, retain=True)
        if self._file is not None:
            update = {"components": components(said)}
            remember(self._file, self._known.model_copy(update=update))
        return True

    def _learn_files(self) -> None:
        """Note which files can be chosen, if the card's or the stored ones changed."""
        state, stored = self._printer.state, self._stored()
        if state.listed:
            self._listed = state.files
        files = (self._listed, stored)
        if files == self._files:
            return
        self._files = files
        if self._listed is None and not stored:
            return  # nothing is known yet of what an earlier run has seen
        listed = self._listed
        if listed is None:  # the card's are those that an earlier run has seen
            listed = tuple(
                FileEntry(path, display=label)
                for label, origin, path in self._known.files
                if origin == "card"
            )
        self._known = self._known.with_files(printable_files(listed, stored))

    def on_message(self, message: Message) -> bool:
        """Handle a message; return whether it is about Home Assistant's own state."""
        settings = self._settings
        if not settings.enabled or message.topic != settings.birth_topic:
            return False
        said = message.payload.decode("utf-8", "replace")
        if said == settings.birth_payload and self._born is None:
            spread = random.SystemRandom().uniform(0.0, SPREAD)
            loop = asyncio.get_running_loop()
            self._born = loop.call_later(spread, self._again)
        return True

    def close(self) -> None:
        """Cancel the reaction to a birth message that is still to come."""
        if self._born is not None:
            self._born.cancel()
            self._born = None

    def _again(self) -> None:
        self._born = None
        log.info("Home Assistant has started: publishing everything again")
        self._broker.republish()

    def _device(self) -> Device:
        printer = self._printer.config
        profile, rights = printer.profile, self._config.rights
        known = self._known
        light = profile.light
        lit = frozenset({CASE_LIGHT}) if known.case_light else frozenset[str]()
        # A printer that was never connected may have anything.
        dialect = DIALECTS.get(known.family or "", UNKNOWN)
        return Device(
            id=printer.id,
            name=printer.name,
            topics=self._topics,
            version=__version__,
            heaters=_heaters(printer),
            sensors=self._known.sensors,
            tools=profile.extruders,
            max_temperature=profile.max_temperature.model_dump(),
            rights=frozenset(tier for tier, given in rights if given),
            lifetime=round(LIFETIMES * self._config.telemetry.heartbeat),
            scripts=self._printer.disturbing_scripts(),
            firmware=known.firmware,
            model=printer.model or known.model,
            manufacturer=printer.manufacturer,
            serial_number=printer.serial_number or known.uuid,
            area=printer.area,
            fans=profile.fans,
            light=_light(light) if has_light(light, lit) else None,
            babysteps=profile.max_z_offset if dialect.babystep else 0.0,
            presets={
                name: preset.model_dump(exclude_none=True)
                for name, preset in printer.presets.items()
            },
            files=tuple(PrintableFile(*file) for file in known.files),
            thumbnail=self._settings.thumbnails,
        )


def _light(light: LightSettings) -> str:
    if light.kind in {"rgb", "led"}:
        return "color"
    return "dim" if light.dimmable else "switch"


def _heaters(printer: PrinterConfig) -> tuple[str, ...]:
    profile = printer.profile
    tools = 1 if profile.shared_nozzle else profile.extruders
    return (
        *(f"tool{number}" for number in range(tools)),
        *(("bed",) if profile.heated_bed else ()),
        *(("chamber",) if profile.heated_chamber else ()),
    )
