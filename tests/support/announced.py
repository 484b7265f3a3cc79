"""A printer as it is announced to Home Assistant, and what it publishes."""

import json

from bridge.config import LightSettings, PrinterConfig, Profile
from bridge.home_assistant.discovery import discovery, render
from bridge.home_assistant.entities import Device, PrintableFile
from bridge.jobs.queue import (
    PrintQueue,
    queue_state,
)
from bridge.printer.published import about, views
from bridge.topics import Topics
from tests.support import home_assistant as ha
from tests.support.knowing import Knowing

PRESETS = {"PLA": {"tool": 215.0, "bed": 60.0}, 'it\'s "hot"': {"tool": 250.0}}
FILES = (
    PrintableFile("Cube, blue.gcode", "card", "CUBE~1.GCO"),
    PrintableFile('it\'s "x" {{ y }}.gcode', "card", "X.GCO"),
)
PROFILE = Profile(
    heated_chamber=True,
    light=LightSettings(kind="rgb"),
    fans={"1": "Chamber fan"},
)
LIMITS = {"tool": 275.0, "bed": 120.0, "chamber": 70.0}


def device(tools: int = 1, *, bed: bool = True, chamber: bool = False) -> Device:
    return Device(
        id="printer",
        name="Ender 3",
        topics=Topics("printer"),
        version="1.2.3",
        heaters=(
            *(f"tool{number}" for number in range(tools)),
            *(("bed",) if bed else ()),
            *(("chamber",) if chamber else ()),
        ),
        sensors=("pinda",),
        tools=tools,
        max_temperature=LIMITS,
        scripts={"preheat": False, "Pre heat": True, "Ölen": True},
        firmware="Marlin 2.1.2",
        model="Ender-3",
        manufacturer="Creality",
        serial_number="E3-1",
        area="Workshop",
        fans={"1": "Chamber fan"},
        light="color",
        babysteps=1.0,
        presets=PRESETS if bed else {"Cold": {"tool": 150.0}},
        files=FILES,
        thumbnail=True,
    )


def components(machine: Device) -> dict[str, ha.Json]:
    payload: ha.Json = json.loads(render(discovery(machine)))
    listed: dict[str, ha.Json] = payload["components"]
    return listed


def documents_of(printer: Knowing) -> dict[str, object]:
    state, times = printer.state, {"now": printer.now, "epoch": 1_763_831_000.0}
    link = about.InfoContext(version="1", instance="i", family="marlin", topics={})
    config = PrinterConfig(profile=Profile(heated_chamber=True))
    counted = {"reconnects": 1, "resends": 2, "timeouts": 3}
    health = about.Health(
        problem=None,
        uptime=1,
        started_at=1_763_831_000.0,
        mqtt=counted,
        serial=counted,
        queue=0,
        round_trip=about.RoundTrip(median=None, p99=None, age=None),
        time=0,
    )
    models = {
        "state": views.state(state, **times),
        "temperature": views.temperatures(state, **times),
        "queue/state": queue_state(PrintQueue()),
        "job/result": views.job_result(state.job.result, epoch=times["epoch"]),
        "job/state": views.job_state(state, **times),
        "totals": views.totals(state),
        "error": views.error(state, epoch=times["epoch"]),
        "info": about.info(state, config, link, **times),
        "health": health,
    }
    told = {f"printer/{k}": json.loads(m.model_dump_json()) for k, m in models.items()}
    refused = {"status": "rejected", "message": "no", "code": 409, "topic": "head"}
    return {
        **told,
        "printer/event": {"event": "home", "axes": ["x"], "seq": 1},
        "printer/response": refused,
    }
