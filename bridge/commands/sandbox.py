"""Jinja2 in a sandbox: no template gets into Python, and every template ends.

Jinja2's own sandbox keeps templates away from Python's insides. What it leaves open are
templates that compute, grow or print without end. Here each rendering has a number of
steps; what a template does takes from them in proportion to the size of the values, and
the size of a result is checked before it is made. Steps are counted rather than
seconds so that a script has the same result on every machine, and because Python can
end neither a thread nor a call that has begun.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView
from functools import wraps
from traceback import walk_tb
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, Undefined, nodes
from jinja2.exceptions import (
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
)
from jinja2.ext import Extension
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import BlockReference, Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Namespace, pass_context
from jinja2.visitor import NodeTransformer

from bridge.commands.json_payload import printable
from bridge.commands.scripts import SNIPPETS
from bridge.errors import RejectedError
from bridge.gcode.line import format_number
from bridge.validation_errors import shown

STEPS = 50_000
"""Operations of one rendering, counted with the size of what they work on."""
OUTPUT = 200_000
"""Characters that one rendering prints."""
SOURCE = 65_536
"""Characters of one template."""
PARTS = 10_000
"""Names, values, operators and tags of one template. Compiling it takes up to 0.1 ms
for each, before any step can be counted."""
TEXT = 10_000
"""Characters of one text."""
ITEMS = 5_000
"""Entries of one list or object, with everything in them."""
BITS = 256
"""Size of a whole number: 10 ** 10 ** 10 would take minutes and gigabytes."""
DECIMALS = 9
"""Decimals of a rounded number."""

_INCLUDE = STEPS // 50  # steps of an inclusion, so there are at most 50
_CALL = STEPS // 500  # steps of a macro's call
_PER_STEP = 64  # characters that take one step
_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float"),
    *("int", "items", "last", "length", "list", "lower", "map", "max", "min"),
    *("reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title"),
    *("trim", "unique", "upper"),
)
_TESTS: Mapping[str, Any] = TESTS
# Others can be dangerous: 'x'.ljust(10 ** 9) and (5).to_bytes(10 ** 9) take gigabytes.
_ATTRIBUTES = frozenset(
    {
        *("endswith", "isdigit", "lower", "split", "startswith", "strip", "upper"),
        *("items", "keys", "values", "get"),
        *("index", "index0", "revindex", "revindex0", "first", "last", "length"),
        *("previtem", "nextitem", "depth", "cycle", "changed"),
    }
)
# '%1000000000d' takes a gigabyte: width and precision have at most two digits.
_DIRECTIVE = re.compile(
    r"%(?:%|(?:\(\w+\))?[-+ 0#]?\d{0,2}(?:\.\d{0,2})?[sdifF])", re.ASCII
)
_WRONG = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


class TooMuchError(TemplateRuntimeError):
    """The template does what a script may not."""


class Rendered(str):
    """What a macro or a block printed: it may have line breaks, a value may not."""

    __slots__ = ()


class Missing(StrictUndefined):
    """A value that is not there: it may be tested, but not used."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # the base class refuses
        return False


