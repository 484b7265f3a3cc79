"""A subscription to many topics: several packets, and one answer to all; pure."""

from collections.abc import Sequence
from typing import TypeVar

MOST = 8
"""Filters in one packet; over more, AWS IoT Core closes the connection."""

Item = TypeVar("Item")


def portions(filters: Sequence[Item]) -> list[Sequence[Item]]:
    """Return what goes into each packet."""
    return [filters[begin : begin + MOST] for begin in range(0, len(filters), MOST)]


class Subscriptions:
    """What the broker has still to answer, and what it has answered in part."""

    def __init__(self) -> None:
        self._open: list[dict[int, Sequence[int]]] = []

    def asked(self, numbers: Sequence[int | None]) -> int | None:
        """Take note of the packets of one subscription; return its number.

        ``None``: one of them could not be sent.
        """
        sent = [number for number in numbers if number is not None]
        if len(sent) < len(numbers):
            return None
        self._open.append(dict.fromkeys(sent, ()))
        return sent[-1]

    def answered(
        self, number: int, codes: Sequence[int]
    ) -> tuple[int, Sequence[int]] | None:
        """Return number and codes of the subscription that this answer completes."""
        for packets in self._open:
            if number in packets:
                packets[number] = codes
                if not all(packets.values()):
                    return None
                self._open.remove(packets)
                told = [code for part in packets.values() for code in part]
                return [*packets][-1], told
        return None
