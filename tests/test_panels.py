"""The control panel without a browser: its model, its widgets and its threads."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import ipywidgets as widgets
import pytest
import requests

from labkit.lab import Lab
from labkit.panels.model import MAX_REQUESTS, MAX_SECONDS, ControlModel
from labkit.traffic.shapes import Continuous, Controlled, Spike
from tests.ports import steady_port
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.panels.control import ControlPanel


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        with Lab(seed=1) as lab:
            yield lab


@pytest.fixture
def own_lab(monkeypatch) -> Iterator[Lab]:
    """A lab for one test, which breaks it."""
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    with Lab(app_port=steady_port()) as lab:
        yield lab


@pytest.fixture
def model(lab: Lab) -> Iterator[ControlModel]:
    model = ControlModel(lab)
    yield model
    for run in lab.runs:
        if run.running:
            run.stop()


@pytest.fixture
def panel(lab: Lab) -> Iterator[ControlPanel]:
    panel = lab.panel()
    yield panel
    panel.close()
    lab._panel = None


@pytest.fixture
def state_folder(monkeypatch, tmp_path):
    """Keep background traffic's files out of this user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def button(panel: ControlPanel, text: str) -> widgets.Button | None:
    found = [b for b in descendants(panel.view.box) if getattr(b, "description", "") == text]
    return found[0] if found else None


def descendants(box: widgets.Box) -> Iterator[widgets.Widget]:
    for child in box.children:
        yield child
        if isinstance(child, widgets.Box):
            yield from descendants(child)


def test_the_inputs_become_shapes(model: ControlModel):
    assert model.shape("traffic") == Controlled(100, 60)
    assert model.shape("continuous") == Continuous("normal")
    model.threads, model.spike_seconds = 9, 7
    assert model.shape("spike") == Spike(9, 7)


@pytest.mark.parametrize(
    ("trait", "value", "kept"),
    [
        ("requests", 0, 1),
        ("requests", 10**9, MAX_REQUESTS),
        ("seconds", -5, 1),
        ("spike_seconds", 10**9, MAX_SECONDS),
    ],
)
def test_bad_values_cannot_be_entered(model: ControlModel, trait: str, value: int, kept: int):
    setattr(model, trait, value)
    assert getattr(model, trait) == kept


def test_a_second_start_is_refused_in_words_while_one_runs(model: ControlModel):
    model.start("spike")
    assert model.running
    model.start("traffic")
    # Of 30 s; a machine that stalls between the two starts leaves fewer.
    assert re.search(r"Already running: spike, (30|2\d) s left\. Press Stop first", model.notice)
    assert "Stop" in model.notice
    model.stop()
    assert (model.running, model.notice) == (False, "Stopped.")
    model.stop()
    assert model.notice == "Nothing is running."


def test_progress_and_summary_follow_the_run_to_its_end(model: ControlModel, lab: Lab):
    model.requests, model.seconds = 20, 1
    model.mix = "errors"
    model.start("traffic")

    def ended() -> bool:
        model.refresh()
        return not model.running

    wait_for(ended)
    assert model.progress == 1.0
    assert model.summary.startswith("controlled: sent 20 · errors ")
    assert lab.runs[-1].stats.sent == 20


def test_a_run_started_in_a_cell_is_shown_and_stopped_by_the_panel(model: ControlModel, lab: Lab):
    run = lab.spike(threads=1, seconds=30)
    model.refresh()
    assert model.running
    assert model.summary.startswith("spike: sent ")
    model.stop()
    assert not run.running


def test_a_run_without_an_end_says_so(model: ControlModel):
    model.start("continuous")
    assert (model.running, model.progress) == (True, 0.0)
    assert model.time_left == "until you stop it"
    model.stop()


def test_buttons_start_and_stop_and_the_chart_is_redrawn(panel: ControlPanel):
    wait_for(lambda: panel.view._chart.value)
    first = panel.view._chart.value
    assert bytes(first[:4]) == b"\x89PNG"
    button(panel, "Start spike").click()
    wait_for(lambda: panel.model.running)
    wait_for(lambda: panel.view._chart.value != first)
    button(panel, "Stop").click()
    wait_for(lambda: not panel.model.running)


