"""The published documents, as the interface promises them."""

import json
import math
from dataclasses import replace
from typing import cast

import pytest
from pydantic import BaseModel

from bridge.app import query_responses
from bridge.config import PrinterConfig, Profile
from bridge.field_docs import PublishedDocument, field_texts
from bridge.gcode.dialects import DIALECTS
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.heaters import HeaterState
from bridge.printer.knowledge.history import Point
from bridge.printer.knowledge.print_table import Active, PrintJob
from bridge.printer.knowledge.state import Problem
from bridge.printer.published import about, documents, views
from bridge.timestamps import timestamp
from tests.support.knowing import Knowing

EPOCH = 1_763_831_000.0
NOW = 131.412
START = "2025-11-22T17:03:20.000Z"
TIME = "2025-11-22T17:05:31.412Z"
TWO = Profile(extruders=2, heated_chamber=True)


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


def told(document: BaseModel) -> object:
    return json.loads(document.model_dump_json())


def state_of(printer: Knowing) -> dict[str, object]:
    document = told(views.state(printer.state, now=NOW, epoch=EPOCH))
    assert isinstance(document, dict)
    return document


def test_the_state_is_the_example_of_the_interface(printer: Knowing) -> None:
    printer.says("X:10.0 Y:-5.0 Z:0.02 E:0.0", "echo:SD card ok", "FR:100%")
    printer.sends("M221 S100", "M107")
    assert state_of(printer) == {
        "state": "operational",
        "text": "Operational",
        "status": "Ready",
        "flags": {
            "operational": True,
            "printing": False,
            "paused": False,
            "pausing": False,
            "resuming": False,
            "cancelling": False,
            "finishing": False,
            "sdReady": True,
            "error": False,
            "ready": True,
            "closedOrError": False,
        },
        "error": "",
        "sd": {"ready": True},
        "tool": 0,
        "position": {"x": 10.0, "y": -5.0, "z": 0.02, "e": 0.0, "time": START},
        "feedrate": 100,
        "flowrate": 100,
        "fan": 0,
        "fans": {},
        "light": None,
        "z_offset": 0.0,
        "shown": "",
        "jog_distance": 1.0,
        "extrude_length": 5.0,
        "relative": False,
        "relative_extruder": False,
        "prompt": None,
        "recovery": None,
        "message": "",
        "locked": False,
        "attention": "none",
        "can": {
            "select": True,
            "start": False,
            "reprint": False,
            "pause": False,
            "resume": False,
            "cancel": False,
            "move": True,
            "plan_recovery": False,
            "recover": False,
        },
        "released": False,
        "hot": None,
        "safe_to_power_off": None,
        "heaters_off_at": None,
        "heat_reason": None,
        "time": TIME,
    }


def test_when_heaters_go_off_is_told_as_a_time_of_day(printer: Knowing) -> None:
    printer.become(replace(printer.state, heaters_off_at=NOW))
    assert state_of(printer)["heaters_off_at"] == "2025-11-22T17:05:31.000Z"
    printer.become(known.disconnected(printer.state, now=0))
    assert state_of(printer)["heaters_off_at"] is None


def test_whole_numbers_are_written_without_a_point(printer: Knowing) -> None:
    printer.sends("M220 S100", "M106 S1")
    text = views.state(printer.state, now=NOW, epoch=EPOCH).model_dump_json()
    assert '"feedrate":100,' in text
    assert '"fan":0.4,' in text


def test_the_modes_are_told_but_for_those_of_a_print(printer: Knowing) -> None:
    modes = ("relative", "relative_extruder")
    printer.sends("G91", "M82")
    assert [state_of(printer)[mode] for mode in modes] == [True, False]
    printer.says("SD printing byte 10/100", "SD printing byte 20/100")
    assert [state_of(printer)[mode] for mode in modes] == [None, None]


