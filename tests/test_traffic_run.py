"""Runs of the real worker against a real server."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from labkit.errors import LabError, TargetRefused
from labkit.traffic import (
    Caps,
    Constant,
    Continuous,
    Controlled,
    Ramp,
    Spike,
    StillRunning,
    TrafficRun,
    Wave,
    Worker,
)
from labkit.traffic import target as where
from tests.traffic_target import assert_counts, nobody, rude_server, target_server
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.traffic import Shape, Stats
    from tests.traffic_target import Target

OK = {"/ok": 1}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(log=tmp_path_factory.mktemp("traffic") / "worker.log") as worker:
        wait_for(lambda: worker.pid)  # so that the leak detector finds it there before a test
        yield worker


@pytest.fixture
def target(worker: Worker) -> Iterator[Target]:
    """One for each test: what a stopped run had sent may arrive late, and is no other's."""
    with target_server() as target:
        yield target
        for run in worker.runs:  # of a test that failed: the next one starts afresh
            run.stop()


@contextlib.contextmanager
def interrupted_in(waiting: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Interrupt once a run's method is called: sooner, the interrupt would end the tests."""
    wait, waits = getattr(TrafficRun, waiting), threading.Event()

    def noted(run: TrafficRun, limit: float | None) -> object:
        waits.set()
        return wait(run, limit)

    def interrupt() -> None:
        if waits.wait(30):
            time.sleep(0.1)  # a wait that only begins is interrupted at its end; that is late
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TrafficRun, waiting, noted)
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    interrupting.join(30)


def balanced(stats: Stats) -> bool:
    ended = stats.responses + stats.timed_out + stats.cancelled + stats.failed
    return stats.sent == ended + stats.in_flight


def test_controlled_sends_exactly_that_many_evenly(worker: Worker, target: Target):
    before = time.time()
    run = worker.start(target.url, Controlled(40, 1.0), mix={"/ok": 3, "/fail": 1}, seed=1)
    begun = time.time()
    stats = run.wait(20)
    assert stats.sent == stats.responses == 40
    assert Counter(stats.by_endpoint) == target.counts
    assert stats.by_status == {200: target.counts["/ok"], 500: target.counts["/fail"]}
    assert stats.errors_by_type == {"database_error": target.counts["/fail"]}
    assert (stats.state, run.progress, run.seconds_left, run.name) == (
        "finished", 1.0, 0.0, "controlled",
    )  # fmt: skip
    starts = np.sort(stats._samples.rows["start"])  # type: ignore[union-attr]
    lateness = starts - np.arange(40) / 40
    # None too early; a machine that stalls may send many late, but hardly nine in ten.
    assert lateness.min() > -0.001
    assert np.quantile(lateness, 0.1) < 0.02
    assert stats.seconds >= 1.0
    assert before <= run.started_at <= begun
    assert before + 1.0 <= run.ended_at <= time.time()


def test_open_loop_does_not_wait_for_answers(worker: Worker, target: Target):
    run = worker.start(target.url, Controlled(30, 0.3), mix={"/hang": 1})
    wait_for(lambda: target.in_flight == 30)
    target.release.set()
    stats = run.wait(20)
    assert stats.responses == target.most_in_flight == 30
    assert stats.quantile(0.5, of="intended") >= stats.quantile(0.5) > 0


def test_the_achieved_rate_counts_what_came_while_the_shape_lasted(worker: Worker, target: Target):
    shape = Controlled(10, 0.5).then(Constant(0.1, 1.5))  # whose one request is early, too
    run = worker.start(target.url, shape, mix={"/hang": 1, "/ok": 1}, seed=2)
    wait_for(lambda: len(target.paths) == 11 and run.seconds > 2.1)
    target.release.set()
    stats = run.wait(20)
    assert stats.responses == 11
    assert stats.rate == pytest.approx(target.counts["/ok"] / 2)


