"""The truth beside PromQL: with runs of a live lab, with a known past, and cause by cause."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from PIL import Image

from labkit.comparing import Comparison, RunTruth, causes, compare, interval
from labkit.comparing.evidence import Evidence, Histogram, gather
from labkit.comparing.interval import Interval
from labkit.errors import LabError, WorkerDied
from labkit.lab import Lab
from labkit.plots import png
from labkit.plots.latency import BOUNDARIES, latency
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.traffic.handle import StillRunning, TrafficRun
from labkit.traffic.mixes import Mix
from labkit.traffic.protocol import Outcome
from labkit.traffic.shapes import Continuous, Controlled
from tests.promql_data import KEEP, T, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from labkit.prometheus.binary import Binary

COLUMNS = ["what", "endpoint", "truth", "promql", "difference", "relative", "query", "cause"]


def row(comparison: Comparison, what: str, endpoint: str = "") -> Any:
    table = comparison.table
    (found,) = table[(table["what"] == what) & (table["endpoint"] == endpoint)].itertuples()
    return found


def figures(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text!r}"
    return [float(group.replace(",", "")) for group in found.groups()]


def told_increase(comparison: Comparison) -> float:
    """Return what the words of increase()'s cause come to, as a number of requests."""
    increase = row(comparison, "requests by increase()")
    if "Agrees" in increase.cause:
        return increase.truth
    shortest, seen, window, factor = figures(
        r"are ([\d.]+)(?: to [\d.]+)? s apart and grew by ([\d,]+); "
        r".* window's ([\d.]+) s \(× ([\d.]+)\)",
        increase.cause,
    )
    assert 1 < factor <= window / shortest * 1.0002
    return seen * factor


# Live: runs of a lab


@pytest.fixture(scope="module")
def lab(prometheus_binary: Binary) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        # A scrape may take as long as its interval: in less, a busy app could not answer.
        with Lab(seed=7, scrape_interval=1.0) as lab:
            lab.faults.update(
                slow_min_seconds=0.05, slow_max_seconds=0.25, slow_timeout_seconds=0.4
            )
            yield lab


@pytest.fixture(scope="module")
def run(lab: Lab) -> TrafficRun:
    return lab.traffic(requests=200, seconds=6.4)


@pytest.fixture(scope="module")
def compared(lab: Lab, run: TrafficRun) -> Comparison:
    """Of a run that goes on when it is asked for."""
    return compare(lab._client_now(), RunTruth(run))


def test_the_counters_grew_by_exactly_what_was_answered(run: TrafficRun, compared: Comparison):
    assert list(compared.table) == COLUMNS
    requests = row(compared, "requests")
    assert requests.truth == requests.promql == run.stats.responses == 200
    assert (requests.difference, requests.relative) == (0, 0)
    assert requests.cause.startswith("Agrees")


def test_the_window_holds_the_whole_run_and_little_more(
    lab: Lab, run: TrafficRun, compared: Comparison
):
    assert run.ended_at is not None
    assert compared.start < run.started_at < run.ended_at < compared.end
    scrapes = lab.query('up{job="flask"}[1m]', time=compared.end + 0.01)["time"].astype("int64")
    inside = scrapes[(scrapes > 1e9 * compared.start) & (scrapes < 1e9 * compared.end)]
    # A scrape shortly before may have been answered after the first request.
    assert (inside < 1e9 * run.started_at).sum() <= 1
    assert not (inside > 1e9 * (run.ended_at + 0.01)).any()


def test_increase_differs_by_the_factor_that_its_cause_names(compared: Comparison):
    increase = row(compared, "requests by increase()")
    assert told_increase(compared) == pytest.approx(increase.promql, rel=1e-4)


def test_a_rate_differs_by_the_window(run: TrafficRun, compared: Comparison):
    rate = row(compared, "requests/s")
    assert run.ended_at is not None
    assert rate.truth == pytest.approx(200 / (run.ended_at - run.started_at))
    window, took, factor = figures(
        r"divides by the ([\d.]+) s .* took ([\d.]+) s \(× ([\d.]+)\)", rate.cause
    )
    assert window == pytest.approx(compared.end - compared.start)
    assert factor == pytest.approx(took / window, rel=1e-3)
    counted = row(compared, "requests by increase()").promql
    assert rate.promql == pytest.approx(rate.truth * factor * counted / 200, rel=1e-3)


