"""Recording: raw samples and marks, asked of a lab's Prometheus window by window."""

from __future__ import annotations

import time as clock
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from labkit import notes
from labkit.errors import LabError, QueryError
from labkit.progress import Progress
from labkit.recording.archive import writing
from labkit.recording.contents import (
    MOST_SAMPLES,
    MOST_SERIES,
    SLOT_MS,
    Clock,
    Contents,
    Family,
    Window,
    family_name,
    is_plain,
)
from labkit.recording.recorded import SAMPLE_NAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from labkit.lab import Lab
    from labkit.promql.client import Client
    from labkit.recording.archive import Writer

    Samples: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.float64]]"

EVERYTHING = ('{__name__!=""}',)
# Of a Prometheus that others use too: what this lab's charts and alerts are about.
OF_THE_APP = ('{job="flask"}', "up", '{__name__=~"ALERTS|ALERTS_FOR_STATE|.*:.*"}')

_ANSWER_SAMPLES = 200_000  # that one answer may have, about: 6 MB of JSON
_SETTLE_SECONDS = 3.0
_TYPE, _HELP = "type", "help"


def record(lab: Lab, path: str | Path, minutes: float | None, match: Sequence[str] | None) -> Path:
    """Save a session; see `labkit.record`."""
    client = lab._client_now()  # noqa: SLF001 - the lab's own way to it, which says why there is none
    if match is not None and (isinstance(match, str) or not match):
        raise ValueError(f"match must be a list of selectors such as ['up'], not {match!r}")
    selectors = match or (OF_THE_APP if lab.kind == "attached" else EVERYTHING)
    target = Path(path).expanduser()
    end = client.now()
    start = _start(lab, minutes, end)
    with suppress(LabError):
        lab.marks.look()  # at an app elsewhere, which does not tell by itself
    with Progress() as progress, writing(target) as writer:
        progress.say("Recording …")
        _settle(client, end)
        session = _Session(client, selectors, round(start * 1000), round(end * 1000))
        for part in session.windows(writer):
            progress.say(f"Recording: {100 * part:.0f} % …")
        writer.finish(session.contents(lab))
    if session.left_out:
        notes.tell(
            f"{session.left_out} series are not in the recording: native histograms, and names "
            "that only newer versions of Prometheus can store."
        )
    return target


def _start(lab: Lab, minutes: float | None, end: float) -> float:
    """Return when what is to be saved begins."""
    if minutes is not None and not (isinstance(minutes, int | float) and 0 < minutes < np.inf):
        raise ValueError(f"minutes must be a number more than 0, not {minutes!r}")
    past = lab._past  # noqa: SLF001 - the lab's own knowledge of its session
    began = lab._began if past is None else past[0]  # noqa: SLF001 - the same
    if minutes is not None:
        return max(end - 60 * minutes, began or 0.0)
    if began is None:
        raise LabError(
            "This lab is attached to a Prometheus that someone else started: its session has no "
            "beginning.",
            next_step="say how far back to record: labkit.record(lab, path, minutes=30).",
        )
    return began


def _settle(client: Client, end: float) -> None:
    """Wait until all is stored that is of a time before the end.

    It is, once every target was scraped and every rule evaluated after it.
    """
    if client.at is None:
        seconds = min(1 + 2 * client.scrape_interval, _SETTLE_SECONDS)
        with suppress(QueryError):  # nothing is scraped any more, or seldom: what is there counts
            client.wait_for(f"min(timestamp(up)) > {end!r}", timeout=seconds)
        with suppress(QueryError):  # servers that only have the query API do not tell
            _await_rules(client, end, seconds)


def _await_rules(client: Client, end: float, seconds: float) -> None:
    """Wait until each group of rules was evaluated after a moment; these take turns."""
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline:
        told = client.get("rules").get("groups", ())
        times = [group["lastEvaluation"] for group in told if group.get("lastEvaluation")]
        if all(datetime.fromisoformat(time).timestamp() > end for time in times):
            return
        clock.sleep(client.scrape_interval / 4)


