"""A lab on a recording."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from labkit.historical import HistoryLab
from labkit.status import Part

if TYPE_CHECKING:
    from labkit.recording.recorded import Recording

_MINUTE, _HOUR = 60, 3600


class RecordingLab(HistoryLab):
    """A lab whose Prometheus serves a recording of another lab; now is the recording's end.

    Queries, charts, explanations and the dashboard work, with the marks of the session: when
    traffic ran, when faults were changed and the app stopped. Rates, ``up``, recorded series and
    ``ALERTS`` are those of the session, sample by sample.

    What differs are staleness markers, of which a Prometheus tells nobody: where it scraped a
    target that was down, the target's other series ended at once; here each goes on with its last
    value for five minutes, and so does an alert in ``ALERTS`` that was resolved. Ask for them over
    a short range to see when they really ended, as in
    ``last_over_time(flask_error_rate[$__rate_interval])``. And what was before the recording's
    start is not there: the first answers with a range see less than they saw in the session.

    Args:
        recording: what to serve.
        prometheus_port: Prometheus's port; 0 takes a free one.
        name: what tells this lab from another one in the same notebook.

    Attributes:
        recording: what is served.
    """

    kind = "recording"

    def __init__(
        self, recording: Recording, *, prometheus_port: int = 0, name: str | None = None
    ) -> None:
        super().__init__(recording, prometheus_port=prometheus_port, name=name or "recording")
        self.recording = recording
        for mark in recording.marks:
            until = recording.end if mark.until is None else mark.until
            self.marks.add(mark.kind, mark.label, mark.text, mark.time, until)

    def _app_part(self) -> Part:
        recording = self.recording
        end = datetime.fromtimestamp(recording.end, UTC)
        marks = len(recording.marks)
        detail = (
            f"of {recording.lab!r}, recorded {end:%Y-%m-%d %H:%M:%S} UTC; the last "
            f"{_length(recording.end - recording.start)}, a scrape every {recording.interval:g} s, "
            f"{recording.samples:,} samples, {marks} mark{'s' * (marks != 1)}"
        )
        return Part("Recording", "up", detail)


def _length(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.3g} min"
    return f"{seconds / _HOUR:.3g} h"