class Snippet(Extension):
    """The tag ``{% snippet 'name' %}``, which includes another template."""

    tags = {"snippet"}  # noqa: RUF012 - as the base class declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the inclusion of the named snippet."""
        lineno = next(parser.stream).lineno
        name = nodes.Concat([nodes.Const(SNIPPETS), parser.parse_expression()])
        return nodes.Include(name, True, False, lineno=lineno)  # noqa: FBT003


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one printer's scripts; it renders one after the other.

    Args:
        sources: the templates by name.

    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, sources: Mapping[str, str]) -> None:
        def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
            source = sources.get(name)
            return None if source is None else (source, name, lambda: True)

        super().__init__(
            loader=FunctionLoader(load),
            undefined=Missing,
            extensions=[Snippet],
            finalize=self._printed,
            optimized=False,  # what is computed while compiling is not counted
        )
        self._sources = sources
        self._steps = self._output = 0
        self.globals = {"range": range, "namespace": Namespace}
        public: Mapping[str, Callable[..., Any]] = {
            **{name: FILTERS[name] for name in _FILTERS},
            "format": lambda text, *args: self._checked_format(text, args) % args,
            "join": self._joined,
            "replace": lambda text, old, new: self._joined(text.split(old), new),
            "round": _rounded,
            "string": self._text,
            "sum": lambda values: sum(map(float, values)),
        }
        self.tests = {name: self._charged(name, test) for name, test in _TESTS.items()}
        self.filters = {
            **{name: self._charged(name, public[name]) for name in public},
            # For _Guard alone: no template can write these names as filters, and
            # call_filter refuses them as the argument of `map`.
            ".rounds": pass_context(lambda _context, *args: self._rounds(*args)),
            ".rendered": pass_context(lambda _context, text: self._rendered(text)),
            ".weighed": pass_context(lambda _context, value: self._weighed(value)),
        }

    def rendered(self, name: str, variables: Mapping[str, object]) -> str:
        """Return what a template prints.

        Raises:
            RejectedError: ``script_error``, with the template and the line.

        """
        self._steps, self._output = STEPS, OUTPUT
        chunks = []
        try:
            for chunk in self.get_template(name).generate(variables):
                self._output -= len(chunk)
                self._spend(0)
                chunks.append(chunk)
        except _WRONG as error:
            place = _place(name, self._sources, error)
            raise RejectedError.invalid(
                f"{place}: {_reason(error)}", error="script_error"
            ) from None
        return "".join(chunks)

    def compile(self, source: Any, name: Any = None, *args: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return a template's code, with what counts its steps in it."""
        _check(len(source) <= SOURCE, f"is longer than {SOURCE} characters")
        return super().compile(
            _Guard(name).visit(self.parse(source, name)), name, *args
        )

    def get_template(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return a template: the one to render, or one that it includes."""
        self._spend(_INCLUDE)
        return super().get_template(*args, **kwargs)

    def select_template(self, names: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return the first template that exists of several."""
        self._spend(_INCLUDE)
        return super().select_template(names, *args, **kwargs)

    def is_safe_attribute(self, obj: object, attr: str, _value: object) -> bool:
        """Return whether a template may read it: only what is listed above."""
        if isinstance(obj, Namespace):
            return not attr.startswith("_")
        return attr in _ATTRIBUTES

    def wrap_str_format(self, _value: object) -> None:
        """Offer no `str.format`: '{:1000000000}' takes a gigabyte."""

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return the result of an operator, if it is not too large."""
        if operator == "*":
            _check_repetition(left, right)
            _check_repetition(right, left)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check(left.bit_length() * right <= BITS, "a power is too large")
        elif operator == "%" and isinstance(left, str):
            self._checked_format(left, right)
        return self._weighed(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return the result of a call, if it is not too large."""
        self._weighed([*args, *kwargs.values()])
        if isinstance(obj, Macro | BlockReference):
            self._spend(_CALL)
            return self._rendered(super().call(context, obj, *args, **kwargs))
        return self._weighed(super().call(context, obj, *args, **kwargs))

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return what a filter makes of a value; `map` calls filters by name."""
        _check(not name.startswith("."), f"there is no filter {name}")
        return super().call_filter(name, *args, **kwargs)

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        _check(self._steps >= 0, "the script does too much; does it end at all?")
        _check(self._output >= 0, f"the script prints more than {OUTPUT} characters")

    def _weighed(self, value: Any) -> Any:  # noqa: ANN401 - any value of a template
        """Take steps for a value by its size, and return it."""
        steps = 0
        heap: list[object] = [value]
        while heap:
            item = heap.pop()
            steps += 1
            if isinstance(item, str):
                _check(len(item) <= TEXT, f"a text is longer than {TEXT} characters")
                steps += len(item) // _PER_STEP
            elif isinstance(item, int):
                _check(item.bit_length() <= BITS, "a number is too large")
            elif isinstance(item, dict):
                heap += (*item, *item.values())
            elif isinstance(item, list | tuple | range | MappingView):
                _check(len(item) <= ITEMS, f"a list has more than {ITEMS} entries")
                heap += item  # type: ignore[arg-type]  # every view can be iterated
            _check(steps + len(heap) <= ITEMS, f"a value has more than {ITEMS} parts")
        self._spend(steps)
        return value

    @pass_context
    def _printed(self, _context: Context, value: object) -> str:
        text = self._text(value)
        self._spend(len(text) // _PER_STEP)
        return text

    def _rendered(self, text: str) -> Rendered:
        """Return what a macro or a block printed; it counts as printed."""
        self._output -= len(text)
        self._spend(len(text) // _PER_STEP)
        return Rendered(text)

    def _text(self, value: object) -> str:
        """Return a value as it is printed: numbers as firmwares read them."""
        self._spend(1)
        if isinstance(value, Rendered | Undefined):
            return str(value)
        if isinstance(value, str):
            _check(printable(value), f"prints a line break: {shown(value)}")
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, float) and math.isfinite(value):
            return format_number(value)
        raise TooMuchError(
            f"prints {_kind(value)}, which is neither a text nor a finite number"
        )

    def _joined(self, values: Iterable[object], separator: str = "") -> str:
        texts = []
        length = 0
        for value in values:
            texts.append(self._text(value))
            length += len(texts[-1]) + len(separator)
            _check(length <= TEXT, f"a text is longer than {TEXT} characters")
        return separator.join(texts)

    def _checked_format(self, pattern: str, values: object) -> str:
        rest = _DIRECTIVE.sub("", pattern)
        _check("%" not in rest, f"a format has only %s, %d, %f: {shown(pattern)}")
        if isinstance(values, dict):
            values = tuple(values.values())
        for value in values if isinstance(values, tuple) else (values,):
            self._text(value)
        return pattern

    def _rounds(self, items: Iterable[object], cost: int) -> Iterator[object]:
        """Return the items of a loop; each takes the steps of the loop's body."""
        for item in items:
            self._spend(cost)
            yield item

    def _charged(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter or test that takes steps for its arguments and its result."""

        @wraps(function)
        def charged(*args: object, **kwargs: object) -> object:
            for value in (*args, *kwargs.values()):
                self._weighed(value)
            try:
                return self._weighed(function(*args, **kwargs))
            except TypeError as error:
                # Python's words begin with the name of the function.
                reason = re.sub(r"^\S+\(\) ", "", str(error))
                raise TypeError(f"the filter {name}: {reason}") from None

        return charged


class _Guard(NodeTransformer):
    """Counts what Jinja2 compiles to bare Python: loops, ``~``, literals, comparisons.

    Values that are written down are weighed, because an exponentially large one takes
    only a few lines: ``{% set x = [x, x] %}``.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._parts = 0

    def visit(self, node: Any, *_args: Any, **_kwargs: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        self._parts += 1
        _check(self._parts <= PARTS, f"has more than {PARTS} names, values and tags")
        self.generic_visit(node)
        match node:
            case nodes.For(recursive=False):
                data = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
                cost = sum(1 for _ in node.find_all(nodes.Node)) + data // _PER_STEP
                node.iter = _filtered(".rounds", node.iter, nodes.Const(cost))
            case nodes.AssignBlock():
                node.filter = _filtered(".rendered", node.filter)
            case nodes.Concat():
                return _filtered("join", nodes.List(node.nodes, lineno=node.lineno))
            case nodes.Compare():
                operands: list[nodes.Compare | nodes.Operand] = [node, *node.ops]
                for operand in operands:
                    operand.expr = _filtered(".weighed", operand.expr)
            case nodes.List() | nodes.Dict() | nodes.Tuple(ctx="load"):
                return _filtered(".weighed", node)
            case nodes.Const(value=float(number)) if not math.isfinite(number):
                raise TemplateSyntaxError(
                    "a number is too large", node.lineno, self._name
                )
            case nodes.For() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                what = type(node).__name__.lower()
                what = "a recursive loop" if what == "for" else what
                message = f"{what} is not available in scripts"
                raise TemplateSyntaxError(message, node.lineno, self._name)
        return node


def _filtered(name: str, node: nodes.Node | None, *more: nodes.Expr) -> nodes.Filter:
    lineno = None if node is None else node.lineno
    return nodes.Filter(node, name, list(more), [], None, None, lineno=lineno)


def _check_repetition(what: object, times: object) -> None:
    if isinstance(what, str | list | tuple) and isinstance(times, int):
        limit = TEXT if isinstance(what, str) else ITEMS
        _check(len(what) * times <= limit, "a repetition is too long")


def _rounded(value: float, decimals: int = 0) -> float:
    _check(0 <= decimals <= DECIMALS, f"round takes 0 to {DECIMALS} decimals")
    return round(float(value), decimals)


def _kind(value: object) -> str:
    if value is None:
        return "a value that is not known"
    known = isinstance(value, bool | float | list | tuple | dict)
    return shown(value) if known else f"a {type(value).__name__}"


def _check(condition: bool, message: str) -> None:  # noqa: FBT001 - as in assert
    if not condition:
        raise TooMuchError(message)


def _place(name: str, sources: Mapping[str, str], error: Exception) -> str:
    template, line = name, 0
    if isinstance(error, TemplateSyntaxError):
        template, line = error.name or name, error.lineno
    else:
        for frame, at in walk_tb(error.__traceback__):
            if frame.f_code.co_filename in sources:
                template, line = frame.f_code.co_filename, at
    return f"script {template}, line {line}" if line else f"script {template}"


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f'there is no template "{error.name}"'
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or calls itself too often"
    text: str | None = str(error)
    if isinstance(error, TemplateError):
        text = error.message
    elif isinstance(error, SyntaxError):
        text = error.msg
    return re.sub("'dict object' has no attribute", "there is no", text or "is wrong")
