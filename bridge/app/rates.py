"""How much may come in: a token bucket for each topic; pure."""


class Rates:
    """Lets so many messages a second through on each topic, and bursts of twice that.

    Times are seconds on a clock that does not go back.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(1.0, 2 * rate)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, topic: str, now: float) -> bool:
        """Return whether one more message on this topic is let through now.

        Only topics that exist may be asked about, so that the memory stays bounded.
        """
        left, since = self._buckets.get(topic, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        admitted = left >= 1
        self._buckets[topic] = (left - 1 if admitted else left, now)
        return admitted