def test_ratios_are_those_of_the_statuses(lab: Lab, run: TrafficRun, compared: Comparison):
    failed = sum(count for status, count in run.stats.by_status.items() if status >= 500)
    assert row(compared, "5xx ratio (%)").truth == pytest.approx(failed / 2)
    assert row(compared, "5xx ratio (%)").promql == pytest.approx(failed / 2, rel=0.1)
    none = row(compared, "5xx ratio (%)", "/")
    assert none.truth == 0
    assert np.isnan(none.promql)
    assert "Absent means 0" in none.cause
    for endpoint in ("/health", "/slow", "/error"):
        found = row(compared, "5xx ratio (%)", endpoint)
        assert found.promql == pytest.approx(found.truth, rel=0.2)
        assert lab.query(found.query, time=compared.end).set_index("endpoint")["value"][
            endpoint
        ] == pytest.approx(found.promql)


def test_a_quantile_lies_in_the_bucket_of_the_truth_or_the_cause_says_why(compared: Comparison):
    bounds = compared.latency.bounds
    asked = compared.table[compared.table["what"].str.startswith("p")]
    assert {"p50 (s)", "p95 (s)", "p99 (s)"} <= set(asked["what"])
    assert set(asked.loc[asked["what"] == "p95 (s)", "endpoint"]) >= {"", "/", "/slow"}
    for found in asked.itertuples():
        same = len(set(np.searchsorted(bounds, [found.truth, found.promql]))) == 1
        assert same == ("both lie in the bucket" in found.cause)
        assert same or re.search("Outside the app|Rank", found.cause)


def test_the_chart_counts_every_answer_between_the_boundaries(
    run: TrafficRun, compared: Comparison
):
    drawn = compared.latency
    assert drawn.counts.sum() == run.stats.responses
    assert set(drawn.bounds) <= set(drawn.edges)
    taken = run.stats.latencies()
    for low, high in zip(drawn.bounds, drawn.bounds[1:], strict=False):
        inside = (drawn.edges[:-1] >= low) & (drawn.edges[1:] <= high)
        assert drawn.counts[inside].sum() == ((taken > low) & (taken <= high)).sum()


def test_a_cell_shows_the_table_and_the_chart_without_a_kernel(compared: Comparison):
    html = compared._repr_html_()
    assert "data:image/png;base64," in html
    assert 'alt="The true latencies: p50' in html
    assert "sum by (endpoint, le)" in html
    assert repr(compared).count("\n") > 20
    assert "Agrees: a counter's growth between two scrapes is exact." in repr(compared)
    assert Image.open(io.BytesIO(png(compared.figure()))).width == 2 * 960


def test_traffic_of_others_in_the_interval_is_counted_and_named(lab: Lab):
    mine = lab.traffic(requests=60, seconds=3.2, mix={"/": 1, "/nothing-here": 1})
    lab.traffic(requests=20, seconds=1.2, mix={"/health": 1}).wait()
    comparison = compare(lab._client_now(), RunTruth(mine))
    requests = row(comparison, "requests")
    assert (requests.truth, requests.promql) == (60, 80)
    assert "20 of the 80 requests that the app counted in the window are not the sender's" in (
        requests.cause
    )
    assert "Other traffic" in row(comparison, "requests/s").cause
    assert "Other traffic" not in row(comparison, "p95 (s)", "/").cause
    increase = row(comparison, "requests by increase()")
    assert "Newborn series: <unmatched> 404" in increase.cause
    assert "counts as <unmatched>" in row(comparison, "p95 (s)", "/nothing-here").cause


# A known past: two instances, scraped 3 s apart, the second of them restarted

SCRAPE, LAST, RESET = 10, 60, 40
GROWTH = {("/", "200"): 4, ("/slow", "200"): 3, ("/slow", "504"): 1}
BOUNDS = (0.1, 1.0, 2.0)
LATENCY = {("/", "200"): 0.06, ("/slow", "200"): 0.8, ("/slow", "504"): 5.0}


