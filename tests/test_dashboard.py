"""The dashboard without a browser: its tiles as data, its pictures, its widgets and threads."""

from __future__ import annotations

import gc
import io
import os
import re
import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.artist import Artist
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.text import Text
from PIL import Image

from benchmarks import dashboard as bench
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.marks import Mark
from labkit.panels.dashboard import Dashboard
from labkit.panels.dashboard_source import Frame, Source, content
from labkit.panels.updater import Ticker, Updater
from labkit.plots.colours import VERMILLION
from labkit.plots.tiles.board import board
from labkit.plots.tiles.face import Failure, View
from labkit.plots.tiles.live import HEIGHT, WIDTH, LiveTile
from labkit.plots.tiles.over_time import grid_lines, steady_top, time_ticks
from labkit.promql.tiles import KINDS, TILES, Tile
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

UP = Tile("Up", "up", "line", "targets")
BROKEN = Tile("Broken", "sum(rate(", "line")
TRAFFIC_SECONDS = 60


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with traffic whose errors have been scraped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        with Lab(seed=1, name="<the lab>") as lab:
            lab.traffic(requests=20 * TRAFFIC_SECONDS, seconds=TRAFFIC_SECONDS)
            lab.wait_for('sum(rate(flask_requests_total{status=~"5.."}[30s])) > 0')
            yield lab


@pytest.fixture
def own_lab(monkeypatch) -> Iterator[Lab]:
    """A lab for one test, which breaks it."""
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    with Lab() as lab:
        yield lab


@pytest.fixture
def make(lab: Lab) -> Iterator[object]:
    """Makes dashboards on the lab's Prometheus, and closes them."""
    made: list[Dashboard] = []

    def dashboard(tiles: list[Tile] | None = None, **settings: object) -> Dashboard:
        made.append(Dashboard(lab._client, tiles, **{"refresh_seconds": 1, **settings}))
        return made[-1]

    yield dashboard
    for each in made:
        each.close()


def pictures(dashboard: Dashboard) -> list[bytes]:
    return [bytes(picture.value) for picture in dashboard.view._pictures]


def shown(dashboard: Dashboard) -> None:
    """Wait until a frame with data has been shown; the first one may come before any."""

    def has_data() -> bool:
        frame = dashboard._frame
        return (
            frame is not None
            and isinstance(frame.contents[0], pd.DataFrame)
            and bool(len(frame.contents[0].columns))
        )

    wait_for(lambda: has_data() and dashboard.model.status[:1].isdigit())
    assert not dashboard.model.failed, dashboard.model.status


def markup(dashboard: Dashboard) -> str:
    return "".join(
        box.value for box in descendants(dashboard.view.box) if isinstance(box, widgets.HTML)
    )


def descendants(box: widgets.Box) -> Iterator[widgets.Widget]:
    for child in box.children:
        yield child
        if isinstance(child, widgets.Box):
            yield from descendants(child)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def lines(values: dict[str, list[float]], end: float) -> pd.DataFrame:
    """A frame over the seconds up to an end."""
    count = len(next(iter(values.values())))
    index = pd.date_range(end=pd.Timestamp(end, unit="s", tz="UTC"), periods=count, freq="s")
    return pd.DataFrame(values, index)


# --- Tiles as data ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", "up", "line"), "needs a title"),
        (("T", "up", "pie"), "there is no kind 'pie'; there are line, quantiles, bars"),
        (("T", " ", "line"), "must be PromQL text, not ' '"),
        (("T", {}, "line"), "query must be an expression"),
        (("T", {"a": 5}, "table"), "the expression of 'a' must be PromQL text, not 5"),
        (("T", {"a": "up", "b": "up"}, "gauge", "%"), "gauge shows one expression, not 2"),
        (("T", "up", "line", 5), "unit must be a text"),
        (("T", "up", "line", "s", "high"), "thresholds must be a number"),
        (("T", "up", "line", "s", (2, 1)), "in rising order"),
        (("T", "up", "line", "s", float("nan")), "thresholds must be a number"),
        (("T", "up", "gauge", "requests"), "a gauge needs maximum="),
        (("T", "up", "gauge", "%", 120), "maximum must be a number above 0 and the thresholds"),
    ],
)
def test_a_bad_declaration_is_refused_in_words(arguments: tuple, words: str):
    with pytest.raises(ValueError, match="tile") as told:
        Tile(*arguments)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tiles": []}, "1 to 12 tiles, not 0"),
        ({"tiles": UP}, "must be a list of Tile, not Tile"),
        ({"tiles": [UP, "up"]}, "tile 2 is a str"),
        ({"window_minutes": 0.5}, "window_minutes must be a number from 1 to 60, not 0.5"),
        ({"window_minutes": "long"}, "window_minutes must be"),
        ({"refresh_seconds": 3}, "refresh_seconds must be 1, 2, 5 or 10, not 3"),
        ({"theme": "pink"}, "theme must be auto, light or dark"),
    ],
)
def test_bad_settings_of_a_dashboard_are_refused_in_words(lab: Lab, settings: dict, words: str):
    with pytest.raises(ValueError, match=r"must|has|is a") as told:
        lab.dashboard(**settings)
    assert words in str(told.value)
    assert not lab._dashboards


