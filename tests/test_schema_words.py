"""A JSON schema in words."""

from typing import Any

import pytest

from bridge.schema_words import SchemaWords

WORDS = SchemaWords(
    literal=lambda value: f"`{value}`",
    reference=lambda name: f"<{name}>",
    pattern=lambda text: f"/{text}/",
)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "integer"}, "a whole number"),
        ({"type": "number", "minimum": 1, "maximum": 9}, "a number from 1 to 9"),
        ({"type": "number", "minimum": 0.5}, "a number from 0.5"),
        ({"type": "number", "maximum": 1_000_000}, "a number up to 1000000"),
        ({"type": "number", "exclusiveMinimum": 0}, "a number above 0"),
        (
            {"type": "number", "exclusiveMinimum": 0, "maximum": 9},
            "a number above 0 and up to 9",
        ),
        ({"type": "string"}, "a text"),
        ({"type": "string", "format": "path"}, "a path"),
        ({"type": "string", "pattern": "^a$"}, "a text that matches /^a$/"),
        ({"type": "string", "maxLength": 9}, "a text of 0 to 9 characters"),
        ({"type": "object"}, "an object"),
        ({"type": "object", "properties": {}}, "an object"),
        ({"type": "array"}, "a list of entries, each anything"),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "a list of 1 or more entries, each a text",
        ),
        (
            {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]},
            "a list of 2 entries, each a number",
        ),
        ({"const": False}, "`False`"),
        ({"enum": ["a"]}, "`a`"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"$ref": "#/$defs/Card"}, "<Card>"),
        (
            {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]},
            "a number or null",
        ),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a whole number or null"),
        (
            {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}, {"enum": ["c"]}]},
            "`a`, `b` or `c` or null",
        ),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], words: str) -> None:
    assert WORDS.of(schema) == words


def test_a_section_and_a_mapping_have_names_of_their_own() -> None:
    words = SchemaWords(section="a section", mapping="a mapping")
    assert words.of({"type": "object", "properties": {}}) == "a section"
    assert words.of({"type": "object"}) == "a mapping"
