"""Grafana, where one runs on the lab's Prometheus: whether it answers, and its datasource does."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from labkit.checks.fetching import fetch
from labkit.checks.report import FAILED, OK, Finding
from labkit.errors import TargetRefused
from labkit.grafana import DATASOURCE_UID

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("Grafana",)


def grafana(url: str) -> Iterator[Finding]:
    """Look at a Grafana, and have it ask its Prometheus.

    Args:
        url: its address.
    """
    try:
        answer = fetch(f"{url}/api/datasources/uid/{DATASOURCE_UID}/health")
    except TargetRefused as error:
        yield Finding.of("Grafana", error)
        return
    words = _message(answer.text)
    if answer.status == HTTPStatus.OK:
        yield Finding("Grafana", OK, f"{url}, and its datasource answers: {words}")
        return
    yield Finding(
        "Grafana",
        FAILED,
        f"the datasource of {url} does not answer (status {answer.status}): {words}",
        "end it and run `labkit grafana DIR --start` again, which writes the address anew.",
    )


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return "it says nothing more"
