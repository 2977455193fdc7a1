"""Report: how an objective stands at one moment, as text and as HTML."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.promql.steps import unix_ms
from labkit.slo.asked import quiet
from labkit.slo.budget import Period, nothing_counted, now
from labkit.slo.rules import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from labkit.promql.steps import Instant
    from labkit.slo.asked import Asked
    from labkit.slo.objective import Objective

WINDOWS = ("1h", "6h", "3d")
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_NEARLY = 0.98  # of the window: data that reach back further reach back over all of it
_LOOKS, _CLOSE = 1000, 100  # into the past, for where the data begin; to a hundredth will do
_CELL = "style='text-align:left;border:none;padding:.15em 1.2em .15em 0;background:none'"


@dataclass(frozen=True)
class Report:
    """How an objective stands at one moment.

    Attributes:
        slo: the objective.
        time: the moment, in unix seconds.
        error_ratio: the share of requests over the window that were not good.
        requests: how many there were in the window.
        budget_left: the share of the budget that is left; less than 0 where it is overspent.
        burn: the burn rate over 1h, 6h and 3d; NaN where there was no request.
        data_seconds: how far back the data reach, at most over the window; the budget is that of
            the requests in them.
    """

    slo: Objective
    time: float
    error_ratio: float
    requests: float
    budget_left: float
    burn: Mapping[str, float]
    data_seconds: float

    @property
    def requests_left(self) -> float:
        """How many more requests may fail of as many as there were."""
        return self.budget_left * self.slo.allowed * self.requests

    @property
    def outage_minutes_left(self) -> float:
        """How many minutes of full outage at mean traffic the budget has left.

        A budget of 99.5 % over 30 days is 216 minutes.
        """
        return self.budget_left * self.slo.allowed * self.data_seconds / _MINUTE

    def exhausted_in(self, window: str = "1h") -> float:
        """Return in how many seconds the budget is spent if it goes on burning as it does.

        It is left · window / burn rate, of a window without what lies before the data; what it
        leaves behind on its way is not counted.

        Args:
            window: whose burn rate goes on.

        Returns:
            0 where it is spent, infinity where nothing burns, NaN where there was no request.
        """
        if self.budget_left <= 0:
            return 0.0
        rate = self.burn[window]
        if math.isnan(rate):
            return math.nan
        return self.budget_left * self.data_seconds / rate if rate > 0 else math.inf

    def __str__(self) -> str:
        return "\n".join(
            [self._title(), *(f"  {name:<12} {words}" for name, words in self._rows())]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr style='background:none'><td {_CELL}>{html.escape(name)}</td>"
            f"<td {_CELL}>{html.escape(words)}</td></tr>"
            for name, words in self._rows()
        )
        colour = "#D55E00" if self.budget_left <= 0 else "#009E73"
        full = max(0.0, min(1.0, self.budget_left)) * 100
        return (
            "<div style='display:inline-block;border:1px solid rgba(128,128,128,.35);"
            "border-radius:8px;padding:.6em 1em'>"
            f"<div style='font-weight:600;margin-bottom:.3em'>{html.escape(self._title())}</div>"
            "<div style='height:8px;border-radius:4px;background:rgba(128,128,128,.25);"
            f"margin:.4em 0'><div style='height:8px;border-radius:4px;width:{full:.1f}%;"
            f"background:{colour}'></div></div>"
            f"<table style='margin:0;border:none'>{rows}</table></div>"
        )

    def _title(self) -> str:
        import pandas as pd

        slo, when = self.slo, pd.Timestamp(self.time, unit="s", tz="UTC")
        return f"{slo.name}: {slo.objective:g} % over {slo.window}, at {when:%Y-%m-%d %H:%M} UTC"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield (
            "error ratio",
            f"{self.error_ratio * 100:.3g} % of {self.requests:,.0f} requests; "
            f"{self.slo.allowed * 100:g} % allowed",
        )
        outage = _span(abs(self.outage_minutes_left) * _MINUTE)
        left = f"{abs(self.requests_left):,.0f} requests, or {outage} of full outage"
        if self.budget_left >= 0:
            yield "budget left", f"{self.budget_left * 100:.1f} %: {left} at mean traffic"
        else:
            share = f"{-self.budget_left * 100:.1f} %"
            yield "budget left", f"none; overspent by {share}: {left} at mean traffic"
        for window in self.burn:
            yield f"burn rate {window}", self._burning(window)
        if self.data_seconds < self.slo.window_seconds:
            span = f"{_span(self.data_seconds)} of the {self.slo.window}"
            yield "data", f"they reach back {span}: the budget is that of the requests in them"

    def _burning(self, window: str) -> str:
        rate = self.burn[window]
        if math.isnan(rate):
            return "no requests"
        lasts = self.exhausted_in(window)
        if self.budget_left <= 0:
            return f"{rate:.3g}"
        words = "nothing burns" if math.isinf(lasts) else f"the budget lasts {_span(lasts)}"
        return f"{rate:.3g}; {words}"


def ask(slo: Objective, lab: Asked, time: Instant | None) -> Report:
    """Ask how an objective stands; see :meth:`labkit.slo.SLO.report`."""
    lab = quiet(lab)
    at = now(lab) if time is None else unix_ms(time, "time") / 1000
    ratio = _number(lab, slo.error_ratio(), at)
    if math.isnan(ratio):
        raise nothing_counted(slo, lab, Period(at - slo.window_seconds, at))
    return Report(
        slo=slo,
        time=at,
        error_ratio=_not_negative(ratio),
        requests=_number(lab, f"sum(increase({slo.total}[{slo.window}]))", at),
        budget_left=1 - _not_negative(ratio) / slo.allowed,
        burn={each: _not_negative(_number(lab, slo.burn_rate(each), at)) for each in WINDOWS},
        data_seconds=_reach(slo, lab, at),
    )


def _number(lab: Asked, promql: str, at: float) -> float:
    frame = lab.query(promql, time=at)
    return math.nan if frame.empty else float(frame["value"].iloc[0])


def _not_negative(ratio: float) -> float:
    """Return a ratio, which extrapolation may take a little under 0; NaN stays."""
    return 0.0 if ratio < 0 else ratio


def _reach(slo: Objective, lab: Asked, at: float) -> float:
    """Return how far back the data reach, looking closer where they reach back a little only."""
    seconds, found = slo.window_seconds, 0.0
    while True:
        step = max(1.0, seconds / _LOOKS)
        past = f"timestamp({slo.total})[{text_of(seconds)}:{text_of(step)}]"
        age = at - _number(lab, f"min(min_over_time({past}))", at)
        found = found if math.isnan(age) else age
        if found > _NEARLY * slo.window_seconds:
            return slo.window_seconds
        if found > _CLOSE * step or step == 1:
            return found
        seconds = 1.1 * _CLOSE * step


def _span(seconds: float) -> str:
    """Write a length of time for people, to two or three digits."""
    for length, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * length:
            number = seconds / length
            return f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"  # noqa: PLR2004 - three digits
    return f"{seconds:.3g} s"
