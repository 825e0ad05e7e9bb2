"""How many connections are open, in all and by address: for servers that anybody can reach."""

from __future__ import annotations

from collections import Counter


class ConnectionCounts:
    """Counts open connections. Not for several threads at once."""

    def __init__(self, most: int, most_of_address: int) -> None:
        """0 for `most_of_address` counts no addresses, as behind a proxy, where all connections have the proxy's."""
        self._most = most
        self._most_of_address = most_of_address
        self._by_address: Counter[str] = Counter()
        self.total = 0

    def add(self, address: str) -> None:
        self.total += 1
        self._by_address[address] += 1

    def remove(self, address: str) -> None:
        """Raises KeyError when the address has no connection."""
        left = self._by_address[address] - 1
        if left < 0:
            raise KeyError(address)
        self.total -= 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be in all."""
        return self.total >= self._most

    def has_enough(self, address: str) -> bool:
        """Whether an address has as many as it may have."""
        return 0 < self._most_of_address <= self._by_address[address]

    def busiest(self) -> str:
        """The address with most connections; empty when there are none."""
        return max(self._by_address, key=self._by_address.__getitem__, default="")
