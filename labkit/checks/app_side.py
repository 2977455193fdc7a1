"""The app as a scrape sees it: does it answer, are its metrics readable, is its clock right."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.checks.fetching import Answer, fetch
from labkit.checks.report import FAILED, OK, SKIPPED, WARNING, Finding
from labkit.errors import TargetRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("App", "Metrics", "App's clock")
CLOSE_SECONDS = 3.0  # a Date header has whole seconds, and a busy machine answers late
APART_SECONDS = 30.0  # beyond that, "the last minute" means different minutes

_TEXT = "text/plain"
_OPENMETRICS = "application/openmetrics-text"
_OK = 200


def app(url: str, *, verify: bool | str = True) -> Iterator[Finding]:
    """Look at the app through ``/metrics``, which does not count itself.

    Args:
        url: its base URL.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
    """
    shown = _without_password(url)
    try:
        answer = fetch(f"{url.rstrip('/')}/metrics", headers={"Accept": _TEXT}, verify=verify)
    except TargetRefused as error:
        yield Finding("App", FAILED, f"{shown} gave no answer: {error.evidence}", _START)
        yield from (Finding(name, SKIPPED, "the app does not answer") for name in NAMES[1:])
        return
    yield Finding("App", OK, f"{shown} answers, in {answer.seconds * 1000:.0f} ms")
    yield _metrics(answer)
    yield clock("App's clock", answer)


_START = (
    "start it: lab.start_app() in the notebook, `labkit up` in a terminal; for an app elsewhere, "
    "see its own log and the address."
)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _metrics(answer: Answer) -> Finding:
    if answer.status != _OK:
        seen = f"/metrics answers with status {answer.status}"
        if to := answer.headers.get("location"):
            seen += f", a redirect to {to}"
        remedy = "give the address of the app itself, the one below which /metrics is."
        return Finding("Metrics", FAILED, seen, remedy)
    if "html" in answer.content_type or answer.text.lstrip().startswith("<"):
        start = " ".join(answer.text.split())[:60]
        kind = answer.content_type or "no content type"
        return Finding(
            "Metrics",
            FAILED,
            f"/metrics answers with a web page, not metrics ({kind}): {start}",
            "another program may have that port, or a log-in page stands before the app.",
        )
    return _exposition(answer)


def _exposition(answer: Answer) -> Finding:
    try:
        names = _families(answer)
    except (ValueError, KeyError, IndexError) as error:
        seen = f"/metrics cannot be read: {_place(answer.text) or error}"
        remedy = "correct that line in the app; `promtool check metrics` reads them too."
        return Finding("Metrics", FAILED, seen, remedy)
    seen = f"{len(names)} metrics"
    if answer.content_type not in (_TEXT, _OPENMETRICS):
        kind = f"of type {answer.content_type}" if answer.content_type else "without a type"
        remedy = f"answer with Content-Type {_TEXT}: without it Prometheus 3 refuses the scrape."
        return Finding("Metrics", WARNING, f"{seen}, but {kind}", remedy)
    if not names:
        return Finding("Metrics", FAILED, "/metrics is empty", "register metrics in the app.")
    if "flask_requests" not in names:  # the parser leaves out _total
        remedy = "nothing, if this is an app of your own: ask for its own metrics' names."
        return Finding("Metrics", WARNING, f"{seen}, none named flask_requests_total", remedy)
    return Finding("Metrics", OK, f"{seen} that can be read")


def _families(answer: Answer) -> set[str]:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics

    read = openmetrics if answer.content_type == _OPENMETRICS else parser
    families = read.text_string_to_metric_families(answer.text)
    return {family.name.removesuffix("_total") for family in families}


def _place(text: str) -> str | None:
    """Return the first line that is no metric, with its number."""
    from prometheus_client.parser import text_string_to_metric_families

    for number, line in enumerate(text.splitlines(), 1):
        try:
            list(text_string_to_metric_families(line + "\n"))
        except (ValueError, KeyError, IndexError):
            return f"line {number}: {line[:100]}"
    return None


def clock(name: str, answer: Answer) -> Finding:
    """Compare the Date of an answer with this machine's clock."""
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except KeyError:
        return Finding(name, SKIPPED, "its answers have no Date")
    except ValueError:
        seen = f"its answers have a Date that is none: {answer.headers['date']}"
        return Finding(name, WARNING, seen, "see what answers there.")
    # Its Date was cut to whole seconds: on average it is half a second behind.
    ahead = theirs + 0.5 - answer.at
    if abs(ahead) <= CLOSE_SECONDS:
        return Finding(name, OK, "agrees with this machine's to the second")
    return Finding(
        name,
        FAILED if abs(ahead) > APART_SECONDS else WARNING,
        f"is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's "
        f"({time.strftime('%H:%M:%S', time.localtime(answer.at))} here)",
        "set both clocks by NTP (`timedatectl set-ntp true`): samples are stored under "
        "Prometheus's time and asked for by yours.",
    )
