"""How the worker connects: its HTTP session, and words for connections that fail."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from labkit.traffic.protocol import Order

# Below what servers allow (gunicorn 2 s, Node 5 s, waitress 120 s), so that a connection is not
# reused in the moment in which the server closes it.
_KEEPALIVE_SECONDS = 1.5

# In this order: the later kinds are bases of earlier ones.
_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.ClientConnectorDNSError,), "name not found"),
    ((ssl.SSLError, ssl.CertificateError, aiohttp.ClientSSLError), "TLS failed"),
    ((aiohttp.ClientConnectorError,), "connection failed"),
    ((aiohttp.ClientPayloadError, aiohttp.ClientResponseError), "broken answer"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError), "disconnected"),
)


class FixedResolver(AbstractResolver):
    """Answers every name with addresses that were checked beforehand."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses of the wanted family."""
        results = [self._result(host, address, port) for address in self._addresses]
        return [result for result in results if family in (socket.AF_UNSPEC, result["family"])]

    async def close(self) -> None:
        """Nothing is held open."""

    @staticmethod
    def _result(host: str, address: str, port: int) -> ResolveResult:
        return ResolveResult(
            hostname=host,
            host=address,
            port=port,
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )


def open_session(order: Order) -> aiohttp.ClientSession:
    """Return a session whose pool never queues and which sends each request once at most."""
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        resolver=FixedResolver(order.addresses) if order.addresses else None,
        ssl=_tls(order.verify) if order.url.startswith("https:") else True,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        # Without the ceiling, a timeout above 5 s would be rounded up to a whole second.
        timeout=aiohttp.ClientTimeout(total=order.timeout_seconds, ceil_threshold=float("inf")),
        headers={"User-Agent": "labkit-traffic", "Accept-Encoding": "identity", **order.headers},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
    # aiohttp sends a GET again when a kept connection breaks. The app may have counted the first
    # one, and then its counters and ours would differ. Its own test client does the same.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    return session


def reason(error: Exception) -> str:
    """Return in a few words why a request got no answer."""
    if _is_refusal(getattr(error, "os_error", error)):
        return "connection refused"
    words = (words for kinds, words in _REASONS if isinstance(error, kinds))
    return next(words, type(error).__name__)


def _is_refusal(error: object) -> bool:
    # Where a name has several addresses, asyncio joins what each of them said into one error.
    return isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error)


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return verify
