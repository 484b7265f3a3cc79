"""Jinja2 in a sandbox: no way into Python, and an end to every template.

Jinja2's own sandbox keeps templates away from Python's insides. What it leaves open are
templates that compute or print for ever. So each template's tree is changed before it
is compiled: loops, literals, ``~``, comparisons and all that is printed go through
filters of ours, which pay from a budget. Their names cannot be written in a template.
"""

from collections.abc import Callable, Mapping, MutableMapping
from math import isfinite
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, nodes
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context
from jinja2.visitor import NodeTransformer

from bridge.commands.budget import DECIMALS, STEPS, Budget, Rendered, TooMuchError
from bridge.commands.scripts import SNIPPETS

_INCLUDES = 50  # at most so many in one rendering
_CALLS = 500  # at most so many of macros
_KEPT_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float"),
    *("int", "items", "last", "length", "list", "lower", "map", "max", "min"),
    *("reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title"),
    *("trim", "unique", "upper"),
)
_TEXT_METHODS = frozenset(
    {"endswith", "isdigit", "lower", "split", "startswith", "strip", "upper"}
)
_LOOP = {"index", "index0", "revindex", "revindex0", "first", "last", "length"}
_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    dict: frozenset({"items", "keys", "values", "get"}),
    LoopContext: frozenset(
        {*_LOOP, "previtem", "nextitem", "depth", "cycle", "changed"}
    ),
}


