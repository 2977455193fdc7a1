"""Objectives: their PromQL and arithmetic, and what they say of a past that is known exactly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pytest

from labkit.errors import LabError
from labkit.plots import png
from labkit.plots.budget import budget
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.slo import SLO, burning
from labkit.slo.report import Report
from tests.promql_data import KEEP, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from labkit.prometheus.binary import Binary

DAY, HOUR = 86_400, 3600
END = 1_769_817_600  # 2026-01-31 00:00 UTC
START = END - 8 * DAY
# Name, begin and length in hours, error ratio; what fires is in the tests.
INCIDENTS = (
    ("blip", 20, 0.1, 0.3),
    ("database down", 60, 0.5, 0.6),
    ("drip", 110, 40, 0.012),
)
AVAILABILITY = SLO.availability()


# --- The objective ------------------------------------------------------------------------------


def test_promql_is_that_of_the_counters() -> None:
    ratio = (
        '1 - sum(increase(flask_requests_total{status!~"5.."}[30d])) / '
        "sum(increase(flask_requests_total[30d]))"
    )
    assert AVAILABILITY.error_ratio() == ratio
    assert AVAILABILITY.budget_left() == f"1 - ({ratio}) / 0.005"
    assert AVAILABILITY.burn_rate("1h") == f"({ratio.replace('30d', '1h')}) / 0.005"
    latency = SLO.latency(99.9)
    assert '_bucket{le="0.3"}[1h]' in latency.burn_rate()
    assert latency.burn_rate().endswith("/ 0.001")


def test_whole_second_buckets_match_as_both_lines_write_them() -> None:
    assert 'le=~"2([.]0)?"' in SLO.latency(seconds=2).good
    assert 'le=~"1([.]0)?"' in SLO.latency(seconds=1.0).good


def test_factors_spend_the_workbooks_shares_of_any_budget() -> None:
    factors = [pair.factor for alert in AVAILABILITY.alerting() for pair in alert.pairs]
    assert factors == pytest.approx([14.4, 6, 3, 1])
    week = SLO.availability(window="7d").alerting()
    assert [pair.factor for alert in week for pair in alert.pairs] == pytest.approx(
        [3.36, 1.4, 1, 1]
    ), "a burn rate of 1 is what the budget is for, and nothing to alert on"
    shares = [pair.share for alert in AVAILABILITY.alerting() for pair in alert.pairs]
    assert shares == pytest.approx([0.02, 0.05, 0.1, 0.1])
    for alert in week:
        for pair in alert.pairs:
            assert pair.share == pytest.approx(pair.factor * pair.long_seconds / (7 * DAY))
    assert week[1].pairs[1].share == pytest.approx(3 / 7)


def test_a_low_objective_warns_of_alerts_that_can_not_fire() -> None:
    low = SLO.availability(90)
    assert low.highest_burn_rate == pytest.approx(10)
    (warning,) = low.warnings
    assert "1h/5m" in warning
    assert "14.4" in warning
    assert "10 only" in warning
    assert AVAILABILITY.warnings == []
    assert len(SLO.availability(80).warnings) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objective": 0.995}, "percent"),
        ({"objective": 100}, "less than 100"),
        ({"objective": "99.5"}, "objective is '99.5'; it is in percent"),
        ({"objective": None}, "objective is None; it is in percent"),
        ({"objective": math.nan}, "objective is nan; it is in percent"),
        ({"window": "1h"}, "7d to 90d"),
        ({"window": "a month"}, "7d to 90d"),
        ({"window": 30}, "7d to 90d"),
        ({"window": "7.5d"}, "7d to 90d"),
        ({"name": "5xx"}, "begins with a letter"),
        ({"good": "rate(good_total[5m])"}, "without rate"),
        ({"total": "total[5m]"}, "without rate"),
        ({"total": 'total{a="b"'}, "selector"),
        ({"good": ""}, "good is ''"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change: dict[str, object], words: str) -> None:
    arguments = {"name": "mine", "objective": 99.5, "good": 'good_total{a="}"}', "total": "total"}
    SLO(**arguments)  # type: ignore[arg-type] # as people type it
    with pytest.raises(ValueError, match=words):
        SLO(**{**arguments, **change})  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ValueError, match="more than 0"):
        SLO.latency(seconds=0)
    with pytest.raises(ValueError, match="seconds is '0"):
        SLO.latency(seconds="0.3")  # type: ignore[arg-type] # wrong on purpose


# --- Burning: arrays ----------------------------------------------------------------------------


def test_error_ratio_is_of_the_window_before_each_time() -> None:
    ratio = burning.error_ratio([60, 120, 180, 240], [9, 10, 0, 0], [10, 10, 10, 0], 120)
    assert ratio == pytest.approx([0.1, 0.05, 0.5, 1.0])
    assert np.isnan(burning.error_ratio([60, 120], [0, 0], [0, 0], 60)).all()


def test_an_alert_fires_once_it_has_held_for_long_enough() -> None:
    times = np.arange(0, 600, 60)
    long = np.array([0, 1, 1, 1, 1, 0, 1, 1, 0, 1]) * 0.5
    short = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) * 0.5
    assert burning.firing(times, long, short, 2, 0.1) == [(60, 300), (360, 480), (540, 540)]
    assert burning.firing(times, long, short, 2, 0.1, 120) == [(180, 300)]
    assert burning.firing(times, long, short, 5, 0.1) == [], "at the limit is not above it"
    assert burning.firing(times, long, short * 0, 2, 0.1) == [], "the short window has recovered"
    gap = np.where(times == 180, np.nan, long)
    assert burning.firing(times, gap, short, 2, 0.1, 120) == [], "no value is no burning"


def test_an_alert_of_two_pairs_goes_on_while_either_burns() -> None:
    page = AVAILABILITY.alerting()[0]
    times = np.arange(0, 360, 60)
    fast = [math.nan, 0.9, 0.8, math.nan, math.nan, math.nan]
    slow = [math.nan, math.nan, 0.3, 0.95, 0.2, math.nan]
    (one,) = burning.fired(times, page, [fast, slow])
    assert (one.start, one.end) == (180, 300)
    assert one.pair is page.pairs[1], "the one that burns as it fires"
    assert one.peak_ratio == 0.95


# --- A past that is known -----------------------------------------------------------------------


class Past(NamedTuple):
    times: NDArray[np.int64]
    total: NDArray[np.int64]
    bad: NDArray[np.int64]

    def simulated(self) -> list[burning.Firing]:
        good = self.total - self.bad
        return burning.simulate(
            self.times, good, self.total, AVAILABILITY.alerting(), AVAILABILITY.allowed
        )


def known() -> Past:
    """Counts of each minute, those of a day's rhythm, scraped 17 s off the minute."""
    rng = np.random.default_rng(7)
    times = np.arange(START + 17, END, 60)
    total = rng.poisson(300 * (1 + 0.6 * np.sin(times / DAY * 2 * np.pi)))
    ratio = np.full(len(times), 0.0002)
    for _, begin, length, share in INCIDENTS:
        since = (times - START) / HOUR - begin
        ratio[(since > 0) & (since <= length)] = share
    return Past(times, total, rng.binomial(total, ratio))


def incidents() -> pd.DataFrame:
    rows = [
        (name, START + begin * HOUR, START + (begin + length) * HOUR)
        for name, begin, length, _ in INCIDENTS
    ]
    frame = pd.DataFrame(rows, columns=["name", "start", "end"])
    for name in ("start", "end"):
        frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
    return frame


@pytest.fixture(scope="module")
def past() -> Past:
    return known()


@pytest.fixture(scope="module")
def client(
    prometheus_binary: Binary, past: Past, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("slo")
    lines = ["# TYPE flask_requests counter"]
    for status, counts in (("200", past.total - past.bad), ("503", past.bad)):
        name = f'flask_requests_total{{endpoint="/",status="{status}"}}'
        pairs = zip(np.cumsum(counts).tolist(), past.times.tolist(), strict=True)
        lines += [f"{name} {count} {time}" for count, time in pairs]
    lines.append("# TYPE flask_request_duration_seconds histogram")
    for suffix in ('_bucket{le="0.3"}', '_bucket{le="+Inf"}', "_count"):
        lines.append(f"flask_request_duration_seconds{suffix} 5 {END - 60}")
    data = blocks(prometheus_binary, folder, "\n".join([*lines, "# EOF", ""]))
    server = PrometheusServer(
        prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
    )
    with server, Client(server.url, scrape_interval=60, at=END) as client:
        yield client


def test_the_report_is_that_of_the_counts(client: Client, past: Past) -> None:
    report = AVAILABILITY.report(client)
    ratio = past.bad.sum() / past.total.sum()
    assert report.time == END
    assert report.error_ratio == pytest.approx(ratio, rel=0.002)
    assert report.budget_left == pytest.approx(1 - ratio / 0.005, abs=0.005)
    assert report.requests == pytest.approx(past.total.sum(), rel=0.002)
    left = 0.005 * past.total.sum() - past.bad.sum()
    assert report.requests_left == pytest.approx(left, rel=0.01)
    assert report.outage_minutes_left == pytest.approx(
        report.requests_left / past.total.mean(), rel=0.01
    )
    hour = past.bad[-60:].sum() / past.total[-60:].sum() / 0.005
    assert report.burn["1h"] == pytest.approx(hour, rel=0.1)
    assert report.exhausted_in("1h") == pytest.approx(
        report.budget_left * report.data_seconds / report.burn["1h"]
    )
    assert report.data_seconds == pytest.approx(8 * DAY, rel=0.01)
    assert "days of the 30d: the budget is that of the requests in them" in str(report)


def test_half_an_hour_of_full_outage_costs_an_eighth_of_a_months_budget() -> None:
    cost = 30 / 216
    burn = {"1h": 2.0, "6h": 0.0, "3d": math.nan}
    report = Report(AVAILABILITY, END, 0.005 * cost, 1e6, 1 - cost, burn, 30 * DAY)
    assert report.outage_minutes_left == pytest.approx(186)
    assert report.requests_left == pytest.approx(5000 * (1 - cost))
    assert report.exhausted_in("1h") == pytest.approx(15 * DAY * (1 - cost))
    assert report.exhausted_in("6h") == math.inf
    assert "86.1 %: 4,306 requests, or 3.1 h of full outage" in str(report)
    for line in ("1h 2; the budget lasts 12.9 days", "6h 0; nothing burns", "3d no requests"):
        assert f"burn rate {line}" in str(report)
    assert "data" not in str(report), "it reaches back over the whole window"


def test_the_report_at_another_time_is_of_the_data_until_then(client: Client) -> None:
    day = AVAILABILITY.report(client, time=START + DAY)
    assert "they reach back 24 h of the 30d" in str(day)
    assert day.budget_left > AVAILABILITY.report(client).budget_left
    during = AVAILABILITY.report(client, time=START + 60.5 * HOUR)
    assert during.burn["1h"] == pytest.approx(60, rel=0.05), "half an hour at 0.6, over 0.005"


def test_times_can_be_text(client: Client) -> None:
    text, begin = "2026-01-24T00:00Z", "2026-01-23T00:00+00:00"
    then = pd.Timestamp(text).timestamp()
    report = AVAILABILITY.report(client, time=text)
    assert report.time == then
    asked = AVAILABILITY.spending(client, start=begin, end=text)
    assert asked.equals(AVAILABILITY.spending(client, start=START, end=then))
    assert AVAILABILITY.alerts(client, start=begin, end=text).empty
    assert AVAILABILITY.plot(client, start=begin, end=text).get_title(loc="left")
    total = "sum(flask_requests_total)"
    assert client.query(total, time=text).equals(client.query(total, time=then))
    minutes = client.query_range(total, start=begin, end=text, step="1h")
    assert minutes.equals(client.query_range(total, start=START, end=then, step="1h"))
    with pytest.raises(ValueError, match=r"time has no time zone: .*2026-01-24T00:00:00Z"):
        AVAILABILITY.report(client, time="2026-01-24T00:00")
    with pytest.raises(ValueError, match=r"start must be .* not 'yesterday'"):
        AVAILABILITY.alerts(client, start="yesterday")


def test_an_overspent_budget_is_told_as_such(client: Client) -> None:
    tight = SLO.availability(99.9).report(client)
    assert tight.budget_left < 0
    assert tight.exhausted_in() == 0
    assert "overspent by" in str(tight)
    assert "width:0.0%" in tight._repr_html_()
    assert "&lt;" not in tight._repr_html_()


def test_the_exercises_ask_the_same(client: Client) -> None:
    failed = 'flask_requests_total{status=~"5.."}'
    for own, other in (
        (
            AVAILABILITY.error_ratio(),
            f"sum(increase({failed}[30d])) / sum(increase(flask_requests_total[30d]))",
        ),
        (
            AVAILABILITY.burn_rate("1h"),
            f"sum(rate({failed}[1h])) / sum(rate(flask_requests_total[1h])) / 0.005",
        ),
    ):
        mine, theirs = (client.query(each)["value"].item() for each in (own, other))
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_alerts_fire_when_the_counts_say(client: Client, past: Past) -> None:
    found = AVAILABILITY.alerts(client, start=START)
    truth = past.simulated()
    # The drip is two tickets: the database's outage leaves the long window in the middle of it.
    assert list(found["severity"]) == ["page", "ticket", "ticket"]
    assert [one.severity for one in truth] == list(found["severity"])
    assert list(found["window"]) == ["1h", "3d", "3d"]
    for row, one in zip(found.itertuples(), truth, strict=True):
        steps = {"page": 60, "ticket": 300}[one.severity]
        assert abs(row.start.timestamp() - one.start) <= 2 * steps + 60, row
        assert abs(row.end.timestamp() - one.end) <= 2 * steps + 60, row
        assert row.peak_burn == pytest.approx(one.peak_ratio / 0.005, rel=0.05)
    page = found.iloc[0]
    begin, _ = (pd.Timestamp(START + hours * HOUR, unit="s", tz="UTC") for hours in (60, 60.5))
    assert pd.Timedelta("4min") < page["start"] - begin < pd.Timedelta("12min")
    until = past.times <= page["start"].timestamp()
    allowed = 0.005 * past.total.sum()
    assert page["left_percent"] == pytest.approx(100 * (1 - past.bad[until].sum() / allowed), abs=1)
    hour = until & (past.times > page["start"].timestamp() - HOUR)
    assert page["cost_percent"] == pytest.approx(100 * past.bad[hour].sum() / allowed, rel=0.1)
    assert set(found["incident"]) == {""}


def test_an_alert_is_laid_to_the_incident_that_went_on(client: Client, past: Past) -> None:
    found = AVAILABILITY.alerts(client, start=START, incidents=incidents())
    assert list(found["incident"]) == ["database down", "drip", "drip"]
    allowed = 0.005 * past.total.sum()
    for row, begin in zip(found.itertuples(), (60, 110, 110), strict=True):
        during = (past.times > START + begin * HOUR) & (past.times <= row.start.timestamp())
        assert row.cost_percent == pytest.approx(100 * past.bad[during].sum() / allowed, rel=0.15)


def test_no_alert_is_a_frame_without_rows(client: Client) -> None:
    calm = AVAILABILITY.alerts(client, start=START, end=START + 15 * HOUR)
    assert calm.empty
    assert str(calm["start"].dt.tz) == "UTC"
    assert {"alert", "severity", "window", "peak_burn", "cost_percent"} <= set(calm)


def test_spending_counts_each_request_once(client: Client, past: Past) -> None:
    frame = AVAILABILITY.spending(client, start=START - DAY)
    assert frame["total"].sum() == pytest.approx(past.total[1:].sum(), rel=0.0005)
    bad = (frame["total"] - frame["good"]).sum()
    assert bad == pytest.approx(past.bad[1:].sum(), rel=0.0005)
    assert frame["left"].iloc[0] == 100
    assert frame["left"].iloc[-1] == pytest.approx(100 - bad / frame["total"].sum() / 0.00005)
    assert (frame["left"].diff().dropna() <= 0).all()
    assert frame.index[0] >= pd.Timestamp(START - HOUR, unit="s", tz="UTC"), "where data begin"


def test_a_selector_without_series_is_an_error_that_names_the_buckets(client: Client) -> None:
    slow = SLO.latency(seconds=0.4)
    with pytest.raises(LabError, match="No series matches `good`") as missing:
        slow.report(client)
    assert "le is one of 0.3, +Inf" in missing.value.evidence
    with pytest.raises(LabError, match="No series matches `good`"):
        slow.spending(client)
    with pytest.raises(LabError, match="No series matches `total`"):
        SLO("x", objective=99, good="nothing_total", total="nothing_total").report(client)
    with pytest.raises(LabError, match="There was no request"):
        SLO.latency().report(client)
    with pytest.raises(ValueError, match="before it starts"):
        AVAILABILITY.spending(client, start=END, end=START)


def test_the_chart_shows_incidents_alerts_and_costs(client: Client) -> None:
    axes = AVAILABILITY.plot(client, start=START, incidents=incidents())
    texts = [text.get_text() for text in axes.texts]
    for name, *_ in INCIDENTS:
        assert name in texts
    assert {"1", "2", "3", "page", "ticket"} <= set(texts)
    assert any(
        text.startswith("page (1h) for") and "database down had cost" in text for text in texts
    )
    assert axes.figure.get_figwidth() == 8
    assert png(axes.figure)[:4] == b"\x89PNG"


# --- The chart ----------------------------------------------------------------------------------


def falling(low: float) -> pd.DataFrame:
    index = pd.date_range("2026-01-01", periods=100, freq="2h", tz="UTC")
    return pd.DataFrame({"left": np.linspace(100, low, 100)}, index=index)


def fired(count: int) -> pd.DataFrame:
    start = pd.date_range("2026-01-02", periods=count, freq="11h", tz="UTC")
    columns = {"alert": "A", "severity": "page", "start": start}
    return pd.DataFrame(columns).assign(end=lambda frame: frame["start"] + pd.Timedelta("90min"))


def test_an_overspent_budget_is_drawn_below_zero_and_many_alerts_are_counted() -> None:
    axes = budget(falling(-80), alerts=fired(13))
    assert axes.get_ylim()[0] < -80
    texts = [text.get_text() for text in axes.texts]
    assert "+3 more" in texts
    assert "11" not in texts
    assert "page for 90 min" in texts
    png(axes.figure)


def test_names_that_stand_close_do_not_cover_one_another() -> None:
    start = pd.date_range("2026-01-08", periods=4, freq="3h", tz="UTC")
    names = [f"incident {letter}" for letter in "abcd"]
    frame = pd.DataFrame({"name": names, "start": start, "end": start + pd.Timedelta("1h")})
    axes = budget(falling(20), incidents=frame)
    png(axes.figure)
    renderer = axes.figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == names
    for place, box in enumerate(boxes):
        assert axes.figure.bbox.x0 <= box.x0 < box.x1 <= axes.figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_frames_that_lack_something_are_refused_and_no_data_is_said() -> None:
    with pytest.raises(ValueError, match="incidents need the columns name, start, end"):
        budget(falling(0), incidents=pd.DataFrame({"name": ["x"]}))
    naive = fired(1).assign(start=lambda frame: frame["start"].dt.tz_localize(None))
    with pytest.raises(ValueError, match="time zone"):
        budget(falling(0), alerts=naive)
    empty = budget(falling(0).iloc[:0])
    assert any("No data" in text.get_text() for text in empty.texts)
