"""Brokers and their addresses take turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bridge.config import Mqtt
from bridge.config.values import host_and_port
from bridge.mqtt.fallbacks import BrokerAddresses, Next


def where(addresses: BrokerAddresses) -> str:
    return f"{addresses.config.host}:{addresses.config.port}"


def test_the_addresses_of_a_name_take_turns_without_a_pause() -> None:
    addresses = BrokerAddresses(Mqtt(host="broker"))
    assert addresses.choose(["dead", "silent", "good"]) == "dead"
    assert addresses.failed() is Next.ADDRESS
    assert addresses.choose(["dead", "silent", "good"]) == "silent"
    assert addresses.failed() is Next.ADDRESS
    assert addresses.choose(["dead", "silent", "good"]) == "good"
    addresses.connected()
    # After the connection is lost, the good one is first.
    assert addresses.choose(["dead", "silent", "good"]) == "good"
    assert addresses.failed() is Next.ADDRESS
    assert addresses.choose(["dead", "silent", "good"]) == "dead"
    assert addresses.failed() is Next.ADDRESS
    assert addresses.failed() is Next.NOTHING
    assert addresses.failovers == 0


def test_further_brokers_follow_the_first_in_their_order() -> None:
    addresses = BrokerAddresses(
        Mqtt(host="a", port=1884, hosts=("b", "c:1885", "[::1]:1886", "[::2]"))
    )
    seen = [where(addresses)]
    while addresses.failed() is Next.BROKER:
        seen.append(where(addresses))
    assert seen == ["a:1884", "b:1884", "c:1885", "::1:1886", "::2:1884"]
    assert where(addresses) == "a:1884"


def test_a_failover_is_counted_and_the_first_broker_wanted_back() -> None:
    addresses = BrokerAddresses(Mqtt(host="a", hosts=("b",)))
    addresses.connected()
    assert addresses.first is None
    assert addresses.failed() is Next.BROKER
    addresses.connected()
    assert (where(addresses), addresses.failovers) == ("b:1883", 1)
    assert addresses.first is not None
    assert addresses.first.host == "a"
    addresses.connected()  # again to the same one
    assert addresses.failovers == 1
    addresses.return_to_first()
    addresses.connected()
    assert (where(addresses), addresses.failovers) == ("a:1883", 2)


def test_a_broker_that_refuses_is_not_asked_at_each_of_its_addresses() -> None:
    addresses = BrokerAddresses(Mqtt(host="a", hosts=("b",)))
    addresses.choose(["::1", "127.0.0.1"])
    assert addresses.failed(refused=True) is Next.BROKER
    addresses.choose(["::1", "127.0.0.1"])
    assert addresses.failed(refused=True) is Next.NOTHING


def test_a_name_may_lose_addresses() -> None:
    addresses = BrokerAddresses(Mqtt(host="broker"))
    addresses.choose([1, 2, 3])
    addresses.failed()
    addresses.choose([1, 2, 3])
    addresses.failed()
    assert addresses.choose([1, 2]) in {1, 2}


@given(
    counts=some.lists(some.integers(1, 4), min_size=1, max_size=4),
    refusals=some.lists(some.booleans(), min_size=1, max_size=30),
)
def test_every_address_is_tried_before_a_pause(
    counts: list[int], refusals: list[bool]
) -> None:
    """Or its broker has refused; and it ends, so that there is a pause."""
    names = [f"h{number}" for number in range(len(counts))]
    addresses = BrokerAddresses(Mqtt(host=names[0], hosts=tuple(names[1:])))
    tried = set()
    refused = set()
    for refusal in [*refusals, *[False] * 20]:
        name = addresses.config.host
        count = counts[names.index(name)]
        tried.add((name, addresses.choose(range(count))))
        if refusal:
            refused.add(name)
        if addresses.failed(refused=refusal) is Next.NOTHING:
            break
    else:
        pytest.fail("there was no pause")
    wanted = {
        (name, number)
        for name, count in zip(names, counts, strict=True)
        for number in range(count)
        if name not in refused
    }
    assert wanted <= tried


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("broker", ("broker", 1)),
        ("broker:1883", ("broker", 1883)),
        ("192.0.2.1:8883", ("192.0.2.1", 8883)),
        ("[::1]", ("::1", 1)),
        ("[::1]:8883", ("::1", 8883)),
    ],
)
def test_a_further_broker(text: str, found: tuple[str, int]) -> None:
    assert host_and_port(text, 1) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("broker:", "must be HOST or HOST:PORT"),
        ("broker:0", "must be HOST or HOST:PORT"),
        ("broker:70000", "must be HOST or HOST:PORT"),
        ("broker:mqtt", "must be HOST or HOST:PORT"),
        ("::1", r"must have the address in brackets; write \[::1\]"),
        ("mqtt://broker", "must"),
        ("", "must not be empty; write a name or address"),
        ("a b", "must not contain spaces"),
    ],
)
def test_what_is_no_further_broker(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        host_and_port(text, 1)
