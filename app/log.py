"""The request log: one JSON line for each request, for those who attach a handler."""

from __future__ import annotations

import json
import logging
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from app.metrics import ERROR_KEY, UNMATCHED, rule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LARGEST_BYTES = 2_000_000
UNLOGGED = frozenset({"/metrics"})  # a scrape a second would bury the requests


class _File(RotatingFileHandler):
    """A file of bounded size; what cannot be written is counted, not printed into a cell."""

    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's name
        self.lost += 1
        stream, self.stream = self.stream, None  # the next line opens the file anew
        if stream is not None:
            with suppress(OSError):  # it writes once more what the disk had no room for
                stream.close()

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            self.lost += 1


class RequestLog:
    """One JSON line a request: time, request_id, method, route, status, duration, error_type.

    The logger belongs to this app alone: it is not in logging's tree, so nothing reaches the
    root logger, and two apps in a process do not share a log. Without a handler a request
    costs one look at an empty list.
    """

    def __init__(self) -> None:
        self.logger = logging.Logger("app.requests", logging.INFO)

    def to_file(self, path: Path) -> None:
        """Write to a file that is rotated at 2 MB, with one older file kept."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.attach(_File(path, maxBytes=LARGEST_BYTES, backupCount=1, encoding="utf-8"))

    def attach(self, handler: logging.Handler) -> None:
        """Send the lines to a handler, which this log closes."""
        self.logger.addHandler(handler)

    def close(self) -> None:
        """Close the handlers; later requests are not logged. Idempotent."""
        for handler in self.logger.handlers[:]:
            self.logger.removeHandler(handler)
            handler.close()

    def track(self, application: WSGIApplication) -> WSGIApplication:
        """Return the application with its requests logged while a handler is attached.

        A logged request has an id, which its answer carries in ``X-Request-Id``.
        """

        def tracked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if not self.logger.handlers or environ.get("PATH_INFO") in UNLOGGED:
                return application(environ, start_response)
            return self._logged(application, environ, start_response)

        return tracked

    def _logged(
        self, application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        request_id = secrets.token_hex(8)
        route, status = UNMATCHED, 500  # should the application raise

        def started(
            line: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
        ) -> Callable[[bytes], object]:
            nonlocal route, status
            route, status = rule_of(environ), int(line[:3])
            return start_response(line, [*headers, ("X-Request-Id", request_id)], exc_info)

        start = time.perf_counter()
        try:
            return application(environ, started)
        finally:
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "request_id": request_id,
                "method": environ["REQUEST_METHOD"],
                "route": route,
                "status": status,
                "duration_seconds": round(time.perf_counter() - start, 6),
                "error_type": environ.get(ERROR_KEY),
            }
            self.logger.info(json.dumps(line))
