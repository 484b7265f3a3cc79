"""What all published documents have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

from bridge.field_docs import DocumentedModel
from bridge.timestamps import timestamp

Time = Annotated[float, PlainSerializer(timestamp, return_type=str)]
"""A moment in Unix time, published in ISO 8601."""


class Document(DocumentedModel, BaseModel):
    """A published document."""

    model_config = ConfigDict(frozen=True)
