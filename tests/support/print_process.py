"""A bridge's printer in a process of its own, which a test may kill in a print.

    print_process.py PORT FILE FOLDER

It keeps what the bridge keeps: the state of the print, and its checkpoint. It prints a
line when the print has begun.
"""

import asyncio
import sys
import time
from pathlib import Path

from bridge.app.printer_state_files import PrinterStateFiles
from bridge.config import Limits, PrinterConfig, Serial, Telemetry
from bridge.printer.printer import Listeners, Printer
from bridge.printer.printing.print_file import PrintFile


def config_of(port: str) -> PrinterConfig:
    """Return the configuration of the printer at a port."""
    return PrinterConfig(id="one", serial=Serial(port=port, baudrate=115_200))


async def main(port: str, path: Path, size: int, folder: Path) -> None:
    """Print a file, until somebody kills the process."""
    config = config_of(port)
    files = PrinterStateFiles(folder, config)
    loop = asyncio.get_running_loop()
    here = asyncio.Event()

    def on_change() -> None:
        now = loop.time()
        files.remember_job(printer.state, now=now, epoch=time.time() - now)
        if printer.state.link == "operational":
            here.set()

    printer = Printer(
        config,
        Listeners(on_change, lambda _event: None, lambda _entry: None),
        telemetry=Telemetry(),
        limits=Limits(),
        print_file=files.print,
    )
    running = asyncio.create_task(printer.run())
    await here.wait()
    file = PrintFile(job="killed", path=path, name=path.name, size=size)
    printer.printing.start(file)
    print("printing", flush=True)  # noqa: T201 - for whoever started it
    await running


if __name__ == "__main__":
    file = Path(sys.argv[2])
    asyncio.run(main(sys.argv[1], file, file.stat().st_size, Path(sys.argv[3])))
