"""A YAML document as plain values, each with the place where it was written.

Every scalar stays the text that was written: only the models know whether ``on``, ``5``
or ``0123`` is meant as a switch, a version or a password, so only they convert it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from bridge.errors import ConfigError
from bridge.validation_errors import Key

Value = str | list["Value"] | dict[str, "Value"] | None

# Aliases in YAML can multiply a small file to any size ("billion laughs").
_MAX_VALUES = 100_000
_MAX_DEPTH = 20
_TOO_MUCH = "too many or too deeply nested values; do aliases multiply?"
# YAML's types (https://yaml.org/spec/1.2.2/, 10).
_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + name for name in ("bool", "float", "int", "str", "timestamp")}
_NULL = _TAG + "null"
_MERGE = _TAG + "merge"

_QUOTES = "put the text in quotes"
# https://www.home-assistant.io/docs/configuration/splitting_configuration/
_HOME_ASSISTANT = {"!secret", "!include", "!env_var"}
_MISTAKES = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        # Each pattern is searched in PyYAML's context and problem, such as "while
        # scanning a quoted scalar: found unexpected end of stream". The mistake may be
        # in the line above, because PyYAML reports where it noticed.
        (r"'\\t'", "the line begins with a tab; YAML allows only spaces there"),
        (
            r"quoted scalar: .*end of stream",
            "a quotation mark, opened on line {begin}, is never closed; add the other",
        ),
        (
            r"double-quoted scalar: .*(escape|hexadecimal)",
            "in double quotes a backslash has a special meaning; use single quotes",
        ),
        (
            r"character '(.)' that cannot start",
            f"a text must not begin with {{0}}; {_QUOTES}",
        ),
        (r"alias", f"a text must not begin with *; {_QUOTES}"),
        (r"another document", "--- begins a second document; remove it"),
        (
            r"flow mapping: .*got ':'",
            "a text with a colon needs quotes, and a comma separates two settings",
        ),
        (
            r"flow (?:sequence|mapping): expected ',' or '(.)'",
            (
                "a bracket, opened on line {begin}, is never closed; add the missing "
                "{0}, a comma between the entries, or quotes around a text with a colon"
            ),
        ),
        (r"found '([\]}])'", "there is one {0} too many; remove it"),
        (
            r"found '<scalar>'",
            "text follows a closing quotation mark; in single quotes, write '' for '",
        ),
        (
            r"sequence entries are not allowed",
            "an entry of a list (- …) must begin on a line of its own",
        ),
        (
            r"mapping values are not allowed",
            (
                "a colon is not expected here: the line above may lack a colon, this "
                "line may be indented too far, or a text with a colon may lack quotes"
            ),
        ),
        (
            r"expected <block end>",
            (
                "the indentation does not match: entries of the same section begin in "
                "the same column; compare with line {begin}"
            ),
        ),
        (
            r"could not find expected ':'",
            "the line has no colon; a setting is written as NAME: VALUE",
        ),
        (
            r"expected chomping|anchor|tag",
            f"a text must not begin with |, >, & or !; {_QUOTES}",
        ),
        (
            r"<document start>",
            "the text does not belong to any setting; write NAME: VALUE",
        ),
    )
)
"""What PyYAML reports, and how to say it to people who edit the file."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was written, and where.

    Attributes:
        value: everything: texts, lists, mappings, and ``None`` for an empty value.
        places: ``file:line``, or the environment variable's name, by each value's key.

    """

    value: Value
    places: Mapping[Key, str]

    def place(self, key: Key) -> str:
        """Return where a value is written, or else the section that it belongs to."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places[key]


