"""The kinds of values that settings have."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from bridge.field_docs import DocumentedModel

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Minutes = Annotated[float, Field(ge=0, le=10_080, allow_inf_nan=False)]
Millimetres = Annotated[float, Field(allow_inf_nan=False)]
Speed = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]


def _topic(value: str) -> str:
    if not value or value.startswith(("/", "$")) or value.endswith("/"):
        raise ValueError("must not be empty nor begin or end with '/' or '$'")
    if any(mark in value for mark in "+#\0") or not value.isprintable():
        raise ValueError("must not contain '+', '#' or control characters")
    return value


Topic = Annotated[str, Field(max_length=200), AfterValidator(_topic)]


def _host(value: str) -> str:
    # Logs and messages name the host, so a password in it would be everywhere.
    if not value or "://" in value or ("@" in value and not value.startswith("/")):
        raise ValueError(
            "must be a name or an address alone; mqtt.port, mqtt.username and "
            "mqtt.password_file are settings of their own"
        )
    return value


Host = Annotated[str, AfterValidator(_host)]


def _line(value: str) -> str:
    if "://" in value and "@" in value:
        raise ValueError("must not have an account: no link to a printer knows one")
    return value


Line = Annotated[str, AfterValidator(_line)]


def _anchored(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    try:
        return Path(folder, value.expanduser())
    except RuntimeError as error:
        raise ValueError("begins with the home folder of nobody") from error


File = Annotated[Path, AfterValidator(_anchored)]
"""A path; a relative one is taken from the folder of the configuration file."""


class Section(DocumentedModel, BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