def known_past() -> str:
    counters, buckets = [], []
    for instance, offset in (("app-1", 0), ("app-2", 3)):
        for (endpoint, status), each in GROWTH.items():
            labels = f'instance="{instance}",job="flask",method="GET",endpoint="{endpoint}"'
            taken = LATENCY[endpoint, status]
            for k in range(LAST + 1):
                since = k - RESET if instance == "app-2" and k >= RESET else k + 1000
                at = T + SCRAPE * k + offset
                counters.append(
                    f'flask_requests_total{{{labels},status="{status}"}} {each * since} {at}'
                )
                for le in (*BOUNDS, float("inf")):
                    name = "+Inf" if le == float("inf") else f"{le:g}"
                    buckets.append(
                        f'seconds_bucket{{{labels},of="{status}",le="{name}"}} '
                        f"{each * since * (taken <= le)} {at}"
                    )
    return "\n".join(
        [
            "# TYPE flask_requests counter",
            *counters,
            # Untyped: its series are not all of one histogram, which the text form would want.
            *(f"flask_request_duration_{line}" for line in buckets),
            "# EOF",
            "",
        ]
    )


class Model(NamedTuple):
    """A truth that is what it is told."""

    start: float
    end: float
    scrapes: int
    source: str = "the model"
    slow: float = 0.8

    @property
    def endpoints(self) -> Sequence[str]:
        return ["/", "/slow"]

    def _of(self, endpoint: str | None) -> dict[tuple[str, str], int]:
        return {
            key: each * self.scrapes for key, each in GROWTH.items() if endpoint in (None, key[0])
        }

    def requests(self, endpoint: str | None = None) -> int:
        return sum(self._of(endpoint).values())

    def server_errors(self, endpoint: str | None = None) -> int:
        return sum(n for (_, status), n in self._of(endpoint).items() if status == "504")

    def _taken(self, endpoint: str | None) -> NDArray[np.float64]:
        latencies = LATENCY | {("/slow", "200"): self.slow}
        return np.repeat(
            [latencies[key] for key in self._of(endpoint)], [*self._of(endpoint).values()]
        )

    def quantile(self, q: float, endpoint: str | None = None) -> float:
        return float(np.quantile(self._taken(endpoint), q))

    def latency_counts(
        self, edges: Sequence[float], endpoint: str | None = None
    ) -> NDArray[np.int64]:
        taken = np.sort(self._taken(endpoint))
        return np.diff(np.searchsorted(taken, np.asarray(edges), side="right")).astype(np.int64)


