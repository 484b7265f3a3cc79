"""How much a template may do: everything it computes and prints is paid for."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from jinja2 import Undefined
from jinja2.exceptions import TemplateRuntimeError

from bridge.commands.json_payload import described, printable
from bridge.gcode.words import format_number

STEPS = 50_000
"""Operations, counted with the size of what they work on."""
OUTPUT = 200_000
"""Characters printed."""
TEXT = 10_000
"""Characters of one text."""
ITEMS = 5_000
"""Entries of one list or object, with all that is in them."""
BITS = 256
"""Size of a whole number."""
DECIMALS = 9
"""Decimals of a rounded number."""

_A_STEP = 64  # so many characters cost as much as an operation
_DIRECTIVE = re.compile(
    r"%(?:%|(?:\(\w+\))?[-+ 0#]?\d{0,2}(?:\.\d{0,2})?[sdifF])", re.ASCII
)
_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")


class TooMuchError(TemplateRuntimeError):
    """The template does what a script may not."""


class Rendered(str):
    """What a macro or a block printed: it may have line breaks, a value may not."""

    __slots__ = ()


class Budget:
    """What is left for one rendering."""

    def __init__(self) -> None:
        self._steps = STEPS
        self._output = OUTPUT

    def spend(self, steps: int = 1) -> None:
        """Pay for work.

        Raises:
            TooMuchError: There is not so much left.

        """
        self._steps -= steps
        if self._steps < 0:
            raise TooMuchError("the script does too much; does it end at all?")

    def weighed(self, value: _T) -> _T:
        """Pay for a value by its size and return it.

        Raises:
            TooMuchError: It is too large.

        """
        steps = 0
        heap: list[object] = [value]
        while heap:
            item = heap.pop()
            steps += 1
            if isinstance(item, str):
                _check(len(item) <= TEXT, f"a text is longer than {TEXT} characters")
                steps += len(item) // _A_STEP
            elif isinstance(item, int):
                _check(item.bit_length() <= BITS, "a number is too large")
            elif isinstance(item, dict):
                heap.extend(item)
                heap.extend(item.values())
            elif isinstance(item, list | tuple | range):
                _check(not item[ITEMS:], f"a list has more than {ITEMS} entries")
                heap.extend(item)
            _check(steps + len(heap) <= ITEMS, f"a value has more than {ITEMS} parts")
        self.spend(steps)
        return value

    def rounds(self, items: Iterable[_T], cost: int) -> Iterator[_T]:
        """Return the items of a loop, each paid for with the size of its body."""
        for item in items:
            self.spend(cost)
            yield item

    def data(self, text: str) -> str:
        """Pay for text of the template itself and return it."""
        self._output -= len(text)
        _check(self._output >= 0, f"the script prints more than {OUTPUT} characters")
        return text

    def printed(self, value: object) -> str:
        """Return a value as it is printed, and pay for it."""
        return self.data(self.text(value))

    def text(self, value: object) -> str:
        """Return a value as text: numbers as firmwares read them.

        Raises:
            TooMuchError: It is neither text nor a finite number, or has a line break.
            UndefinedError: There is no such value.

        """
        self.spend()
        if isinstance(value, Rendered | Undefined):
            return str(value)
        if isinstance(value, str):
            _check(printable(value), f"prints a line break: {described(value)}")
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, float) and math.isfinite(value):
            return format_number(value)
        raise TooMuchError(
            f"prints {_kind(value)}, which is neither a text nor a finite number"
        )

    def joined(self, values: Iterable[object], separator: str = "") -> str:
        """Return the texts of values, one after the other.

        Raises:
            TooMuchError: They are too long together.

        """
        texts = []
        length = 0
        for value in values:
            texts.append(self.text(value))
            length += len(texts[-1]) + len(separator)
            _check(length <= TEXT, f"a text is longer than {TEXT} characters")
        return separator.join(texts)

    def formatted(self, pattern: str, values: object) -> str:
        """Return ``pattern % values`` for the plain directives s, d, i and f."""
        rest = _DIRECTIVE.sub("", pattern)
        _check("%" not in rest, f"a format has only %s, %d, %f: {described(pattern)}")
        for value in _arguments(values):
            self.text(value)
        return self.weighed(pattern % values)

    def charged(self, name: str, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Return a filter whose arguments and result are paid for."""

        @wraps(function)
        def paid(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for value in (*args, *kwargs.values()):
                self.weighed(value)
            try:
                result = function(*args, **kwargs)
            except TypeError:
                # Python's own words would name what the filter is made of.
                _check_arguments(name, function, *args, **kwargs)
                raise
            return self.weighed(result)

        return paid

    def check_operands(self, operator: str, left: object, right: object) -> None:
        """Refuse a product or a power before it is computed.

        Raises:
            TooMuchError: It would be too large.

        """
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, str | list | tuple) and isinstance(other, int):
                    limit = TEXT if isinstance(one, str) else ITEMS
                    _check(len(one) * other <= limit, "a repetition is too long")
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check(left.bit_length() * right <= BITS, "a power is too large")


def _check_arguments(
    name: str, function: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs
) -> None:
    try:
        signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"the filter {name}: {error}") from None


def _arguments(values: object) -> Iterable[object]:
    if isinstance(values, dict):
        return values.values()
    return values if isinstance(values, tuple) else (values,)


def _kind(value: object) -> str:
    if value is None:
        return "a value that is not known"
    known = isinstance(value, bool | float | list | tuple | dict)
    return described(value) if known else f"a {type(value).__name__}"


def _check(condition: bool, message: str) -> None:  # noqa: FBT001 - as in assert
    if not condition:
        raise TooMuchError(message)
