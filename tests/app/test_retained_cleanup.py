"""What earlier runs left is cleared by whom it belongs to, and by nobody else."""

from collections.abc import Set as AbstractSet
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bridge.app.retained_cleanup import divide, owner_of, settle
from bridge.config import Config, Mqtt
from bridge.state_files import TopicRecord, all_records, exclusive
from tests.support.apps import running
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.mqtt_client import TestClient, connected
from tests.support.waiting import until

HA = "homeassistant"
ORIGIN = Path("/etc/bridge.yaml")


def test_a_printer_keeps_what_is_below_its_topic_or_announces_it() -> None:
    topics = {"printer/state", "homeassistant/device/ender/config"}
    share = divide({"ender": topics}, {"ender": "printer"}, HA)["ender"]
    assert share.own == topics
    assert share.gone == {}


def test_a_former_printers_topics_are_gone_also_its_announcement() -> None:
    former = {"printers/prusa/state", "homeassistant/device/prusa/config"}
    share = divide({"prusa": former}, {"ender": "printer"}, HA)["ender"]
    assert share.own == set()
    assert share.gone == {"prusa": former}


def test_a_former_topic_of_a_printer_is_gone() -> None:
    left = {"printer/state", "workshop/ender/state"}
    share = divide({"ender": left}, {"ender": "workshop/ender"}, HA)["ender"]
    assert share.own == {"workshop/ender/state"}
    assert share.gone == {"ender": {"printer/state"}}


def test_a_new_id_on_the_same_topic_inherits_it() -> None:
    share = divide({"old": {"printer/state"}}, {"new": "printer"}, HA)["new"]
    assert share.own == {"printer/state"}
    assert share.gone == {}


def test_two_printers_that_changed_places_clear_nothing_of_each_other() -> None:
    shares = divide(
        {"a": {"one/state"}, "b": {"two/state"}}, {"a": "two", "b": "one"}, HA
    )
    assert [share.own for share in shares.values()] == [{"two/state"}, {"one/state"}]
    assert not any(share.gone for share in shares.values())


def test_the_longest_topic_that_fits_decides() -> None:
    bases = {"all": "shop", "one": "shop/one"}
    shares = divide({"former": {"shop/one/state", "shop/state"}}, bases, HA)
    assert shares["all"].own == {"shop/state"}
    assert shares["one"].own == {"shop/one/state"}


IDS = st.sampled_from(["a", "b", "c", "d"])
TOPICS = st.builds(
    "/".join, st.lists(st.sampled_from([*"abcd", HA]), min_size=1, max_size=4)
)


@given(
    st.dictionaries(IDS, st.frozensets(TOPICS)),
    st.dictionaries(IDS, TOPICS, min_size=1),
)
def test_every_topic_is_in_one_share_and_none_in_use_is_gone(
    remembered: dict[str, AbstractSet[str]], bases: dict[str, str]
) -> None:
    shares = divide(remembered, bases, HA)
    assert set(shares) == set(bases)
    everything = set[str]().union(*remembered.values())
    assert set[str]().union(*(share.all for share in shares.values())) == everything
    gone = {
        topic
        for share in shares.values()
        for topics in share.gone.values()
        for topic in topics
    }
    below = {
        t for t in everything if any(t.startswith(f"{b}/") for b in bases.values())
    }
    assert not gone & below


def test_topics_of_former_printers_become_shares_of_present_ones(
    tmp_path: Path,
) -> None:
    records = {name: TopicRecord(tmp_path, name, "me") for name in ("then", "now")}
    records["then"].add("then/state")
    records["now"].add("now/state")
    config = Config.model_validate({"printers": [{"id": "now", "topic": "now"}]})
    shares = settle(config, records)
    assert shares["now"].gone == {"then": {"then/state"}}
    found = all_records(tmp_path, "me")
    assert {name: record.topics for name, record in found.items()} == {
        "now": {"now/state", "now/availability", "then/state"}
    }


def test_an_owner_is_a_file_and_a_broker() -> None:
    here, there = Mqtt(host="here"), Mqtt(host="there")
    one = owner_of(Path("/etc/one.yaml"), here)
    assert one == "/etc/one.yaml at broker here:1883"
    assert owner_of(Path("/etc/one.yaml"), there) != one
    assert owner_of(Path("/etc/two.yaml"), here) != one
    assert owner_of(None, here) == ""


