import argparse

import pytest

from bridge.cli import values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localhost:1883", ("localhost", 1883)),
        ("[::1]:1883", ("::1", 1883)),
        ("10.0.0.1:0", ("10.0.0.1", 0)),
    ],
)
def test_an_address(text: str, found: tuple[str, int]) -> None:
    assert values.address(text) == found


@pytest.mark.parametrize(
    "text", ["", "host", ":1", "host:", "host:x", "host:70000", "h:-1"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not HOST:PORT"):
        values.address(text)


def test_a_broker() -> None:
    assert values.broker("[::1]:1883") == ("::1", 1883)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("localhost:0", "no broker has the port 0"),
        ("fe80::1:1883", "write .ADDRESS.:PORT"),
        ("localhost", "is not HOST:PORT"),
    ],
)
def test_no_broker(text: str, problem: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=problem):
        values.broker(text)


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "nan", "inf", "11"])
def test_no_positive_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above 0 and up to 10"):
        values.positive(10)(text)


def test_a_positive_number() -> None:
    assert values.positive(10)("2.5") == 2.5
