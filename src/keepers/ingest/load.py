"""Log rows past the watermark into the warehouse."""

from __future__ import annotations

BATCH = 20_000