def test_every_kind_is_among_the_default_tiles_and_all_of_them_answer(lab: Lab):
    assert {tile.kind for tile in TILES} == set(KINDS)
    source = Source(lab._client, TILES)
    try:
        wait_for(lambda: all(isinstance(c, pd.DataFrame) for c in source.fetch(1).contents))
        frame = source.fetch(1)
    finally:
        source.close()
    for tile, answer in zip(TILES, frame.contents, strict=True):
        assert isinstance(answer, pd.DataFrame), f"{tile.title}: {answer}"
        assert not answer.dropna(how="all").empty, tile.title
    table = frame.contents[-1]
    assert list(table.columns) == ["rate", "5xx", "p95"]
    assert table.index.name == "endpoint"
    assert table.loc["/", "5xx"] == 0  # none of its answers was one


# --- Pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(TILES)), ids=[tile.kind for tile in TILES])
def test_a_canvas_that_is_kept_shows_the_same_as_a_new_one(place: int):
    """Nothing of an earlier frame stays, and nothing of this one is missing."""
    kept = LiveTile(TILES[place])
    for number in range(4):
        data, view = bench.frames(40 * number)
        png = kept.png(data[place][1], view)
    fresh = LiveTile(TILES[place])
    fresh._face._top = getattr(kept._face, "_top", 0.0)  # a scale is as high as it has been
    assert png == fresh.png(data[place][1], view)
    assert pixels(png).shape == (2 * HEIGHT, 2 * WIDTH, 3)


def test_what_stands_still_is_drawn_once(monkeypatch):
    drawn = []
    monkeypatch.setattr(LiveTile, "_draw_still", _counted(LiveTile._draw_still, drawn))
    live = [LiveTile(tile) for tile in TILES]
    for number in range(5):
        data, view = bench.frames(number)
        data = [*data[:3], (TILES[3], bench.frames(0)[0][3][1]), *data[4:]]  # a scale that stays
        for each, (_, frame) in zip(live, data, strict=True):
            each.png(frame, view)
    assert len(drawn) == len(TILES)


def _counted(function, calls):
    def counted(self):
        calls.append(self)
        function(self)

    return counted


def test_a_failure_and_no_data_take_the_tile_and_leave_it_again():
    live, view = LiveTile(UP), View(0.0, 60.0)
    data = lines({"value": [1.0] * 60}, 60)
    good = live.png(data, view)
    failed = live.png(Failure("1:5: parse error: unclosed $parenthesis <b>"), view)
    empty = live.png(data.iloc[:, :0], view)
    nothing = live.png(data * np.nan, view)
    assert len({good, failed, empty}) == 3
    assert empty == nothing
    assert live.png(data, view) == good


def test_a_gap_in_a_lone_line_is_not_filled_in():
    live = LiveTile(UP)
    data = lines({"value": [1.0] * 20 + [np.nan] * 20 + [1.0] * 20}, 60)
    live.png(data, View(0.0, 60.0))
    [area] = live._figure.findobj(FillBetweenPolyCollection)
    assert len(area.get_paths()) == 2


@pytest.mark.parametrize(("start", "days"), [(-3600, 2), (0, 1)])
def test_a_copy_names_both_days_of_a_window_over_midnight(start: float, days: int):
    midnight = datetime(2026, 1, 31).astimezone().timestamp()
    view = View(midnight + start, midnight + 3600)
    figure = board([UP], [Failure("nothing")], view, title="x")
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert len(re.findall(r"\b3[01] Jan 2026", words)) == days


