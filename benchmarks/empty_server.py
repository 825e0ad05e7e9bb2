"""The yardstick of ingest: the same server (uvicorn, uvloop, httptools, Litestar) with a handler that does nothing."""

from __future__ import annotations

import sys

import uvicorn
from litestar import Litestar, post


@post(["/v1/track", "/v1/batch"], status_code=200)
async def empty() -> dict[str, bool]:
    """Answers without a look at the body."""
    return {"success": True}


if __name__ == "__main__":
    uvicorn.run(
        Litestar([empty], openapi_config=None),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
