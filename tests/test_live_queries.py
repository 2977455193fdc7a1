"""Windows of live queries: long enough for the interval of the scrapes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from labkit.cli.up import _figures
from labkit.panels.chart import LiveChart
from labkit.promql.catalog import live, live_seconds


@pytest.mark.parametrize(
    ("interval", "window"), [(0.1, "30s"), (1.0, "30s"), (7.5, "30s"), (15, "1m"), (20.5, "2m")]
)
def test_a_live_query_looks_back_over_half_a_minute_and_four_scrapes(interval, window):
    query = live("a[30s] / b[30s] + c[5m]", live_seconds(interval))
    assert query == f"a[{window}] / b[{window}] + c[5m]"


class Client:
    scrape_interval = 20.0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def query_range(self, promql: str, *, minutes: float) -> pd.DataFrame:
        self.asked.append(promql)
        return pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC"))


def test_the_panels_chart_follows_the_scrapes():
    client: Any = Client()
    LiveChart(client).png()
    assert all("[2m]" in promql and "[30s]" not in promql for promql in client.asked)


class Rarely:
    """A lab whose Prometheus answers to queries over at least four of its scrapes."""

    scrape_interval = 20.0

    def __init__(self) -> None:
        self.client = self
        self.asked: list[str] = []

    def query(self, promql: str) -> pd.DataFrame:
        self.asked.append(promql)
        return pd.DataFrame({"value": [2.5]})


def test_the_status_looks_back_over_at_least_four_scrapes():
    lab: Any = Rarely()
    assert _figures(lab) == "2.5 requests/s, 2 % of them 5xx"
    assert all("[2m]" in promql and "[30s]" not in promql for promql in lab.asked)
