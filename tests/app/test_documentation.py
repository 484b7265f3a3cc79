"""Each published topic has a schema, and a section in the documentation."""

import functools
from typing import Any

import pytest

from bridge.app.documentation import MODELS, published, schema_of, topics_markdown
from bridge.topics import PUBLISHED, RECEIVED, SD_FILES, TEMPERATURE, Topic
from tests.support.json_schema import fits

TIMES = {"time": 1, "measured_at": "2026-01-01T00:00:00.000Z"}
HEATER = {"actual": 20.1, "target": 0, "offset": 0}
FILE = {"name": "a.gco", "path": "/A.GCO", "size": 1, "display": "", "date": None}


@functools.cache
def document() -> str:
    """Return the document; it takes half a second to write."""
    return topics_markdown()


def suffix(row: Topic) -> str:
    return row.suffix


def test_each_row_is_described_once() -> None:
    assert tuple(one.row for one in published()) == PUBLISHED


@pytest.mark.parametrize("row", PUBLISHED, ids=suffix)
def test_a_schema_says_something(row: Topic) -> None:
    schema = schema_of(row)
    assert schema.get("additionalProperties") is not True or "properties" in schema
    assert not fits({"no": "such field"}, schema, strict=True) or row.suffix == "event"
    assert not fits(None, schema, strict=True)


@pytest.mark.parametrize(
    ("document", "right"),
    [
        (TIMES, True),
        ({"tool0": HEATER, **TIMES}, True),
        ({"bed": {**HEATER, "actual": None}, "sensors": {"P": 1.5}, **TIMES}, True),
        ({"tool0": HEATER}, False),
        ({"tool0": 20.1, **TIMES}, False),
        ({"tool0": {"actual": 1}, **TIMES}, False),
        ({"tool0": {**HEATER, "power": 1}, **TIMES}, False),
        ({"sensors": {"P": "hot"}, **TIMES}, False),
        ({"time": 1, "measured_at": 1.5}, False),
    ],
)
def test_the_schema_of_all_temperatures(
    document: dict[str, Any], *, right: bool
) -> None:
    assert fits(document, schema_of(TEMPERATURE), strict=True) is right


@pytest.mark.parametrize(
    ("document", "right"),
    [
        ([], True),
        ([FILE, FILE], True),
        ([{**FILE, "size": None}], True),
        ([{**FILE, "size": "1"}], False),
        ([{"name": "a.gco"}], False),
        ({}, False),
    ],
)
def test_the_schema_of_the_files(document: object, *, right: bool) -> None:
    assert fits(document, schema_of(SD_FILES), strict=True) is right


@pytest.mark.parametrize("row", MODELS, ids=suffix)
def test_each_document_has_a_section(row: Topic) -> None:
    assert f"\n## `{row.suffix}`\n" in document()


@pytest.mark.parametrize("row", [*PUBLISHED, *RECEIVED], ids=suffix)
def test_each_topic_has_a_row_in_the_documentation(row: Topic) -> None:
    (line,) = [
        line
        for line in document().splitlines()
        if line.startswith(f"| `{row.suffix}` |") and line.endswith(f" {row.text} |")
    ]
    assert f" | {row.qos} | " in line


def test_a_part_is_described_once() -> None:
    heads = [line for line in document().splitlines() if line.startswith("#")]
    assert len(heads) == len(set(heads))