def test_a_slider_changes_the_faults_and_a_bad_value_is_put_back(panel: ControlPanel, lab: Lab):
    sliders = [w for w in descendants(panel.view.box) if isinstance(w, widgets.FloatSlider)]
    health, _, slow = sliders
    health.value = 50  # percent
    wait_for(lambda: lab.faults.health_failure_probability == 0.5)
    slow.value = 0.0  # below slow_min_seconds
    wait_for(lambda: "slow_min_seconds" in panel.model.notice and panel.model.failed)
    wait_for(lambda: slow.value == lab.faults.slow_max_seconds)
    lab.faults.preset("classic")
    wait_for(lambda: health.value == 20)  # what code changes, the slider follows


def test_a_scenario_shows_its_steps_and_stops(model: ControlModel, lab: Lab):
    model.scenario = "heavy"
    model.start("scenario")
    wait_for(lambda: lab.scenarios[-1].step)
    model.refresh()
    assert model.running
    assert model.notice.startswith("Heavy traffic builds up")
    assert "Watch: " in model.notice
    model.start("spike")
    assert model.notice.startswith("Already running: heavy, ")
    model.stop()
    assert not lab.scenarios[-1].running
    assert (model.running, model.notice) == (False, "Stopped.")


def test_a_scenario_that_breaks_off_says_why_once_and_does_not_hinder_the_end(own_lab: Lab):
    crowd = own_lab.spike(threads=490, seconds=30, mix={"/": 1})
    heavy = own_lab.scenario("heavy", speed=20)
    with pytest.raises(ValueError, match="users"):
        heavy.wait(20)
    crowd.stop()
    own_lab.stop()
    assert not own_lab.running


def test_a_lab_that_starts_again_has_no_runs_of_its_earlier_life(own_lab: Lab):
    own_lab.spike(threads=1, seconds=1).wait(10)
    own_lab.stop()
    own_lab.start()
    assert own_lab.runs == []


def test_background_traffic_is_started_shown_and_stopped(
    panel: ControlPanel, lab: Lab, state_folder
):
    button(panel, "Start background").click()
    wait_for(lambda: panel.model.in_background)
    try:
        background = lab.background_traffic()
        wait_for(lambda: panel.model.background_summary.startswith("normal, "))
        button(panel, "Stop background").click()
        wait_for(lambda: not panel.model.in_background)
        assert not background.running
    finally:
        lab.background_traffic().stop()


def test_the_app_is_stopped_started_and_restarted(own_lab: Lab):
    panel, url = own_lab.panel(), own_lab.url
    button(panel, "Stop the app").click()
    wait_for(lambda: button(panel, "Start the app"))
    assert not own_lab.app_running
    own_lab.wait_for('up{job="flask"} == 0')
    button(panel, "Start the app").click()
    wait_for(lambda: own_lab.app_running)
    requests.get(url, timeout=5)
    own_lab.wait_for("sum(flask_requests_total) == 1")
    button(panel, "Restart it").click()
    own_lab.wait_for("sum(flask_requests_total) == 0")
    assert own_lab.url == url


def test_one_panel_for_a_lab_however_often_it_is_shown(panel: ControlPanel, lab: Lab):
    assert lab.panel() is panel
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()


def test_a_killed_worker_is_reported_in_the_panel_and_the_next_run_works(own_lab: Lab):
    panel = own_lab.panel()
    button(panel, "Start spike").click()
    wait_for(lambda: panel.model.running)
    os.kill(own_lab._worker.pid, signal.SIGKILL)
    wait_for(lambda: panel.model.failed and "SIGKILL" in panel.model.notice)
    button(panel, "Start spike").click()
    wait_for(lambda: panel.model.running and not panel.model.failed)


def test_hostile_words_are_escaped(panel: ControlPanel):
    panel.model.fail(ValueError("<script>alert(1)</script>"))
    html = "".join(w.value for w in descendants(panel.view.box) if isinstance(w, widgets.HTML))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_panel_survives_the_lab_stopping_under_it(own_lab: Lab):
    panel = own_lab.panel()
    button(panel, "Start spike").click()
    wait_for(lambda: panel.model.running)
    own_lab.stop()
    assert "The lab has stopped" in panel.model.notice
    assert button(panel, "Start spike").disabled
    panel.model.start("spike")
    assert not panel.model.running


def test_a_prometheus_that_is_gone_is_said_under_the_chart(own_lab: Lab):
    panel = own_lab.panel()
    wait_for(lambda: panel.view._chart.value)
    os.kill(own_lab._prometheus.pid, signal.SIGKILL)
    wait_for(lambda: "stands still" in panel.view._chart_note.value)
    assert panel.view._chart.value, "the last picture stays"
