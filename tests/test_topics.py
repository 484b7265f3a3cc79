"""Topics are what the interface says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.registry import TOPICS as COMMANDS_BY_TOPIC
from bridge.topics import (
    COMMANDS,
    HEATER,
    PUBLISHED,
    RECEIVED,
    REQUEST,
    TABLE,
    Topics,
    received,
    response_topic_allowed,
)

TOPICS = Topics("printers/ender")


def test_every_topic_is_below_the_base() -> None:
    said = {
        TOPICS.availability: "availability",
        TOPICS.connection: "connection",
        TOPICS.state: "state",
        TOPICS.temperature: "temperature",
        TOPICS.heater("tool0"): "temperature/tool0",
        TOPICS.sd_files: "sd/files",
        TOPICS.job_state: "job/state",
        TOPICS.totals: "totals",
        TOPICS.files_state: "files/state",
        TOPICS.error: "error",
        TOPICS.info: "info",
        TOPICS.health: "health",
        TOPICS.event: "event",
        TOPICS.console: "console",
        TOPICS.response: "response",
        TOPICS.question: "request/info",
        TOPICS.emergency: "emergency",
    }
    for topic, rest in said.items():
        assert topic == f"printers/ender/{rest}"
        assert TOPICS.split(topic) == rest


def test_commands_are_subscribed_one_by_one_so_that_rights_can_be_given_so() -> None:
    assert TOPICS.commands == (
        "printers/ender/head",
        "printers/ender/tool",
        "printers/ender/bed",
        "printers/ender/chamber",
        "printers/ender/fan",
        "printers/ender/light",
        "printers/ender/display",
        "printers/ender/script",
        "printers/ender/sd",
        "printers/ender/job",
        "printers/ender/files",
        "printers/ender/queue",
        "printers/ender/link",
        "printers/ender/command",
        "printers/ender/emergency",
        "printers/ender/request/+",
    )


def test_no_near_miss_overlaps_with_a_command() -> None:
    commands = [name.split("/") for name in TOPICS.commands]
    for miss in (name.split("/") for name in TOPICS.near_misses):
        same_length = [levels for levels in commands if len(levels) == len(miss)]
        assert not [
            levels
            for levels in same_length
            if all(
                "+" in pair or len(set(pair)) == 1
                for pair in zip(levels, miss, strict=True)
            )
        ]


@pytest.mark.parametrize(
    ("level", "live", "retained"),
    [
        ("head", True, True),
        ("request/state", True, True),
        ("head/jog", True, False),
        ("request", True, False),
        ("sd/files", False, False),
        ("job/state", False, False),
    ],
)
def test_what_wants_an_answer(level: str, *, live: bool, retained: bool) -> None:
    topic = f"printers/ender/{level}"
    assert TOPICS.is_asked(topic, retained=False) is live
    assert TOPICS.is_asked(topic, retained=True) is retained
    assert not TOPICS.is_asked(level, retained=False)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "tool\0"])
def test_a_heater_is_one_level(name: str) -> None:
    with pytest.raises(ValueError, match="level of a topic"):
        TOPICS.heater(name)


@pytest.mark.parametrize(
    "topic", ["printers/ender", "printers/ender/", "printers/ender2/head", "head", ""]
)
def test_what_is_not_below_the_base_is_not_ours(topic: str) -> None:
    assert TOPICS.split(topic) is None
    assert not TOPICS.is_command(topic)


@given(st.text(min_size=1))
def test_split_undoes_joining(rest: str) -> None:
    assert TOPICS.split(f"printers/ender/{rest}") == rest


@pytest.mark.parametrize(
    "topic", ["reply/me", "printers/ender/response", "printers/ender/reply/17"]
)
def test_answers_go_below_the_base_and_the_allowed_prefixes(topic: str) -> None:
    assert response_topic_allowed(topic, TOPICS, ("reply/",))


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "elsewhere/lamp",
        "reply/+",
        "reply/#",
        "reply/a\0b",
        "reply/a\x1bb",
        "reply/a\u2028b",
        "$SYS/broker",
        "printers/other/head",
        "reply/" + "x" * 70_000,
        "printers/ender",
    ],
)
def test_answers_go_nowhere_else(topic: str) -> None:
    assert not response_topic_allowed(topic, TOPICS, ("reply/", ""))


@pytest.mark.parametrize("level", [*COMMANDS, "request/state", "request/x/y"])
def test_no_answer_commands_the_printer(level: str) -> None:
    topic = f"printers/ender/{level}"
    assert TOPICS.is_command(topic)
    assert not response_topic_allowed(topic, TOPICS, ("printers/", "reply/"))


@pytest.mark.parametrize("topic", [*TOPICS.retained(["bed"]), TOPICS.event])
def test_no_answer_is_taken_for_a_state(topic: str) -> None:
    assert TOPICS.is_told(topic)
    assert not response_topic_allowed(topic, TOPICS, ("printers/", "reply/"))


@pytest.mark.parametrize(
    "rest", ["emergency", "head", "state", "response", "reply/1", "nothing"]
)
def test_no_answer_goes_to_another_printer(rest: str) -> None:
    """Whatever prefix allows it: it would be carried out there."""
    bases, prefixes = ("printers/ender", "printers/other"), ("printers/", "reply/")
    topic = f"printers/other/{rest}"
    assert not response_topic_allowed(topic, TOPICS, prefixes, bases)
    assert response_topic_allowed("printers/elsewhere", TOPICS, prefixes, bases)
    assert response_topic_allowed("printers/ender/me", TOPICS, prefixes, bases)


def test_a_suffix_has_one_row() -> None:
    assert len({row.suffix for row in TABLE}) == len(TABLE)
    assert {*PUBLISHED, *RECEIVED} == {*TABLE}
    assert {row.name for row in TABLE} == TOPICS.table().keys()


def test_the_table_has_the_topics_of_all_commands() -> None:
    rows = {received(topic) for topic in COMMANDS_BY_TOPIC}
    assert rows == {*RECEIVED}


@pytest.mark.parametrize("suffix", ["state", "request", "head/jog", "heads", ""])
def test_no_other_topic_is_received(suffix: str) -> None:
    with pytest.raises(LookupError):
        received(suffix)


def test_a_level_that_differs_is_no_part_of_the_name() -> None:
    assert (HEATER.stem, HEATER.name) == ("temperature", "temperature")
    assert (REQUEST.stem, REQUEST.name) == ("request", "request")
    assert TOPICS.table()["job_state"] == "printers/ender/job/state"


def test_nothing_that_is_received_is_retained() -> None:
    assert not [row for row in RECEIVED if row.retained]
