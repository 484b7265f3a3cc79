"""Types of settings."""

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
        raise ValueError("must not be empty, begin with '/' or '$', or end with '/'")
    if any(mark in value for mark in "+#\0") or not value.isprintable():
        raise ValueError("must not contain '+', '#' or control characters")
    return value


Topic = Annotated[str, Field(max_length=200), AfterValidator(_topic)]


def _host(value: str) -> str:
    # Logs and messages contain the host, so a password in it would be disclosed.
    if not value or "://" in value or ("@" in value and not value.startswith("/")):
        raise ValueError(
            "must be only a host name or an address; the port, the user name and the "
            "password belong in mqtt.port, mqtt.username and mqtt.password_file"
        )
    return value


Host = Annotated[str, AfterValidator(_host)]


def _line(value: str) -> str:
    if "://" in value and "@" in value:
        raise ValueError("must not contain a user name; no connection supports one")
    return value


Line = Annotated[str, AfterValidator(_line)]


def _anchored(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    try:
        return Path(folder, value.expanduser())
    except RuntimeError as error:
        raise ValueError("begins with the home folder of an unknown user") from error


File = Annotated[Path, AfterValidator(_anchored)]
"""A path; a relative one starts at the folder of the configuration file."""


class Section(DocumentedModel, BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
