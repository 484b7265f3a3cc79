"""Tells Home Assistant of a printer, and again when it has started."""

import asyncio
import logging
import random
from dataclasses import replace
from pathlib import Path

from bridge import __version__
from bridge.config import Config
from bridge.config import Printer as PrinterConfig
from bridge.home_assistant import announced, announcing
from bridge.home_assistant import discovery as home_assistant
from bridge.home_assistant.announcing import Announcements
from bridge.home_assistant.entities import Device
from bridge.mqtt.broker import Broker
from bridge.mqtt.messages import Message
from bridge.printer.printer import Printer
from bridge.topics import Topics

log = logging.getLogger("bridge.app")

SPREAD = 2.0
"""Seconds over which many bridges spread their answers to one birth message."""

LIFETIMES = 3
"""Heartbeats after which a temperature counts as old."""


class Announcer:
    """Announces one printer as a device; nothing where that is switched off."""

    def __init__(
        self,
        config: Config,
        printer: Printer,
        topics: Topics,
        broker: Broker,
        *,
        folder: Path | None,
    ) -> None:
        self._config = config
        self._settings = config.home_assistant
        self._printer = printer
        self._topics = topics
        self._broker = broker
        self._folder = folder
        self._facts = announced.recall(folder, printer.config.id)
        self._announcements = Announcements(self._facts.components)
        self._born: asyncio.TimerHandle | None = None

    @staticmethod
    def subscriptions(config: Config) -> tuple[str, ...]:
        """Return what has to be heard beside the commands."""
        settings = config.home_assistant
        return (settings.birth_topic,) if settings.enabled else ()

    def tick(self) -> None:
        """Announce what is due; to be called every second."""
        if not self._settings.enabled:
            return
        self._learn()
        now = asyncio.get_running_loop().time()
        payload = home_assistant.discovery(self._device())
        said = self._announcements.due(payload, now)
        if said is None:
            return
        printer = self._printer.config.id
        topic = home_assistant.config_topic(self._settings.prefix, printer)
        self._broker.publish(topic, home_assistant.render(said), qos=1, retain=True)
        kept = replace(self._facts, components=announcing.components(said))
        announced.remember(self._folder, printer, kept)

    def heard(self, message: Message) -> bool:
        """Take a message; tell whether it was Home Assistant's."""
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
        """Forget about a birth message that is not answered yet."""
        if self._born is not None:
            self._born.cancel()
            self._born = None

    def _again(self) -> None:
        self._born = None
        log.info("Home Assistant has started: telling everything again")
        self._broker.republish()

    def _learn(self) -> None:
        """Keep what the printer says of itself for times when it is away."""
        state, family = self._printer.state, self._printer.observer.dialect.name
        if state.link != "operational" or state.firmware is None:
            return
        if family != self._facts.family:
            self._facts = replace(self._facts, family=family, sensors=())
        known = self._facts.sensors
        self._facts = replace(
            self._facts,
            firmware=state.firmware.name,
            model=state.firmware.fields.get("MACHINE_TYPE"),
            sensors=(*known, *(name for name in state.sensors if name not in known)),
        )

    def _device(self) -> Device:
        printer = self._printer.config
        profile, rights = printer.profile, self._config.rights
        scripts = self._printer.scripts.names if self._printer.scripts else ()
        return Device(
            id=printer.id,
            name=printer.name,
            topics=self._topics,
            version=__version__,
            heaters=_heaters(printer),
            sensors=self._facts.sensors,
            tools=profile.extruders,
            max_temperature=profile.max_temperature.model_dump(),
            rights=frozenset(tier for tier, given in rights if given),
            lifetime=round(LIFETIMES * self._config.telemetry.heartbeat),
            scripts=tuple(x for x in self._settings.scripts if x in scripts),
            firmware=self._facts.firmware,
            model=self._facts.model,
        )


def _heaters(printer: PrinterConfig) -> tuple[str, ...]:
    profile = printer.profile
    tools = 1 if profile.shared_nozzle else profile.extruders
    return (
        *(f"tool{number}" for number in range(tools)),
        *(("bed",) if profile.heated_bed else ()),
        *(("chamber",) if profile.heated_chamber else ()),
    )
