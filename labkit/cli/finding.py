"""Which app and which Prometheus a command works with: by option, environment, or what runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.loopback import open_session

if TYPE_CHECKING:
    from labkit.registry import Entry

CONNECT_SECONDS = 3.0
APP_ELSEWHERE = "for an app elsewhere, give its address with --url"
_PROMETHEUS_ELSEWHERE = "for a Prometheus elsewhere, give its address with --prometheus-url"


@dataclass(frozen=True)
class Found:
    """What a command works with.

    Attributes:
        url: the app's address, without a slash at its end.
        prometheus_url: that of its Prometheus; None where it is not known.
        what: what to call it.
    """

    url: str
    prometheus_url: str | None
    what: str


def find_app(url: str | None, prometheus_url: str | None = None) -> Found:
    """Return the app of an address, or of the newest lab or `labkit up` that runs.

    Raises:
        LabError: when no address was given and nothing runs.
    """
    from labkit import registry

    if url is None:
        entry = registry.find_target(APP_ELSEWHERE)
        return Found(entry.url, prometheus_url or entry.prometheus_url or None, _name(entry))
    # An address of a lab on this machine: then its Prometheus is known, too.
    same = find_entry(url)
    known = same.prometheus_url if same else None
    return Found(
        url.rstrip("/"), prometheus_url or known or None, _name(same) if same else "the app"
    )


def find_entry(url: str | None, prometheus_url: str | None = None) -> Entry | None:
    """Return what runs here at an address of the app or else of Prometheus; None where nothing.

    Without an address it is the newest lab or `labkit up` that runs.
    """
    from labkit import registry

    found = [entry for entry in registry.running() if entry.kind in registry.WITH_APP]
    if url or prometheus_url:
        where = (url or prometheus_url or "").rstrip("/")
        found = [e for e in found if where == (e.url if url else e.prometheus_url)]
    return found[0] if found else None


def find_prometheus_url(url: str | None) -> str:
    """Return the address given, or that of the newest lab or `labkit up` that runs.

    Raises:
        LabError: when no address was given and nothing runs.
    """
    from labkit import registry

    return url or registry.find_target(_PROMETHEUS_ELSEWHERE).prometheus_url


def check_reachable(url: str, *, allow_remote: bool) -> None:
    """Try once whether something listens at an address; no request is sent.

    Raises:
        TargetRefused: when the address will not do, leads to another machine, or nothing listens.
    """
    from labkit.traffic.target import find_target, knock

    knock(
        find_target(url, allow_remote=allow_remote),
        seconds=CONNECT_SECONDS,
        next_step="start an app with `labkit up`, or see that the one at this address runs; "
        "`labkit traffic -t` tries the connection.",
    )


def get_text(url: str) -> str:
    """Return what an app answers at an address; redirects are not followed.

    Raises:
        LabError: when it does not answer, or not with status 200.
    """
    import requests

    with open_session(url) as session:
        try:
            answer = session.get(url, timeout=CONNECT_SECONDS, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:
            raise LabError(
                f"{url} did not answer.",
                evidence=_cause(error),
                next_step="see that the app runs; `labkit up` starts one here.",
            ) from error
    if answer.status_code != requests.codes.ok:
        raise LabError(
            f"{url} answered with status {answer.status_code}.",
            evidence=answer.text[:200],
            next_step="give the address of the app itself, as in --url http://127.0.0.1:5000.",
        )
    return answer.text


def _name(entry: Entry) -> str:
    return "labkit up" if entry.kind == "up" else entry.name


def _cause(error: BaseException) -> str:
    """Return the words of the innermost cause, which requests wraps several times."""
    inner = getattr(error, "reason", None) or next(
        (a for a in error.args if isinstance(a, BaseException)), None
    )
    return _cause(inner) if isinstance(inner, BaseException) else str(error)
