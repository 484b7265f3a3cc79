"""One line of G-code, to and from bytes."""

from functools import lru_cache, reduce
from operator import xor

MAX_LINE = 96  # Marlin's default MAX_CMD_SIZE; it cuts longer lines silently


def checksum(payload: bytes) -> int:
    """Return the XOR of all bytes, as RepRap firmwares compute it (0 to 255)."""
    return reduce(xor, payload, 0)


@lru_cache(maxsize=64)
def encode(text: str, number: int | None = None) -> bytes:
    """Return the bytes of a line, numbered and checksummed if it has a number.

    Raises:
        ValueError: The text is empty, not ASCII, has control characters, looks like a
            numbered line itself, or does not fit the firmware's buffer.

    """
    if not text.strip():
        raise ValueError("a line must not be empty: firmwares do not answer it")
    if not text.isascii() or not text.isprintable():
        raise ValueError(
            f"a line must be printable ASCII without line breaks: {text!r}"
        )
    if text.startswith("N") and text[1:2].isdigit():
        raise ValueError(f"a line must not carry a line number of its own: {text!r}")
    payload = text.encode("ascii")
    if number is not None:
        payload = b"N%d %b" % (number, payload)
        payload = b"%b*%d" % (payload, checksum(payload))
    if len(payload) >= MAX_LINE:
        raise ValueError(f"a line must be shorter than {MAX_LINE} bytes: {text!r}")
    return payload + b"\n"


def number(value: float) -> str:
    """Return a number as firmwares read it: fixed point, no exponent, no ``-0``.

    At most six decimals, which is finer than any machine moves.
    """
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
