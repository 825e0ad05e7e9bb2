"""Clients that send orders without a pause, and know what was acknowledged."""

from __future__ import annotations

import random
import time
from threading import Event, Thread
from typing import Any

import httpx

CLIENTS = 4


class Client(Thread):
    """Sends orders one by one and in batches; repeats what was not acknowledged, now and then gives up."""

    def __init__(self, number: int, address: str, token: str, over: Event) -> None:
        super().__init__(daemon=True)
        self._number = number
        self._chance = random.Random(number)
        self._http = httpx.Client(
            base_url=address, auth=(token, ""), timeout=5, trust_env=False, follow_redirects=False
        )
        self._over = over
        self.acknowledged: set[int] = set()
        self.abandoned: set[int] = set()
        self.repeats = 0
        self._next = number

    def run(self) -> None:
        while not self._over.is_set():
            numbers = [self._next_number() for _ in range(self._chance.choice([1, 1, 1, 20]))]
            gives_up = self._chance.random() < 0.1
            while not self._is_acknowledged(numbers):
                self.repeats += 1
                if gives_up:
                    self.abandoned |= set(numbers)
                    break
                time.sleep(0.02)
            else:
                self.acknowledged |= set(numbers)

    def _next_number(self) -> int:
        taken, self._next = self._next, self._next + CLIENTS
        return taken

    def _is_acknowledged(self, numbers: list[int]) -> bool:
        calls = [_call(n) for n in numbers]
        try:
            if len(calls) == 1:
                answer = self._http.post("/v1/track", json=calls[0])
            else:
                answer = self._http.post("/v1/batch", json={"batch": calls})
        except httpx.HTTPError:
            return False
        assert answer.status_code == 200, answer.text
        return True


def _call(n: int) -> dict[str, Any]:
    properties = {"n": n, "products": [{"sku": f"a{n}"}, {"sku": f"b{n}"}]}
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m{n}",
        "userId": f"u{n % 50}",
        "properties": properties,
    }
