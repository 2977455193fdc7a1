"""Marks: what happened when, told by the runs themselves or noted at each change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from app.faults import Faults
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.localapp import LocalApp
from labkit.marks import Marks
from labkit.runfolder import RunFolder
from tests.ports import steady_port
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        with Lab(seed=1) as lab:
            yield lab


@pytest.fixture
def marks() -> Marks:
    return Marks([], [])


def texts(marks: Marks, kind: str) -> list[str]:
    return [mark.text for mark in marks.between(0, 1e12) if mark.kind == kind]


def test_a_run_is_a_span_that_ends_when_it_does(lab: Lab):
    run = lab.spike(threads=1, seconds=30)
    (mark,) = [m for m in lab.marks.between(run.started_at, 1e12) if m.kind == "run"]
    assert (mark.label, mark.until, mark.is_span) == ("spike", None, True)
    run.stop()
    (mark,) = [m for m in lab.marks.between(run.started_at, 1e12) if m.kind == "run"]
    assert mark.until == run.ended_at
    assert mark.time == run.started_at < mark.until


def test_a_scenario_is_marked_with_the_runs_in_it(lab: Lab):
    scenario = lab.scenario("basic")
    wait_for(lambda: scenario.step)
    wait_for(lambda: lab.runs[-1].started_at >= scenario.started_at)
    scenario.stop()
    kinds = [m.kind for m in lab.marks.between(scenario.started_at, scenario.ended_at)]
    assert kinds == ["scenario", "run"]
    assert scenario.started_at < scenario.ended_at


def test_faults_changed_by_anyone_are_marked_with_what_they_were(lab: Lab):
    lab.faults.health_failure_probability = 0.7
    lab.faults.update(slow_timeout_probability=0.4)
    assert texts(lab.marks, "faults")[-2:] == [
        "health_failure_probability 0.2 → 0.7",
        "slow_timeout_probability 0.3 → 0.4",
    ]
    lab.faults.preset("classic")
    assert texts(lab.marks, "faults")[-1].startswith("health_failure_probability 0.7 → 0.2, ")
    lab.faults.preset("classic")  # nothing changed, nothing is marked
    assert len(texts(lab.marks, "faults")) == 3
    with pytest.raises(ValueError, match="health_failure_probability"):
        lab.faults.health_failure_probability = 2.0
    assert len(texts(lab.marks, "faults")) == 3


def test_the_app_stopped_and_started_is_marked_once_each(tmp_path: Path):
    """With an app of its own: the other tests' app has threads that a restart would replace."""
    with closing(RunFolder(tmp_path)) as folder:
        lab = Lab()
        lab._app = app = LocalApp(folder, port=steady_port())
        try:
            lab.marks.follow(app.faults.to_dict, app.faults.on_change)
            lab.stop_app()
            lab.stop_app()
            lab.start_app()
            lab.start_app()
            assert texts(lab.marks, "app") == ["app stopped", "app started"]
            lab.faults.health_failure_probability = 0.6  # they are the same after the restart
            assert texts(lab.marks, "faults") == ["health_failure_probability 0.2 → 0.6"]
        finally:
            app.stop()


def test_faults_of_an_app_elsewhere_are_found_by_looking(marks: Marks):
    values = {"a": 1.0}
    marks.follow(lambda: values)
    marks.look()
    marks.look()
    assert texts(marks, "faults") == []
    values = {"a": 2.0}
    marks.look()
    assert texts(marks, "faults") == ["a 1 → 2"]


def test_an_app_that_does_not_tell_changes_nothing(marks: Marks):
    def refuse() -> dict[str, float]:
        raise LabError("no")

    marks.follow(refuse)
    with pytest.raises(LabError):
        marks.look()
    assert marks.between(0, 1e12) == []


def test_a_preset_of_many_fields_stays_one_line(marks: Marks):
    faults = Faults()
    marks.follow(faults.to_dict, faults.on_change)
    faults.preset("healthy")
    (text,) = texts(marks, "faults")
    assert text.endswith("and 3 more")
    assert len(text) < 120


def test_marks_are_found_by_when_they_went_on():
    def run(start: float, end: float | None) -> object:
        mix = SimpleNamespace(name="everyday")
        return SimpleNamespace(started_at=start, ended_at=end, shape=None, mix=mix, name="spike")

    marks = Marks([run(10, 20), run(30, None)], [])
    marks.add("alert", "Down", time=15)
    assert [m.time for m in marks.between(18, 25)] == [10]
    assert [m.time for m in marks.between(12, 16)] == [10, 15]
    assert [m.time for m in marks.between(40, 50)] == [30]
    frame = marks.to_frame()
    assert list(frame.columns) == ["time", "until", "kind", "label", "text"]
    assert str(frame["time"].dt.tz) == "UTC"
    assert frame["until"].isna().tolist() == [False, False, True]
    assert frame["time"][0] == pd.Timestamp(10, unit="s", tz="UTC")


def test_many_threads_may_mark_at_once_and_the_oldest_are_forgotten(marks: Marks):
    faults = Faults()
    marks.follow(faults.to_dict, faults.on_change)

    def change(number: int) -> None:
        faults.health_failure_probability = number / 1000
        marks.between(0, 1e12)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(400)))
    last = texts(marks, "faults")[-1]
    assert last.endswith(f"→ {faults.health_failure_probability:g}")
    for _ in range(1100):
        marks.add("app", "x")
    assert len(marks.between(0, 1e12)) == 1000
