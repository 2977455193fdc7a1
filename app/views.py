"""The routes of the app: what they answer, and how they fail when the faults say so."""

from __future__ import annotations

import hmac
import html
import time
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request
from prometheus_client.exposition import choose_encoder
from werkzeug.exceptions import HTTPException

from app.metrics import ERROR_KEY

if TYPE_CHECKING:
    from flask import Flask
    from prometheus_client import CollectorRegistry

    from app.faults import Faults

ABOUT = {
    "/": "this list",
    "/health": "200, sometimes 503",
    "/slow": "200 after a while, sometimes 504",
    "/error": "fails on purpose, in one of four ways",
    "/metrics": "what Prometheus scrapes",
    "/faults": "the probabilities and latencies; a PUT with the token changes them",
}
ERRORS = {
    "database_error": (500, "the database did not answer (on purpose)"),
    "validation_error": (400, "the input was refused (on purpose)"),
    "permission_error": (403, "this is not allowed (on purpose)"),
    "timeout_error": (504, "something behind the app took too long (on purpose)"),
}
UNHANDLED = "unhandled_exception"
TOKEN_HEADER = "X-Lab-Token"  # noqa: S105 - a header's name

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The instrumented app</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.6 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem }}
td {{ padding: .2rem 1.5rem .2rem 0 }}
</style>
<h1>The instrumented app</h1>
<p>Each request to these routes shows in <a href="/metrics">/metrics</a>.</p>
<table>{rows}</table>
</html>
"""


class Views:
    """The view functions, with what they need in reach.

    Args:
        faults: what goes wrong, how often and how slowly.
        registry: what /metrics shows.
        token: the secret that a PUT to /faults must carry; None refuses every PUT.
    """

    def __init__(self, faults: Faults, registry: CollectorRegistry, token: str | None) -> None:
        self._faults = faults
        self._registry = registry
        self._token = token

    def register(self, app: Flask) -> None:
        """Add the routes and the answers to errors to an app."""
        app.add_url_rule("/", view_func=self.index)
        app.add_url_rule("/health", view_func=self.health)
        app.add_url_rule("/slow", view_func=self.slow)
        app.add_url_rule("/error", view_func=self.error)
        app.add_url_rule("/metrics", view_func=self.metrics)
        app.add_url_rule("/faults", view_func=self.show_faults)
        app.add_url_rule("/faults", view_func=self.change_faults, methods=["PUT"])
        app.register_error_handler(HTTPException, self.explain)

    def index(self) -> Response:
        """List the routes: JSON, or a page for a browser."""
        if "text/html" in request.headers.get("Accept", ""):
            response = Response(_page(), mimetype="text/html")
        else:
            response = jsonify(status="ok", routes=ABOUT)
        response.vary.add("Accept")
        return response

    def health(self) -> Response:
        """Answer 200, or 503 as often as the faults say."""
        if self._faults.health_fails():
            return _failure("health_check_failed", 503, "the health check failed (on purpose)")
        return jsonify(status="healthy")

    def slow(self) -> Response:
        """Answer after the seconds that the faults say, with 200 or 504."""
        delay = self._faults.slow_delay()
        time.sleep(delay.seconds)
        if delay.timed_out:
            return _failure("timeout", 504, f"timed out after {delay.seconds:g} s (on purpose)")
        return jsonify(status="ok", slept_seconds=round(delay.seconds, 3))

    def error(self) -> Response:
        """Fail in one of four ways; answer 200 if the faults let it."""
        kind = self._faults.error_kind([*ERRORS])
        if kind is None:
            return jsonify(status="ok")
        status, words = ERRORS[kind]
        return _failure(kind, status, words)

    def metrics(self) -> Response:
        """Expose the metrics, as text or OpenMetrics by the Accept header."""
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except TypeError:  # a version that is not made of numbers, which it cannot compare
            encode, content_type = choose_encoder("")
        return Response(encode(self._registry), content_type=content_type)

    def show_faults(self) -> Response:
        """Return the fields of `Faults`."""
        return jsonify(self._faults.to_dict())

    def change_faults(self) -> Response:
        """Change the fields given; ``preset`` first sets them all."""
        refusal = self._refusal()
        if refusal is not None:
            return _answer(403, refusal)
        fields = request.get_json(force=True, silent=True)
        if not isinstance(fields, dict):
            return _answer(400, 'the body must be a JSON object, such as {"preset": "healthy"}')
        try:
            self._apply(fields)
        except ValueError as error:
            return _answer(400, str(error))
        return self.show_faults()

    def _refusal(self) -> str | None:
        if self._token is None:
            return (
                "the faults of this app cannot be changed over HTTP, because it was started "
                "without a token; start it with LABKIT_TOKEN set to a secret, and send that "
                f"secret in the header {TOKEN_HEADER}"
            )
        given = request.headers.get(TOKEN_HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, self._token.encode()):
            return f"the header {TOKEN_HEADER} must carry the token of this run (LABKIT_TOKEN)"
        return None

    def _apply(self, fields: dict[str, Any]) -> None:
        preset = fields.pop("preset", None)
        if preset is None:
            self._faults.update(**fields)
        else:
            self._faults.preset(preset, **fields)

    def explain(self, error: HTTPException) -> Response | HTTPException:
        """Answer errors that no view chose: 404, 405, 413, and 500 for an exception."""
        code = error.code or 500
        if code < 400:  # noqa: PLR2004 - a redirect, which Werkzeug raises
            return error
        if code == 404:  # noqa: PLR2004 - Not Found
            return _answer(404, f"there is no {request.path}; GET / lists the routes")
        if getattr(error, "original_exception", None) is not None:
            return _failure(UNHANDLED, 500, "the app met an exception; its log has the details")
        response = _answer(code, error.description or error.name)
        for header in ("Allow", "Retry-After"):
            value = error.get_response().headers.get(header)
            if value is not None:
                response.headers[header] = value
        return response


def _failure(error_type: str, status: int, words: str) -> Response:
    """Answer with an error that the metrics record."""
    request.environ[ERROR_KEY] = error_type
    return _answer(status, words, error_type)


def _answer(status: int, words: str, error_type: str | None = None) -> Response:
    response = jsonify(status="error", error_type=error_type, error=words)
    response.status_code = status
    return response


def _page() -> str:
    rows = "".join(
        f'<tr><td><a href="{path}"><code>{path}</code></a></td><td>{html.escape(about)}</td></tr>'
        for path, about in ABOUT.items()
    )
    return _PAGE.format(rows=rows)
