"""A Prometheus that can be asked: PromQL in, plain DataFrames out."""

from __future__ import annotations

import re
import time as clock
from typing import TYPE_CHECKING, Any

from labkit.errors import QueryError
from labkit.promql.steps import duration, expand, unix_ms, window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from labkit.promql.steps import Instant, Step

_RANGE_MINUTES = 5.0
# What is not code in PromQL: strings in three kinds of quotes, and comments.
_TEXT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*")
_BOOL = re.compile(r"[=!<>]=?\s*bool\b")


class Client:
    """A Prometheus, by its address. Usable from several threads at once; close it in the end.

    Args:
        url: the server's address, such as ``http://127.0.0.1:9090``.
        headers: sent with every request, for example an Authorization.
        verify: check the server's certificate; or the path of the authority to check it with.
        timeout: seconds that one request may take.
        scrape_interval: seconds between two scrapes; default steps, ``$__rate_interval`` and the
            pace of :meth:`wait_for` come from it.
        at: the moment in unix seconds that counts as now, for a Prometheus that serves a past;
            the clock's by default.

    Raises:
        ValueError: when the address is none, or a number is not positive.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
        timeout: float = 10.0,
        scrape_interval: float = 1.0,
        at: float | None = None,
    ) -> None:
        from labkit.promql.connection import Connection

        for name, value in (("timeout", timeout), ("scrape_interval", scrape_interval)):
            if not value > 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {value!r}")
        self.timeout = timeout
        self.scrape_interval = scrape_interval
        self.at = at
        self._connection = Connection(url, headers=headers, verify=verify, timeout=timeout)

    @property
    def url(self) -> str:
        """The server's address, without any password in it."""
        return str(self._connection.address)

    def now(self) -> float:
        """Return the moment that questions are about unless they name one, in unix seconds."""
        return clock.time() if self.at is None else self.at

    def query(self, promql: str, time: Instant | None = None) -> pd.DataFrame:
        """Return what an expression is at one moment.

        Args:
            promql: the expression. ``$__interval`` is the scrape interval, ``$__rate_interval``
                four of them, ``$__range`` five minutes.
            time: the moment: ISO 8601 text or a datetime, with a time zone, or unix seconds; now
                where it is None.

        Returns:
            One row a series: its labels, then ``value``; see
            :func:`labkit.promql.frames.instant_frame` for scalars, strings and range vectors.
            ``attrs`` hold ``query`` as sent, ``time`` (unix seconds), ``server`` and, where there
            were any, ``warnings``.

        Raises:
            QueryError: when it is empty, Prometheus can't read or answer it, or is not reached.
            ValueError: for a time without a time zone, or no time at all.
        """
        return self._instant(promql, time, self.timeout)

    def query_range(
        self,
        promql: str,
        minutes: float = _RANGE_MINUTES,
        step: Step | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> pd.DataFrame:
        """Return what an expression is over a range of time.

        Args:
            promql: the expression. ``$__interval`` is the step, ``$__range`` the range and
                ``$__rate_interval`` the larger of step + scrape interval and four scrape intervals.
            minutes: how far back from the end; used where there is no ``start``.
            step: seconds between two points, or a duration such as ``"1m30s"``; by default the
                range over 600 points, rounded up to a readable step, and never less than the
                scrape interval.
            start: the first point: ISO 8601 text or a datetime, with a time zone, or unix seconds.
            end: the last point; now by default. Where neither end is given, both lie on a
                multiple of the step.

        Returns:
            One column a series, on a regular index ``time`` in UTC; missing points are NaN. See
            :func:`labkit.promql.frames.range_frame` for the names of the columns. ``attrs`` hold
            ``labels`` (column to labels), ``query`` as sent, ``start``, ``end`` and ``step``
            (seconds), ``server`` and, where there were any, ``warnings``.

        Raises:
            QueryError: when it is empty, Prometheus can't read or answer it, or is not reached.
            ValueError: for a range or step that makes no sense.
        """
        from labkit.promql.frames import range_frame

        grid = window(
            minutes, step, start, end, scrape_interval=self.scrape_interval, now=self.now()
        )
        sent = self._expand(promql, grid.step_ms, grid.span_ms)
        answer = self._connection.ask(
            "query_range",
            {
                "query": sent,
                "start": _seconds(grid.start_ms),
                "end": _seconds(grid.end_ms),
                "step": _seconds(grid.step_ms),
            },
        )
        frame = range_frame(answer, grid)
        frame.attrs |= {
            "query": sent,
            "start": grid.start_ms / 1000,
            "end": grid.end_ms / 1000,
            "step": grid.step_ms / 1000,
            "server": self.url,
        }
        return frame

    def wait_for(
        self, promql: str, timeout: float = 30.0, alive: Callable[[], None] | None = None
    ) -> pd.DataFrame:
        """Ask again and again until an expression is there, and return its answer.

        It is there when it has at least one row whose value is not NaN. A comparison leaves rows
        out unless they meet it, so it is there when one does; with ``bool``, when one is not 0.

        Args:
            promql: the expression, asked four times a scrape interval.
            timeout: how many seconds to wait.
            alive: called before each question; what it raises ends the wait.

        Returns:
            The frame of :meth:`query`.

        Raises:
            QueryError: when the time is up (with the last answer), or as :meth:`query`.
        """
        deadline = clock.monotonic() + timeout
        boolean = bool(_BOOL.search(_TEXT.sub('""', promql)))
        while True:
            if alive is not None:
                alive()
            left = max(1.0, deadline - clock.monotonic())
            frame = self._instant(promql, None, min(self.timeout, left))
            missing = _missing(frame, boolean=boolean)
            if missing is None:
                return frame
            if clock.monotonic() >= deadline:
                raise QueryError(
                    f"Still waiting after {timeout:g} s: {missing}.",
                    evidence=promql.strip(),
                    next_step="check the names with lab.metrics(), that the target is up "
                    '(lab.query("up")) and that traffic runs, or wait longer with timeout=….',
                )
            clock.sleep(max(0.0, min(self.scrape_interval / 4, deadline - clock.monotonic())))

    def metrics(self) -> pd.DataFrame:
        """Return what there is to ask for: ``name``, ``type``, ``help``, ``labels``, ``series``.

        One row for every name that has a sample now; see
        :func:`labkit.promql.inventory.inventory`.

        Raises:
            QueryError: when Prometheus is not reached or refuses.
        """
        from labkit.promql.inventory import inventory

        return inventory(self._connection, self.at)

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the data at any endpoint that reads, for example ``get("targets")``.

        Args:
            path: what follows ``/api/v1/``.
            parameters: sent with it; a list repeats the parameter.

        Raises:
            QueryError: when Prometheus is not reached or refuses.
        """
        return self._connection.ask(path, parameters).data

    def close(self) -> None:
        """Close the connections; a question after that is refused. Idempotent."""
        self._connection.close()

    def _instant(self, promql: str, time: Instant | None, timeout: float) -> pd.DataFrame:
        from labkit.promql.frames import instant_frame

        time = self.at if time is None else time
        when = {} if time is None else {"time": _seconds(unix_ms(time, "time"))}
        asked = clock.time()
        sent = self._expand(
            promql, round(self.scrape_interval * 1000), round(_RANGE_MINUTES * 60_000)
        )
        answer = self._connection.ask("query", {"query": sent, **when}, timeout)
        frame = instant_frame(answer)
        frame.attrs |= {
            "query": sent,
            "time": _evaluated(answer.data) or float(when.get("time", asked)),
            "server": self.url,
        }
        return frame

    def _expand(self, promql: str, step_ms: int, span_ms: int) -> str:
        if not isinstance(promql, str):
            raise TypeError(f"the query must be text, not {type(promql).__name__}")
        if not promql.strip():
            raise QueryError("The query is empty.", next_step="write an expression, such as up.")
        return expand(
            promql, step_ms=step_ms, span_ms=span_ms, scrape_interval=self.scrape_interval
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.url}, scraped every {duration(round(self.scrape_interval * 1000))}>"


def _seconds(milliseconds: int) -> str:
    """Write unix milliseconds as the seconds that the API takes, exactly."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def _evaluated(data: Mapping[str, Any]) -> float | None:
    """Return the moment that an instant answer is of, where it says so."""
    result = data["result"]
    if data["resultType"] in {"scalar", "string"}:
        return float(result[0])
    if data["resultType"] == "vector" and result:
        sample = result[0].get("value") or result[0]["histogram"]
        return float(sample[0])
    return None


def _missing(frame: pd.DataFrame, *, boolean: bool) -> str | None:
    """Say what an answer lacks to count as there, or None when it lacks nothing."""
    if frame.empty:
        return "the answer is empty"
    if frame["value"].dtype != "float64":
        return None
    values = frame["value"].dropna()
    if values.empty:
        return "every value is NaN"
    return "the comparison is false" if boolean and not values.any() else None
