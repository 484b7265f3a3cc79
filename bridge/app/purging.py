"""Clearing everything that a configuration's bridge has left at the broker."""

import asyncio
import os
import uuid
from pathlib import Path

from bridge.app.leftovers import owner_of
from bridge.config import Config
from bridge.errors import BrokerError
from bridge.mqtt import duplicate_bridge
from bridge.mqtt.home_assistant.device import config_topic
from bridge.mqtt.memory import Memory, all_memories, default_folder, exclusive
from bridge.mqtt.purge import Purge
from bridge.mqtt.topics import Topics
from bridge.printer.knowledge.state import initial

CLIENT = "gcode2mqtt-purge"
AT_A_TIME = 10
"""Printers of which it is looked at a time whether a bridge serves them."""


async def purge(config: Config, origin: Path | None = None) -> Purge:
    """Clear what is remembered, and what the configuration's printers publish.

    Args:
        config: whose printers.
        origin: the file it was read from, which tells its memories from others.

    Raises:
        BrokerError: The broker cannot be reached, or a bridge runs and would publish
            everything again.

    """
    folder = config.mqtt.state_folder or default_folder(os.environ, Path.home())
    owner = owner_of(origin, config.mqtt)
    with exclusive(folder, owner) as alone:
        if not alone:
            raise BrokerError(
                "the bridge of this configuration runs, and would publish everything "
                "again: stop it first"
            )
        await _refuse_living(config)
        memories = all_memories(folder, owner)
        for printer in config.printers:
            memory = memories.setdefault(printer.id, Memory(folder, printer.id, owner))
            topics = Topics(config.base(printer))
            for topic in topics.retained(initial(printer.profile).heaters):
                memory.add(topic)
            memory.add(config_topic(config.home_assistant.prefix, printer.id))
        clearing = Purge(memories.values())
        await clearing.run(config.mqtt, client_id=CLIENT)
        return clearing


async def _refuse_living(config: Config) -> None:
    turns = asyncio.Semaphore(AT_A_TIME)
    bases = [config.base(printer) for printer in config.printers]
    found = await asyncio.gather(*(_living(config, base, turns) for base in bases))
    for base, other in zip(bases, found, strict=True):
        if other is not None:
            raise BrokerError(
                f"a bridge (instance {other}) serves {base}/…, and would publish "
                "everything again: stop it first"
            )


async def _living(config: Config, base: str, turns: asyncio.Semaphore) -> str | None:
    """Return the instance of a bridge that runs, wherever it may be."""
    name = f"{CLIENT}-{uuid.uuid4().hex[:8]}"
    async with turns:
        return await duplicate_bridge.look(
            config.mqtt, Topics(base), client_id=name, instance=name
        )