def test_a_spike_has_that_many_users_and_no_more(worker: Worker, target: Target):
    run = worker.start(target.url, Spike(7, 2.0), mix={"/hang": 1, "/brief": 1})
    wait_for(lambda: target.in_flight == 7)
    target.release.set()
    stats = run.wait(20)
    assert target.most_in_flight == 7
    assert stats.responses == len(target.paths) > 7
    assert stats.cancelled == stats.failed == 0


def test_continuous_waits_after_each_answer_until_stopped(worker: Worker, target: Target):
    run = worker.start(target.url, Continuous("high"), mix={"/brief": 1}, seed=3)
    assert run.progress is None
    assert run.seconds_left is None
    wait_for(lambda: run.stats.responses >= 4)
    stats = run.stop()
    assert stats.state == "stopped"
    assert target.most_in_flight == 1
    gaps = np.diff(target.arrivals)
    assert min(gaps) >= 0.1 + 0.05  # the shortest wait, after the answer


@pytest.mark.parametrize("shape", [Spike(20, 60), Controlled(20, 0.1).then(Constant(0.01, 60))])
def test_stop_does_not_wait_for_requests_that_hang_and_counts_them(
    worker: Worker, target: Target, shape: Shape
):
    run = worker.start(target.url, shape, mix={"/hang": 1}, timeout=60)
    wait_for(lambda: target.in_flight >= 20)
    stats = run.stop()  # raises after 5 s: the answers would take half a minute
    assert target.in_flight >= 20
    assert stats.cancelled == stats.sent >= 20
    assert balanced(stats)
    assert run.stop() is stats
    assert run not in worker.runs
    assert not run.running
    assert 0 < run.progress < 1


def test_a_request_that_takes_too_long_is_timed_out_not_a_response(worker: Worker, target: Target):
    run = worker.start(target.url, Controlled(5, 0.1), mix={"/hang": 1}, timeout=0.3)
    stats = run.wait(20)
    assert (stats.timed_out, stats.responses) == (5, 0)
    assert balanced(stats)
    assert "None of 5 requests was answered (5 timed out)" in repr(stats)


def test_a_target_that_is_down_is_counted_and_told(worker: Worker):
    with nobody() as url:
        for shape in (Controlled(10, 0.2), Spike(2, 0.5)):
            stats = worker.start(url.replace("127.0.0.1", "localhost"), shape).wait(20)
            assert stats.failed == stats.sent
            assert set(stats.failed_by_reason) == {"connection refused"}
            assert "connection refused" in stats.problem
    assert stats.sent <= 2 * 6  # users pause after a failure, and do not spin


def test_redirects_are_not_followed(worker: Worker, target: Target):
    stats = worker.start(target.url, Controlled(5, 0.1), mix={"/away": 1}).wait(20)
    assert stats.by_status == {302: 5}
    assert target.counts == {"/away": 5}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "broken answer"),
        (b"nonsense\r\n\r\n", "broken answer"),
        (b"", "disconnected"),
    ],
)
def test_half_an_answer_is_a_failure(worker: Worker, answer: bytes, why: str):
    with rude_server(answer) as server:
        stats = worker.start(server.url, Controlled(2, 0.1)).wait(20)
    assert stats.failed_by_reason == {why: 2}
    assert stats.responses == 0


def test_no_request_is_sent_twice_when_a_kept_connection_breaks(worker: Worker):
    with rude_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", keeps=True) as server:
        # One user, who asks again once answered: each second request meets a kept connection.
        stats = worker.start(server.url, Spike(1, 1.0)).wait(20)
        assert server.requests == stats.sent
    assert stats.failed_by_reason == {"disconnected": stats.failed}
    assert stats.failed >= 1
    assert balanced(stats)


