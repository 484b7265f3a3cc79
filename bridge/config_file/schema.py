"""What the models expect at each place, read from their JSON schema."""

from collections.abc import Iterator
from functools import cache

from bridge.config import Config
from bridge.field_docs import without_field_docs
from bridge.schema_words import Schema, SchemaWords
from bridge.validation_errors import Key

_WORDS = SchemaWords(section="a section", mapping="a section of names and values")


@cache
def root() -> Schema:
    """Return the whole configuration's schema, without what the settings are for.

    The daemon needs no more, and on a small machine the texts cost a second.
    """
    with without_field_docs():
        return _whole(Config.model_json_schema())


def documented() -> Schema:
    """Return the whole configuration's schema, with the description of each setting."""
    return _whole(Config.model_json_schema())


def at(key: Key) -> Schema | None:
    """Return what is expected at a place, or ``None`` if nothing may be there."""
    schema = root()
    for step in key:
        schema = child(schema, step)
    return schema or None


def options(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema; nothing for null."""
    if "anyOf" in schema:
        return [found for option in schema["anyOf"] for found in options(option)]
    return [] if schema.get("type") == "null" else [schema]


def keys(schema: Schema) -> list[str]:
    """Return the keys that a section knows."""
    return [name for option in options(schema) for name in option.get("properties", ())]


def leaves(schema: Schema, key: Key = ()) -> Iterator[tuple[Key, Schema]]:
    """Yield every setting with its key; a list of sections counts as its first item."""
    for name in keys(schema):
        found = child(schema, name)
        if keys(found):
            yield from leaves(found, (*key, name))
        elif item := section_of_list(found):
            yield from leaves(item, (*key, name, 0))
        else:
            yield (*key, name), found


def child(schema: Schema, step: str | int) -> Schema:
    """Return what is expected at a key or an index; empty: nothing may be there."""
    for option in options(schema):
        found = _item(option, step) if isinstance(step, int) else _entry(option, step)
        if found is not None:
            return found
    return {}


def section_of_list(schema: Schema) -> Schema | None:
    """Return the section that a list is made of, if it is made of one."""
    item = child(schema, 0)
    return item if keys(item) else None


def is_list_of_texts(schema: Schema) -> bool:
    """Return whether a list of any number of texts is expected."""
    return any(
        option.get("type") == "array"
        and option.get("items", {}).get("type") == "string"
        for option in options(schema)
    )


def choices(schema: Schema) -> list[str]:
    """Return the words of which one is expected."""
    return [str(word) for option in options(schema) for word in option.get("enum", ())]


def is_numeric(schema: Schema) -> bool:
    """Return whether a number is expected, perhaps besides a word."""
    kinds = {option.get("type") for option in options(schema)}
    return bool(kinds & {"integer", "number"})


def is_pair(schema: Schema) -> bool:
    """Return whether a list of two values is expected."""
    return any(len(option.get("prefixItems", ())) == 2 for option in options(schema))  # noqa: PLR2004 - a pair


def is_free_mapping(schema: Schema) -> bool:
    """Return whether any keys may be given."""
    kinds = [option.get("type") for option in options(schema)]
    return "object" in kinds and not keys(schema)


def is_compound(schema: Schema) -> bool:
    """Return whether a list or a mapping is expected."""
    return any(option.get("type") in {"array", "object"} for option in options(schema))


def is_secret(schema: Schema) -> bool:
    """Return whether a value must never be shown."""
    return any(option.get("format") == "password" for option in options(schema))


def description(schema: Schema) -> str:
    """Return what a setting is; its own words precede those of its type."""
    texts = [option.get("description", "") for option in (schema, *options(schema))]
    return str(next(filter(None, texts)))


def wanted(schema: Schema) -> str:
    """Return in words which values are accepted, without null."""
    return _WORDS.of({"anyOf": options(schema)})


def _whole(schema: Schema) -> Schema:
    """Return a schema in which each reference is replaced by what it refers to.

    What is written beside a reference (a description, a default) is kept.
    """
    definitions: Schema = schema["$defs"]

    def resolved(value: object) -> object:
        if isinstance(value, list):
            return [resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        beside = {k: resolved(v) for k, v in value.items() if k != "$ref"}
        if "$ref" not in value:
            return beside
        target = resolved(definitions[value["$ref"].rpartition("/")[2]])
        return {**target, **beside} if isinstance(target, dict) else target

    return {k: resolved(v) for k, v in schema.items() if k != "$defs"}


def _entry(option: Schema, name: str) -> Schema | None:
    found: Schema | None = option.get("properties", {}).get(name)
    more = option.get("additionalProperties")
    return more if found is None and isinstance(more, dict) else found


def _item(option: Schema, index: int) -> Schema | None:
    fixed = option.get("prefixItems", ())
    found: Schema | None = fixed[index] if index < len(fixed) else option.get("items")
    return found