def parse(text: str, name: str) -> Document:
    """Return a YAML text's values; ``name`` is what their places are called.

    Raises:
        ConfigError: It is not YAML, has a key twice, a tag, or more than a
            configuration can need (such as aliases that multiply).

    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = name if mark is None else f"{name}:{mark.line + 1}"
        raise ConfigError(f"{place}: {_mistake(error, text)}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        raise ConfigError(
            f"{name}:{before.count(chr(10)) + 1}: there is a control character (code "
            f"{error.character}), which YAML does not allow; remove it"
        ) from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    reader = _Reader(name)
    value = None if root is None else reader.value(root, ())
    return Document(value, {(): name, **reader.places})


def _mistake(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what is wrong in a YAML text, without quoting what may be a password."""
    report = f"{error.context or ''}: {error.problem or ''}"
    if mark := error.problem_mark:
        before = "".join(text.split("\n")[mark.line : mark.line + 1])[: mark.column]
        if "\N{NO-BREAK SPACE}" in before:
            return "there is a no-break space on this line; write ordinary spaces"
        if "mapping values" in report and ": " in before:
            return (
                "there is a second colon on this line; if it is part of the text, "
                f"{_QUOTES}"
            )
    begin = error.context_mark or error.problem_mark
    line = begin.line + 1 if begin is not None else 1
    for pattern, words in _MISTAKES:
        if found := pattern.search(report):
            return words.format(*found.groups(), begin=line)
    return f"this is not YAML: {error.problem or 'it cannot be read'}"


class _Reader:
    """Turns YAML nodes into values and notes their places."""

    def __init__(self, name: str) -> None:
        self.places: dict[Key, str] = {}
        self._name = name
        self._left = _MAX_VALUES

    def value(self, node: yaml.Node, key: Key) -> Value:
        self._count(node)
        if len(key) > _MAX_DEPTH:
            raise self._error(node, _TOO_MUCH)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, key)
            case yaml.SequenceNode():
                return self._sequence(node, key)
            case yaml.ScalarNode(tag=tag) if tag == _NULL:
                return None
            case yaml.ScalarNode(tag=tag, value=str(text)) if tag in _SCALARS:
                return text
        if node.tag in _HOME_ASSISTANT:
            raise self._error(
                node,
                f"{node.tag} works only in Home Assistant; put a password in a file "
                "and name that in mqtt.password_file, or set BRIDGE_… in the "
                "environment",
            )
        raise self._error(node, f"a text must not begin with !; {_QUOTES}")

    def _count(self, node: yaml.Node) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error(node, _TOO_MUCH)

    def _sequence(self, node: yaml.SequenceNode, key: Key) -> Value:
        values: list[Value] = []
        for index, item in enumerate(node.value):
            self.places[*key, index] = self._place(item)
            values.append(self.value(item, (*key, index)))
        return values

    def _mapping(self, node: yaml.MappingNode, key: Key) -> Value:
        found: dict[str, Value] = {}
        for name, value in self._own_entries(node):
            text = self._key_text(name)
            if text in found:
                before = self.places[*key, text]
                raise self._error(
                    name, f"the key {text} is already given at {before}; keep one"
                )
            self.places[*key, text] = self._place(name)
            found[text] = self.value(value, (*key, text))
        for name, value in self._merged_entries(node, len(key)):
            text = self._key_text(name)
            if text not in found:
                self.places[*key, text] = self._place(name)
                found[text] = self.value(value, (*key, text))
        return found

    @staticmethod
    def _own_entries(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        for name, value in node.value:
            if name.tag != _MERGE:
                yield name, value

    def _merged_entries(
        self, node: yaml.MappingNode, depth: int
    ) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        for name, value in node.value:
            if name.tag != _MERGE:
                continue
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if not isinstance(source, yaml.MappingNode):
                    raise self._error(
                        name, "<< needs a section, such as *NAME with &NAME above it"
                    )
                if depth > _MAX_DEPTH:
                    raise self._error(name, "nested too deeply")
                # Merged mappings multiply as values do, even if all have the same key.
                self._count(source)
                for entry in self._own_entries(source):
                    self._count(source)
                    yield entry
                yield from self._merged_entries(source, depth + 1)

    def _key_text(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        raise self._error(
            node, "the name of a setting must be a text; put a text with { in quotes"
        )

    def _place(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"

    def _error(self, node: yaml.Node, problem: str) -> ConfigError:
        return ConfigError(f"{self._place(node)}: {problem}")