def test_requests_beyond_the_cap_in_flight_are_dropped_and_counted(tmp_path, target: Target):
    with Worker(log=tmp_path / "log", caps=Caps(in_flight=6)) as worker:
        run = worker.start(target.url, Controlled(20, 0.4), mix={"/hang": 1}, timeout=30)
        wait_for(lambda: run.stats.dropped == 14)
        target.release.set()
        stats = run.wait(20)
    assert (stats.sent, stats.responses, stats.dropped) == (6, 6, 14)
    assert "14 requests were not sent" in stats.problem


def test_a_seed_repeats_the_sequence_of_requests(worker: Worker, target: Target):
    mix = {"/ok": 1, "/fail": 1, "/a": 1}

    def sequence(shape, seed: int) -> list[int]:
        stats = worker.start(target.url, shape, mix=mix, seed=seed).wait(20)
        rows = np.sort(stats._samples.rows, order="start")
        return rows["endpoint"].tolist()

    assert sequence(Controlled(30, 0.3), 5) == sequence(Controlled(30, 0.3), 5)
    assert sequence(Controlled(30, 0.3), 5) != sequence(Controlled(30, 0.3), 6)

    def of_a_user() -> list[int]:
        run = worker.start(target.url, Spike(1, 60), mix=mix, seed=5)
        wait_for(lambda: run.stats.responses > 5)
        return np.sort(run.stop()._samples.rows, order="start")["endpoint"].tolist()

    one, other = of_a_user(), of_a_user()
    shorter = min(len(one), len(other))
    assert one[:shorter] == other[:shorter]


def test_without_a_seed_the_one_drawn_is_told(worker: Worker, target: Target):
    seeds = {worker.start(target.url, Controlled(1, 0.01), mix=OK).seed for _ in range(3)}
    assert len(seeds) == 3
    wait_for(lambda: not worker.runs)


def test_set_rate_changes_a_constant_that_runs(worker: Worker, target: Target):
    run = worker.start(target.url, Constant(0.01, 300), mix=OK)
    wait_for(lambda: len(target.paths) == 1)
    run.set_rate(100)  # it was asleep for a hundred seconds; it must wake
    wait_for(lambda: len(target.paths) > 20)
    run.set_rate(1)
    wait_for(lambda: time.monotonic() - target.arrivals[-1] > 0.7)  # it was one every 0.01 s
    assert_counts(run.stop(), len(target.paths))
    assert run.shape == Constant(1, 300)
    with pytest.raises(LabError, match="has ended"):
        run.set_rate(5)


def test_set_rate_leaves_the_end_where_it_was(worker: Worker, target: Target):
    run = worker.start(target.url, Constant(0.5, 2.0), mix=OK)
    wait_for(lambda: run.seconds > 0.5)
    run.set_rate(50)
    assert 2 <= run.wait(20).sent <= 1.5 * 50 + 2


def test_set_rate_refuses_what_it_cannot_do(worker: Worker, target: Target):
    constant = worker.start(target.url, Constant(1, 5), mix=OK)
    spike = worker.start(target.url, Spike(1, 5), mix={"/brief": 1})
    for run, rate, words in [
        (constant, 0, "rate must be more than 0"),
        (constant, 2001, "at most 2,000"),
        (spike, 5, "only a Constant"),
    ]:
        with pytest.raises(ValueError, match=words):
            run.set_rate(rate)
    assert constant.shape.rate == 1
    assert {run.stop().state for run in (constant, spike)} == {"stopped"}


@pytest.mark.parametrize(
    "shape", [Ramp(0, 60, 0.5), Wave(0, 80, 0.5, 0.5), Controlled(5, 0.2).then(Constant(50, 0.2))]
)
def test_the_other_open_loop_shapes_send_what_they_say(worker: Worker, target: Target, shape):
    stats = worker.start(target.url, shape, mix=OK).wait(20)
    assert stats.sent == stats.responses == shape.count == len(target.paths)


