"""What comes of a call to an address that others wrote."""

from __future__ import annotations

from msgspec import Struct


class CallResponse(Struct, frozen=True):
    """What came back: the status, headers with names in lower case, and the body; None when it was compressed or
    longer than asked for."""

    status: int
    headers: dict[str, str]
    body: bytes | None


class UnansweredError(Exception):
    """No answer came. `was_sent` is False when the connection was never made, so that nothing can have arrived."""

    def __init__(self, message: str, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent
