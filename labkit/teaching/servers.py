"""The servers that answers are marked on: one for a history that is seen, one for its twin."""

from __future__ import annotations

import atexit
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.teaching.material import material, past
from labkit.teaching.results import Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from labkit.history.past import Past
    from labkit.lab import Lab
    from labkit.progress import Progress
    from labkit.prometheus.candidate import Binary
    from labkit.prometheus.server import PrometheusServer
    from labkit.promql.client import Client
    from labkit.teaching.exercises import Exercise
    from labkit.teaching.results import Labels

SEEN, TWIN = "this history", "another history of the same app"
LIVE = "your lab"
_LIVE_MOMENTS = 4
_LIVE_LAG_SECONDS = 1.0  # a scrape that is being stored just now is not asked for


class Servers:
    """Prometheus servers on histories, started when they are first needed, until they are closed.

    One history and its twin run at a time. Usable from several threads.

    Args:
        binary: finds the Prometheus to run.
        store: puts the blocks of a past into a data folder.
    """

    def __init__(
        self,
        binary: Callable[[Progress], Binary] | None = None,
        store: Callable[[Past, Path, Binary, Progress | None], object] | None = None,
    ) -> None:
        self._find = binary or _find
        self._store = store or _from_cache
        self._lock = threading.RLock()
        self._closing = ExitStack()
        self._name = ""
        self._grounds: tuple[Ground, Ground] | None = None
        self._running: list[PrometheusServer] = []
        self._binary: Binary | None = None

    def grounds(self, exercise: Exercise, lab: Lab | None = None) -> list[Ground]:
        """Return what a query or rule is marked on, the one that the learner sees first.

        Args:
            exercise: which one.
            lab: the running lab, for an exercise that is about one.

        Raises:
            LabError: Prometheus or promtool is missing, the disk is full, or the lab holds
                nothing to mark on.
        """
        seen, twin = self.start(exercise.history)
        offsets = exercise.moments + exercise.quiet
        end = past(exercise.history).end
        moments = [end - each for each in offsets]
        data = [
            each.at(moments, any_labels=exercise.any_labels, names=exercise.names)
            for each in (seen, twin)
        ]
        if not exercise.live:
            return data
        if lab is None:
            raise LabError(
                f"{exercise.id} is about a lab that runs, and none does.",
                next_step="start one: lab = labkit.start()",
            )
        return [self._live(exercise, lab), data[1]]

    def start(self, name: str) -> tuple[Ground, Ground]:
        """Start the servers of a history and its twin, unless they run; return both.

        Args:
            name: of the history.

        Raises:
            LabError: Prometheus or promtool is missing, or the disk is full.
        """
        with self._lock:
            if self._grounds is None or self._name != name or not self._alive():
                self.close()
                try:
                    self._grounds = self._start(name)
                except BaseException:
                    self.close()
                    raise
                self._name = name
                atexit.register(self.close)
            return self._grounds

    @property
    def binary(self) -> Binary:
        """The Prometheus that is used, found when it is first asked for."""
        with self._lock:
            if self._binary is None:
                from labkit.progress import Progress

                with Progress() as progress:
                    self._binary = self._find(progress)
            return self._binary

    @property
    def promtool(self) -> Path | None:
        """The promtool beside it."""
        return self.binary.promtool

    def _alive(self) -> bool:
        """Whether none of the servers has ended: killed, or for want of memory."""
        return all(server.poll() is None for server in self._running)

    def close(self) -> None:
        """End the servers. Idempotent."""
        with self._lock:
            self._name, self._grounds = "", None
            self._running.clear()
            self._closing.close()
            atexit.unregister(self.close)

    def _start(self, name: str) -> tuple[Ground, Ground]:
        from labkit.progress import Progress

        binary = self.binary
        pasts = (past(name), past(name, hidden=True))
        with Progress() as progress, ThreadPoolExecutor(2) as pool:
            progress.say("Getting the data of the exercises …")
            # Two at once, on two cores: the twin is built while the learner's own is.
            twin = pool.submit(self._serve, pasts[1], binary, None)
            try:
                seen = self._serve(pasts[0], binary, progress)
            finally:
                progress.say("Getting the data that answers are checked on …")
                other = twin.result()
        count = material(name).instances
        return (
            Ground(seen, (), words=SEEN, instances=count),
            Ground(other, (), words=TWIN, instances=count),
        )

    def _serve(self, of: Past, binary: Binary, progress: Progress | None) -> Client:
        from labkit.historical import AS_IT_IS
        from labkit.history.client import HistoryClient
        from labkit.prometheus.server import PrometheusServer
        from labkit.runfolder import RunFolder

        folder = RunFolder()
        closing = ExitStack()
        closing.callback(folder.close)
        with closing:
            data = folder.path / "data"
            self._store(of, data, binary, progress)
            server = PrometheusServer(
                binary, {}, directory=folder.path, data=data, arguments=AS_IT_IS
            )
            closing.callback(server.close)
            self._running.append(server)
            client = HistoryClient(server.url, of)
            closing.callback(client.close)
            self._closing.push(closing.pop_all())
        return client

    def _live(self, exercise: Exercise, lab: Lab) -> Ground:
        client = lab.client
        now = time.time() - _LIVE_LAG_SECONDS
        pace = max(lab.scrape_interval, 1.0)
        moments = [now - pace * number for number in range(_LIVE_MOMENTS)]
        ground = Ground(client, moments, words=LIVE, live=True)
        there = [each.time for each in ground.expected(exercise.answer) if _is_sound(each.series)]
        if not there:
            raise LabError(
                f"Your lab holds nothing yet that {exercise.id} could be marked on.",
                next_step="send traffic, such as lab.traffic(), wait until it shows, and check "
                "again.",
            )
        return ground.at(there, any_labels=exercise.any_labels, names=exercise.names)

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Servers for {self._name or 'nothing yet'}>"


def _is_sound(series: Mapping[Labels, float]) -> bool:
    return bool(series) and not any(math.isnan(value) for value in series.values())


def _find(progress: Progress) -> Binary:
    from labkit.prometheus.binary import find_prometheus

    progress.say("Looking for Prometheus …")
    return find_prometheus(progress=progress.stage)


def _from_cache(of: Past, data: Path, binary: Binary, progress: Progress | None) -> object:
    from labkit.history.store import Store

    return Store().open(of, data, binary=binary, progress=progress)


def lab_for(exercise: Exercise, labs: Sequence[Lab]) -> Lab | None:
    """Return the lab that an exercise about a running one means: the one opened last.

    One that serves a past, simulated or recorded, does not run in this sense.
    """
    if not exercise.live:
        return None
    return next((lab for lab in reversed(labs) if lab.client.at is None), None)
