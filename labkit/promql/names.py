"""The names a server has, for completion: fetched when asked for, and kept for a moment."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from labkit.errors import QueryError
from labkit.promql.inventory import _meaning as meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.promql.client import Client
    from labkit.promql.syntax.vocabulary import Version

KEPT_SECONDS = 5.0
_REQUEST_SECONDS = 0.5  # someone is typing; a server that is down must not stop them
_BACK_SECONDS = 3600.0
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_Found = TypeVar("_Found")


class NoNames:
    """The names where there is no server."""

    version = None

    def metrics(self) -> Mapping[str, str]:
        """Return no metric."""
        return {}

    def labels(self, metric: str = "") -> Sequence[str]:  # noqa: ARG002 - as of a server
        """Return no label."""
        return []

    def values(self, label: str, metric: str = "") -> Sequence[str]:  # noqa: ARG002 - as of a server
        """Return no value."""
        return []


class ServerNames:
    """Metric names, label names and label values of one server, as of the last few seconds.

    A server that does not answer has no names; one that hangs is left alone for five seconds.

    Args:
        client: the server; closing it stays with whoever made it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[object, tuple[float, Any]] = {}
        self._hanging_until = float("-inf")
        self._lock = threading.Lock()

    @property
    def version(self) -> Version | None:
        """The server's version; None where it does not tell."""
        return self._keep("version", self._fetch_version, None)

    def metrics(self) -> Mapping[str, str]:
        """Return every metric's name with its type; a type that is not known is empty."""
        return self._keep("metrics", self._fetch_metrics, {})

    def labels(self, metric: str = "") -> Sequence[str]:
        """Return the names of the labels that a metric has, or that there are at all."""
        found: list[str] = self._keep(
            ("labels", metric), lambda: self._ask("labels", metric) or [], []
        )
        return [name for name in found if name != "__name__"]

    def values(self, label: str, metric: str = "") -> Sequence[str]:
        """Return the values that a label has, in a metric's series or in any."""
        if not _LABEL.fullmatch(label):
            return []
        return self._keep(
            ("values", label, metric), lambda: self._ask(f"label/{label}/values", metric) or [], []
        )

    def _fetch_version(self) -> Version | None:
        text = str(self._ask("status/buildinfo", None).get("version", ""))
        found = re.match(r"v?(\d+)\.(\d+)", text)
        return (int(found[1]), int(found[2])) if found else None

    def _fetch_metrics(self) -> Mapping[str, str]:
        names = self._ask("label/__name__/values", "") or []
        metadata = self._ask("metadata", None) or {}
        types = {name: meaning(name, metadata)[0] for name in names}
        return {name: "" if kind == "unknown" else kind for name, kind in types.items()}

    def _ask(self, path: str, metric: str | None) -> Any:
        """Return what the server says, of one metric; of the last hour, where now is now."""
        parameters: dict[str, Any] = {}
        if metric is not None and self._client.at is None:
            now = self._client.now()
            parameters = {"start": f"{now - _BACK_SECONDS:.3f}", "end": f"{now:.3f}"}
        if metric:
            from labkit.promql.frames import series_text

            parameters["match[]"] = series_text({"__name__": metric})
        # Client.get would wait ten seconds for a server that hangs.
        return self._client._connection.ask(path, parameters, _REQUEST_SECONDS).data  # noqa: SLF001

    def _keep(self, key: object, fetch: Callable[[], _Found], nothing: _Found) -> _Found:
        """Return what was fetched a moment ago, or fetch it."""
        with self._lock:
            begun = time.monotonic()
            until, found = self._kept.get(key, (float("-inf"), nothing))
            if begun >= max(until, self._hanging_until):
                try:
                    found = fetch()
                except QueryError:  # what was known before is better than nothing
                    if time.monotonic() - begun >= _REQUEST_SECONDS:
                        self._hanging_until = time.monotonic() + KEPT_SECONDS
                self._kept[key] = (time.monotonic() + KEPT_SECONDS, found)
            return found  # type: ignore[no-any-return] # what fetch returned