def test_only_one_process_at_a_time_works_with_an_owners_files(tmp_path: Path) -> None:
    with exclusive(tmp_path, "me") as alone:
        assert alone
        with exclusive(tmp_path, "me") as second, exclusive(tmp_path, "you") as other:
            assert not second
            assert other
    with exclusive(tmp_path, "me") as again:
        assert again


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with exclusive(tmp_path / "file" / "folder", "me") as alone:
        assert alone


def configured(folder: Path, broker: Mosquitto, *printers: str) -> Config:
    mqtt = {
        "host": broker.host,
        "port": broker.port,
        "state_folder": folder,
        "will_delay": 0,
    }
    serial = {"port": "simulator://marlin?speed=1000"}
    ones = [{"id": x, "topic": f"printers/{x}", "serial": serial} for x in printers]
    return Config.model_validate({"mqtt": mqtt, "printers": ones})


def retained(client: TestClient, base: str) -> set[str]:
    """Return the topics below a base that have a value, by all that was heard."""
    last = {heard.topic: heard.payload for heard in client.heard}
    return {topic for topic in last if topic.startswith(f"{base}/") and last[topic]}


async def test_a_renamed_printer_leaves_nothing_behind(tmp_path: Path) -> None:
    with mosquitto() as broker:
        async with running(configured(tmp_path, broker, "old", "same"), ORIGIN) as app:
            await app.online()
        with connected(broker.port, "#") as watcher:
            await watcher.hears("printers/old/availability", b"offline")
            assert "printers/old/temperature/bed" in retained(watcher, "printers/old")
            async with running(
                configured(tmp_path, broker, "new", "same"), ORIGIN
            ) as app:
                await app.online()
                await until(lambda: not retained(watcher, "printers/old"))
                await watcher.hears("printers/new/availability", b"online")
                assert retained(watcher, "printers/same")
        with connected(broker.port, "#") as late:
            await late.hears("printers/new/availability", b"offline")
            await late.hears("printers/same/availability", b"offline")
            assert not retained(late, "printers/old")
    assert "printers/old" not in written(tmp_path)


async def test_another_configurations_topics_are_left_alone(tmp_path: Path) -> None:
    with mosquitto() as broker:
        other = configured(tmp_path, broker, "theirs")
        async with running(other, Path("/etc/other.yaml")) as app:
            await app.online()
        async with running(configured(tmp_path, broker, "ours"), ORIGIN) as app:
            await app.online()
        with connected(broker.port, "#") as late:
            await late.hears("printers/ours/availability")
            await late.hears("printers/theirs/availability", b"offline")
            assert len(retained(late, "printers/theirs")) > 10


async def test_a_printer_that_moved_to_another_bridge_keeps_its_topics(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with mosquitto() as broker:
        async with running(configured(here, broker, "moved", "stays"), ORIGIN) as app:
            await app.online()
        async with running(configured(there, broker, "moved"), ORIGIN) as elsewhere:
            await elsewhere.online()
            assert "printers/moved/state" in written(here)
            async with running(configured(here, broker, "stays"), ORIGIN) as app:
                await until(lambda: "printers/moved/state" not in written(here))
                await app.online()
            with connected(broker.port, "#") as late:
                await late.hears("printers/moved/availability", b"online")
                assert len(retained(late, "printers/moved")) > 10


def written(folder: Path) -> str:
    """Return what the files of a state folder say."""
    return "".join(path.read_text() for path in folder.glob("*.retained.json"))


async def test_while_the_broker_is_away_what_is_gone_stays_in_mind(
    tmp_path: Path,
) -> None:
    with mosquitto() as broker:
        async with running(configured(tmp_path, broker, "old"), ORIGIN) as app:
            await app.online()
        broker.stop()
        async with running(configured(tmp_path, broker, "new"), ORIGIN):
            assert "printers/old/state" in written(tmp_path)
        broker.start()
        with connected(broker.port, "printers/old/#") as watcher:
            async with running(configured(tmp_path, broker, "new"), ORIGIN) as app:
                await app.online()
                await watcher.hears("printers/old/state", b"")
        assert "printers/old/state" not in written(tmp_path)
