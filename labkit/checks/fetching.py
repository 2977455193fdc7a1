"""One GET with a limit on its time and size: an observer's request, which follows nothing."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import TargetRefused
from labkit.loopback import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

SECONDS = 1.5
LARGEST_BYTES = 20_000_000

_OBJECT = re.compile(r"^(<.*?>|\w+\(.*?\)): ")  # urllib3 puts its own object before the words


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes:
        status: the HTTP status.
        headers: its headers, by lower-case name.
        text: the body.
        seconds: from the request to the headers.
        at: this machine's clock halfway through that, in Unix seconds.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float
    at: float

    @property
    def content_type(self) -> str:
        """The media type alone, lower case; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def fetch(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    verify: bool | str = True,
    seconds: float = SECONDS,
) -> Answer:
    """Return what a server answers to a GET.

    Args:
        url: the address.
        headers: sent with the request.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
        seconds: how long it may take to connect, to answer, and to send all of the body.

    Raises:
        TargetRefused: there was no whole answer; the evidence is why.
    """
    import requests

    try:
        with open_session(url) as session:
            started_at, started = time.time(), time.monotonic()
            with session.get(
                url,
                headers=dict(headers or {}),
                verify=verify,
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                took = time.monotonic() - started
                text = _read(response, started + 2 * seconds)
                lower = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, lower, text, took, started_at + took / 2)
    except (requests.RequestException, ValueError, UnicodeError) as error:
        raise TargetRefused(
            f"{url} gave no answer.",
            evidence=_reason(error, seconds),
            next_step="start it, or correct the address.",
        ) from error


def _read(response: requests.Response, deadline: float) -> str:
    body = bytearray()
    for part in response.iter_content(65536):
        body += part
        if len(body) > LARGEST_BYTES:
            raise ValueError(f"it sends more than {LARGEST_BYTES / 1e6:.0f} MB")
        if time.monotonic() > deadline:
            raise ValueError("it began to answer and did not come to an end")
    return body.decode("utf-8", "replace")


def _reason(error: BaseException, seconds: float) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return f"nothing came within {seconds:g} s"
    while inner := getattr(error, "reason", None) or next(
        (cause for cause in error.args if isinstance(cause, BaseException)), None
    ):
        if not isinstance(inner, BaseException):
            break
        error = inner
    return _OBJECT.sub("", str(error))
