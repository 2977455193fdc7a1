"""Asking a Prometheus from a terminal: its client, moments, and errors in a terminal's words."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from labkit.cli.options import usage_errors
from labkit.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.client import Client

_NAMES = """`labkit query 'count by (__name__) ({__name__=~"flask_.*"})'`"""


@contextmanager
def asking(prometheus_url: str | None) -> Iterator[Client]:
    """Give a client for the Prometheus of a URL, or of the lab that runs.

    Raises:
        QueryError: with a next step that is a command.
    """
    from labkit.attached import headers_from_environment
    from labkit.cli.finding import find_prometheus_url
    from labkit.promql.client import Client

    url = find_prometheus_url(prometheus_url)
    with usage_errors(), Client(url, headers=headers_from_environment()) as client:
        try:
            yield client
        except QueryError as error:
            raise _for_terminals(error) from error


def moment(text: str | None) -> float | datetime | None:
    """Return the time that an option names: Unix seconds, or a datetime with a zone.

    Raises:
        ValueError: it names none.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:  # no such time, or none that this machine has
        raise ValueError(
            f"--time must be Unix seconds or a time such as 2026-01-31T12:00, not {text!r}"
        ) from error


def _for_terminals(error: QueryError) -> QueryError:
    """Return the error with a next step that is a command where it names a notebook's call."""
    if "lab." not in error.next_step:
        return error
    next_step = (
        f"change the query at the caret; {_NAMES} lists the names there are."
        if "caret" in error.next_step
        else "`labkit traffic -t` tries the connection, `labkit up` starts a Prometheus here, "
        "`labkit logs prometheus` shows its log."
    )
    return QueryError(error.message, evidence=error.evidence, next_step=next_step)
