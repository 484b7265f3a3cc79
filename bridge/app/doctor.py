"""``gcode2mqtt doctor``: tries everything that the daemon needs, step by step."""

from collections.abc import AsyncIterator
from dataclasses import replace

from bridge.app import upload_service
from bridge.config import Config, PrinterConfig
from bridge.errors import BridgeError
from bridge.findings import Finding
from bridge.home_assistant.discovery import entities
from bridge.home_assistant.entities import Device
from bridge.mqtt.broker_checks import BrokerDiagnosis
from bridge.printer.link import probe
from bridge.topics import Topics


async def examine(config: Config, *, printers: bool = True) -> AsyncIterator[Finding]:
    """Yield each finding as soon as there is one.

    Args:
        config: the daemon's configuration.
        printers: open the serial ports too.

    """
    broker = BrokerDiagnosis(config)
    served: set[str] = set()
    try:
        async for finding in _broker(broker, config):
            if finding.check == "bridge" and finding.printer is not None:
                served.add(finding.printer)
            yield finding
    except BridgeError as error:
        yield Finding("broker", "wrong", str(error))
    finally:
        await broker.disconnect()
    for finding in upload_service.examine(config):
        yield finding
    for printer in config.printers if printers else ():
        if printer.id in served:
            text = "not opened: the running bridge uses it"
            yield Finding("port", "note", text, printer.id)
            continue
        async for finding in _line(printer, config):
            yield replace(finding, printer=printer.id)


async def _broker(broker: BrokerDiagnosis, config: Config) -> AsyncIterator[Finding]:
    async for finding in broker.connection():
        yield finding
    if not broker.reachable:
        return
    async for finding in broker.home_assistant():
        yield finding
    for printer in config.printers:
        topics = Topics(config.base(printer))
        async for finding in broker.topics(topics):
            yield replace(finding, printer=printer.id)
        if config.home_assistant.enabled:
            yield replace(_controls(config, topics), printer=printer.id)


def _controls(config: Config, topics: Topics) -> Finding:
    """Return what the entities in Home Assistant publish on.

    Only the broker knows whether Home Assistant's account may, and it drops what is not
    allowed without telling anybody.
    """
    device = Device(
        id="printer",
        name="",
        topics=topics,
        version="",
        heaters=("tool0", "bed", "chamber"),
        rights=frozenset(tier for tier, given in config.rights if given),
        light="switch",
        scripts={"any": False},
    )
    used = dict.fromkeys(
        str(value).removeprefix(f"{topics.base}/")
        for entity in entities(device)
        for field, value in entity.fields.items()
        if field.endswith("command_topic")
    )
    return Finding(
        "home assistant",
        "note",
        f"its account at the broker needs the right to publish on {topics.base}/ "
        f"{', '.join(used)}; an entity whose topic is missing does nothing, and no "
        "error is shown",
    )


def _line(printer: PrinterConfig, config: Config) -> AsyncIterator[Finding]:
    others = [
        other.serial.port
        for other in config.printers
        if other.id != printer.id and other.serial.port != "auto"
    ]
    return probe.examine(printer, config.telemetry, lambda: others)
