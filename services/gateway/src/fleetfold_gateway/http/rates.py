"""How often one address may ask: a bucket that fills with time. Pure."""

from collections import OrderedDict

BURST_S = 2.0
"""The bucket holds what fills it in so long."""
MOST_ADDRESSES = 10_000


class Rates:
    """A bucket for each address that asked lately."""

    def __init__(self, per_s: float) -> None:
        """So many a second in the long run; 0 sets no limit."""
        self._per_s = per_s
        self._full = max(1.0, per_s * BURST_S)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now_s: float) -> bool:
        """Whether an address may ask once more now."""
        if not self._per_s:
            return True
        left, since_s = self._buckets.pop(address, (self._full, now_s))
        left = min(self._full, left + (now_s - since_s) * self._per_s)
        allowed = left >= 1
        self._buckets[address] = (left - allowed, now_s)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed
