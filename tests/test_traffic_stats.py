"""What the statistics say of given reports, exactly and beyond the exact range."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from labkit.errors import LabError
from labkit.traffic.protocol import Outcome
from labkit.traffic.samples import Approximate, Samples
from labkit.traffic.stats import Recorder


def report(rows, **totals):
    none = {"in_flight": 0, "late": 0, "dropped": 0, "in_time": 0, "failed": {}, "errors": {}}
    return {"sent": len(rows), **none, **totals, "rows": rows}


def recorded(rows, *, seconds=10.0, paths=("/", "/slow"), state="finished", **totals):
    recorder = Recorder(paths)
    recorder.add(report(rows, **totals), seconds)
    recorder.end(state)
    return recorder.stats()


ROWS = [
    (0.0, 0, 200, 0, 10_000),
    (1.0, 0, 200, 500, 20_000),
    (2.0, 1, 504, 2_000, 2_000_000),
    (3.0, 1, Outcome.TIMED_OUT, 0, 10_000_000),
    (4.0, 0, Outcome.FAILED, 0, 100),
    (5.0, 0, Outcome.CANCELLED, 0, 1),
]


def test_every_ended_request_is_in_one_place():
    stats = recorded(ROWS, sent=7, in_flight=1, failed={"connection refused": 1})
    assert stats.sent == 7
    assert (stats.responses, stats.timed_out, stats.failed, stats.cancelled) == (3, 1, 1, 1)
    assert stats.by_status == {200: 2, 504: 1}
    assert stats.by_endpoint == {"/": 2, "/slow": 1}


def test_the_achieved_rate_leaves_out_answers_after_the_shapes_end():
    recorder = Recorder(["/"], duration=10.0)
    assert recorder.stats().rate == 0
    recorder.add(report(ROWS[:2], in_time=2), 4.0)
    assert recorder.stats().rate == 0.5
    recorder.add(report([], in_time=5), 12.5)
    assert recorder.stats().rate == 0.5


def test_quantiles_count_responses_only_from_the_send_or_the_intended_start():
    stats = recorded(ROWS)
    assert stats.quantile(0.5) == pytest.approx(0.02)
    assert stats.quantile(1) == pytest.approx(2.0)
    assert stats.quantile(1, of="intended") == pytest.approx(2.002)
    assert stats.quantile(0.5, endpoint="/") == pytest.approx(0.015)
    assert stats.latencies("/").tolist() == [0.01, 0.02]
    assert stats.lateness().tolist() == [0, 0.0005, 0.002, 0, 0, 0]


def test_quantiles_of_nothing_are_nan_and_bad_arguments_are_refused():
    stats = recorded([])
    assert math.isnan(stats.quantile(0.95))
    for arguments, words in [
        ({"q": 95}, "q must be from 0 to 1"),
        ({"q": 0.5, "of": "sent"}, "of must be"),
        ({"q": 0.5, "endpoint": "/nope"}, "one of '/', '/slow'"),
    ]:
        with pytest.raises(ValueError, match=words):
            stats.quantile(**arguments)


def test_the_frame_has_a_row_an_endpoint_and_end():
    frame = recorded(ROWS).to_frame()
    assert frame[["endpoint", "status", "count"]].values.tolist() == [
        ["/", "failed", 1],
        ["/", "cancelled", 1],
        ["/", "200", 2],
        ["/slow", "timed_out", 1],
        ["/slow", "504", 1],
    ]
    assert frame["p95_seconds"].isna().tolist() == [True, True, False, True, False]
    empty = recorded([]).to_frame()
    assert list(empty.columns) == list(frame.columns)
    assert empty.empty


def test_a_snapshot_does_not_change_when_more_is_reported():
    recorder = Recorder(["/"])
    recorder.add(report([(0.0, 0, 200, 0, 1000)]), 1.0)
    before = recorder.stats()
    assert recorder.stats() is before
    recorder.add(report([(0.1, 0, 500, 0, 9000)] * 70_000), 2.0)
    assert before.responses == 1
    assert before.latencies().tolist() == [0.001]
    assert recorder.stats().responses == 70_001
    assert recorder.stats().latencies()[[0, 1, -1]].tolist() == [0.001, 0.009, 0.009]


def test_beyond_the_limit_quantiles_stay_within_one_percent():
    microseconds = np.random.default_rng(1).lognormal(10, 1.5, 30_000).astype(int) + 1
    rows = [(0.0, i % 2, 200, 7, int(us)) for i, us in enumerate(microseconds)]
    samples = Samples(limit=20_000)
    for begin in range(0, 30_000, 7_000):
        samples.add(rows[begin : begin + 7_000])
    view = samples.view()
    assert isinstance(view, Approximate)
    asked = [0.01, 0.5, 0.95, 0.99, 0.999]
    exact = np.quantile(microseconds / 1e6, asked, method="inverted_cdf")
    assert view.quantiles(asked, None, None, "send") == pytest.approx(exact.tolist(), rel=0.01)
    odd = np.quantile(microseconds[1::2] / 1e6, asked, method="inverted_cdf")
    assert view.quantiles(asked, 1, 200, "send") == pytest.approx(odd.tolist(), rel=0.01)
    samples.add(rows)
    assert view.quantiles(asked, None, None, "send") == pytest.approx(exact.tolist(), rel=0.01)
    with pytest.raises(LabError, match="1,000,000"):
        view.latencies(None, "send")


def test_a_run_with_only_failures_says_so():
    rows = [(0.0, 0, Outcome.FAILED, 0, 100)] * 3
    stats = recorded(rows, failed={"connection refused": 3})
    assert stats.problem == "None of 3 requests was answered (3 connection refused)."
    assert stats.problem in repr(stats)
    assert recorded([(0.0, 0, 200, 0, 100)]).problem == ""
    assert "not sent" in recorded([(0.0, 0, 200, 0, 100)], dropped=4).problem


def test_the_html_escapes_what_came_from_outside():
    stats = recorded([(0.0, 0, 200, 0, 9)], paths=["/<b>x"], failed={"<i>": 1})
    html = stats._repr_html_()
    assert "/&lt;b&gt;x" in html
    assert "<b>x" not in html


def test_the_plain_form_is_strict_json():
    plain = json.loads(json.dumps(recorded(ROWS).to_dict(), allow_nan=False))
    assert plain["by_status"] == {"200": 2, "504": 1}
    assert json.dumps(recorded([]).to_dict(), allow_nan=False)