class Missing(StrictUndefined):
    """A value that is not there: it may be asked for, but not used."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # the base class refuses
        return False


class Snippet(Extension):
    """The tag ``{% snippet 'name' %}``, which puts another template in its place."""

    tags = {"snippet"}  # noqa: RUF012 - as the base class declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the inclusion of the named snippet."""
        lineno = next(parser.stream).lineno
        name = nodes.Concat([nodes.Const(SNIPPETS), parser.parse_expression()])
        return nodes.Include(name, True, False, lineno=lineno)  # noqa: FBT003


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, find: Callable[[str], str | None], budget: Budget) -> None:
        super().__init__(
            loader=_Loader(find, budget),
            undefined=Missing,
            extensions=[Snippet],
            cache_size=0,
            optimized=False,
        )
        self._budget = budget
        self.filters = _filters(budget)
        self.globals = {"range": range, "namespace": Namespace}

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return an attribute or a member; of texts only what is harmless."""
        if isinstance(obj, str) and attribute not in _TEXT_METHODS:
            return self.unsafe_undefined(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return a member or an attribute, as :meth:`getattr` does."""
        if isinstance(obj, str) and isinstance(argument, str):
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: object, attr: str, _value: object) -> bool:
        """Return whether a template may read it: only what is listed above."""
        if isinstance(obj, Namespace):
            return not attr.startswith("_")
        return any(
            isinstance(obj, kind) and attr in names
            for kind, names in _ATTRIBUTES.items()
        )

    def call_binop(
        self, context: Context, operator: str, left: object, right: object
    ) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return the result of an operator, if it is not too large."""
        self._budget.check_operands(operator, left, right)
        if operator == "%" and isinstance(left, str):
            return self._budget.formatted(left, right)
        return self._budget.weighed(super().call_binop(context, operator, left, right))

    def call(
        self,
        context: Context,
        obj: Any,  # noqa: ANN401 - as in Jinja2
        /,
        *args: object,
        **kwargs: object,
    ) -> Any:  # noqa: ANN401 - as in Jinja2
        """Return the result of a call, if it is not too large."""
        if isinstance(obj, Macro | BlockReference):
            self._budget.spend(STEPS // _CALLS)
            return Rendered(super().call(context, obj, *args, **kwargs))
        return self._budget.weighed(super().call(context, obj, *args, **kwargs))


class _Loader(BaseLoader):
    def __init__(self, find: Callable[[str], str | None], budget: Budget) -> None:
        self._find = find
        self._budget = budget

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - as in Jinja2
    ) -> Template:
        source = self._find(name)
        if source is None:
            raise TemplateNotFound(name)
        self._budget.spend(STEPS // _INCLUDES)
        tree = environment.parse(source, name, name)
        _Guard().visit(tree)
        tree.set_environment(environment)
        code = environment.compile(tree, name, name)
        template = environment.template_class.from_code
        return template(environment, code, globals or {}, None)


class _Guard(NodeTransformer):
    """Puts our filters where a template could go on for ever or grow without end."""

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        self.generic_visit(node, *args, **kwargs)
        change = _CHANGES.get(type(node))
        return node if change is None else change(node)


def _guard_loop(node: nodes.For) -> nodes.Node:
    if node.recursive:
        raise TemplateSyntaxError("a recursive loop is not available", node.lineno)
    cost = sum(1 for _ in node.find_all(nodes.Node))
    node.iter = _through(".rounds", node.iter, nodes.Const(cost))
    return node


def _guard_output(node: nodes.Output) -> nodes.Node:
    node.nodes = [
        _through(".data", nodes.Const(child.data, lineno=child.lineno))
        if isinstance(child, nodes.TemplateData)
        else _through(".printed", child)
        for child in node.nodes
    ]
    return node


def _guard_capture(node: nodes.AssignBlock) -> nodes.Node:
    node.filter = _through(".rendered", node.filter)
    return node


def _guard_concat(node: nodes.Concat) -> nodes.Node:
    return _through(".joined", nodes.List(node.nodes, lineno=node.lineno))


def _guard_compare(node: nodes.Compare) -> nodes.Node:
    node.expr = _through(".weighed", node.expr)
    for operand in node.ops:
        operand.expr = _through(".weighed", operand.expr)
    return node


def _guard_value(node: nodes.Expr) -> nodes.Node:
    stored = isinstance(node, nodes.Tuple) and node.ctx != "load"
    return node if stored else _through(".weighed", node)


def _guard_constant(node: nodes.Const) -> nodes.Node:
    if isinstance(node.value, float) and not isfinite(node.value):
        raise TemplateSyntaxError("a number is too large", node.lineno)
    return node


def _refuse(node: nodes.Stmt) -> nodes.Node:
    what = type(node).__name__.lower()
    raise TemplateSyntaxError(f"{what} is not available in scripts", node.lineno)


_CHANGES: Mapping[type[nodes.Node], Callable[[Any], nodes.Node]] = {
    nodes.For: _guard_loop,
    nodes.Output: _guard_output,
    nodes.AssignBlock: _guard_capture,
    nodes.Concat: _guard_concat,
    nodes.Compare: _guard_compare,
    nodes.List: _guard_value,
    nodes.Tuple: _guard_value,
    nodes.Dict: _guard_value,
    nodes.Const: _guard_constant,
    nodes.Import: _refuse,
    nodes.FromImport: _refuse,
    nodes.Extends: _refuse,
}


def _through(name: str, node: nodes.Node | None, *more: nodes.Expr) -> nodes.Filter:
    lineno = None if node is None else node.lineno
    return nodes.Filter(node, name, list(more), [], None, None, lineno=lineno)


def _filters(budget: Budget) -> dict[str, Callable[..., Any]]:
    ours: dict[str, Callable[..., Any]] = {
        "format": lambda pattern, *values: budget.formatted(pattern, values),
        "join": lambda values, separator="": budget.joined(values, separator),
        "replace": lambda text, old, new: budget.joined(text.split(old), new),
        "round": _rounded,
        "string": budget.text,
        "sum": lambda values: sum(float(value) for value in values),
    }
    kept = {name: FILTERS[name] for name in _KEPT_FILTERS}
    public = {
        name: budget.charged(name, what) for name, what in {**kept, **ours}.items()
    }
    return public | {
        ".data": _late(budget.data),
        ".joined": _late(budget.joined),
        ".printed": _late(budget.printed),
        ".rendered": _late(Rendered),
        ".rounds": _late(budget.rounds),
        ".weighed": _late(budget.weighed),
    }


def _late(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that Jinja2 never computes ahead, while it compiles."""

    @pass_context
    def filtered(_context: Context, *args: object) -> object:
        return function(*args)

    return filtered


def _rounded(value: float, decimals: int = 0) -> float:
    if not 0 <= decimals <= DECIMALS:
        raise TooMuchError(f"round takes 0 to {DECIMALS} decimals")
    return round(float(value), decimals)
