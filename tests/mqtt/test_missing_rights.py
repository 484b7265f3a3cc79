"""Brokers that close the connection over a topic: it is found and left out."""

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from bridge.app.doctor import examine
from bridge.backoff import Backoff
from bridge.config import Config, Mqtt, PrinterConfig
from bridge.mqtt.duplicate_bridge import find
from bridge.mqtt.error_text import AttemptError
from bridge.mqtt.messages import Lane
from bridge.mqtt.missing_rights import (
    GIVE_UP,
    MAX_LEFT_OUT,
    QUICK,
    RETRY_AFTER,
    Evidence,
    MissingRights,
    Use,
)
from bridge.mqtt.one_shot import OneShotClient
from tests.support.bridges import TOPICS, Bridge, bridge
from tests.support.brokers import Mosquitto, Spec, mosquitto, password_line
from tests.support.cases import case
from tests.support.closing import closing
from tests.support.mqtt_client import TestClient, connected
from tests.support.waiting import until

PROTOCOLS = ["5", "3.1.1"]


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as running:
        yield running


def config(port: int, protocol: str = "auto") -> Mqtt:
    mqtt = {"host": "127.0.0.1", "port": port, "protocol": protocol, "will_delay": 0}
    return Mqtt.model_validate(mqtt)


async def serves(printer: Bridge, client: TestClient) -> None:
    """Check that commands arrive."""
    heard = len(printer.heard)
    await client.publish("printer/bed", b"{}")
    await until(lambda: len(printer.heard) > heard)


async def finds(printer: Bridge, *missing: str) -> None:
    await until(lambda: printer.broker.missing_rights == missing)
    await printer.online()