def test_memory_stays_flat():
    """No artists pile up, on the canvas or beside it, whatever the frames show."""
    live = [LiveTile(tile) for tile in TILES]

    def draw(numbers: range) -> tuple[int, int]:
        for number in numbers:
            data, view = bench.frames(7 * number)
            for each, (_, frame) in zip(live, data, strict=True):
                each.png(Failure(f"failed {number}") if number % 11 == 0 else frame, view)
        gc.collect()
        on_canvas = sum(len(each._figure.findobj()) for each in live)
        return on_canvas, sum(isinstance(thing, Artist) for thing in gc.get_objects())

    on_canvas, alive = draw(range(1, 6))
    more_on_canvas, more_alive = draw(range(6, 21))
    assert more_on_canvas <= on_canvas + 12  # a few words of marks find room or do not
    assert more_alive <= alive + 12


def test_a_gauge_beyond_its_threshold_says_so_in_colour():
    gauge, view = TILES[2], View(0.0, 60.0)
    rgb = [int(VERMILLION[i : i + 2], 16) for i in (1, 3, 5)]

    def reds(value: float) -> int:
        png = LiveTile(gauge).png(pd.DataFrame({"value": [value]}), view)
        return int((pixels(png) == rgb).all(axis=2).sum())

    assert reds(19.9) < reds(20.0)


def test_marks_stand_where_they_belong_and_words_only_where_there_is_room():
    view = View(0.0, 100.0)
    data = lines({"value": [0.0] * 100}, 100)
    without = pixels(LiveTile(UP).png(data, view))
    change = Mark(50, 50, "faults", "faults", "x")
    with_change = pixels(LiveTile(UP).png(data, View(0.0, 100.0, (change,))))
    columns = np.flatnonzero((without != with_change).any(axis=(0, 2)))
    line = 2 * (52 + (WIDTH - 52 - 16) * 0.5)  # half of the axes' width, in pixels of the picture
    assert columns.min() == pytest.approx(line, abs=4)
    assert columns.max() < line + 120  # its words are beside it
    tile = LiveTile(UP)
    tile.png(data, View(0, 100, tuple(Mark(50 + i, 50 + i, "app", "x" * 12, "") for i in range(9))))
    named = tile._face._happenings._words
    assert 2 <= len(named) <= 4  # before and after, in two lanes
    tile.png(data, View(0, 100, (change, Mark(50, None, "run", "spike", ""))))
    assert {t.get_text() for t in tile._face._happenings._words} == {"◆ faults", "▶ spike"}


def test_a_scale_keeps_still_until_it_must_change():
    assert steady_top(4.0, 0.0) == 5.0
    assert steady_top(3.0, 5.0) == 5.0  # it shrinks only when more than half of it is empty
    assert steady_top(2.0, 5.0) == 2.5
    assert steady_top(5.1, 5.0) == 6.0
    assert grid_lines(0.0, 5.0) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert steady_top(0.0, 0.0) == 1.0


@pytest.mark.parametrize("minutes", [1, 2, 5, 15, 30, 60, 7.5])
def test_times_on_the_axis_are_round_and_few(minutes: float):
    end = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC).timestamp()
    ticks, words = time_ticks(end - 60 * minutes, end)
    assert 3 <= len(ticks) <= 7
    assert len(set(words)) == len(words)
    assert all(end - 60 * minutes <= tick <= end for tick in ticks)


def test_a_window_grows_with_a_young_lab_and_never_beyond_what_was_chosen(lab: Lab):
    source = Source(lab._client, [UP], began=1000.0)
    try:
        spans = []
        for now, minutes in ((1030, 5), (1090, 5), (1200, 5), (1030, 1), (9000, 5)):
            view = source.fetch(minutes, now).view
            spans.append((view.end - view.start) / 60)
    finally:
        source.close()
    assert spans == [1, 2, 5, 1, 5]


def test_a_gauge_of_several_series_says_what_to_do():
    frame = pd.DataFrame({"endpoint": ["/", "/slow"], "value": [1.0, 2.0]})
    answer = content(Tile("T", "x", "gauge", "%"), [frame])
    assert isinstance(answer, Failure)
    assert "2 series" in answer.words