@pytest.fixture(scope="module")
def past(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("compared")
    with (
        PrometheusServer(
            prometheus_binary,
            {},
            directory=folder / "server",
            data=blocks(prometheus_binary, folder, known_past()),
            arguments=[KEEP],
        ) as server,
        Client(server.url, scrape_interval=SCRAPE, at=T + SCRAPE * LAST) as client,
    ):
        yield client


def test_a_window_is_wide_enough_for_every_instance(past: Client):
    comparison = compare(past, Model(T + 55, T + 145, scrapes=10 + 10))
    assert (comparison.start, comparison.end) == (T + 53, T + 153)
    requests = row(comparison, "requests")
    # app-1 is scraped at 50 and 150, app-2 at 53 and 153.
    assert requests.promql == requests.truth == 160
    increase = row(comparison, "requests by increase()")
    assert told_increase(comparison) == pytest.approx(increase.promql, rel=1e-4)
    assert row(comparison, "5xx ratio (%)").promql == pytest.approx(12.5)
    assert "What the model knows of 90 s, beside PromQL over the 100 s" in comparison.title
    assert "2023-11-1" in comparison.title  # with the date, as it is not today


def test_scrapes_at_the_very_ends_belong_to_the_window(past: Client):
    comparison = compare(past, Model(T + 50, T + 150, scrapes=10 + 10))
    assert (comparison.start, comparison.end) == (T + 50, T + 150)
    requests = row(comparison, "requests")
    assert requests.promql == requests.truth == 160
    assert compare(past, Model(T + 50, T + 151, scrapes=11 + 11)).end == T + 160


def test_a_reset_inside_is_named_and_increase_puts_it_back(past: Client):
    end = T + SCRAPE * (RESET + 5)
    comparison = compare(past, Model(T + SCRAPE * (RESET - 5) + 4, end, scrapes=10 + 9))
    requests = row(comparison, "requests")
    assert requests.promql < 0
    assert "the app restarted once inside" in requests.cause
    increase = row(comparison, "requests by increase()")
    assert increase.promql == pytest.approx(increase.truth, rel=0.2)
    assert "around 1 reset" in increase.cause
    p95 = row(comparison, "p95 (s)", "/")
    assert p95.promql == pytest.approx(0.095, rel=0.01)
    assert "both lie in the bucket 0 to 0.1 s" in p95.cause
    ratio = row(comparison, "5xx ratio (%)")
    assert ratio.promql == pytest.approx(12.5, rel=0.01)
    assert comparison.latency.bounds.tolist() == list(BOUNDS)
    window = Interval(round(comparison.start * 1000), round(comparison.end * 1000))
    buckets = gather(past, MODEL, window).histograms["/"]
    # All took 0.06 s; there were four in each of the 19 scrapes.
    assert buckets.counts[0] == pytest.approx(4 * 19, rel=0.15)
    assert buckets.counts[1:].tolist() == [0, 0, 0]


def test_a_quantile_above_the_last_boundary_is_that_boundary(past: Client):
    comparison = compare(past, Model(T + 53, T + 149, scrapes=20))
    p99 = row(comparison, "p99 (s)")
    assert (p99.truth, p99.promql) == (5.0, 2.0)
    assert "above the last boundary, 2 s" in p99.cause


def test_a_quantile_at_a_boundary_may_fall_beside_it(past: Client):
    """Half of all requests take 0.1 s or less: the median lies between two buckets."""
    p50 = row(compare(past, Model(T + 53, T + 149, scrapes=20)), "p50 (s)")
    assert (p50.truth, p50.promql) == (pytest.approx(0.43), pytest.approx(0.1))
    assert "The truth lies in the bucket 0.1 to 1 s, the answer in 0 to 0.1 s" in p50.cause
    assert "80 of the 160 requests that the app counted (50 %) took 0.1 s or less" in p50.cause


def test_what_the_senders_clock_sees_beyond_the_apps_is_named(past: Client):
    sender = Model(T + 53, T + 149, scrapes=20, source="the sender", slow=1.4)
    p60 = row(compare(past, sender), "p50 (s)", "")
    assert p60.truth == pytest.approx(0.73)
    slow = row(compare(past, sender._replace(slow=6.0)), "p95 (s)", "/slow")
    assert "above the last boundary" in slow.cause
    moved = causes._outside(evidence(sender), "/slow", evidence(sender).histograms["/slow"], 1, 2)
    assert moved.startswith("Outside the app: 60 answers that the app measured at 1 s or less")
    fewer = sender._replace(scrapes=18)  # of the app's requests, some are another sender's
    among = causes._outside(evidence(fewer), "/slow", evidence(fewer).histograms["/slow"], 1, 2)
    assert re.match(r"Outside the app: at least \d+ answers", among)


def test_an_interval_without_scrapes_around_it_is_refused(
    past: Client, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(LabError, match="from before the requests"):
        compare(past, Model(T - 100, T + 150, scrapes=10))
    with pytest.raises(LabError, match="came after the requests"):
        compare(past, Model(T + 50, T + 1000, scrapes=10))
    looks: list[None] = []
    monkeypatch.setattr(interval, "_PATIENCE_SECONDS", 0.0)
    # Where it is live, the scrape after the end may yet come.
    with Client(past.url, scrape_interval=0.2) as live:
        end = Model(T + 50.5, T + SCRAPE * LAST + 100, scrapes=10)
        with pytest.raises(LabError, match="came after the requests"):
            compare(live, end, alive=lambda: looks.append(None))
    assert len(looks) > 3


def test_nothing_answered_is_nothing_to_compare(past: Client):
    with pytest.raises(LabError, match="the model has no answered request"):
        compare(past, Model(T + 50, T + 150, scrapes=0))


# Causes, one by one


def evidence(truth: Any, **columns: Any) -> Evidence:
    """Return the evidence of a window of 100 s; by default, `GROWTH` 20 times over."""
    keys = list(GROWTH)
    after = np.array([1000.0 + GROWTH[key] * 20 for key in keys])
    frame = pd.DataFrame(
        {
            "instance": "app-1",
            "method": "GET",
            "endpoint": [endpoint for endpoint, _ in keys],
            "status": [status for _, status in keys],
            "before": 1000.0,
            "first": 1000.0,
            "first_ms": 1000.0 * T,
            "after": after,
            "last_ms": 1000.0 * (T + 100),
            "increase": after - 1000.0,
            "resets": 0.0,
        }
    ).assign(**columns)
    bounds = np.array([*BOUNDS, np.inf])
    histograms = {
        "/slow": Histogram(bounds, np.array([0, 60, 0, 20])),
        None: Histogram(bounds, np.array([80, 60, 0, 20])),
    }
    window = Interval(1000 * T, 1000 * (T + 100))
    return Evidence(None, truth, window, frame, histograms, np.array(BOUNDS))  # type: ignore[arg-type] # no one is asked


MODEL = Model(T + 1, T + 99, scrapes=20)


def test_counters_near_zero_are_extrapolated_by_less():
    found = evidence(MODEL, before=0.0, first=4.0, after=80.0, first_ms=1000.0 * (T + 10))
    cause = causes.extrapolation(found, 240.0)
    assert "90 s apart and grew by 228" in cause
    assert "(× 1.0526). It would be × 1.1111, but counters that stand near 0" in cause
    assert "12 requests of the first 10 s can only be guessed" in cause
    assert "near 0" not in causes.extrapolation(found, 228 / 0.9)


def test_a_ratio_after_the_first_scrape_may_be_another():
    found = evidence(MODEL, first=[1008.0, 1006.0, 1000.0], first_ms=1000.0 * (T + 10))
    cause = causes.ratio(found, None, 12.5, 100 * 20 / 146)
    assert cause == (
        "Extrapolation: the counters themselves grew at 12.5 %, after the first 10 s at 13.7 %."
    )
    assert "rate() scales each series by itself" in causes.ratio(found, None, 12.5, 15.0)


def test_fewer_counted_than_answered_is_said():
    assert "grew by 40 fewer" in causes.growth(evidence(MODEL._replace(scrapes=25)))


def test_newborn_series_are_named():
    born = evidence(MODEL, before=[1000.0, 1000.0, np.nan], first=[1000.0, 1000.0, 3.0])
    assert "Newborn series: /slow 504 began inside" in causes.born(born)
    assert "first value (3)" in causes.born(born)
    assert causes.born(evidence(MODEL)) == ""


# The truth of a run


def ended(*rows: tuple[float, int, int, int, int], state: str = "finished") -> TrafficRun:
    """Return a run whose worker reported these rows: start, path, code, late, latency in µs."""
    mix = Mix("mine", (("/", 0.5), ("/slow", 0.3), ("/never", 0.2)))
    run = TrafficRun(Controlled(len(rows), 10), mix, 7, "http://127.0.0.1:1", lambda **_: None)
    totals = {"sent": len(rows), "in_flight": 0, "late": 0, "dropped": 0, "in_time": len(rows)}
    run.take({"event": "started"})
    run.take(
        {
            "event": "ended",
            "state": state,
            "elapsed": 10.0,
            "totals": {**totals, "failed": {}, "errors": {}, "rows": list(rows)},
        }
    )
    return run


ROWS = (
    (0.0, 0, 200, 5_000, 10_000),
    (1.0, 0, 200, 0, 20_000),
    (2.0, 1, 504, 0, 300_000),
    (3.0, 1, int(Outcome.TIMED_OUT), 0, 10_000_000),
    (4.0, 1, int(Outcome.CANCELLED), 0, 1),
)


def test_a_run_tells_what_the_sender_counted():
    truth = RunTruth(ended(*ROWS))
    assert truth.source == "the sender"
    assert truth.endpoints == ["/", "/slow"]
    assert (truth.requests(), truth.requests("/"), truth.requests("/slow")) == (3, 2, 1)
    assert (truth.server_errors(), truth.server_errors("/")) == (1, 0)
    assert truth.unanswered() == {"timed_out": 1, "cancelled": 1}
    assert truth.quantile(0.5) == pytest.approx(0.02)
    # A latency on an edge belongs below it, as in Prometheus's buckets.
    assert truth.latency_counts([0, 0.01, 0.1, 1]).tolist() == [1, 1, 1]
    assert truth.latency_counts([0, 0.01, 0.1, 1], "/slow").tolist() == [0, 0, 1]


def test_latencies_beyond_the_exact_ones_are_read_off_the_histogram(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("labkit.traffic.samples.Samples.__init__.__defaults__", (0,))
    truth = RunTruth(ended(*[(0.0, 0, 200, 0, 1_000 * i) for i in range(1, 101)]))
    assert not truth._stats.exact
    counts = truth.latency_counts([0, 0.0255, 0.0505, 1])
    assert counts.sum() == 100
    assert counts == pytest.approx([25, 25, 50], abs=2)


def test_requests_without_an_answer_may_count_in_the_app_alone():
    truth = RunTruth(ended(*ROWS))
    one, three = (
        evidence(truth, before=1000.0, after=[1002.0, 1001.0, 1000.0 + more]) for more in (1, 3)
    )
    assert causes.surplus(one, None) == (
        "No answer: the app counted 1 request that had no whole answer at the sender "
        "(1 timed out and 1 cancelled)."
    )
    assert "counted 2 requests that had no whole answer" in causes.surplus(three, None)
    assert "Other traffic: 1 of the 6 requests" in causes.surplus(three, None)
    assert causes.surplus(one, "/") == ""


def test_a_run_is_waited_for_and_one_without_an_end_is_refused():
    mix = Mix("mine", (("/", 1.0),))
    goes_on = TrafficRun(Controlled(10, 60), mix, 7, "http://127.0.0.1:1", lambda **_: None)
    with pytest.raises(StillRunning):
        RunTruth(goes_on, timeout=0.01)
    endless = TrafficRun(Continuous("low"), mix, 7, "http://127.0.0.1:1", lambda **_: None)
    with pytest.raises(LabError, match="without an end") as refused:
        RunTruth(endless)
    assert "run.stop()" in refused.value.next_step
    endless.end("died", WorkerDied("It died."))
    with pytest.raises(WorkerDied):
        RunTruth(endless)


# The chart

EDGES = [0.001, 0.01, 0.1, 0.2, 0.3, 0.5, 1.0]


def chart(**answers: float) -> Any:
    return latency(
        EDGES,
        [5, 40, 20, 9, 4, 1],
        [0.005, 0.01, 0.1, 0.2, 0.3, 0.5, 1.0, 10.0, float("inf")],
        quantiles={"p50": 0.05, "p95": 0.31, "p99": 0.55},
        answers=answers or {"p95": 0.38},
    )


def test_every_boundary_in_view_has_a_line():
    ax = chart()
    (lines,) = (c for c in ax.collections if isinstance(c, LineCollection))
    assert lines.get_label() == BOUNDARIES
    drawn = [float(segment[0][0]) for segment in lines.get_segments()]
    assert drawn == [0.005, 0.01, 0.1, 0.2, 0.3, 0.5, 1.0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel().startswith("latency (s)")
    low, high = ax.get_xlim()
    assert low < 0.001
    assert 1.0 < high < 10


def test_quantiles_and_the_answer_are_named_without_covering_each_other():
    ax = chart()
    figure = ax.get_figure()
    figure.canvas.draw()
    written = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert list(written) == ["p50 0.05 s", "p95 0.31 s", "PromQL's p95 0.38 s", "p99 0.55 s"]
    inside = ax.get_window_extent()
    for name, box in written.items():
        assert box.x1 <= inside.x1 + 4, f"{name} leaves the chart"
        for other, its in written.items():
            assert name == other or not box.shrunk(0.98, 0.9).overlaps(its)
    lines = [line.get_window_extent() for line in ax.lines]
    for line in lines:
        crossed = [n for n, box in written.items() if box.shrunk(0.9, 0.8).overlaps(line)]
        assert crossed == []


def test_the_bucket_of_the_answer_is_shaded():
    (shaded,) = (p.get_bbox() for p in chart().patches if p.get_alpha() == 0.09)
    assert (shaded.x0, shaded.x1) == (0.3, 0.5)
    ax = chart(p95=20.0)
    (shaded,) = (p.get_bbox() for p in ax.patches if p.get_alpha() == 0.09)
    assert (shaded.x0, shaded.x1) == (10.0, ax.get_xlim()[1])


def test_a_chart_of_nothing_says_so_and_bars_need_their_edges():
    assert "Nothing was answered" in " ".join(
        text.get_text() for text in latency([1, 2], [0], [1], quantiles={}).texts
    )
    with pytest.raises(ValueError, match="2 bars have 3 edges, not 2"):
        latency([1, 2], [1, 1], [1], quantiles={})


def test_labels_are_escaped():
    table = pd.DataFrame(
        [["p95 (s)", "<script>", 1.0, np.nan, np.nan, np.nan, "a < b", "x > y"]], columns=COLUMNS
    )
    from labkit.comparing.comparison import Distribution

    drawn = Distribution(
        np.array(EDGES), np.array([5, 40, 20, 9, 4, 1]), np.array([0.1]), {"p95": 0.3}, {}
    )
    html = Comparison(table, T, T + 10, 9.0, "<the sender>", drawn)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "a &lt; b" in html
    assert "<the sender>" not in html