def line(port: int, what: str, right: str, topic: str) -> str:
    return (
        f"broker 127.0.0.1:{port} closes the connection when an anonymous client "
        f"{what} {topic}, so that is left out; give an anonymous client the right to "
        f"{right} that topic and restart the bridge"
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_is_forbidden_is_left_out_and_the_rest_is_served(
    broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    conflicts: list[str] = []
    with connected(broker.port, "printer/#") as home:
        async with (
            closing(broker, "publish printer/state", "subscribe printer/head") as way,
            bridge(config(way.port, protocol), on_conflict=conflicts.append) as printer,
        ):
            await finds(
                printer, "publish on printer/state", "subscribe to printer/head"
            )
            await serves(printer, home)
            tried = way.seen.copy()
            for number in range(3):
                state = b"%d" % number
                printer.broker.publish(TOPICS.state, state, qos=1, retain=True)
            printer.broker.publish(TOPICS.event, b"here", qos=1)
            await home.hears(TOPICS.event, b"here")
            assert way.seen["publish printer/state"] == tried["publish printer/state"]
            assert printer.broker.statistics.refused >= 3
            # Two bridges that fight over a client id look alike.
            assert not conflicts
            own = {one for one in way.ids if "-look" not in one and "-wit" not in one}
            assert own == {"gcode2mqtt-printer"}
    lines = [record.getMessage() for record in caplog.records]
    assert line(way.port, "publishes on", "write", "printer/state") in lines
    assert line(way.port, "subscribes to", "read", "printer/head") in lines
    assert len([one for one in lines if "left out" in one]) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_topic_at_qos_0_is_found_although_nothing_is_acknowledged(
    broker: Mosquitto, protocol: str
) -> None:
    async with (
        closing(broker, "publish printer/console") as way,
        bridge(config(way.port, protocol)) as printer,
    ):
        while not printer.broker.missing_rights:
            await printer.online()
            printer.broker.publish(TOPICS.console, b"ok", lane=Lane.CONSOLE)
            await asyncio.sleep(0.02)
        await finds(printer, "publish on printer/console")
        connects = printer.broker.statistics.connects
        for _ in range(10):
            printer.broker.publish(TOPICS.console, b"ok", lane=Lane.CONSOLE)
        await printer.online()
        assert printer.broker.statistics.connects == connects


@pytest.mark.parametrize("reason", ["a reason", ""])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_forbidden_last_will_is_left_out(
    broker: Mosquitto, protocol: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And the message on the same topic, and the subscription that checks it."""
    topic = "printer/availability"
    forbidden = f"will {topic}", f"publish {topic}", f"subscribe {topic}"
    with connected(broker.port) as home:
        async with closing(broker, *forbidden) as way:
            way.says = bool(reason)
            async with bridge(config(way.port, protocol)) as printer:
                await finds(printer, f"publish on {topic}", f"subscribe to {topic}")
                await serves(printer, home)
    assert f"leave a last will on {topic}, so we are connected without" in caplog.text
    assert "check mqtt.username" not in caplog.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_broker_that_refuses_and_then_closes_too(
    broker: Mosquitto, protocol: str
) -> None:
    """RabbitMQ does; and where an account may read commands only."""
    own = {f"subscribe {topic}" for topic in TOPICS.retained(())}
    near = {f"subscribe {topic}" for topic in TOPICS.near_misses}
    with connected(broker.port) as home:
        async with closing(broker, "subscribe printer/head", *own, *near) as way:
            way.refuses = True
            async with bridge(config(way.port, protocol)) as printer:
                await finds(
                    printer,
                    "subscribe to printer/availability",
                    "subscribe to printer/head",
                    "subscribe to printer/info",
                )
                await serves(printer, home)
                assert way.ids.count("gcode2mqtt-printer") <= 8


@pytest.mark.parametrize("kind", ["publish", "subscribe"])
async def test_an_account_without_rights_is_named_after_a_few_attempts(
    broker: Mosquitto, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        closing(broker, f"{kind} *") as way,
        bridge(config(way.port, "3.1.1")) as printer,
    ):
        for topic in TOPICS.retained(()):
            printer.broker.publish(topic, b"{}", qos=1, retain=True)
        await until(lambda: "whatever an anonymous client" in caplog.text)
        await printer.online()
        await printer.online()
        tries = way.tries(kind)
        printer.broker.publish(TOPICS.event, b"", qos=1)
        await printer.online()
        assert way.tries(kind) == tries
        assert way.ids.count("gcode2mqtt-printer") <= 2 * GIVE_UP + 3
    effect = {
        "publish": "nobody sees the printer",
        "subscribe": "no command and no emergency stop arrives",
    }
    assert effect[kind] in caplog.text
    assert caplog.text.count("left out") < GIVE_UP


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_network_that_breaks_during_the_search_forbids_nothing(
    broker: Mosquitto, protocol: str
) -> None:
    """However often it breaks while the same topic is unanswered."""
    async with (
        closing(broker) as way,
        bridge(config(way.port, protocol)) as printer,
    ):
        await printer.online()
        way.cut = "publish printer/state"
        printer.broker.publish(TOPICS.state, b"1", qos=1, retain=True)
        await until(lambda: way.cuts >= 5)
        way.cut = ""
        await printer.online()
        assert printer.broker.missing_rights == ()


async def test_a_response_topic_that_a_sender_may_not_have_is_replaced(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(broker.port, TOPICS.response) as home:
        async with (
            closing(broker, "publish secret/somewhere") as way,
            bridge(config(way.port)) as printer,
        ):
            await printer.online()
            printer.broker.publish(
                "secret/somewhere", b"answer", qos=1, lane=Lane.RESPONSE
            )
            await home.hears(TOPICS.response, b"answer")
            await finds(printer, "publish on …")
    assert "secret" not in caplog.text


async def test_one_loss_is_enough_where_the_broker_says_why(
    broker: Mosquitto,
) -> None:
    async with closing(broker, "publish printer/event") as way:
        way.says = True
        async with bridge(config(way.port, "5")) as printer:
            await printer.online()
            printer.broker.publish(TOPICS.event, b"", qos=1)
            await finds(printer, "publish on printer/event")
        assert way.seen["publish printer/event"] == 2


# Logging in


class Pauses(Backoff):
    """Notes how many connections there were at each pause between attempts."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(first=0.01, longest=0.02)
        self._ids = ids
        self.connections: list[int] = []

    def next_delay(self, chance: float) -> float:
        self.connections.append(len(self._ids))
        return super().next_delay(chance)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_wrong_password_is_sent_once_an_attempt(protocol: str) -> None:
    options = "allow_anonymous false\npassword_file {folder}/passwords"
    files = {"passwords": password_line("bridge", "right").encode()}
    with mosquitto(Spec(options=options, files=files)) as strict:
        async with closing(strict) as way:
            secret = {"username": "bridge", "password": SecretStr("wrong")}
            mqtt = config(way.port, protocol).model_copy(update=secret)
            pauses = Pauses(way.ids)
            async with bridge(mqtt, pauses=pauses):
                await until(lambda: len(pauses.connections) >= 6)
            assert pauses.connections[:6] == [1, 2, 3, 4, 5, 6]
    # In turns: the broker may refuse only the client id of the check.
    checks = ["-look-" in one for one in way.ids]
    assert checks[:4] == [True, False, True, False]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_whoever_asks_once_logs_in_once(protocol: str) -> None:
    """A broker may ban an address after a few wrong passwords."""
    options = "allow_anonymous false\npassword_file {folder}/passwords"
    files = {"passwords": password_line("bridge", "right").encode()}
    accounts = (("bridge", "wrong"), ("nobody", "right"), (None, None))
    with mosquitto(Spec(options=options, files=files)) as strict:
        async with closing(strict) as way:
            for name, word in accounts:
                password = SecretStr(word) if word is not None else None
                update = {"username": name, "password": password}
                mqtt = config(way.port, protocol).model_copy(update=update)
                settings = Config(mqtt=mqtt, printers=(PrinterConfig(),))
                with case(name):
                    # `doctor`; `send`, `watch`, `health` and `purge`; the check for
                    # a second bridge.
                    found = [one async for one in examine(settings, printers=False)]
                    assert [one.verdict for one in found].count("wrong") == 1
                    assert len(way.ids) == 1
                    with pytest.raises(AttemptError):
                        await OneShotClient(mqtt).connect()
                    assert len(way.ids) == 2
                    with pytest.raises(AttemptError):
                        await find(mqtt, TOPICS, client_id="x", instance="y")
                    assert len(way.ids) == 3
                    way.ids.clear()


# What a loss says, as dialogues

HEAD = Use("printer/head", write=False)
STATE = Use("printer/state", write=True)


def test_a_topic_is_left_out_after_enough_evidence() -> None:
    for evidence, losses in ((Evidence.SAID, 1), (Evidence.ONLY_THIS, 2), (2, 3)):
        rights = MissingRights()
        results = [rights.suspect(HEAD, Evidence(evidence), 0) for _ in range(losses)]
        assert results == [False] * (losses - 1) + [True]
        assert not rights.allows(HEAD)
        assert rights.leaves_out
        assert rights.missing == ("subscribe to printer/head",)
        assert rights.allows(STATE)


def test_an_answer_ends_the_suspicion() -> None:
    rights = MissingRights()
    for _ in range(10):
        assert not rights.suspect(STATE, Evidence.ONLY_THIS, 0)
        rights.answered(STATE, 0)
    rights.suspect(STATE, Evidence.ONLY_THIS, 0)
    rights.connection_closed(closed=False, lasted=5, waiting=True)
    assert not rights.suspect(STATE, Evidence.ONLY_THIS, 0)


def test_a_search_begins_after_a_loss_that_a_topic_may_have_caused() -> None:
    for closed, lasted, waiting, searching in (
        (True, 1, False, True),
        (True, QUICK, False, False),
        (True, QUICK, True, True),
        (False, 1, True, False),
    ):
        rights = MissingRights()
        rights.connection_closed(closed=closed, lasted=lasted, waiting=waiting)
        assert rights.searching is searching


def test_a_topic_is_tried_again_after_an_hour() -> None:
    rights = MissingRights()
    rights.suspect(STATE, Evidence.SAID, 0)
    rights.begin(RETRY_AFTER)
    assert not rights.allows(STATE)
    rights.begin(RETRY_AFTER + 1)
    assert rights.allows(STATE)


def test_all_is_left_out_only_where_nothing_was_ever_accepted() -> None:
    uses = [Use(f"printer/{number}", write=True) for number in range(GIVE_UP)]
    for accepted in (False, True):
        rights = MissingRights()
        if accepted:
            rights.answered(STATE, 0)
        rights.answered(HEAD, 0)  # another right
        for use in uses:
            rights.suspect(use, Evidence.SAID, 0)
        assert rights.gave_up(STATE) is not accepted
        assert rights.allows(STATE) is accepted
        assert rights.allows(HEAD)
        rights.begin(RETRY_AFTER + 1)
        assert not rights.gave_up(STATE)


def test_what_other_clients_choose_does_not_fill_the_memory() -> None:
    rights = MissingRights()
    rights.answered(STATE, 0)
    replies = [
        Use(f"reply/{number}", write=True, name="reply/…")
        for number in range(2 * MAX_LEFT_OUT)
    ]
    for number, use in enumerate(replies):
        rights.suspect(use, Evidence.SAID, number)
        rights.answered(Use(f"no/{number}", write=True, name="…"), 0, refused=True)
    assert rights.missing == ("publish on reply/…", "publish on …")
    assert [use for use in replies if not rights.allows(use)] == replies[MAX_LEFT_OUT:]


def test_a_refusal_is_reported_until_it_is_accepted() -> None:
    rights = MissingRights()
    rights.answered(STATE, 0, refused=True)
    assert [*rights.missing] == ["publish on printer/state"]
    rights.answered(STATE, 0)
    assert not rights.missing
    rights.answered(STATE, 0, refused=True)
    rights.begin(0)
    assert not rights.missing
    assert rights.allows(STATE)


def test_what_is_refused_during_a_search_is_left_out_at_once() -> None:
    """RabbitMQ answers a subscription with a refusal, and then closes."""
    rights = MissingRights()
    rights.answered(HEAD, 0, refused=True)
    assert rights.allows(HEAD)
    rights.connection_closed(closed=True, lasted=1, waiting=False)
    rights.answered(HEAD, 0, refused=True)
    assert not rights.allows(HEAD)


def test_two_optional_subscriptions_stand_for_all() -> None:
    rights = MissingRights()
    optional = [Use(f"near/{n}", write=False, optional=True) for n in range(4)]
    for use in optional[:2]:
        rights.suspect(use, Evidence.SAID, 0)
    assert not any(map(rights.allows, optional))
    assert rights.allows(HEAD)
    assert not rights.missing