def test_several_expressions_become_one_frame():
    tile = Tile("T", {"a": "x", "b": "y"}, "line")
    one, two = lines({"value": [1.0, 2.0]}, 60), lines({"/": [3.0, 4.0], "/slow": [5.0, 6.0]}, 60)
    assert list(content(tile, [one, two]).columns) == ["a", "b · /", "b · /slow"]
    table = Tile("T", {"a": "x", "b": "y"}, "table")
    left = pd.DataFrame({"endpoint": ["/", "/slow"], "value": [1.0, 2.0]})
    right = pd.DataFrame({"endpoint": ["/slow"], "value": [3.0]})
    joined = content(table, [left, right])
    assert joined.loc["/slow"].tolist() == [2.0, 3.0]
    assert np.isnan(joined.loc["/", "b"])
    assert content(table, [left, Failure("no")]).words == "no"
    assert len(content(table, [left.iloc[:0, -1:], left.iloc[:0, -1:]])) == 0


# --- Live ------------------------------------------------------------------------------------


def test_pictures_follow_the_clock_and_a_bad_query_fails_in_its_own_tile(make):
    dashboard = make([TILES[0], BROKEN])
    shown(dashboard)
    first = pictures(dashboard)
    assert all(png[:4] == b"\x89PNG" for png in first)
    wait_for(lambda: pictures(dashboard)[0] != first[0])
    assert pictures(dashboard)[1] == first[1]
    broken = dashboard._frame.contents[1]
    assert "parse error" in broken.words
    assert not dashboard.model.failed


def test_a_paused_dashboard_stands_still_but_shows_what_is_chosen(make):
    dashboard = make([TILES[0]])
    shown(dashboard)
    dashboard.model.paused = True
    wait_for(lambda: dashboard.model.status.startswith("paused at"))
    end, before = dashboard._frame.view.end, pictures(dashboard)
    dashboard._ticker.now()
    dashboard.model.window_minutes = 15.0
    wait_for(lambda: pictures(dashboard) != before)
    view = dashboard._frame.view
    assert (view.end, view.start) == (end, end - 15 * 60)
    assert dashboard.figure().axes
    dashboard.model.paused = False
    wait_for(lambda: dashboard._frame.view.end > end)


def test_a_theme_is_drawn_when_it_is_chosen(make):
    dashboard = make([TILES[0]], theme="light")
    shown(dashboard)
    assert pixels(pictures(dashboard)[0])[2, 2].tolist() == [255, 255, 255]
    dashboard.model.theme = "dark"
    wait_for(lambda: pixels(pictures(dashboard)[0])[2, 2].tolist() == [17, 17, 17])
    assert "labkit-dark" in dashboard.view.box._dom_classes
    assert "labkit-light" not in dashboard.view.box._dom_classes


def test_alerts_are_shown_with_their_states_and_marked_when_they_fire(make, lab: Lab):
    rows = [["Slow", "inactive"], ["<b>Bad</b>", "inactive"]]

    def alerts() -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["name", "state"])
        return frame.assign(since=pd.NaT, summary='a "quoted" summary')

    dashboard = make([UP], alerts=alerts, marks=lab.marks)
    shown(dashboard)
    rows[1][1] = "firing"
    wait_for(lambda: "labkit-alert-firing" in dashboard.view._alerts.value)
    strip = dashboard.view._alerts.value
    assert strip.index("&lt;b&gt;Bad") < strip.index("Slow"), "the urgent one first"
    assert "<b>Bad</b>" not in markup(dashboard)
    wait_for(lambda: "Bad&lt;/b&gt; fires" in dashboard.view._marks.value)
    assert [m.label for m in lab.marks.between(0, 1e12) if m.kind == "alert"] == ["<b>Bad</b>"]


def test_alerts_that_cannot_be_told_say_why_and_the_tiles_go_on(make):
    def alerts() -> pd.DataFrame:
        raise LabError("no <rules> here")

    dashboard = make([UP], alerts=alerts)
    shown(dashboard)
    assert "no &lt;rules&gt; here" in dashboard.view._alerts.value


