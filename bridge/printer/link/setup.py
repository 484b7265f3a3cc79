"""Sets a printer up before it is used, and after each of its resets."""

from dataclasses import replace

from bridge.errors import FailedError
from bridge.gcode.dialects import Dialect
from bridge.printer.link.identity import Identity, identify
from bridge.printer.link.session import Session

# Names of capabilities in Marlin's answer to M115
# (https://marlinfw.org/docs/gcode/M115.html; tests/transcripts/marlin/m21-basic.txt).
AUTOREPORT_TEMPERATURE = "AUTOREPORT_TEMP"
AUTOREPORT_CARD = "AUTOREPORT_SD_STATUS"
_PRINTING = ("SD printing byte", "SD print paused")
PROMPTS = "PROMPT_SUPPORT"


async def ask(session: Session, line: str) -> tuple[str, ...]:
    """Return the printer's answer; nothing if it refuses or does not know the line.

    Raises:
        FailedError: The link or the printer went away.

    """
    try:
        done = await session.line(line, ahead=True, report_errors=False)
    except FailedError as error:
        if (
            error.error == "timeout"
        ):  # it still talks, so it can be used without this answer
            return ()
        raise
    return () if done.errors else done.output


async def set_up(
    session: Session, configured: Dialect | None, interval: float
) -> Identity:
    """Ask a printer what it is, and turn on the reports that it can send by itself.

    ``interval`` is the time between two temperature reports, in seconds.

    Raises:
        FailedError: The link or the printer went away meanwhile.

    """
    identity = identify(await ask(session, "M115"), configured)
    if not identity.firmware:  # noise may have damaged the name, or it comes late
        identity = identify(await ask(session, "M115"), configured)
    session.protocol.dialect = identity.dialect
    if query := identity.dialect.state_query:
        await ask(session, query)  # one that is not ready says so, and why
    seconds = max(1, round(interval))
    wanted = {AUTOREPORT_TEMPERATURE: f"M155 S{seconds}", AUTOREPORT_CARD: "M27 S2"}
    reports = [wanted[name] for name in wanted if name in identity.capabilities]
    for line in reports:
        await ask(session, line)
    if PROMPTS in identity.capabilities:
        await ask(session, "M876 P1")
    await ask(session, "M105")
    await ask(session, "M114")
    await find_card(session, identity)
    return replace(identity, reports=tuple(reports))


async def find_card(session: Session, identity: Identity) -> None:
    """Query the SD card without disturbing a print from it."""
    status = await ask(session, "M27")
    if any(words in line for line in status for words in _PRINTING):
        return  # mounting the card again would end that print
    if await ask(session, "M21") or identity.dialect.card_always_present:
        extended = "EXTENDED_M20" in identity.capabilities
        await ask(session, "M20 L T" if extended else "M20")
