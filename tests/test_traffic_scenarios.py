"""Scenarios: their data, and how they run, are stopped, and fail."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from labkit.cli import demo
from labkit.errors import WorkerDied
from labkit.traffic import MIXES, Controlled, Ramp, Spike, Wave, Worker
from labkit.traffic.scenarios import SCENARIOS, Scenario, Step, run_scenario
from tests.traffic_target import Target, target_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.traffic import Shape, TrafficRun


@pytest.fixture
def target() -> Iterator[Target]:
    with target_server() as target:
        yield target


@pytest.fixture
def worker(tmp_path) -> Iterator[Worker]:
    with Worker(log=tmp_path / "traffic.log") as worker:
        yield worker


def of(*steps: Step) -> Scenario:
    return Scenario("test", "Test", "A test.", steps)


def quiet(step: Step, run: TrafficRun | None) -> None:
    """Tell nobody."""


def test_the_full_demonstration_has_every_trouble_and_takes_at_most_three_minutes():
    full = SCENARIOS["full"]
    titles = {step.title for step in full.steps}
    for name in ("basic", "errors", "timeouts", "heavy"):
        assert {step.title for step in SCENARIOS[name].steps} <= titles
    assert full.seconds + 10 <= 180, "with the last answers, which may take the timeout"


def test_every_scenario_can_be_named_in_a_terminal_and_its_mixes_exist():
    assert tuple(SCENARIOS) == demo._NAMES
    for scenario in SCENARIOS.values():
        for step in scenario.steps:
            assert step.mix in MIXES
            assert step.shape.duration is not None
            assert f"{step.shape.duration:g} s" in step.title
            assert step.watch


def test_a_higher_speed_is_shorter_at_the_same_rates():
    scenario = of(
        Step("a", "w", Controlled(100, 50), pause_seconds=5),
        Step("b", "w", Ramp(5, 60, 10)),
        Step("c", "w", Spike(20, 20)),
    )
    faster = scenario.at_speed(10)
    assert faster.seconds == pytest.approx(scenario.seconds / 10)
    assert [step.shape for step in faster.steps] == [
        Controlled(10, 5),
        Ramp(5, 60, 1),
        Spike(20, 2),
    ]
    with pytest.raises(ValueError, match="more than 0"):
        scenario.at_speed(0)
    with pytest.raises(ValueError, match="a step takes"):
        of(Step("d", "w", Wave())).at_speed(2)


def test_a_scenario_sends_each_step_in_turn_and_tells_of_it(target, worker):
    scenario = of(
        Step("first", "w", Controlled(3, 0.1), pause_seconds=0.2),
        Step("second", "w", Controlled(2, 0.1)),
    )
    told: list[tuple[str, bool]] = []

    def tell(step: Step, run: TrafficRun | None) -> None:
        told.append((step.title, run is None))
        target.release.set()

    def send(shape: Shape, *, mix: str) -> TrafficRun:
        target.release.clear()  # no run ends before it was told of
        return worker.start(target.url, shape, mix={"/hang": 1})

    outcomes = run_scenario(send, scenario, tell=tell, stop_event=threading.Event())
    assert [outcome.stats.responses for outcome in outcomes] == [3, 2]
    assert target.counts["/hang"] == 5
    first, second = (step.title for step in scenario.steps)
    assert first == "first: 3 requests in 0.1 s"
    assert list(dict.fromkeys(told)) == [(first, False), (first, True), (second, False)]


def test_a_stop_ends_the_step_that_goes_on_and_leaves_out_the_rest(target, worker):
    stop = threading.Event()
    scenario = of(Step("long", "w", Controlled(1000, 100)), Step("never", "w", Controlled(1, 1)))
    runs: list[TrafficRun] = []

    def send(shape, *, mix):
        runs.append(worker.start(target.url, shape, mix={"/ok": 1}))
        return runs[-1]

    def tell(step, run):
        if run.stats.responses:
            stop.set()

    outcomes = run_scenario(send, scenario, tell=tell, stop_event=stop)
    assert [outcome.stats.state for outcome in outcomes] == ["stopped"]
    assert len(runs) == 1


def test_an_interrupt_stops_the_run_before_it_goes_on(target, worker):
    def interrupted(step, run):
        raise KeyboardInterrupt

    runs: list[TrafficRun] = []

    def send(shape, *, mix):
        runs.append(worker.start(target.url, shape, mix={"/ok": 1}))
        return runs[-1]

    scenario = of(Step("long", "w", Controlled(1000, 100)))
    ask = partial(run_scenario, send, scenario, stop_event=threading.Event())
    with pytest.raises(KeyboardInterrupt):
        ask(tell=interrupted)
    assert not runs[0].running


def test_a_worker_that_dies_is_an_error_and_not_an_outcome(target, worker):
    import psutil

    def tell(step, run):
        if worker.pid is not None:
            psutil.Process(worker.pid).kill()

    with pytest.raises(WorkerDied):
        run_scenario(
            lambda shape, *, mix: worker.start(target.url, shape, mix={"/ok": 1}),
            of(Step("long", "w", Controlled(1000, 100))),
            tell=tell,
            stop_event=threading.Event(),
        )
