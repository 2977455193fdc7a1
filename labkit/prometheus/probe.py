"""Asking a Prometheus on loopback how it is; no proxy is involved."""

from __future__ import annotations

from http import HTTPStatus

ANSWER_SECONDS = 2.0


def is_ready(url: str) -> bool:
    """Whether the Prometheus there says that it is ready."""
    return get(f"{url}/-/ready")[0] == HTTPStatus.OK


def get(url: str) -> tuple[int | None, str]:
    """Return the status, after redirects, and the text of an answer; None where there is none."""
    import http.client
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as response:
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""
    except (OSError, http.client.HTTPException):
        return None, ""
