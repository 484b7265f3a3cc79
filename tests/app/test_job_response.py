"""``request/job``: the job as OctoPrint's ``GET /api/job`` has it."""

from datetime import datetime

from bridge.app.query_responses import job
from tests.support.knowing import Knowing

EPOCH = 1_763_831_000.0


def answer(printer: Knowing) -> dict[str, object]:
    return job(printer.state, now=printer.now, epoch=EPOCH)


def test_nothing_is_selected() -> None:
    assert answer(Knowing()) == {
        "job": {
            "file": {
                "name": None,
                "path": None,
                "display": None,
                "origin": None,
                "size": None,
                "date": None,
            },
            "estimatedPrintTime": None,
            "lastPrintTime": None,
            "filament": {"length": None, "volume": None},
        },
        "progress": {
            "completion": None,
            "filepos": None,
            "printTime": None,
            "printTimeLeft": None,
            "printTimeLeftOrigin": None,
        },
        "state": "Operational",
    }


def printing() -> Knowing:
    printer = Knowing()
    printer.says(
        "Begin file list",
        "SUB/A~1.GCO 1000 0x4c6a4a00 Sub/long.gcode",
        "End file list",
        "File opened: /sub/a~1.gco Size: 1000",
    )
    printer.sends("M24")
    printer.at(100).says("SD printing byte 300/1000")
    return printer


def test_a_print_with_exact_times() -> None:
    printer = printing()
    printer.sends("M73 P40 R5")
    printer.at(131)
    told = answer(printer)
    local = datetime(2018, 3, 10, 9, 16).astimezone()
    assert told["job"]["file"] == {  # type: ignore[index]  # it is JSON
        "name": "a~1.gco",
        "path": "/sub/a~1.gco",
        "display": "Sub/long.gcode",
        "origin": "sdcard",
        "size": 1000,
        "date": int(local.timestamp()),
    }
    assert told["progress"] == {
        "completion": 40.0,
        "filepos": 300,
        "printTime": 131,
        "printTimeLeft": 269,
        "printTimeLeftOrigin": "analysis",
    }
    assert told["state"] == "Printing from SD"
    assert "error" not in told


def test_how_long_the_same_file_took_the_last_time() -> None:
    printer = printing()
    printer.at(500).says("Done printing file")
    assert answer(printer)["job"]["lastPrintTime"] == 500  # type: ignore[index]  # JSON
    printer.says("File opened: b.gco Size: 5")
    assert answer(printer)["job"]["lastPrintTime"] is None  # type: ignore[index]  # JSON


def test_an_estimate_says_that_it_is_one() -> None:
    printer = printing()
    for second in range(101, 500):
        printer.at(second).says(f"SD printing byte {300 + second - 100}/1000")
    progress = answer(printer)["progress"]
    assert isinstance(progress, dict)
    assert progress["printTimeLeftOrigin"] == "estimate"
    assert 250 < progress["printTimeLeft"] < 350


def test_what_is_wrong_is_said() -> None:
    printer = printing()
    printer.says("Error:MAXTEMP triggered")
    assert answer(printer)["error"] == "MAXTEMP triggered"
    assert answer(printer)["state"] == "Error"
