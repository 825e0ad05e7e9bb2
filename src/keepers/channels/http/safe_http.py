"""HTTP calls to addresses given by others: guarded against SSRF, with one deadline, no redirects, short answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ssl import SSLContext, create_default_context

import certifi
import httpcore
import httpx

from keepers.channels.http.answers import CallResponse, UnansweredError
from keepers.channels.http.ssrf import Guard, RefusedError
from keepers.model.errors import problem


class Caller:
    """Makes calls over pooled connections, to addresses that the guard allows."""

    def __init__(
        self, guard: Guard, timeout_s: float, connections: int = 100, context: SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context or create_default_context(cafile=certifi.where()),
            max_connections=connections,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=_GuardedBackend(guard),
        )

    async def call(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, most_bytes: int
    ) -> CallResponse:
        """One call; `most_bytes` bounds what is read of the answer's body.

        Raises RefusedError for what may not be called and UnansweredError when no answer came in time.
        """
        self._guard.check_url(url)
        target = httpx.URL(url)
        sent = {"user-agent": "Keepers", "accept": "*/*", "accept-encoding": "identity", **headers}
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._pool.stream(
                    method,
                    httpcore.URL(
                        scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
                    ),
                    headers=[(name.encode("ascii"), value.encode("utf-8")) for name, value in sent.items()],
                    content=content,
                    extensions={"timeout": timeouts},
                ) as answer,
            ):
                found = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in answer.headers}
                body = None if found.get("content-encoding", "identity").lower() != "identity" else bytearray()
                if body is not None:
                    async for part in answer.aiter_stream():
                        body += part
                        if len(body) > most_bytes:
                            body = None
                            break
                return CallResponse(answer.status, found, None if body is None else bytes(body))
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            raise UnansweredError(f"No connection: {error}" if str(error) else "No connection.", False) from None
        except (TimeoutError, httpcore.TimeoutException):
            raise UnansweredError(f"No answer within {self._timeout_s:g} seconds.", True) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
            raise UnansweredError(f"The connection broke: {error}", True) from None

    async def close(self) -> None:
        """Closes what is still connected."""
        await self._pool.aclose()


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name once and connects to its allowed addresses, one after the other."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._guard.addresses(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{host} could not be resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} could not be resolved ({error})") from None
        for address in addresses[:-1]:
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._plain.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise RefusedError(problem("Unix sockets are not called."))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