class _Session:
    """The part of a session that is saved, and what was found in it.

    Attributes:
        left_out: how many series cannot be in a recording.
    """

    def __init__(
        self, client: Client, selectors: Sequence[str], start_ms: int, end_ms: int
    ) -> None:
        self._client = client
        self._selectors = selectors
        self._start_ms, self._end_ms = start_ms, end_ms
        self._numbers: dict[tuple[tuple[str, str], ...], int] = {}
        self._left_out: set[tuple[tuple[str, str], ...]] = set()
        self._windows: list[Window] = []
        self._samples = 0

    @property
    def left_out(self) -> int:
        return len(self._left_out)

    def windows(self, writer: Writer) -> Iterator[float]:
        """Save window after window; give how much of the whole is done after each."""
        start, end, span = self._start_ms, self._end_ms + 1, self._span_ms()
        while start < end:
            until = min(start + span, start // SLOT_MS * SLOT_MS + SLOT_MS, end)
            clocks = []
            for times, found in self._clocks(start, until):
                writer.add(times)
                for values in found.values():
                    writer.add(values)
                clocks.append(Clock(len(times), tuple(found)))
                self._samples += len(times) * len(found)
            self._require_few()
            if clocks:
                self._windows.append(Window(start, until, tuple(clocks)))
            start = until
            yield (until - self._start_ms) / (end - self._start_ms)

    def _span_ms(self) -> int:
        """Return how long a window may be for an answer that is not too large."""
        span = {"start": self._start_ms / 1000, "end": self._end_ms / 1000}
        there = len(self._client.get("series", **{"match[]": list(self._selectors)}, **span))
        if there > MOST_SERIES:
            raise _too_much(f"{there:,} series; the most are {MOST_SERIES:,}")
        interval_ms = round(self._client.scrape_interval * 1000)
        return max(interval_ms, _ANSWER_SAMPLES * interval_ms // max(there, 1))

    def _require_few(self) -> None:
        if self._samples > MOST_SAMPLES:
            raise _too_much(f"more than {MOST_SAMPLES:,} samples")

    def _clocks(
        self, start: int, until: int
    ) -> list[tuple[NDArray[np.int64], dict[int, NDArray[np.float64]]]]:
        """Return the samples of a window by their times, those with the most series first."""
        found: dict[bytes, tuple[NDArray[np.int64], dict[int, NDArray[np.float64]]]] = {}
        for number, (times, values) in self._ask(start, until).items():
            found.setdefault(times.tobytes(), (times, {}))[1][number] = values
        return sorted(found.values(), key=lambda clock: -len(clock[1]))

    def _ask(self, start: int, until: int) -> dict[int, Samples]:
        """Return the samples of each series from ``start`` to just before ``until``."""
        found = {}
        for selector in self._selectors:
            # Whether a sample at the very start of a range belongs to it depends on the version:
            # the range begins one earlier, and what is before the window is left out below.
            answer = self._client.get(
                "query", query=f"{selector}[{until - start}ms]", time=f"{(until - 1) / 1000:.3f}"
            )
            for series in answer["result"]:
                number = self._number(series)
                if number is not None and number not in found:
                    times, values = _samples(series["values"], start)
                    if len(times):
                        found[number] = times, values
        return found

    def _number(self, series: Mapping[str, Any]) -> int | None:
        labels: Mapping[str, str] = series["metric"]
        key = tuple(sorted(labels.items()))
        if "values" not in series or not is_plain(labels):
            self._left_out.add(key)
            return None
        return self._numbers.setdefault(key, len(self._numbers))

    def contents(self, lab: Lab) -> Contents:
        """Return the manifest.

        Raises:
            LabError: nothing was found.
        """
        if not self._samples:
            raise LabError(
                "There is nothing to record: Prometheus has no sample of this time.",
                evidence="\n".join(self._selectors),
                next_step="see what there is with lab.metrics(), and name the series: "
                "labkit.record(lab, path, match=['{job=\"…\"}']).",
            )
        series = [dict(key) for key in self._numbers]
        return Contents(
            lab=lab.name,
            interval=self._client.scrape_interval,
            start_ms=self._start_ms,
            end_ms=self._end_ms,
            families=_families(self._client, {labels["__name__"] for labels in series}),
            series=series,
            marks=lab.marks.between(self._start_ms / 1000, self._end_ms / 1000),
            windows=self._windows,
        )


def _samples(pairs: Sequence[Any], start: int) -> Samples:
    times = np.fromiter((round(1000 * time) for time, _ in pairs), np.int64, len(pairs))
    values = np.fromiter((float(text) for _, text in pairs), np.float64, len(pairs))
    values[np.isnan(values)] = SAMPLE_NAN
    return times[times >= start], values[times >= start]


def _families(client: Client, names: Iterable[str]) -> list[Family]:
    """Return what is known of the metrics that these samples belong to."""
    known: Mapping[str, Any] = {}
    with suppress(QueryError):  # servers that only have the query API do not tell
        known = client.get("metadata") or {}
    used = sorted({family_name(name, known) for name in names} & known.keys())
    return [Family(name, known[name][0][_TYPE], known[name][0][_HELP]) for name in used]


def _too_much(evidence: str) -> LabError:
    return LabError(
        "There is too much to record.",
        evidence=evidence,
        next_step="record less of it: labkit.record(lab, path, minutes=30), or fewer series, "
        "match=['{job=\"…\"}'].",
    )