def test_two_runs_at_once_keep_their_own_books(worker: Worker, target: Target):
    slow = worker.start(target.url, Constant(20, 30), mix={"/slow-one": 1})
    other = worker.start(target.url, Controlled(20, 0.3), mix={"/hang": 1})
    assert worker.runs == (slow, other)
    wait_for(lambda: target.counts["/hang"] == 20 and slow.stats.responses)
    target.release.set()
    assert other.wait(20).by_endpoint == {"/hang": 20}
    assert slow.running
    stats = slow.stop()
    assert stats.by_endpoint == {"/slow-one": stats.responses}
    assert_counts(stats, target.counts["/slow-one"])


def test_figures_add_up_while_it_runs(worker: Worker, target: Target):
    run = worker.start(target.url, Spike(4, 60), mix={"/brief": 2, "/ok": 1, "/fail": 1})
    seen = [run.stats]

    def reported() -> bool:
        if (stats := run.stats).sent > seen[-1].sent:
            seen.append(stats)
        return len(seen) > 3

    wait_for(reported)
    ended = run.stop()
    assert all(balanced(stats) for stats in [*seen, ended])
    assert ended.sent >= seen[-1].sent
    assert ended.sent == ended.responses + ended.cancelled
    assert_counts(ended, len(target.paths))


def test_wait_gives_up_in_words_and_leaves_the_run_going(worker: Worker, target: Target):
    run = worker.start(target.url, Continuous("high"), mix=OK)
    with pytest.raises(StillRunning, match=r"goes on after 0\.1 s") as caught:
        run.wait(0.1)
    assert isinstance(caught.value, TimeoutError)
    assert "run.stop()" in caught.value.next_step
    assert run.running
    run.stop()


def test_an_interrupt_ends_the_wait_and_leaves_the_run_going(
    worker: Worker, target: Target, monkeypatch: pytest.MonkeyPatch
):
    run = worker.start(target.url, Continuous("high"), mix=OK)
    with interrupted_in("_wait_slice", monkeypatch):
        run.wait()
    before = run.stats.responses
    wait_for(lambda: run.stats.responses > before)
    run.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be suspended by signal")
def test_late_sends_are_counted_and_hidden_from_no_latency(worker: Worker, target: Target):
    run = worker.start(target.url, Constant(100, 3.0), mix=OK)
    wait_for(lambda: run.stats.responses > 10)
    os.kill(worker.pid, signal.SIGSTOP)
    stopped = run.seconds
    wait_for(lambda: run.seconds > stopped + 0.5)
    os.kill(worker.pid, signal.SIGCONT)
    stats = run.wait(20)
    assert stats.sent == stats.responses == 300
    assert stats.late > 20
    assert stats.quantile(1, of="intended") > 0.2
    assert stats.lateness().max() > 0.2


def test_wait_without_an_end_returns_when_another_thread_stops_the_run(
    worker: Worker, target: Target
):
    run = worker.start(target.url, Continuous("high"), mix=OK)
    stopper = threading.Timer(0.3, run.stop)
    stopper.start()
    assert run.wait().state == "stopped"
    stopper.join(5)


def test_headers_are_sent(worker: Worker, target: Target):
    worker.start(target.url, Controlled(1, 0.01), mix=OK, headers={"X-Tenant": "a"}).wait(20)
    assert target.headers["HTTP_X_TENANT"] == "a"
    assert target.headers["HTTP_USER_AGENT"] == "labkit-traffic"


def test_other_machines_and_too_much_are_refused_before_anything_is_sent(
    worker: Worker, target: Target
):
    with pytest.raises(TargetRefused, match="not this machine"):
        worker.start("http://192.0.2.1:80", Controlled(1, 1))
    for shape, words in [
        (Controlled(2001, 1), "at most 2,000 requests per second"),
        (Spike(501, 1), "from 1 to 500"),
        (Constant(1, 90_000), "at most 86,400"),
        ("spike", "one from labkit.traffic"),
    ]:
        with pytest.raises(ValueError, match=words):
            worker.start(target.url, shape)
    with pytest.raises(ValueError, match="timeout must be more than 0"):
        worker.start(target.url, Spike(1, 1), timeout=0)
    assert not worker.runs
    assert not target.paths


