"""What a dashboard says: why a tile is empty, since when an alert is true, what caused what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from labkit.lab import Lab
from labkit.marks import Mark, Marks
from labkit.panels.dashboard_source import Frame, Source
from labkit.panels.dashboard_view import _alerts
from labkit.plots.names import wrapped
from labkit.plots.tiles.face import Failure, Missing, View
from labkit.plots.tiles.live import LiveTile
from labkit.promql.tiles import Tile
from tests.prometheus_lines import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

LATER = pd.Timestamp("2026-01-31T12:00:00Z")


@pytest.fixture
def source() -> Iterator[Source]:
    tiles = [
        Tile("Slip", "sum(rate(flask_request_total[30s]))", "line"),
        Tile("Up", "up", "line"),
        Tile("Refused", "sum by (x) (up) / on (", "line"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        with Lab() as lab:
            lab.wait_for("count_over_time(up[30s]) > 2")  # a frame looks at the second before
            source = Source(lab.client, tiles)
            yield source
            source.close()


def test_a_tile_without_series_says_why_and_the_others_go_on(source: Source):
    slip, up, refused = source.fetch(1).contents
    assert isinstance(slip, Missing)
    assert "flask_requests_total" in slip.words, "the name that was meant"
    assert isinstance(up, pd.DataFrame)
    assert isinstance(refused, Failure)
    assert not isinstance(refused, Missing)


def test_tiles_that_are_all_empty_are_no_outage():
    missing = Missing("There is no such metric.")
    view = View(0.0, 60.0)
    assert Frame(view, (missing, missing), None).outage == ""
    failed = Failure("Prometheus is not reached.")
    assert Frame(view, (failed, failed), None).outage == "Prometheus is not reached."


def chips(*rows: tuple[str, str, str]) -> str:
    frame = pd.DataFrame(rows, columns=["name", "state", "severity"])
    frame = frame.assign(since=LATER, summary="words")
    return _alerts(Frame(View(0.0, 60.0), (), frame))


def test_an_alert_says_since_when_its_condition_holds_and_not_since_when_it_fires():
    strip = chips(("HighErrorRate", "firing", "page"))
    assert "firing · true since " in strip
    assert "firing since" not in strip


def test_an_alert_for_information_is_no_alarm():
    strip = chips(("NoTraffic", "firing", "info"), ("HighErrorRate", "firing", "page"))
    assert strip.count("labkit-alert-quiet") == 1


def test_an_alert_is_marked_once_however_many_dashboards_see_it():
    marks = Marks([], [])
    marks.fire({}, 10.0)
    marks.fire({"Slow": "too slow"}, 11.0)
    marks.fire({}, 10.5)  # another dashboard's look, which began earlier and took longer
    marks.fire({"Slow": "too slow"}, 12.0)
    assert [(mark.label, mark.time) for mark in marks.between(0, 100)] == [("Slow", 11.0)]


def test_where_room_is_short_the_newest_cause_is_named():
    kinds = [("app", "app restarted", 30.0), ("run", "spike", 31.0), ("faults", "faults", 32.0)]
    marks = [Mark(when, when, kind, label, label) for kind, label, when in kinds]
    tile = LiveTile(Tile("Up", "up", "line"))
    frame = pd.DataFrame({"up": [1.0, 1.0]}, index=pd.to_datetime([0.0, 60.0], unit="s", utc=True))
    tile.png(frame, View(0.0, 3600.0, marks))  # all within a pixel
    named = " ".join(text.get_text() for text in tile._face._happenings._words)
    assert "faults" in named
    assert "spike" in named
    assert "app" not in named


def test_the_words_of_a_threshold_are_drawn_over_the_lines():
    tile = LiveTile(Tile("Latency", "x", "line", "s", 0.3))
    frame = pd.DataFrame({"x": [0.3, 0.31]}, index=pd.to_datetime([0.0, 60.0], unit="s", utc=True))
    tile.png(frame, View(0.0, 60.0))
    moving = tile._face.moving
    words = next(each for each in moving if getattr(each, "get_text", str)() == "0.3 s")
    assert moving.index(words) > max(moving.index(line) for line in tile._face._lines)


def test_a_long_title_takes_two_lines_and_is_cut_once_at_its_end():
    query = "sum by (endpoint) (rate(flask_requests_total{status=~'5..'}[30s])) / " * 4
    first, second = wrapped(query, 60).splitlines()
    assert query.startswith(first)
    assert second.endswith("…")
    assert wrapped(query, 60).count("…") == 1
    assert wrapped("Requests", 60) == "Requests"


def test_a_shape_is_told_in_words():
    from labkit.traffic import Constant, Continuous, Controlled, Ramp, Spike, Wave

    told = {
        Controlled(27, 10 / 3): "27 requests in 3.33 s",
        Spike(1, 5): "1 user for 5 s",
        Continuous("low"): "one user, low intensity",
        Constant(2, 5): "2 requests a second for 5 s",
        Ramp(0, 60, 10).then(Constant(60, 5)): "from 0 to 60 requests a second in 10 s, "
        "then 60 requests a second for 5 s",
        Wave(1, 20, 30, 120): "between 1 and 20 requests a second, up and down in 30 s, for 120 s",
    }
    assert {shape: str(shape) for shape in told} == told
    run = SimpleNamespace(
        shape=Spike(8, 70),
        mix=SimpleNamespace(name="errors"),
        name="spike",
        started_at=1.0,
        ended_at=2.0,
    )
    (mark,) = Marks([run], []).between(0, 10)  # type: ignore[list-item] # what a mark asks of a run
    assert mark.text == "8 users for 70 s, mix errors"
