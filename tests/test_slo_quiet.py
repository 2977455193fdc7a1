"""Objectives of a service with hardly any traffic: one failure there is a high ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.slo import SLO, burning
from tests.promql_data import KEEP, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

HOUR = 3600
END = 1_769_817_600  # 2026-01-31 00:00 UTC
START = END - 48 * HOUR
AVAILABILITY = SLO.availability()
LONE, OUTAGE = 12, (30, 32)  # hours from the start: one failure; two hours of nothing else
TIMES = np.arange(START + 17, END, 60)
SINCE = (TIMES - START) / HOUR
TOTAL = (np.arange(len(TIMES)) % 6 == 0).astype(int)  # ten an hour
BAD = np.where((OUTAGE[0] < SINCE) & (OUTAGE[1] >= SINCE), TOTAL, 0)
BAD[np.flatnonzero(TOTAL * (SINCE > LONE))[0]] = 1


def hours(moment: object) -> float:
    """Return how many hours from the start a moment is."""
    return (pd.Timestamp(moment).timestamp() - START) / HOUR  # type: ignore[arg-type] # of a frame


@pytest.fixture(scope="module")
def client(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("quiet")
    lines = ["# TYPE flask_requests counter"]
    for status, counts in (("200", TOTAL - BAD), ("503", BAD)):
        name = f'flask_requests_total{{endpoint="/",status="{status}"}}'
        pairs = zip(np.cumsum(counts).tolist(), TIMES.tolist(), strict=True)
        lines += [f"{name} {count} {time}" for count, time in pairs]
    data = blocks(prometheus_binary, folder, "\n".join([*lines, "# EOF", ""]))
    server = PrometheusServer(
        prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
    )
    with server, Client(server.url, scrape_interval=60, at=END) as client:
        yield client


def test_one_failure_pages_nobody_and_an_outage_does(client: Client) -> None:
    found = AVAILABILITY.alerts(client, start=START)
    pages = found[found["severity"] == "page"]
    begun = [hours(start) for start in pages["start"]]
    assert begun
    assert OUTAGE[0] + 0.4 < begun[0] < OUTAGE[0] + 0.7, "the fifth failure"
    assert begun[-1] < OUTAGE[1] + 1


def test_any_failure_pages_where_none_is_too_few(client: Client) -> None:
    found = AVAILABILITY.alerts(client, start=START, least_failed=0)
    first = found[found["severity"] == "page"].iloc[0]
    assert LONE < hours(first["start"]) < LONE + 0.2
    assert first["peak_burn"] == pytest.approx(20, rel=0.1), "one in ten, of 0.5 % allowed"
    with pytest.raises(ValueError, match="least_failed is -1"):
        AVAILABILITY.alerts(client, start=START, least_failed=-1)


@pytest.mark.parametrize("least_failed", [0, 5, 1000])
def test_arrays_say_the_same(client: Client, least_failed: int) -> None:
    alerts = AVAILABILITY.alerting(least_failed=least_failed)
    allowed = AVAILABILITY.allowed
    truth = burning.simulate(TIMES, TOTAL - BAD, TOTAL, alerts, allowed)
    found = AVAILABILITY.alerts(client, start=START, least_failed=least_failed)
    assert bool(truth) == (least_failed < 1000)
    for severity, steps in (("page", 60), ("ticket", 300)):
        expected = [one for one in truth if one.severity == severity]
        got = found[found["severity"] == severity]
        assert len(got) > 0 or not expected
        if expected:
            first = min(one.start for one in expected)
            assert abs(got["start"].min().timestamp() - first) <= 2 * steps + 60


def test_failures_can_be_asked_for(client: Client) -> None:
    count = client.query(AVAILABILITY.failed("48h"))["value"].item()
    assert count == pytest.approx(BAD.sum(), abs=0.5)
    assert AVAILABILITY.failed() == AVAILABILITY.failed("30d")
