"""Models whose fields are described by the text below them.

pydantic can do that itself (``use_attribute_docstrings``), but reads the source of
every model when it is imported: a fifth of the daemon's start. Here it is read when
somebody asks for a JSON schema, and not :func:`without_field_docs`, as the daemon does.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def without_field_docs() -> Iterator[None]:
    """Make JSON schemas without the fields' texts meanwhile: no source is read."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


class DocumentedModel(BaseModel):
    """A model; in its JSON schema each field has its own text."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Return the JSON schema with the texts in it."""
        schema = handler(core_schema)
        if _silent.get():
            return schema
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for kind in reversed(cls.__mro__):
            if not issubclass(kind, BaseModel):
                continue
            for name, text in field_texts(kind).items():
                field = cls.model_fields.get(name)
                key = name if field is None else field.alias or name
                if key in properties:
                    properties[key].setdefault("description", text)
        return schema


@cache
def field_texts(kind: type[BaseModel]) -> Mapping[str, str]:
    """Return the text below each annotation of a class, in one line, by field."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


class PublishedDocument(DocumentedModel):
    """A document that is published."""

    model_config = ConfigDict(frozen=True)
