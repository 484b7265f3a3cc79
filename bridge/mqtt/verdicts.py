"""What becomes of a message when the broker has taken it, refused it or cannot."""

from dataclasses import replace

from bridge.mqtt import reasons
from bridge.mqtt.client import FAILURE
from bridge.mqtt.desk import Desk
from bridge.mqtt.messages import Lane, Publication


def settle(desk: Desk, publication: Publication, code: int) -> None:
    """Take in the broker's answer to a message."""
    if code >= FAILURE:
        _refused(desk, publication, code)
        return
    desk.statistics.sent += 1
    desk.outbox.delivered(publication)
    memory = desk.presence.memory
    if memory is not None and publication.retain and not publication.payload:
        memory.discard(publication.topic)


def shorten(desk: Desk, publication: Publication, why: str) -> None:
    """Send less instead of what is too large; nothing outdated stays retained."""
    place = desk.place(publication)
    desk.statistics.refused += 1
    desk.warn(
        f"size {place}",
        f"a message on {place} was larger than the broker takes ({why}) and is "
        "left out; raise the broker's limit",
    )
    if publication.retain or publication.short:
        short = publication.short
        desk.outbox.put(replace(publication, payload=short, short=b""))


def _refused(desk: Desk, publication: Publication, code: int) -> None:
    """Warn; an answer that its sender may not have goes where all can see it."""
    place = desk.place(publication)
    desk.statistics.refused += 1
    text = reasons.no_right(desk.config, place, write=True, code=code)
    desk.warn(f"write {place}", text)
    common = desk.topics.response
    if publication.lane is Lane.RESPONSE and publication.topic != common:
        desk.outbox.put(replace(publication, topic=common))
