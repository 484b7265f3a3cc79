"""What is kept of one printer in the state folder, and when it is written."""

from collections.abc import Mapping
from pathlib import Path

from bridge.config import PrinterConfig
from bridge.printer.knowledge import print_record
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.print_record import PrinterRecord
from bridge.printer.link.events import PortAddress
from bridge.state_files import (
    FIRMWARE,
    HEAT,
    JOB,
    PLACE,
    PRINT,
    KnownFirmware,
    KnownPort,
    flush,
    recall,
    remember,
)


class PrinterStateFiles:
    """The state files with a printer's port, its firmware and its print.

    Args:
        folder: where they are; ``None``: nothing is kept.
        printer: the printer's part of the configuration.

    """

    def __init__(self, folder: Path | None, printer: PrinterConfig) -> None:
        self._port = printer.serial.port
        # What the operator chose need not be remembered.
        chosen = "auto" not in {printer.serial.port, printer.serial.baudrate}
        self._place = None if chosen else _path(folder, printer, PLACE)
        chosen = printer.serial.firmware != "auto"
        self._firmware = None if chosen else _path(folder, printer, FIRMWARE)
        self._job = _path(folder, printer, JOB)
        self.heat = _path(folder, printer, HEAT)
        """The file that says when the heaters were used last, if anything is kept."""
        self.print = _path(folder, printer, PRINT)
        """The file that says how far a print of the bridge has come."""
        self._kept: object = None
        self._kept_at = 0.0

    def last_place(self) -> PortAddress | None:
        """Return where the printer was found in an earlier run, to try that first."""
        if self._place is None:
            return None
        known = recall(self._place, KnownPort)
        if known is None or self._port not in {"auto", known.port}:
            return None
        return PortAddress(known.port, known.baudrate)

    def remember_place(self, place: PortAddress | None) -> None:
        """Keep where the printer was found; ``None``: it was not."""
        if self._place is not None and place is not None:
            known = KnownPort(port=place.port, baudrate=place.baudrate)
            remember(self._place, known)

    def remember_firmware(self, family: str) -> None:
        """Keep which firmware the printer has."""
        if self._firmware is not None:
            remember(self._firmware, KnownFirmware.model_validate({"family": family}))

    def last_record(self) -> PrinterRecord | None:
        """Return what an earlier run has kept of the print."""
        return recall(self._job, PrinterRecord) if self._job else None

    def remember_job(self, state: PrinterState, *, now: float, epoch: float) -> None:
        """Keep what the next run has to know of the print, at once when it changes.

        Args:
            state: what is known of the printer.
            now: the time on the monotonic clock, in seconds.
            epoch: what is added to it for Unix time.

        """
        if self._job is None:
            return
        facts = print_record.facts(state)
        again = state.job.active and now >= self._kept_at + print_record.EVERY
        if facts == self._kept and not again:
            return
        self._kept, self._kept_at = facts, now
        remember(self._job, print_record.record(state, now=now, epoch=epoch))


def hand_down(folder: Path, former: Mapping[str, str]) -> None:
    """Let printers begin with what is known of them under their former ids.

    That is whether the port is released, the last print, and what nobody has
    acknowledged. It blocks.

    Args:
        folder: where the state files are.
        former: the former ids by the new ones.

    """
    flush()
    for name, before in former.items():
        record = recall(folder / f"{before}{JOB}", PrinterRecord)
        if record is not None:
            remember(folder / f"{name}{JOB}", record)
    flush()


def _path(folder: Path | None, printer: PrinterConfig, ending: str) -> Path | None:
    return None if folder is None else folder / f"{printer.id}{ending}"
