"""HTTP to a Prometheus: whole answers, and each way of failing in its own words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from labkit.errors import QueryError
from labkit.loopback import is_loopback, open_session
from labkit.promql import remedies
from labkit.promql.position import caret

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_GET = 4_000  # characters of parameters; longer ones go into the body of a POST
_CONNECT_SECONDS = 5.0
_OK = 200
_NOT_FOUND = 404
_LAB_NEXT = (
    "see lab.status() and lab.logs('prometheus'), or call labkit.start() again; "
    "for a Prometheus elsewhere, check its address."
)


@dataclass(frozen=True)
class Answer:
    """What a Prometheus said: its data, and the warnings that came with them."""

    data: Any
    warnings: list[str] = field(default_factory=list)


class Connection(PrometheusConnect):  # type: ignore[misc] # the library ships no types
    """PrometheusConnect whose answers keep their result type and warnings, which it drops.

    May be used from several threads at once: between requests it keeps nothing but the pool of
    connections, which is made for that.

    Args:
        url: address of the server, with the path it is served under.
        headers: sent with every request, for example an Authorization.
        verify: check the server's certificate; or the path of the authority to check it with.
        timeout: seconds that one request may take; the server stops working on it then, too.

    Raises:
        ValueError: when the address is not one of http or https.
    """

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None, verify: bool | str, timeout: float
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a server: it starts with http://")
        session = open_session(url)
        session.verify = verify
        if is_loopback(parts.hostname):
            session.headers["Accept-Encoding"] = "identity"  # packing costs more than it saves
        super().__init__(
            url=url.rstrip("/"),
            headers=dict(headers or {}),
            session=session,
            # Its default takes six seconds to report a refused connection. Without read=False a
            # read that times out would come as a connection that failed.
            retry=Retry(total=0, read=False),
            timeout=timeout,
        )
        self.address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._closed = False

    def close(self) -> None:
        """Close the pooled connections; a request after that is refused. Idempotent."""
        self._closed = True
        super().close()

    def ask(
        self, path: str, parameters: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Answer:
        """Return what the server says at ``/api/v1/<path>``.

        Args:
            path: the endpoint, for example ``query``.
            parameters: sent with it; a list repeats the parameter.
            timeout: seconds this request may take; the connection's own by default.

        Raises:
            QueryError: when the server is not reached, refuses, fails, or is no Prometheus.
        """
        if self._closed:
            raise QueryError(
                f"The connection to {self.address} is closed.", next_step="start the lab again."
            )
        seconds = self._timeout if timeout is None else timeout
        sent = dict(parameters or {})
        if path in {"query", "query_range"}:
            sent["timeout"] = f"{max(1, round(seconds * 1000))}ms"
        try:
            response = self._send(path, sent, seconds)
        except requests.RequestException as error:
            raise self._unreached(error, seconds) from error
        return self._read(response, str(sent.get("query", "")))

    def _send(self, path: str, parameters: dict[str, Any], seconds: float) -> requests.Response:
        size = sum(len(str(value)) for value in parameters.values())
        as_form = path in {"query", "query_range", "series", "labels"} and size > _LONGEST_GET
        return self._session.request(  # type: ignore[no-any-return] # the library ships no types
            "POST" if as_form else "GET",
            f"{self.url}/api/v1/{path}",
            headers=self.headers,
            # A little more than the server has, so that its own words about the timeout arrive.
            timeout=(min(seconds, _CONNECT_SECONDS), seconds + min(1.0, seconds)),
            **{"data" if as_form else "params": parameters},
        )

    def _read(self, response: requests.Response, query: str) -> Answer:
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("status") not in {"success", "error"}:
            raise self._no_prometheus(response)
        if body["status"] == "error" or response.status_code != _OK:
            raise self._refused(response.status_code, body, query)
        return Answer(body.get("data"), [*body.get("warnings", ()), *body.get("infos", ())])

    def _unreached(self, error: requests.RequestException, seconds: float) -> QueryError:
        reason = str(_root(error))
        where = f"Prometheus at {self.address}"
        if isinstance(error, requests.Timeout):
            return QueryError(
                f"{where} did not answer within {seconds:g} s.",
                evidence=reason,
                next_step="ask for less (a shorter range, a larger step, fewer series), or look "
                "at lab.logs('prometheus') to see whether it is well.",
            )
        if isinstance(error, requests.exceptions.SSLError):
            return QueryError(
                f"{where} has a certificate that is not trusted here.",
                evidence=reason,
                next_step="give verify='/path/to/authority.pem', or verify=False to go without.",
            )
        return QueryError(f"{where} is not reached.", evidence=reason, next_step=_LAB_NEXT)

    def _no_prometheus(self, response: requests.Response) -> QueryError:
        kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
        status = f"HTTP {response.status_code} {response.reason or ''}".strip()
        evidence = f"{status}, {kind}: {_first_line(response.text)}"
        if response.status_code in _REFUSALS:
            message, next_step = _REFUSALS[response.status_code]
        elif response.status_code >= 500:  # noqa: PLR2004 - where HTTP's server errors begin
            message, next_step = "failed", _LAB_NEXT
        else:
            message, next_step = (
                "does not answer as a Prometheus does",
                "check the address: it is the one under which /graph or /query opens, without "
                "that last part; a login page needs headers={'Authorization': …}.",
            )
        return QueryError(
            f"The server at {self.address} {message}.", evidence=evidence, next_step=next_step
        )

    def _refused(self, status: int, body: dict[str, Any], query: str) -> QueryError:
        kind = str(body.get("errorType", ""))
        words = str(body.get("error", "no reason given")).removeprefix(
            'invalid parameter "query": '
        )
        message, next_step = _KINDS.get(kind, (f"Prometheus failed (HTTP {status}).", _LAB_NEXT))
        if kind in _OF_QUERIES:
            next_step = _OF_QUERIES[kind](query, words)
        return QueryError(message, evidence=caret(query, words), next_step=next_step)


_CREDENTIALS = "give its credentials, as in headers={'Authorization': 'Bearer …'}."
_REFUSALS = {
    401: ("asks who you are", _CREDENTIALS),
    403: ("does not let you ask", _CREDENTIALS),
    _NOT_FOUND: (
        "has no Prometheus API at this address",
        "check the address, and the path that Prometheus is served under (--web.route-prefix).",
    ),
}
_KINDS = {
    "bad_data": ("Prometheus can't read this query.", ""),
    "execution": ("Prometheus read this query but can't work it out.", ""),
    "timeout": (
        "Prometheus gave up on this query: it takes too long.",
        "ask for less: a shorter range, a larger step, fewer series.",
    ),
    "canceled": ("Prometheus was stopped while it worked on this query.", _LAB_NEXT),
    "unavailable": ("Prometheus is not ready yet.", "wait a moment and ask again."),
}
# What to do about these depends on the query.
_OF_QUERIES = {"bad_data": remedies.of_parsing, "execution": remedies.of_execution}


def _root(error: BaseException) -> BaseException:
    """Return the innermost cause that an exception of requests wraps."""
    inner = getattr(error, "reason", None) or next(
        (a for a in error.args if isinstance(a, BaseException)), None
    )
    return _root(inner) if isinstance(inner, BaseException) else error


def _first_line(text: str) -> str:
    line = next((stripped for raw in text.splitlines() if (stripped := raw.strip())), "(empty)")
    return line if len(line) <= 120 else line[:120] + "…"  # noqa: PLR2004 - fits on a line