def test_what_is_not_known_is_null(printer: Knowing) -> None:
    printer.says("X:10.0 Y:-5.0 Z:0.02 E:0.0", "FR:100%")
    printer.sends("T1", "M221 S100", "M106")
    printer.become(known.disconnected(printer.state, now=0))
    state = state_of(printer)
    for field in ("tool", "position", "feedrate", "flowrate", "fan", "prompt"):
        assert state[field] is None
    assert state["state"] == "offline"


@pytest.mark.parametrize(
    ("lines", "word", "text", "true"),
    [
        ((), "operational", "Operational", {"operational", "ready"}),
        (
            ("> M24",),
            "starting",
            "Starting print from SD",
            {"operational", "printing"},
        ),
        (
            ("SD printing byte 5/100",),
            "printing",
            "Printing from SD",
            {"operational", "printing"},
        ),
        (
            ("> M24", "M25"),
            "pausing",
            "Pausing",
            {"operational", "printing", "pausing"},
        ),
        (("> M24", "//action:paused"), "paused", "Paused", {"operational", "paused"}),
        (
            ("> M24", "//action:paused", "> M24"),
            "resuming",
            "Resuming",
            {"operational", "printing", "resuming"},
        ),
        (
            ("> M24", "> M524"),
            "cancelling",
            "Cancelling",
            {"operational", "printing", "cancelling"},
        ),
        (
            ("SD printing byte 100/100",),
            "finishing",
            "Finishing",
            {"operational", "printing", "finishing"},
        ),
        (("Error:MAXTEMP",), "error", "Error", {"error", "closedOrError"}),
        (("! connect",), "connecting", "Connecting", set[str]()),
        (("! lost",), "offline", "Offline", {"closedOrError"}),
        (
            ("Error:MAXTEMP", "! lost"),
            "offline",
            "Offline after error",
            {"closedOrError"},
        ),
    ],
)
def test_states_texts_and_flags_go_together(
    printer: Knowing, lines: tuple[str, ...], word: str, text: str, true: set[str]
) -> None:
    printer.says("File opened: a.gco Size: 100")
    for line in lines:
        if line == "! lost":
            printer.become(known.disconnected(printer.state, now=0))
        elif line == "! connect":
            printer.become(known.connecting(printer.state))
        elif line == "M25":
            printer.begins(line)
        elif line.startswith("> "):
            printer.sends(line.removeprefix("> "))
        else:
            printer.says(line)
    state = state_of(printer)
    assert (state["state"], state["text"]) == (word, text)
    flags = state["flags"]
    assert isinstance(flags, dict)
    card = {"sdReady"} & {name for name, on in flags.items() if on}
    assert {name for name, on in flags.items() if on} - card == true


def test_what_the_printer_asks_is_in_the_state(printer: Knowing) -> None:
    printer.says("//action:notification Hello", "echo:busy: paused for user")
    assert state_of(printer)["message"] == "Hello"
    assert state_of(printer)["prompt"] == {
        "reason": "paused",
        "text": "",
        "choices": [],
        "commands": [],
    }
    printer.says("//action:prompt_begin Stop", "//action:prompt_button Go")
    printer.says("//action:prompt_show")
    assert state_of(printer)["prompt"] == {
        "reason": "prompt",
        "text": "Stop",
        "choices": ["Go"],
        "commands": ["Go"],
    }


def test_temperatures_are_rounded_to_a_tenth(printer: Knowing) -> None:
    printer.at(NOW).says("T:214.94 /220.00 B:50.16 /70.00")
    state = known.with_offsets(printer.state, {"bed": 5.0})
    document = views.temperatures(state, now=NOW, epoch=EPOCH)
    assert told(document) == {
        "tool0": {"actual": 214.9, "target": 220.0, "offset": 0.0},
        "bed": {"actual": 50.2, "target": 70.0, "offset": 5.0},
        "time": 1763831131,
        "measured_at": TIME,
    }
    assert told(views.timed_heater(state, "bed", epoch=EPOCH)) == {
        "actual": 50.2,
        "target": 70.0,
        "offset": 5.0,
        "time": TIME,
    }
    assert views.heater(state, "nothing").actual is None


