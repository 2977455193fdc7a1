"""The dashboard of a past: a slider goes through time, and nothing else moves it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import ipywidgets as widgets
import pytest

import labkit
from labkit.history import ErrorBurst, History
from labkit.panels.dashboard_model import DashboardModel
from labkit.promql.tiles import TILES, standard
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.historical import HistoryLab
    from labkit.panels.dashboard import Dashboard

HOUR = 3600.0
PAST = History(days=1, seed=3, incidents=[ErrorBurst("6h", "1h")])
GAUGE = 2  # the tile with the share of 5xx


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistoryLab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        lab = labkit.open_history(PAST)
        at(lab.dashboard(window_minutes=60), PAST.end)  # all its threads are there then
        yield lab
        lab.stop()


@pytest.fixture
def dashboard(lab: HistoryLab) -> Dashboard:
    """The lab's dashboard, an hour at the end of the past."""
    dashboard = lab.dashboard(window_minutes=60)
    dashboard.model.window_minutes = 60.0
    at(dashboard, PAST.end)
    return dashboard


def at(dashboard: Dashboard, moment: float) -> None:
    """Go to a moment, and wait until it is shown."""
    dashboard.model.moment = moment
    wait_for(lambda: dashboard._frame is not None and dashboard._frame.view.end == moment)


def share(dashboard: Dashboard) -> float:
    return float(dashboard._frame.contents[GAUGE]["value"].iloc[0])


def test_it_begins_at_the_end_and_goes_where_the_slider_is(dashboard: Dashboard):
    assert share(dashboard) < 1
    at(dashboard, PAST.end - 5.5 * HOUR)
    assert share(dashboard) > 3, "half an hour into the burst of errors"
    wait_for(lambda: "Fri 30 Jan 2026, 18:30" in dashboard.model.status)


def test_each_button_goes_half_a_window(dashboard: Dashboard):
    back, on = (one for one in dashboard.view._inputs if isinstance(one, widgets.Button))
    back.click()
    back.click()
    on.click()
    assert dashboard.model.moment == PAST.end - HOUR / 2
    on.click()
    on.click()
    assert dashboard.model.moment == PAST.end, "there is nothing beyond the end"


def test_it_asks_only_when_something_is_chosen(dashboard: Dashboard, monkeypatch):
    asking = []  # the threads that did
    fetch = dashboard._source.fetch

    def noted(*arguments: object) -> object:
        asking.append(threading.current_thread())
        return fetch(*arguments)

    wait_for(lambda: not dashboard._chosen.is_set())
    monkeypatch.setattr(dashboard._source, "fetch", noted)
    dashboard._tick()
    dashboard._tick()
    assert threading.current_thread() not in asking
    dashboard.model.window_minutes = 180.0
    wait_for(lambda: asking)


def test_no_alerts_are_shown_where_no_rule_was_evaluated(dashboard: Dashboard):
    assert dashboard._frame.alerts is None


def test_windows_are_as_long_as_a_past_allows():
    model = DashboardModel.choosing(1440, 2, "auto", (PAST.start, PAST.end))
    assert list(model.windows) == ["1 h", "3 h", "12 h", "1 d"]
    with pytest.raises(ValueError, match="window_minutes must be a number from 10 to 1440"):
        DashboardModel.choosing(5, 2, "auto", (PAST.start, PAST.end))


@pytest.mark.parametrize(("interval", "window"), [(1, "30s"), (7.5, "30s"), (15, "1m"), (60, "5m")])
def test_the_labs_own_tiles_look_at_four_scrapes_or_more(interval: float, window: str):
    rate = standard(interval)[0].query
    assert f"[{window}]" in rate
    assert standard(1) == TILES
