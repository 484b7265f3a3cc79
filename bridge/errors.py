"""Everything that may go wrong and that we expect.

What the caller of a command did wrong, or what the printer's state forbids, is a
:class:`CommandError`; it becomes the one MQTT response of that command. Anything that
is not a :class:`BridgeError` is a bug: it ends what serves its printer, which starts
again after a back-off (``docs/adr/0026-a-printers-trouble-is-its-own.md``).
"""

import json
from typing import ClassVar, Literal


def quoted(text: str) -> str:
    """Return a text in double quotation marks, on one line for a message."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


class BridgeError(Exception):
    """Base of all our errors."""


class ConfigError(BridgeError):
    """The configuration cannot be used; the message names the place. Exit code 2.

    Attributes:
        problems: everything that is wrong, each in one line. The message is the first
            one, and how many there are besides it.

    """

    def __init__(self, *problems: str) -> None:
        more = len(problems) - 1
        super().__init__(f"{problems[0]} (and {more} more)" if more else problems[0])
        self.problems = problems


class LinkError(BridgeError):
    """The serial link cannot be opened or is gone; the printer reconnects."""


class BrokerError(BridgeError):
    """The broker cannot be reached or refuses us, or another bridge is in the way."""


class BridgeInTheWayError(BrokerError):
    """Another bridge serves the topics of this printer; it is tried again."""


class CommandError(BridgeError):
    """A command ends here; the attributes go into its response.

    Attributes:
        status: ``rejected``, ``failed`` or ``expired``, as the interface defines them.
        code: an HTTP status as OctoPrint uses it.
        error: a stable word for programs, such as ``out_of_limits``.
        message: a sentence that a person can act on, naming the field.

    """

    status: ClassVar[Literal["rejected", "failed", "expired"]] = "rejected"

    def __init__(self, message: str, *, error: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.error = error
        self.code = code


class RejectedError(CommandError):
    """Nothing was sent: the payload, the state or a limit forbids it."""

    @classmethod
    def invalid(cls, message: str, error: str = "invalid_payload") -> "RejectedError":
        """Return the error of a payload that is not a valid command (code 400)."""
        return cls(message, error=error, code=400)

    @classmethod
    def forbidden(cls, message: str, error: str = "blocked") -> "RejectedError":
        """Return the error of what the operator does not allow (code 403)."""
        return cls(message, error=error, code=403)

    @classmethod
    def conflict(cls, message: str, error: str) -> "RejectedError":
        """Return the error of what the printer's state does not allow (code 409)."""
        return cls(message, error=error, code=409)


class ExpiredError(CommandError):
    """Nothing was sent: the command was too old."""

    status = "expired"

    def __init__(self, message: str) -> None:
        super().__init__(message, error="expired", code=410)


class FailedError(CommandError):
    """Something was sent, and the printer refused it, kept silent or went away.

    Attributes:
        sent: the line in question was transmitted; it may have been carried out.
        output: what the firmware said to it.

    """

    status = "failed"
    sent: bool = True
    output: tuple[str, ...] = ()

    @classmethod
    def firmware(cls, message: str) -> "FailedError":
        """Return the error of a line that the firmware answered with an error."""
        return cls(message, error="firmware_error", code=500)

    @classmethod
    def timeout(cls, message: str) -> "FailedError":
        """Return the error of a line that was not answered in time."""
        return cls(message, error="timeout", code=408)

    @classmethod
    def disconnected(cls, message: str) -> "FailedError":
        """Return the error of a line that was waiting when the link was lost."""
        return cls(message, error="disconnected", code=503)

    @classmethod
    def stopped(cls, message: str) -> "FailedError":
        """Return the error of what was waiting when the emergency stop came."""
        return cls(message, error="emergency_stopped", code=503)

    @classmethod
    def internal(cls) -> "FailedError":
        """Return the error of a command during which a bug in the bridge occurred."""
        return cls(
            "an unexpected error in the bridge, which its log describes; how far the "
            "command came is not known",
            error="internal_error",
            code=500,
        )
