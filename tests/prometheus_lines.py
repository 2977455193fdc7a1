"""The Prometheus binaries that tests run on, both lines of them where CI asks for it.

``LABKIT_TEST_PROMETHEUS`` names them, separated by spaces or commas: a path, or ``debian:SUITE``
for the package of that suite, which is fetched into the lab's cache once. Without it, tests run on
the one Prometheus that the lab would use.
"""

from __future__ import annotations

import os
import re
from functools import cache as remembered
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkit.errors import LabError
from labkit.prometheus import cache, debian
from labkit.prometheus.binary import find_prometheus
from labkit.prometheus.candidate import Binary, UnusableError, examine

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "LABKIT_TEST_PROMETHEUS"


@remembered
def binaries() -> list[Binary]:
    """Return the binaries to test on, fetched where necessary."""
    specs = re.split(r"[\s,]+", os.environ.get(VARIABLE, "").strip())
    return [_binary(spec) for spec in specs if spec] or [find_prometheus()]


def _binary(spec: str) -> Binary:
    scheme, _, suite = spec.partition(":")
    if scheme == "debian":
        return examine(debian.fetch(cache.path(), suite=suite) / "prometheus", spec)
    return examine(Path(spec), VARIABLE)


def _parameters() -> Iterator[object]:
    """One a binary; if there is none, one that fails the tests that need it, and only those."""
    try:
        for binary in binaries():
            numbers = re.match(r"[\d.]+", binary.version)
            yield pytest.param(binary, id=numbers[0] if numbers else binary.version)
    except (LabError, UnusableError) as error:
        yield pytest.param(error, id="no-prometheus")


@pytest.fixture(scope="session", params=_parameters())
def prometheus_binary(request: pytest.FixtureRequest) -> Binary:
    """Each Prometheus that tests run on."""
    if isinstance(request.param, Exception):
        pytest.fail(str(request.param), pytrace=False)
    return request.param
