"""Streaming a file with OctoPrint or Printrun; run by the Python that has it installed.

    peers.py octoprint|printrun PORT LINES

This starts only the part that talks to the printer: no web server, no plugins.
"""

# ruff: noqa: PLC0415 - each is imported only where it is installed

import json
import sys
import tempfile
import threading
import time
from pathlib import Path


def moves(lines: int) -> list[str]:
    """Return the moves that the firmware checks."""
    return [
        f"G1 X{i % 200}.{i % 997:03} Y{i % 180}.{i % 10} E{i // 1000}.{i % 1000:03}"
        for i in range(lines)
    ]


def report(begun: float, used: float) -> None:
    """Print what it took."""
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)


def octoprint(port: str, lines: int) -> None:
    """Print a file with OctoPrint's serial communication."""
    folder = Path(tempfile.mkdtemp())
    file = folder / "moves.gcode"
    file.write_text("\n".join(moves(lines)) + "\n")
    from octoprint.settings import settings

    values = settings(init=True, basedir=str(folder / "base"))
    values.setBoolean(["serial", "autorefresh"], value=False)
    values.set(["serial", "additionalPorts"], [port])
    import octoprint.plugin
    from octoprint.printer.profile import PrinterProfileManager
    from octoprint.util import comm

    octoprint.plugin.plugin_manager(init=True, plugin_folders=[])
    over, operational = threading.Event(), threading.Event()

    class Callback(comm.MachineComPrintCallback):  # type: ignore[misc] # no types
        def on_comm_state_change(self, _state: object) -> None:
            if machine is not None and machine.isOperational():
                operational.set()

        def on_comm_print_job_done(self, **_options: object) -> None:
            over.set()

    machine = None
    machine = comm.MachineCom(
        port=port,
        baudrate=115200,
        callbackObject=Callback(),
        printerProfileManager=PrinterProfileManager(),
    )
    machine.start()
    while not machine.isOperational():
        time.sleep(0.05)
    time.sleep(2)
    machine.selectFile(str(file), sd=False)
    begun, used = time.perf_counter(), time.process_time()
    machine.startPrint()
    over.wait(600)
    report(begun, used)


def printrun(port: str, lines: int) -> None:
    """Print a list of lines with Printrun's core."""
    from printrun import gcoder
    from printrun.printcore import printcore

    over = threading.Event()
    core = printcore(port, 115200)
    core.endcb = over.set
    while not core.online:
        time.sleep(0.05)
    time.sleep(2)
    code = gcoder.LightGCode(moves(lines))
    begun, used = time.perf_counter(), time.process_time()
    core.startprint(code)
    over.wait(600)
    report(begun, used)
    core.disconnect()


if __name__ == "__main__":
    {"octoprint": octoprint, "printrun": printrun}[sys.argv[1]](
        sys.argv[2], int(sys.argv[3])
    )
    sys.stdout.flush()
    import os

    os._exit(0)  # threads that wait for the port
