"""Whether JSON fits a schema: the parts of JSON Schema that our schemas use."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


def fits(value: object, schema: Schema, *, strict: bool = False) -> bool:
    """Return whether a value has the type, the bounds and the fields of a schema.

    Args:
        value: any JSON.
        schema: its schema, with the parts that it refers to in ``$defs``.
        strict: refuse a field that the schema does not list, unless the schema says
            that there may be others, and a whole number that is written as 1.0.

    """
    return _Checker(schema.get("$defs", {}), strict).fits(value, schema)


@dataclass(frozen=True)
class _Checker:
    parts: Schema
    strict: bool

    def fits(self, value: object, schema: Schema) -> bool:
        taken = True
        match schema:
            case {"$ref": name}:
                taken = self.fits(value, self.parts[name.rpartition("/")[2]])
            case {"anyOf": options} if "properties" not in schema:
                taken = any(self.fits(value, option) for option in options)
            case {"const": only}:
                taken = json.dumps(value) == json.dumps(only)
            case {"enum": values}:
                taken = value in values
            case {"type": kinds}:
                kinds = [kinds] if isinstance(kinds, str) else kinds
                taken = any(self._is(kind, value, schema) for kind in kinds)
        return taken

    def _is(self, kind: str, value: object, schema: Schema) -> bool:
        match kind, value:
            case ("null", None) | ("boolean", bool()):
                return True
            case "string", str():
                return bool(re.search(schema.get("pattern", ""), value))
            case "object", dict():
                return self._fields(value, schema)
            case "array", list():
                return self._items(value, schema)
            case (("number" | "integer"), int() | float()) if not isinstance(
                value, bool
            ):
                return self._number(kind, value, schema)
        return False

    def _number(self, kind: str, value: float, schema: Schema) -> bool:
        if self.strict and kind == "integer" and not isinstance(value, int):
            return False
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        return bool(low <= value <= high)

    def _items(self, value: list[object], schema: Schema) -> bool:
        fixed = schema.get("prefixItems", [])
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
        rules = [*fixed, *[schema.get("items", {})] * (len(value) - len(fixed))]
        return least <= len(value) <= most and all(map(self.fits, value, rules))

    def _fields(self, value: dict[str, Any], schema: Schema) -> bool:
        named = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        others = schema.get("additionalProperties", not (self.strict and named))
        for name, item in value.items():
            rules = [named[name]] if name in named else []
            rules += [rule for key, rule in patterns.items() if re.search(key, name)]
            if not rules and others is False:
                return False
            if not rules and isinstance(others, dict):
                rules = [others]
            if not all(self.fits(item, rule) for rule in rules):
                return False
        ways = schema.get("anyOf", [{"required": []}])
        needed = [{*schema.get("required", []), *way["required"]} for way in ways]
        return any(names <= set(value) for names in needed)
