"""The documents that are published about temperatures."""

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from bridge.printer.published.base import Document, Time


class Heater(Document):
    """A heater's temperatures in °C."""

    actual: float | None
    """Measured."""
    target: float | None
    """Requested of the printer; 0 is off."""
    offset: float = 0.0
    """What the bridge adds to a target that it sets."""


class TimedHeater(Heater):
    """What `temperature/<heater>` holds."""

    time: Time
    """When this was measured."""


class Temperatures(Document):
    """What `temperature` holds: one entry for each heater, and the time."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Heater] = Field(init=False)

    sensors: dict[str, float | None] = Field(default_factory=dict)
    """Temperatures that nothing heats, in °C; absent where there are none."""
    time: int
    """When this was measured, in Unix time."""

    @model_serializer(mode="wrap")
    def _heaters_first(
        self, wrapped: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        fields: dict[str, object] = wrapped(self)
        last = {"time": fields.pop("time")}
        sensors = fields.pop("sensors")
        return fields | ({"sensors": sensors} if sensors else {}) | last
