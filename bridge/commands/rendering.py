"""From a template to a text, or to the place where it went wrong."""

import re
from collections.abc import Iterator, Mapping
from traceback import walk_tb

from jinja2.exceptions import TemplateError, TemplateNotFound, TemplateSyntaxError

from bridge.commands.budget import Budget
from bridge.commands.sandbox import Sandbox
from bridge.errors import RejectedError

_LONGEST = 65_536

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


def rendered(
    name: str, sources: Mapping[str, str], variables: Mapping[str, object]
) -> str:
    """Return what a template prints.

    Args:
        name: the template's.
        sources: all templates by name.
        variables: what it may read.

    Raises:
        RejectedError: ``script_error``, with the template and the line.

    """

    def find(wanted: str) -> str | None:
        source = sources.get(wanted)
        if source is not None and len(source) > _LONGEST:
            raise ValueError(f"is longer than {_LONGEST} characters")
        return source

    try:
        return Sandbox(find, Budget()).get_template(name).render(variables)
    except _WRONG as error:
        place = _place(name, sources, error)
        raise RejectedError.invalid(
            f"{place}: {_reason(error)}", error="script_error"
        ) from None


def _place(name: str, sources: Mapping[str, str], error: Exception) -> str:
    template, line = name, 0
    if isinstance(error, TemplateSyntaxError):
        template, line = error.name or name, error.lineno
    else:
        for where, at in _frames(error):
            if where in sources:
                template, line = where, at
    return f"script {template}, line {line}" if line else f"script {template}"


def _frames(error: Exception) -> Iterator[tuple[str, int]]:
    for frame, line in walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line


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
