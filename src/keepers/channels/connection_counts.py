"""How many connections are open, in all and by network: for servers that anybody can reach."""

from __future__ import annotations

from collections import Counter


class ConnectionCounts:
    """Counts open connections. Not for several threads at once."""

    def __init__(self, most: int, most_of_network: int) -> None:
        """0 for `most_of_network` is any number, as behind a proxy, where all connections are the proxy's."""
        self._most = most
        self._most_of_network = most_of_network
        self._by_network: Counter[str] = Counter()
        self.total = 0

    def add(self, network: str) -> None:
        self.total += 1
        self._by_network[network] += 1

    def remove(self, network: str) -> None:
        """Raises KeyError when the network has no connection."""
        left = self._by_network[network] - 1
        if left < 0:
            raise KeyError(network)
        self.total -= 1
        if left:
            self._by_network[network] = left
        else:
            del self._by_network[network]

    def of(self, network: str) -> int:
        return self._by_network[network]

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be in all."""
        return self.total >= self._most

    def has_enough(self, network: str) -> bool:
        """Whether a network has as many as it may have."""
        return 0 < self._most_of_network <= self._by_network[network]