def test_the_labs_own_alerts_and_runs_are_on_its_dashboard(lab: Lab, tmp_path):
    dashboard = lab.dashboard(refresh_seconds=1)
    shown(dashboard)
    assert "HighErrorRate" in dashboard.view._alerts.value
    assert "controlled" in dashboard.view._marks.value
    assert lab.dashboard(refresh_seconds=1) is dashboard
    assert "application/vnd.jupyter.widget-view+json" in dashboard._repr_mimebundle_()
    other = lab.dashboard([UP], refresh_seconds=1)
    assert other is not dashboard
    more = [lab.dashboard([UP], refresh_seconds=each) for each in (2, 5)]
    assert "taken over" in dashboard.model.status, "the fourth ends the first"
    assert [each.model.open for each in (dashboard, other, *more)] == [False, True, True, True]
    assert lab.dashboard([UP], refresh_seconds=1) is other
    picture = pixels(other.save(tmp_path / "copy.png").read_bytes())
    assert picture.shape[1] == 2 * (WIDTH + 20)
    assert other.save(tmp_path / "copy.svg").read_text().startswith("<?xml")
    with pytest.raises(ValueError, match="there is no theme"):
        other.figure(theme="pink")
    with pytest.raises(ValueError, match="columns must be 1 to 4, not 0"):
        other.figure(columns=0)
    for each in (other, *more):
        each.close()
    lab._dashboards.clear()


def test_a_copy_has_every_tile_and_the_window(lab: Lab, make):
    dashboard = make(None, marks=lab.marks, title="Tuesday's load test")
    figure = dashboard.figure("dark")
    assert figure.get_figwidth() == pytest.approx((2 * WIDTH + 30) / 100), "two tiles in a row"
    words = [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]
    for tile in TILES:
        assert tile.title in words
    assert "Tuesday's load test" in words
    assert any("▶  controlled" in text for text in words)


def test_a_prometheus_that_is_gone_is_said_and_the_last_pictures_stay(own_lab: Lab, monkeypatch):
    """And then the lab is stopped under the dashboard."""
    dashboard = own_lab.dashboard([UP, TILES[0]], refresh_seconds=1)
    shown(dashboard)
    show, drawn = dashboard.view.show, []

    def showing(frame: Frame, *rest: Any) -> None:
        drawn.append(frame)
        show(frame, *rest)

    monkeypatch.setattr(dashboard.view, "show", showing)
    os.kill(own_lab._prometheus.pid, signal.SIGKILL)
    wait_for(lambda: dashboard.model.failed and "stand still" in dashboard.model.status)
    before = pictures(dashboard)
    stand_still, stood = dashboard._stand_still, []
    monkeypatch.setattr(dashboard, "_stand_still", lambda f: (stand_still(f), stood.append(f)))
    wait_for(lambda: len(stood) >= 2)  # so many frames later
    assert dashboard.model.failed
    assert pictures(dashboard) == before
    assert not any(frame.outage for frame in drawn)
    wait_for(lambda: "Alerts: " in dashboard.view._alerts.value)

    own_lab.stop()
    assert "The lab has stopped" in dashboard.model.status
    assert all(box.disabled for box in dashboard.view._inputs)
    assert dashboard.figure().axes, "the last picture can still be saved"
    dashboard.close()
    assert "closed" in repr(dashboard)


# --- Threads ---------------------------------------------------------------------------------


def test_late_frames_are_left_out_and_never_run_side_by_side():
    running, starts = threading.Semaphore(1), []

    def work() -> None:
        assert running.acquire(blocking=False), "two at once"
        starts.append(time.monotonic())
        threading.Event().wait(0.35)
        running.release()

    failures: list[Exception] = []
    ticker = Ticker("labkit-test", work, seconds=lambda: 0.1, failed=failures.append)
    wait_for(lambda: len(starts) >= 4)
    ticker.close()
    assert failures == []
    assert ticker.skipped >= 6
    assert min(np.diff(starts)) >= 0.4, "each has some rest before it"


def test_a_ticker_outlives_what_goes_wrong_and_comes_at_once_when_called():
    failures: list[Exception] = []
    ticker = Ticker("labkit-test", lambda: 1 / 0, seconds=lambda: 60, failed=failures.append)
    wait_for(lambda: failures)
    ticker.now()
    wait_for(lambda: len(failures) == 2)
    ticker.close()
    assert isinstance(failures[0], ZeroDivisionError)


def test_an_updater_does_what_it_is_asked_in_order():
    done: list[object] = []
    updater = Updater("labkit-test", done.append)
    for number in range(5):
        updater.ask(lambda number=number: done.append(number))
    updater.ask(lambda: 1 / 0)
    wait_for(lambda: len(done) == 6)
    updater.close()
    assert done[:5] == [0, 1, 2, 3, 4]
    assert isinstance(done[5], ZeroDivisionError)
