"""One broker for all tests; for each module a printer and a bridge.

A module says with ``PRINTER`` which simulated printer it wants, with ``SECTIONS`` (or a
fixture ``sections``) and ``SETTINGS`` how the bridge and its printer are configured.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Stage, stage


@pytest.fixture(scope="session")
def broker() -> Iterator[Mosquitto]:
    # Else every answer takes 50 ms, as nobody waits for anything else, and of a flood
    # the broker itself drops some.
    options = (
        "allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
        "max_inflight_messages 0\nmax_packet_size 100000000"
    )
    with mosquitto(Spec(options=options)) as running:
        yield running


@pytest.fixture(scope="module")
def sections(request: pytest.FixtureRequest) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = getattr(request.module, "SECTIONS", None)
    return found


@pytest.fixture(scope="module")
def bridge(
    request: pytest.FixtureRequest,
    broker: Mosquitto,
    sections: Mapping[str, Any] | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage[SimulatedPrinter]]:
    module = request.module
    folder = tmp_path_factory.mktemp("bridge")
    url = getattr(module, "PRINTER", "simulator://marlin?speed=1000")
    base = module.__name__.rpartition("test_")[2]
    settings = getattr(module, "SETTINGS", {})
    with (
        simulated(url, folder / "printer") as printer,
        stage(broker, printer, folder, base, sections, **settings) as running,
    ):
        yield running