def test_sensors_are_beside_the_heaters_where_there_are_any(printer: Knowing) -> None:
    printer.at(NOW).says("T:-0.04 /0 P:25.55")
    text = views.temperatures(printer.state, now=NOW, epoch=EPOCH).model_dump_json()
    assert text == (
        '{"tool0":{"actual":0.0,"target":0.0,"offset":0.0},'
        '"bed":{"actual":null,"target":null,"offset":0.0},'
        '"sensors":{"P":25.6},"time":1763831131,"measured_at":"2025-11-22T17:05:31.412Z"}'
    )


def test_without_a_printer_every_temperature_is_null(printer: Knowing) -> None:
    printer.at(NOW).says("T:20 /0 P:5")
    away = known.disconnected(printer.state, now=0)
    assert told(views.temperatures(away, now=NOW, epoch=EPOCH)) == {
        "tool0": {"actual": None, "target": None, "offset": 0.0},
        "bed": {"actual": None, "target": None, "offset": 0.0},
        "sensors": {"P": None},
        "time": 1763831131,
        "measured_at": TIME,
    }


def test_the_files_of_the_card(printer: Knowing) -> None:
    assert told(views.files(printer.state)) == []
    printer.says("Begin file list", "SUB/A~1.GCO 7 0x4c6a4a00 Sub/long.gcode")
    printer.says("B.GCO", "End file list")
    assert told(views.files(printer.state)) == [
        {
            "name": "A~1.GCO",
            "path": "SUB/A~1.GCO",
            "size": 7,
            "display": "Sub/long.gcode",
            "date": "2018-03-10T09:16:00",
        },
        {
            "name": "B.GCO",
            "path": "B.GCO",
            "size": None,
            "display": "B.GCO",
            "date": None,
        },
    ]


def test_the_job(printer: Knowing) -> None:
    printer.says("Begin file list", "SUB/A~1.GCO 7 Sub/long.gcode", "End file list")
    printer.says("File opened: /sub/a~1.gco Size: 1000")
    printer.at(100).says("SD printing byte 300/1000")
    assert told(views.job_state(printer.state, now=NOW, epoch=EPOCH)) == {
        "state": "printing",
        "origin": "card",
        "file": "/sub/a~1.gco",
        "display": "Sub/long.gcode",
        "size": 1000,
        "position": 300,
        "measured_at": "2025-11-22T17:05:00.000Z",
        **dict.fromkeys(("job", "line", "layer", "layers", "z", "filament", "starved")),
        "objects": [],
        "excluded": [],
        "progress": 30.0,
        "progress_from": "bytes",
        "elapsed": 31,
        "remaining": None,
        "started_at": "2025-11-22T17:05:00.000Z",
        "finish_at": None,
        "heating": False,
        "reason": "",
        "result": None,
        "time": TIME,
    }
    printer.at(NOW).says("Done printing file")
    document = views.job_state(printer.state, now=NOW, epoch=EPOCH)
    assert document.state == "idle"
    assert document.result is not None
    assert told(document.result) == {
        "outcome": "done",
        "file": "/sub/a~1.gco",
        "elapsed": 31,
        "reason": "",
        "time": TIME,
    }


def test_without_a_file_a_job_has_no_name(printer: Knowing) -> None:
    document = views.job_state(printer.state, now=NOW, epoch=EPOCH)
    assert (document.state, document.file, document.display) == ("idle", None, None)


def test_what_became_of_a_job_is_not_known_without_a_link(printer: Knowing) -> None:
    printer.says("File opened: nobody.gco Size: 1000", "SD printing byte 5/1000")
    away = known.disconnected(printer.state, now=0)
    document = views.job_state(away, now=NOW, epoch=EPOCH)
    assert (document.state, document.elapsed, document.remaining) == (None, None, None)
    assert (document.file, document.display) == ("nobody.gco", None)