def test_each_address_of_a_name_is_tried(target: Target):
    port = target.url.rpartition(":")[2]
    named = where.Target(f"http://localhost:{port}", ("::1", "127.0.0.1"))
    where.knock(named, seconds=1, next_step="")
    with pytest.raises(TargetRefused, match=r"Nothing answers at http://127\.0\.0\.1:9"):
        where.knock(where.find_target("http://127.0.0.1:9"), seconds=1, next_step="")


def test_a_start_that_is_interrupted_leaves_no_traffic(tmp_path, target: Target, monkeypatch):
    with Worker(log=tmp_path / "log") as worker:
        wait_for(lambda: worker.pid)
        pid = worker.pid
        assert pid is not None
        worker.start(target.url, Controlled(1, 0.01), mix=OK).wait(20)
        os.kill(pid, signal.SIGSTOP)  # so that it confirms nothing
        with interrupted_in("wait_begun", monkeypatch):
            worker.start(target.url, Constant(20, 60), mix=OK)
        os.kill(pid, signal.SIGCONT)
        assert not worker.runs
        wait_for(lambda: "run 2 stopped" in worker.log.read_text())


def test_two_starts_at_once_cannot_both_take_what_is_left(tmp_path, target: Target):
    class Slow(Caps):
        def check_rate(self, rate: float) -> None:
            super().check_rate(rate)
            time.sleep(0.3)  # meanwhile the other one checks as well

    caps = Slow(requests_per_second=50)
    with Worker(log=tmp_path / "log", caps=caps) as worker, ThreadPoolExecutor(2) as pool:
        started = [
            pool.submit(worker.start, target.url, Constant(30, 30), mix=OK) for _ in range(2)
        ]
        failures = [start.exception(20) for start in started]
        assert sorted(type(failure).__name__ for failure in failures) == ["NoneType", "ValueError"]
        assert len(worker.runs) == 1


def test_caps_count_all_runs_together(worker: Worker, target: Target):
    spike = worker.start(target.url, Spike(3, 30), mix={"/hang": 1})
    with pytest.raises(ValueError, match="makes it 501"):
        worker.start(target.url, Spike(498, 1))
    spike.stop()


def test_a_changed_rate_is_not_counted_beside_the_one_it_replaces(tmp_path, target: Target):
    with Worker(log=tmp_path / "log", caps=Caps(requests_per_second=60)) as worker:
        run = worker.start(target.url, Constant(50, 30), mix=OK)
        run.set_rate(60)
        with pytest.raises(ValueError, match="at most 60 requests per second"):
            worker.start(target.url, Constant(1, 1), mix=OK)


def test_closed_loops_are_held_to_the_highest_rate(tmp_path, target: Target):
    with Worker(log=tmp_path / "log", caps=Caps(requests_per_second=50)) as worker:
        stats = worker.start(target.url, Spike(4, 1.0), mix=OK).wait(20)
    assert stats.responses <= 51


def test_a_run_without_an_end_ends_at_the_cap(tmp_path, target: Target):
    with Worker(log=tmp_path / "log", caps=Caps(seconds=0.3)) as worker:
        stats = worker.start(target.url, Continuous("high"), mix=OK).wait(20)
    assert stats.state == "finished"


def test_the_reprs_say_what_is_going_on(worker: Worker, target: Target):
    run = worker.start(target.url, Controlled(2, 0.05), mix={"/ok?<b>": 1})
    run.wait(20)
    assert "controlled: 2 requests in 0.05 s" in repr(run)
    assert "2 responses" in repr(run)
    assert "<b>controlled: 2 requests" in run._repr_html_()
    assert "/ok?&lt;b&gt;" in run._repr_html_()
