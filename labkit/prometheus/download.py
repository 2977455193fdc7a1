"""One file over HTTP: bounded in time, resumed where it stopped, checked against its hash."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from labkit.errors import PrometheusMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labkit.prometheus.candidate import Progress

_CHUNK = 1 << 16
_TELL_SECONDS = 0.1
USER_AGENT = "observability-lab"


@dataclass(frozen=True)
class Limits:
    """How long a download may keep someone waiting.

    Attributes:
        answer_seconds: until the headers are there, the look-up of the name, the connection and
            redirects included: what is spent where there is no network.
        stall_seconds: how long nothing, or almost nothing, may arrive.
        least_bytes_per_second: what counts as almost nothing, on average over ``stall_seconds``.
        most_bytes: no archive of a release is as large.
        attempts: how often to connect, if each connection breaks after it has sent something.
    """

    answer_seconds: float = 10.0
    stall_seconds: float = 20.0
    least_bytes_per_second: float = 4096.0
    most_bytes: int = 1_000_000_000
    attempts: int = 4


LIMITS = Limits()


class BrokenOffError(Exception):
    """The connection ended, or went quiet, before the file was complete."""


@dataclass
class Download:
    """A file to fetch.

    Args:
        url: where it is, http or https. Proxies are taken from the environment.
        target: where to put it. What an earlier attempt left there is continued.
        sha256: the hash it must have.
        title: what to call it in progress and errors.
        limits: how long it may take.
        progress: told how far it is, in bytes, a few times a second.
    """

    url: str
    target: Path
    sha256: str
    title: str
    limits: Limits = LIMITS
    progress: Progress | None = None

    def run(self) -> None:
        """Fetch it, and leave it at ``target`` with the right hash.

        Raises:
            PrometheusMissing: when it cannot be had; what arrived stays for the next attempt.
            OSError: when it cannot be written; what arrived is removed to make room again.
        """
        resumed = self._received() > 0
        if resumed and self._digest() == self.sha256:
            return
        self._fetch()
        if resumed and self._digest() != self.sha256:
            self.target.unlink()  # what was left from before was of another file: from nothing
            self._fetch()
        if (digest := self._digest()) != self.sha256:
            self.target.unlink()
            raise self._wrong_hash(digest)

    def _fetch(self) -> None:
        for attempt in range(1, self.limits.attempts + 1):
            before = self._received()
            try:
                return self._continue()
            except BrokenOffError as error:
                received = self._received()
                if attempt == self.limits.attempts or received <= before:
                    raise self._failure(f"{error} (after {received:,} bytes)") from None
        return None

    def _continue(self) -> None:
        """Make one request for what is missing."""
        start = self._received()
        if self.progress:
            self.progress(f"Asking {urlsplit(self.url).hostname} for {self.title}", 0, None)
        try:
            response = _within(self.limits.answer_seconds, lambda: self._open(start))
        except urllib.error.HTTPError as error:
            self._refused(error, start)
            return
        except TimeoutError:
            seconds = f"{self.limits.answer_seconds:g} s"
            raise self._failure(f"there was no answer within {seconds}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failure(_words(error)) from None
        with response:
            # A server that does not do ranges sends everything again.
            self._receive(
                response, start if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            )

    def _open(self, start: int) -> http.client.HTTPResponse:
        return _open(
            self.url, self.limits.stall_seconds, {"Range": f"bytes={start}-"} if start else {}
        )

    def _refused(self, error: urllib.error.HTTPError, start: int) -> None:
        with error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
                raise self._failure(f"the server answered {error.code} {error.reason}") from None
        # All of it, or more, is there already: the hash decides.

    def _receive(self, response: http.client.HTTPResponse, start: int) -> None:
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        try:
            with self.target.open("r+b" if start else "wb") as file:
                file.seek(start)
                done = self._copy(response, file.write, start, total)
        except (OSError, PrometheusMissing):
            self.target.unlink(missing_ok=True)
            raise
        if total is not None and done < total:
            raise BrokenOffError(f"the connection ended before all {total:,} bytes were there")

    def _copy(
        self,
        response: http.client.HTTPResponse,
        write: Callable[[bytes], object],
        start: int,
        total: int | None,
    ) -> int:
        done, pace, told = start, _Pace(self.limits), 0.0
        while chunk := _read(response):
            write(chunk)
            done += len(chunk)
            if done > self.limits.most_bytes:
                raise self._failure(f"it is larger than {self.limits.most_bytes:,} bytes")
            if self.progress and time.monotonic() > told + _TELL_SECONDS:
                self.progress(self.title, done, total)
                told = time.monotonic()
            pace.add(len(chunk))
        return done

    def _received(self) -> int:
        return self.target.stat().st_size if self.target.exists() else 0

    def _digest(self) -> str:
        with self.target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _failure(self, reason: str) -> PrometheusMissing:
        return PrometheusMissing(
            f"{self.title} could not be downloaded: {reason}.",
            evidence=f"from {self.url}",
            next_step="check the network and the proxy (HTTPS_PROXY), or name a mirror in"
            " LABKIT_RELEASES_URL.",
        )

    def _wrong_hash(self, digest: str) -> PrometheusMissing:
        return PrometheusMissing(
            f"{self.title} has the wrong hash and was thrown away.",
            evidence=f"from {self.url}\nexpected {self.sha256}\nreceived {digest}",
            next_step="try another network or mirror: something on the way changes files.",
        )


class _Pace:
    """Notices a server that sends so little that nobody would wait for it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since = time.monotonic()
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count what arrived; at the end of each window, see whether it was enough."""
        self._bytes += count
        seconds = time.monotonic() - self._since
        if seconds < self._limits.stall_seconds:
            return
        rate = self._bytes / seconds
        if rate < self._limits.least_bytes_per_second:
            raise BrokenOffError(f"only {rate:,.0f} bytes a second arrived")
        self._since, self._bytes = time.monotonic(), 0


def read_text(url: str, *, seconds: float, most_bytes: int = 1 << 20) -> str | None:
    """Return a small text from a server, or None where it does not give it in time."""

    def get() -> bytes:
        with _open(url, seconds, {}) as response:
            return response.read(most_bytes)

    try:
        return _within(seconds, get).decode("utf-8")
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _open(url: str, seconds: float, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Send a request, through the environment's proxies; ``seconds`` bounds each wait."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"{url} is neither http nor https")
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_trust()))
    headers = {"User-Agent": USER_AGENT, **headers}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    response: http.client.HTTPResponse = opener.open(request, timeout=seconds)
    return response


def _trust() -> Any:
    """The system's certificates, and certifi's: Python on macOS may come without any."""
    import ssl

    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return what has arrived, at least a byte unless the server has closed the connection."""
    try:
        return response.read1(_CHUNK)
    except TimeoutError:
        raise BrokenOffError("nothing more arrived") from None
    except (OSError, http.client.HTTPException) as error:
        raise BrokenOffError(f"the connection broke, {_words(error)}") from None


def _words(error: BaseException) -> str:
    """What went wrong, without the wrapping of urllib."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


_T = TypeVar("_T")


def _within(seconds: float, call: Callable[[], _T]) -> _T:
    """Call in a thread and wait no longer than this.

    No time limit of Python's reaches into the look-up of a name, which can hang for a minute. A
    call that is late is left to end by itself, and what it then returns is closed.

    Raises:
        TimeoutError: when it takes longer; otherwise whatever the call raises.
    """
    future: Future[_T] = Future()
    threading.Thread(
        target=_deliver, args=(future, call), name="prometheus-download", daemon=True
    ).start()
    try:
        return future.result(seconds)
    except BaseException:  # also an interrupt: nobody takes the result any more
        if not future.cancel() and future.exception() is None:
            _close(future.result())
        raise


def _deliver(future: Future[_T], call: Callable[[], _T]) -> None:
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
        _offer(future.set_exception, error)
    else:
        _offer(future.set_result, result)


def _offer(put: Callable[[Any], None], value: object) -> None:
    try:
        put(value)
    except InvalidStateError:  # too late
        _close(value)


def _close(value: object) -> None:
    if close := getattr(value, "close", None):
        close()
