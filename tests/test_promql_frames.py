"""Frames hold exactly what Prometheus said, whatever the labels are called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.promql.connection import Answer
from labkit.promql.frames import instant_frame, range_frame, series_text
from labkit.promql.steps import Window
from tests.promql_data import KEEP, T, blocks, past

if TYPE_CHECKING:
    from labkit.prometheus.binary import Binary

GRID = Window(T * 1000, T * 1000 + 3000, 1000)


def ranged(*series: dict[str, Any]) -> pd.DataFrame:
    return range_frame(Answer({"resultType": "matrix", "result": list(series)}), GRID)


def series(labels: dict[str, str], *values: str) -> dict[str, Any]:
    return {"metric": labels, "values": [[T + i, text] for i, text in enumerate(values)]}


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # the library's own call
def test_a_frame_agrees_with_the_library_s_own(
    prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("frames")
    data = blocks(prometheus_binary, folder, past())
    start, end = (datetime.fromtimestamp(T + s, UTC) for s in (0, 410))
    with (
        PrometheusServer(
            prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
        ) as server,
        Client(server.url) as client,
        PrometheusConnect(server.url, timeout=10) as library,
    ):
        ours = client.query_range("requests_total", start=start, end=end, step=5)
        answer = library.custom_query_range("requests_total", start, end, "5")
    theirs = MetricRangeDataFrame(answer).pivot_table(
        index="timestamp", columns=["endpoint", "status"], values="value"
    )
    theirs = theirs.reindex(ours.index.tz_localize(None))
    assert ours.shape == theirs.shape == (83, 3)
    for column, labels in ours.attrs["labels"].items():
        expected = theirs[labels["endpoint"], labels["status"]].to_numpy()
        np.testing.assert_array_equal(ours[column].to_numpy(), expected)
    assert ours.isna().to_numpy().any()


def test_a_series_that_begins_late_is_filled_in_from_its_own_time():
    late = {"metric": {"a": "late"}, "values": [[T + 2, "2"], [T + 3, "NaN"]]}
    frame = ranged(series({"a": "whole"}, "0", "1", "2", "+Inf"), late)
    assert frame["whole"].tolist() == [0, 1, 2, np.inf]
    assert frame["late"].fillna(-1).tolist() == [-1, -1, 2, -1]


@pytest.mark.parametrize(
    ("labels", "columns", "common"),
    [
        ([{"endpoint": "/"}, {"endpoint": "/slow"}], ["/", "/slow"], "endpoint"),
        ([{"endpoint": "/"}], ["/"], "endpoint"),
        ([{}], ["value"], None),
        ([{}, {"a": "b"}], ["{}", '{a="b"}'], None),
        ([{"__name__": "up"}], ["up"], None),
        ([{"a": "1", "b": "2"}], ['{a="1", b="2"}'], None),
        ([{"a": "1"}, {"b": "1"}], ['{a="1"}', '{b="1"}'], None),
    ],
)
def test_columns_are_called_by_their_labels(
    labels: list[dict[str, str]], columns: list[str], common: str | None
):
    frame = ranged(*(series(each, "1", "1", "1", "1") for each in labels))
    assert list(frame.columns) == columns
    assert frame.columns.name == common
    assert list(frame.attrs["labels"].values()) == labels


def test_a_series_is_written_so_that_prometheus_could_read_it_back():
    assert series_text({"__name__": "up", "job": "a"}) == 'up{job="a"}'
    assert series_text({"a": 'q" \\ \n'}) == '{a="q\\" \\\\ \\n"}'
    # Prometheus 3 takes any name, in quotes.
    assert series_text({"__name__": "http.time", "le.x": "1"}) == '{"http.time", "le.x"="1"}'


def test_different_labels_never_share_a_column():
    tricky = [{"a": '1", b="2'}, {"a": "1", "b": "2"}, {"a": "1\\n"}, {"a": "1\n"}]
    frame = ranged(*(series(each, "1") for each in tricky))
    assert frame.columns.is_unique
    assert len(frame.columns) == len(tricky)


def test_a_series_of_numbers_and_native_histograms_keeps_its_numbers():
    mixed = {**series({"a": "b"}, "1", "2"), "histograms": [[T + 2, {"count": "3", "sum": "1"}]]}
    frame = ranged(mixed)
    assert frame["b"].fillna(-1).tolist() == [1, 2, -1, -1]
    assert "1 native histogram has no single value" in frame.attrs["warnings"][0]


def test_the_server_s_warnings_come_along():
    answer = Answer({"resultType": "vector", "result": []}, ["metric might not be a counter"])
    assert instant_frame(answer).attrs["warnings"] == ["metric might not be a counter"]


def test_frames_are_plain_and_can_be_written_to():
    frame = ranged(series({"a": "b"}, "1", "2", "3", "4"))
    frame["twice"] = frame["b"] * 2
    frame.loc[frame.index[0], "b"] = 9.0
    assert frame.iloc[0].tolist() == [9.0, 2.0]
    assert type(frame) is pd.DataFrame
