"""A lab that serves a past: exact to the sample, now is its end, and nothing runs in it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from labkit.errors import LabError, QueryError
from labkit.historical import HistoryLab
from labkit.history import ErrorBurst, History
from labkit.lab import Lab
from labkit.promql import page
from tests.prometheus_lines import binaries
from tests.small_past import DAY, END, HOSTILE, SmallPast
from tests.waiting import alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labkit.history.past import Past
    from labkit.prometheus.candidate import Binary

DAYS = 8  # over the edge of two blocks


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="module", autouse=True)
def own_cache(caches: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(caches))
        patch.setenv("XDG_STATE_HOME", str(caches / "state"))
        yield


def opened(binary: Binary, past: Past, name: str | None = None) -> HistoryLab:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binary.path))
        return HistoryLab(past, name=name).start()


@pytest.fixture(scope="module")
def lab(prometheus_binary: Binary, own_cache: None) -> Iterator[HistoryLab]:
    lab = opened(prometheus_binary, SmallPast(days=DAYS))
    yield lab
    lab.stop()


def test_every_sample_comes_back_exactly_and_no_other(lab: HistoryLab):
    told = lab._client_now().get("query", query=f'{{__name__=~".+"}}[{DAYS + 1}d]', time=END)
    found = {
        tuple(sorted(series["metric"].items())): [(t, float(v)) for t, v in series["values"]]
        for series in told["result"]
    }
    assert found == lab.history.samples()
    assert HOSTILE in {dict(labels).get("text") for labels in found}


def test_a_time_in_milliseconds_stays_that_millisecond(prometheus_binary: Binary):
    past = SmallPast(name="milliseconds", times_ms_past=17_017)
    with opened(prometheus_binary, past) as lab:
        times = lab.query("heat_celsius[5m]")["time"]
    expected = [1000 * END - 60_000 * minute + 17_017 for minute in (5, 4, 3, 2, 1)]
    assert [round(time.timestamp() * 1000) for time in times] == expected


def test_now_is_the_end_of_the_past(lab: HistoryLab):
    assert lab.query("time()")["value"].item() == END
    assert lab.query("jobs_total").attrs["time"] == END
    frame = lab.query_range("jobs_total", minutes=60)
    assert (frame.index[0], frame.index[-1]) == (
        datetime.fromtimestamp(END - 3600, UTC),
        datetime.fromtimestamp(END, UTC),
    )
    assert (
        lab.query("timestamp(jobs_total)", time=END - DAY)["value"].tolist()
        == [END - DAY - 43.0] * 2
    )
    line = lab.plot("sum(rate(jobs_total[$__rate_interval]))", minutes=60).get_lines()[0]
    assert np.allclose(line.get_ydata(), 9 / 60)


def test_the_rate_interval_follows_that_of_the_past(lab: HistoryLab):
    assert lab.query("rate(jobs_total[$__rate_interval])").attrs["query"] == "rate(jobs_total[4m])"


def test_types_and_help_come_from_the_past(lab: HistoryLab):
    frame = lab.metrics().set_index("name")
    assert frame["type"].to_dict() == {
        "heat_celsius": "gauge",
        "jobs_total": "counter",
        "odd": "gauge",
    }
    assert frame.loc["jobs_total", "help"] == 'Jobs with "quotes"\\.'
    assert frame.loc["jobs_total", ["labels", "series"]].tolist() == ["instance, job, kind", 2]
    assert set(lab._client_now().get("metadata", metric="odd")) == {"odd"}


def test_waiting_answers_at_once_or_says_that_it_is_in_vain(lab: HistoryLab):
    began = time.monotonic()
    assert len(lab.wait_for("jobs_total > 0")) == 2
    with pytest.raises(QueryError, match=r"in vain: the answer is empty.* 2026-01-31 00:00 UTC"):
        lab.wait_for("jobs_total < 0", timeout=600)
    with pytest.raises(QueryError, match="in vain: the comparison is false"):
        lab.wait_for("jobs_total < bool 0", timeout=600)
    with pytest.raises(QueryError, match=r"(?s)parse error"):
        lab.wait_for("jobs_total <", timeout=600)
    assert time.monotonic() - began < 5


def test_what_needs_an_app_says_that_there_is_none(lab: HistoryLab):
    for refused in (
        lab.traffic,
        lab.continuous,
        lab.spike,
        lab.scenario,
        lab.background,
        lab.panel,
        lab.restart_app,
        lambda: lab.faults,
        lambda: lab.url,
    ):
        with pytest.raises(LabError, match=r"(?s)shows a past.*labkit\.start\(\)"):
            refused()


def test_what_needs_rules_says_that_none_were_evaluated(lab: HistoryLab):
    for refused in (
        lab.alerts,
        lambda: lab.wait_for_alert("HighErrorRate", timeout=600),
        lambda: lab.on_alert(print),
        lambda: lab.add_rules("groups: []"),
    ):
        with pytest.raises(LabError, match=r"(?s)Rules are not evaluated over a past.*query_range"):
            refused()


def test_its_storage_is_kept_as_it_was_built(lab: HistoryLab):
    flags = lab._client_now().get("status/flags")
    assert flags["storage.tsdb.retention.time"].rstrip("y") == "100"
    assert flags["storage.tsdb.retention.size"] in {"0B", "0"}
    shortest, longest = (flags[f"storage.tsdb.{end}-block-duration"] for end in ("min", "max"))
    assert shortest == longest  # then there is nothing for Prometheus to merge blocks into
    assert lab._client_now().get("targets")["activeTargets"] == []


def test_it_says_what_it_serves_and_what_is_not_there(lab: HistoryLab):
    status = lab.status()
    assert repr(lab) == str(status)
    assert "8 days, 2026-01-23 00:00 to 2026-01-31 00:00 UTC" in status["History"].detail
    assert "a scrape every 60 s; built now" in status["History"].detail
    assert "now is 2026-01-31 00:00 UTC" in status["Prometheus"].detail
    assert "no staleness markers" in status["Not here"].detail
    assert "History" in lab._repr_html_()


def test_a_check_leaves_out_what_a_past_does_not_have(lab: HistoryLab):
    rows = {finding.name: finding.state for finding in lab.check()}
    assert rows["Prometheus"] == "ok"
    assert rows.keys().isdisjoint({"App", "Target", "Samples"})


def test_its_own_page_is_opened_at_the_right_time(lab: HistoryLab):
    if not lab._prometheus.has_web_page:
        with pytest.raises(LabError, match=r"(?s)without a page.*lab\.plot"):
            lab.page("jobs_total")
    server = lab._prometheus
    before, server._web_page = server._web_page, True
    try:
        parts = urlsplit(lab.page("rate(jobs_total[$__rate_interval]) > 0", minutes=90))
        assert urlsplit(lab.page("up", time=END - DAY)).query.count("2026-01-30+00%3A00%3A00") == 2
        assert lab.status()["Prometheus"].url.endswith("moment_input=2026-01-31+00%3A00%3A00")
    finally:
        server._web_page = before
    assert parts.path == {2: "/graph", 3: "/query"}[server.binary.major]
    assert parse_qs(parts.query) == {
        "g0.expr": ["rate(jobs_total[4m]) > 0"],
        "g0.tab": ["0"],
        "g0.range_input": ["90m"],
        "g0.end_input": ["2026-01-31 00:00:00"],
        "g0.moment_input": ["2026-01-31 00:00:00"],
    }


def test_a_simulated_history_comes_back_exactly_with_types_and_truth(prometheus_binary: Binary):
    history = History(days=1, seed=5, instances=2, incidents=[ErrorBurst("3h", "20m")])
    with opened(prometheus_binary, history) as lab:
        found: dict[str, int] = {}
        for series in history.series():
            labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
            selector = f"{series.name}{{{labels}}}"
            if series.name not in found or series.family in {"flask_errors", "up"}:
                told = lab._client_now().get("query", query=f"{selector}[2d]", time=history.end)
                values = [(round(t * 1000), float(v)) for t, v in told["result"][0]["values"]]
                there = ~np.isnan(series.values)
                assert values == list(
                    zip(history.times[there].tolist(), series.values[there].tolist(), strict=True)
                ), selector
            found[series.name] = found.get(series.name, 0) + 1
        metrics = lab.metrics().set_index("name")
        assert metrics["series"].to_dict() == found
        assert metrics.loc["flask_request_duration_seconds_bucket", "type"] == "histogram"
        assert set(metrics["type"]) == {"counter", "gauge", "histogram"}
        start, end = history.end - 4 * 3600, history.end - 2 * 3600
        assert lab.truth.between(start, end).server_errors() > 0
        grown = lab.query(
            "sum(flask_requests_total) - sum(flask_requests_total offset 2h)", time=end
        )
        assert grown["value"].item() == lab.truth.between(start, end).requests()


def test_a_live_page_has_no_end():
    address = page.address("http://h:1/", "/graph", "up", end=None, minutes=60)
    assert address == "http://h:1/graph?g0.expr=up&g0.tab=0&g0.range_input=1h"


def test_a_second_lab_takes_it_from_the_cache_and_stopping_leaves_nothing(
    prometheus_binary: Binary, caches: Path
):
    opened(prometheus_binary, SmallPast()).stop()
    lab = opened(prometheus_binary, SmallPast(), name="again")
    assert lab.from_cache
    assert lab.running
    assert Lab.opened[-1] is lab
    assert lab.status().title == "again: running"
    server, folder = lab._prometheus, lab._folder.path
    pid = server.pid
    assert lab.query("count(jobs_total)")["value"].item() == 2
    lab.stop()
    assert not alive(pid)
    assert not folder.exists()
    for refused in (lambda: lab.query("up"), lab.panel, lab.traffic, lab.alerts):
        with pytest.raises(LabError, match="not running"):
            refused()
    assert list((caches / "observability-lab" / "history").glob("*/*/index"))


def test_a_past_that_cannot_be_built_leaves_no_lab(prometheus_binary: Binary, caches: Path):
    def fail(day: int) -> None:
        raise OSError(28, "No space left on device")

    before = [*Lab.opened]
    with pytest.raises(LabError, match="cannot be stored"):
        opened(prometheus_binary, SmallPast(name="failing", before=fail))
    assert Lab.opened == before
    lab = HistoryLab(SmallPast())
    assert not lab.running


QUESTIONS = [
    "rate(jobs_total[5m])",
    "sum(increase(jobs_total[1h]))",
    "resets(jobs_total[1d])",
    "max_over_time(heat_celsius[30m])",
    "count_over_time(heat_celsius[1h])",
    'quantile_over_time(0.9, heat_celsius{job="flask"}[1h]) - heat_celsius offset 1d',
    "max_over_time(sum(rate(jobs_total[2m]))[1h:1m])",
    "predict_linear(odd[30m], 3600)",
]


def test_at_whole_minutes_both_lines_answer_the_same():
    found = []
    for binary in binaries():
        with opened(binary, SmallPast(days=5, name="five")) as lab:
            ask = lab._client_now()
            found.append(
                [ask.query_range(q, start=END - DAY, end=END, step=300.0) for q in QUESTIONS]
            )
    for question, *answers in zip(QUESTIONS, *found, strict=True):
        assert answers[0].shape[0] == 289, question
        assert not answers[0].isna().all(axis=None), question
        for other in answers[1:]:
            assert list(answers[0].columns) == list(other.columns), question
            assert np.allclose(answers[0], other, rtol=1e-9, equal_nan=True), question
