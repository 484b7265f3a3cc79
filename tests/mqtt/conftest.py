"""A broker of its own for each test: they stop and start it."""

from collections.abc import Iterator

import pytest

from tests.support.brokers import Mosquitto, mosquitto


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as running:
        yield running
