"""The echo of a clearing, told from an empty command."""

from bridge.mqtt.echoes import LATEST, Echoes


def test_what_nobody_has_sent_is_no_echo() -> None:
    assert not Echoes().heard("printer/head", 0)


def test_each_clearing_has_one_echo() -> None:
    echoes = Echoes()
    echoes.expect("printer/head", 0)
    echoes.expect("printer/head", 1)
    echoes.expect("printer/bed", 1)
    heard = [echoes.heard("printer/head", 2) for _ in range(3)]
    assert heard == [True, True, False]
    assert echoes.heard("printer/bed", 2)


def test_a_clearing_without_an_echo_swallows_no_later_question() -> None:
    echoes = Echoes()
    echoes.expect("printer/request/state", 0)
    echoes.expect("printer/request/state", LATEST)
    assert echoes.heard("printer/request/state", LATEST + 1)
    assert not echoes.heard("printer/request/state", LATEST + 2)