def test_the_error_is_empty_or_complete(printer: Knowing) -> None:
    assert told(views.error(printer.state, epoch=EPOCH)) == {
        "error": "",
        "reason": "",
        "consequence": "",
        "severity": "",
        "logs": [],
        "time": "",
    }
    fault = Problem(
        error="MAXTEMP triggered",
        reason="maxtemp",
        consequence="halted",
        logs=("<<< Error:MAXTEMP triggered",),
        time=NOW,
    )
    state = known.failed(printer.state, fault)
    assert told(views.error(state, epoch=EPOCH)) == {
        "error": "MAXTEMP triggered",
        "reason": "maxtemp",
        "consequence": "halted",
        "severity": "critical",
        "logs": ["<<< Error:MAXTEMP triggered"],
        "time": TIME,
    }
    printer.become(state)
    assert state_of(printer)["error"] == "MAXTEMP triggered"


@pytest.mark.parametrize(
    ("family", "said", "stops"),
    [
        ("marlin", ("Cap:EMERGENCY_PARSER:1",), True),
        ("marlin", ("Cap:EMERGENCY_PARSER:0",), False),
        ("marlin", (), None),
        ("klipper", (), True),
        ("", (), None),
    ],
)
def test_info_tells_whether_a_stop_is_seen_while_the_printer_is_busy(
    printer: Knowing,
    family: str,
    said: tuple[str, ...],
    stops: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    printer.says("FIRMWARE_NAME:Something", *said)
    link = about.InfoContext(version="1", instance="a", family=family, topics={})
    info = about.info(printer.state, PrinterConfig(), link, now=NOW, epoch=EPOCH)
    assert info.firmware is not None
    assert info.firmware.stops_when_busy is stops


def test_info_tells_who_what_and_how_much(printer: Knowing) -> None:
    link = about.InfoContext(
        version="1.2.3",
        instance="abc",
        family="marlin",
        topics={"state": "printer/state"},
        port="/dev/ttyUSB0",
        baudrate=115200,
    )
    config = PrinterConfig(name="Ender 3")
    info = about.info(printer.state, config, link, now=NOW, epoch=EPOCH)
    assert (info.firmware, info.machine.type) == (None, None)
    printer.says("FIRMWARE_NAME:Marlin 2.1 MACHINE_TYPE:SimRap 1.4", "Cap:EEPROM:1")
    printer.says("T:20 /0 P:5")
    info = about.info(printer.state, config, link, now=NOW, epoch=EPOCH)
    assert told(info) == {
        "version": "1.2.3",
        "instance": "abc",
        "firmware": {
            "name": "Marlin 2.1",
            "family": "marlin",
            "heater_timeout": DIALECTS["marlin"].heater_timeout,
            "stops_when_busy": None,
        },
        "machine": {
            "id": "printer",
            "name": "Ender 3",
            "type": "SimRap 1.4",
            "port": "/dev/ttyUSB0",
            "baudrate": 115200,
            "extruders": 1,
            "shared_nozzle": False,
            "heated_bed": True,
            "heated_chamber": False,
        },
        "capabilities": {"EEPROM": True},
        "limits": {
            "max_temperature": {"tool": 275.0, "bed": 120.0, "chamber": 70.0},
            "max_speed": 30000.0,
            "max_extrusion": 500.0,
            "max_dwell": 900.0,
            "volume": {"x": None, "y": None, "z": None},
        },
        "heaters": ["tool0", "bed"],
        "sensors": ["P"],
        "topics": {"state": "printer/state"},
        "time": TIME,
    }


def test_the_full_state_as_octoprint_answers_it(printer: Knowing) -> None:
    printer.says("T:20.04 /0 B:21 /60")
    points = [Point(NOW, printer.state.heaters)]
    answer = query_responses.full_state(printer.state, points, now=NOW, epoch=EPOCH)
    tool, bed = {"actual": 20.0, "target": 0.0}, {"actual": 21.0, "target": 60.0}
    assert answer["temperature"] == {
        "tool0": tool | {"offset": 0.0},
        "bed": bed | {"offset": 0.0},
        "history": [{"time": 1763831131, "tool0": tool, "bed": bed}],
    }
    assert answer["sd"] == {"ready": False}
    state = state_of(printer)
    del state["sd"]
    assert json.loads(json.dumps(answer["state"])) == state


def test_parts_of_the_full_state_can_be_left_out(printer: Knowing) -> None:
    def parts(*exclude: str) -> set[str]:
        answer = query_responses.full_state(
            printer.state, None, exclude=exclude, now=NOW, epoch=EPOCH
        )
        return set(answer)

    assert parts() == {"temperature", "sd", "state"}
    assert parts("temperature", "state") == {"sd"}
    assert parts("sd") == {"temperature", "state"}


def test_a_question_about_one_heater_is_answered_about_no_other() -> None:
    printer = Knowing(profile=TWO)
    printer.says("T0:20 /0 T1:21 /0 B:22 /0 C:23 /0")
    points = [
        Point(5, printer.state.heaters),
        Point(4, {"bed": HeaterState(1, 2)}),
    ]
    tools = query_responses.tools(printer.state)
    assert tools == ("tool0", "tool1")
    answer = query_responses.temperature(printer.state, points, tools, epoch=0)
    assert list(answer) == ["tool0", "tool1", "history"]
    assert answer["history"] == [
        {
            "time": 5,
            "tool0": {"actual": 20.0, "target": 0.0},
            "tool1": {"actual": 21.0, "target": 0.0},
        },
        {"time": 4},
    ]
    bed = query_responses.temperature(printer.state, None, ["bed"], epoch=0)
    assert bed == {"bed": {"actual": 22.0, "target": 0.0, "offset": 0.0}}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (NOW + EPOCH, TIME),
        (1e300, "9999-12-31T23:59:59.000Z"),
        (math.inf, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_moments_are_written_in_utc(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


@pytest.mark.parametrize(
    ("phase", "text"),
    [("starting", "Starting"), ("printing", "Printing"), ("paused", "Paused")],
)
def test_a_print_of_the_bridge_is_not_from_the_card(phase: Active, text: str) -> None:
    printer = Knowing()
    job = PrintJob(phase=phase, origin="local", file="cube.gcode")
    printer.become(replace(printer.state, job=job))
    assert state_of(printer)["text"] == text


def test_every_field_of_every_document_is_explained() -> None:
    models = [
        model
        for module in (documents, about)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, PublishedDocument)
    ]
    assert len(models) > 15
    for model in models:
        for name in model.model_fields:
            known = [
                field_texts(kind)
                for kind in model.__mro__
                if issubclass(kind, BaseModel)
            ]
            assert any(name in found for found in known), f"{model.__name__}.{name}"


def test_the_last_print_stays_in_a_document_of_its_own(printer: Knowing) -> None:
    nothing = told(views.job_result(None, epoch=EPOCH))
    assert set(cast("dict[str, object]", nothing).values()) == {None}
    printer.says("File opened: a.gco Size: 100", "echo:SD card ok")
    printer.sends("M24")
    printer.at(NOW).says("SD printing byte 50/100", "echo:SD card released")
    result = printer.state.job.result
    assert told(views.job_result(result, epoch=EPOCH)) == {
        "outcome": "failed",
        "file": "a.gco",
        "origin": "card",
        "job": None,
        "started_at": "2025-11-22T17:03:20.000Z",
        "ended_at": "2025-11-22T17:05:31.000Z",
        "elapsed": 131,
        "reason": "card_removed",
        "filament": None,
        "layers": None,
    }
    assert printer.state.trouble is not None
    assert printer.state.trouble.error == (
        "the print of a.gco failed: the SD card was removed"
    )


def test_a_released_port_is_wanted_back(printer: Knowing) -> None:
    assert known.wanted(printer.state) == printer.state
    printer.become(
        known.disconnected(printer.state, reason="it is", word="released", now=0)
    )
    printer.become(replace(printer.state, released=True))
    assert (state_of(printer)["released"], state_of(printer)["error"]) == (
        True,
        "it is",
    )
    printer.become(known.wanted(printer.state))
    assert (state_of(printer)["released"], state_of(printer)["error"]) == (False, "")
