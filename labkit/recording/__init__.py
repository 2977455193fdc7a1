"""Recordings: a live session's samples and marks in one file, and a lab that serves them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from labkit.lab import Lab
    from labkit.recording.lab import RecordingLab


def record(
    lab: Lab, path: str | Path, minutes: float | None = None, *, match: Sequence[str] | None = None
) -> Path:
    """Save what a lab's Prometheus holds of its session, and its marks, in one file.

    A file that is there is replaced if it is a recording, and left alone if it is anything else.
    What is in it: every raw sample with its own time in milliseconds, the metrics' types and help
    texts, the lab's name and scrape interval, start and end, and the marks (runs, scenarios,
    changes of faults, the app's stops and starts, alerts). See `labkit.recording.archive` for the
    format.

    Args:
        lab: one that runs; its app may be stopped.
        path: the file to write, such as ``"session.labrec"``.
        minutes: how far back; the whole session by default. A lab that is attached to someone
            else's Prometheus has no beginning, and needs it.
        match: the series to save, as selectors such as ``'{job="shop"}'``. By default all of
            them; of a Prometheus that is someone else's ``{job="flask"}``, ``up``, the recorded
            series (with a colon in their names) and the alerts.

    Returns:
        The file.

    Raises:
        LabError: there is nothing to save or too much, the file cannot be written, or Prometheus
            does not answer; no file is left then.
        ValueError: ``minutes`` is not more than 0, or ``match`` is empty.
    """
    from labkit.recording.recorder import record

    return record(lab, path, minutes, match)


def open_recording(path: str | Path, name: str | None = None) -> RecordingLab:
    """Open a lab whose Prometheus serves a recording; now, for its queries, is its end.

    Args:
        path: a file that `record` wrote, here or elsewhere.
        name: what tells this lab from another one in the same notebook.

    Raises:
        LabError: there is no such file, or it is broken, foreign, from a newer version or too
            large; Prometheus or promtool is missing, or the disk is full.
    """
    from labkit.recording.lab import RecordingLab
    from labkit.recording.recorded import Recording

    return RecordingLab(Recording(path), name=name).start()
