"""A JSON schema in words, for documents and error messages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

PATTERNS = {
    r"^[a-z0-9_-]{1,64}$": "1 to 64 lower-case letters, digits, hyphens or underscores",
    r"^[A-Za-z0-9_]{1,40}$": "1 to 40 letters, digits or underscores",
    r"^[0-9a-fA-F]{64}$": "64 hexadecimal digits",
}
"""What regular expressions say that settings and commands have in common."""


@dataclass(frozen=True, slots=True)
class SchemaWords:
    """How schemas are described.

    Attributes:
        literal: writes a value that must be given as it is.
        reference: writes the name of another schema.
        section: what an object with fields is called.
        mapping: what an object without fields of its own is called.
        pattern: writes a regular expression.

    """

    literal: Callable[[object], str] = str
    reference: Callable[[str], str] = str
    section: str = "an object"
    mapping: str = "an object"
    pattern: Callable[[str], str] = str

    def of(self, schema: Schema) -> str:
        """Return which values a schema takes, as in ``a whole number from 1 to 9``."""
        match schema:
            case {"$ref": name}:
                return self.reference(name.rpartition("/")[2])
            case {"anyOf": options}:
                return self._alternatives(options)
            case {"const": value}:
                return self.literal(value)
            case {"enum": values}:
                return _or([self.literal(value) for value in values])
            case {"type": kind}:
                return self._typed(kind, schema)
        return "anything"

    def _typed(self, kind: str, schema: Schema) -> str:
        match kind:
            case "array":
                return self._list(schema)
            case "object":
                what = self.section if "properties" in schema else self.mapping
                most = schema.get("maxProperties")
                return f"{what} of up to {most} entries" if most is not None else what
            case "string":
                return self._text(schema)
        return _KINDS[kind] + _bounds(schema)

    def _alternatives(self, schemas: list[Schema]) -> str:
        literals = [value for schema in schemas for value in schema.get("enum", ())]
        rest = [schema for schema in schemas if "enum" not in schema]
        first = [self.of({"enum": literals})] if literals else []
        words = list(dict.fromkeys([*first, *map(self.of, rest)]))
        if "a number" in words and "a whole number" in words:
            words.remove("a whole number")
        return " or ".join(words)

    def _list(self, schema: Schema) -> str:
        if fixed := schema.get("prefixItems"):
            return f"a list of {len(fixed)} entries, each {self.of(fixed[0])}"
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        count = f"{least} or more " if least else ""
        if most is not None:
            count = f"{least} to {most} " if least else f"up to {most} "
        return f"a list of {count}entries, each {self.of(schema.get('items', {}))}"

    def _text(self, schema: Schema) -> str:
        if "pattern" in schema:
            pattern = schema["pattern"]
            unknown = f"a text that matches {self.pattern(pattern)}"
            return PATTERNS.get(pattern, unknown)
        if "maxLength" in schema:
            low, high = schema.get("minLength", 0), schema["maxLength"]
            return f"a text of {low} to {high} characters"
        return _FORMATS.get(schema.get("format", ""), "a text")


_KINDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
}
_FORMATS = {"path": "a path", "date-time": "a time in ISO 8601"}


def _or(words: list[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _bounds(schema: Schema) -> str:
    above = schema.get("exclusiveMinimum")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        upper = "" if high is None else f" to {high:.12g}"
        return f" from {low:.12g}{upper}"
    words = [] if above is None else [f"above {above:g}"]
    words += [] if high is None else [f"up to {high:.12g}"]
    return f" {' and '.join(words)}" if words else ""
