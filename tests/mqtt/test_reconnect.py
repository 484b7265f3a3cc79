"""What is tried after a connection failed or was lost, as dialogues."""

from bridge.mqtt.error_text import Hint, Loss
from bridge.mqtt.fallbacks import (
    ProtocolFallback,
)
from bridge.mqtt.messages import Version
from bridge.mqtt.takeover import ClientId, TakeoverDetector

TAKEN_OVER = Loss("taken over", taken_over=True)
UNEXPLAINED = Loss("broken", unexplained=True)
EXPLAINED = Loss("shutting down")


def test_five_is_tried_first_and_stays() -> None:
    versions = ProtocolFallback("auto")
    assert versions.current is Version.V5
    assert not versions.accepted()
    for _ in range(5):
        versions.failed(Hint.CLOSED)
    assert versions.current is Version.V5


def test_a_broker_that_refuses_five_is_asked_for_3_1_1() -> None:
    versions = ProtocolFallback("auto")
    versions.failed(Hint.VERSION)
    assert versions.current is Version.V311
    assert versions.accepted()
    assert not versions.accepted()
    versions.failed(Hint.CLOSED)
    assert versions.current is Version.V311


def test_a_broker_that_was_replaced_may_take_five_again() -> None:
    versions = ProtocolFallback("auto")
    versions.failed(Hint.VERSION)
    versions.accepted()
    versions.failed(Hint.VERSION)
    assert versions.current is Version.V5


def test_a_broker_that_closes_the_connection_gets_each_version_in_turn() -> None:
    versions = ProtocolFallback("auto")
    tried = []
    for _ in range(6):
        tried.append(versions.current)
        versions.failed(Hint.CLOSED)
    five, three = Version.V5, Version.V311
    assert tried == [five, five, three, five, five, three]


def test_an_unreachable_broker_does_not_change_the_version() -> None:
    versions = ProtocolFallback("auto")
    for hint in (Hint.NONE, Hint.REFUSED) * 5:
        versions.failed(hint)
    assert versions.current is Version.V5


def test_a_configured_version_is_kept() -> None:
    versions = ProtocolFallback("3.1.1")
    assert versions.current is Version.V311
    versions.failed(Hint.VERSION)
    assert versions.current is Version.V311
    assert not versions.accepted()
    assert ProtocolFallback("5").current is Version.V5


def test_the_second_takeover_that_the_broker_reports_is_sufficient() -> None:
    takeovers = TakeoverDetector()
    assert not takeovers.contested(TAKEN_OVER, reference_connected=False, lasted=1)
    assert takeovers.suspected
    assert takeovers.contested(TAKEN_OVER, reference_connected=False, lasted=1)


def test_an_unexplained_loss_counts_when_only_this_connection_was_closed() -> None:
    takeovers = TakeoverDetector()
    assert not takeovers.contested(UNEXPLAINED, reference_connected=False, lasted=500)
    assert takeovers.contested(UNEXPLAINED, reference_connected=True, lasted=1)


def test_unexplained_losses_without_a_reference_connection_are_the_network() -> None:
    takeovers = TakeoverDetector()
    for _ in range(10):
        assert not takeovers.contested(UNEXPLAINED, reference_connected=False, lasted=1)


def test_a_connection_that_lasted_ends_the_suspicion() -> None:
    takeovers = TakeoverDetector()
    assert not takeovers.contested(TAKEN_OVER, reference_connected=False, lasted=1)
    assert not takeovers.contested(TAKEN_OVER, reference_connected=True, lasted=60)


def test_an_explained_loss_ends_the_suspicion() -> None:
    takeovers = TakeoverDetector()
    takeovers.contested(UNEXPLAINED, reference_connected=False, lasted=1)
    assert not takeovers.contested(EXPLAINED, reference_connected=True, lasted=1)
    assert not takeovers.suspected


# Which client id is used


def test_the_usual_client_id_is_used_until_somebody_takes_it_over() -> None:
    own = ClientId("printer")
    assert own.current == "printer"
    assert own.taken_over()
    assert own.current.startswith("printer-")
    assert own.differs


def test_another_takeover_leads_to_another_client_id_but_not_at_once() -> None:
    own = ClientId("printer")
    own.taken_over()
    first = own.current
    assert not own.taken_over()
    assert own.current not in {"printer", first}


def test_the_usual_client_id_is_tried_again_after_a_while() -> None:
    own = ClientId("printer")
    own.taken_over()
    own.lasted(5.0)
    assert own.differs
    own.lasted(60.0)
    assert own.current == "printer"


def test_a_broker_that_allows_only_the_usual_client_id() -> None:
    own = ClientId("printer")
    own.taken_over()
    own.refused()
    assert own.current == "printer"
    assert not own.taken_over()
    assert own.current == "printer"
