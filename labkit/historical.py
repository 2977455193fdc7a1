"""A lab on a simulated past: a Prometheus that serves it, without an app and without traffic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from labkit.errors import LabError
from labkit.lab import Lab
from labkit.prometheus.binary import find_prometheus
from labkit.prometheus.server import PrometheusServer
from labkit.status import Part

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.checks import Report
    from labkit.history.past import Past
    from labkit.localapp import LocalApp
    from labkit.panels.control import ControlPanel
    from labkit.progress import Progress
    from labkit.promql.steps import Instant
    from labkit.remote import RemoteApp
    from labkit.traffic.run import Worker

# A past stays, however old it is. Its blocks are as they were built: left to itself, Prometheus
# would merge them into larger ones while people work.
AS_IT_IS = (
    "--storage.tsdb.retention.time=100y",
    "--storage.tsdb.retention.size=0",
    "--storage.tsdb.min-block-duration=2h",
    "--storage.tsdb.max-block-duration=2h",
)
_ANSWER_SECONDS = 10.0
_DAY_SECONDS = 86_400
_OF_AN_APP = {"App", "Metrics", "App's clock", "Target", "Samples"}  # rows of a check


class HistoryLab(Lab):
    """A lab whose Prometheus serves a past: queries, charts and explanations work as in any lab.

    Now is the end of the past, unless a question names a time. There is no app and no traffic.
    The storage is built by promtool the first time and taken from the lab's cache after that.

    Two things differ from a Prometheus that scraped all of this itself. There are no staleness
    markers: a series whose target went down goes on with its last value for five minutes, where
    a live one ends at once. And no rules were evaluated: there are no recorded series and no
    ``ALERTS``; ask for a rule's expression over the range instead.

    Args:
        history: the past, such as a `labkit.history.History`.
        prometheus_port: Prometheus's port; 0 takes a free one.
        name: what tells this lab from another one in the same notebook.

    Attributes:
        history: the past.
        from_cache: whether its storage had been built before.
    """

    kind = "history"

    def __init__(self, history: Past, *, prometheus_port: int = 0, name: str | None = None) -> None:
        super().__init__(
            scrape_interval=history.interval,
            prometheus_port=prometheus_port,
            name=name or "history",
        )
        self.history = history
        self.from_cache = False

    # --- Life -------------------------------------------------------------------------------

    def _start(self, progress: Progress) -> None:
        from labkit.history.client import HistoryClient
        from labkit.history.store import Store

        folder = self._start_folder().path / "prometheus"
        progress.say("Looking for Prometheus …")
        binary = find_prometheus(progress=progress.stage)
        progress.say("Looking for the history in the cache …")
        data = folder / "data"
        self.from_cache = Store().open(self.history, data, binary=binary, progress=progress)
        progress.say(f"Starting Prometheus {binary.version} …")
        self._prometheus = PrometheusServer(
            binary,
            {},
            directory=folder,
            scrape_interval=self.scrape_interval,
            port=self.prometheus_port,
            data=data,
            arguments=AS_IT_IS,
        )
        self._closing.callback(self._prometheus.close)
        self._start_client(HistoryClient(self._prometheus.url, self.history))
        self._part(self._client).wait_for("vector(1)", timeout=_ANSWER_SECONDS)
        self._past = (self.history.start, self.history.end)

    # --- What there is ----------------------------------------------------------------------

    @property
    def truth(self) -> Any:
        """What really happened, by the model itself: exact totals, ratios and quantiles.

        Raises:
            LabError: this past knows only its samples.
        """
        truth = getattr(self.history, "truth", None)
        if truth is None:
            raise LabError(
                "This past knows its samples and not what made them.",
                next_step="ask Prometheus: lab.query(…).",
            )
        return truth

    def page(self, promql: str = "up", minutes: float = 60, time: Instant | None = None) -> str:
        """Return the address at which Prometheus's own page draws an expression, at the right time.

        Args:
            promql: the expression; ``$__rate_interval`` and the like are filled in.
            minutes: how far back.
            time: the last moment: a datetime or ISO 8601 text, or unix seconds; the end of the
                past by default.

        Raises:
            LabError: this build of Prometheus has no page.
            ValueError: the time has no zone.
        """
        from labkit.promql import page
        from labkit.promql.steps import default_step_ms, expand, unix_ms

        client, server = self._client_now(), self._part(self._prometheus)
        if not server.has_web_page:
            raise LabError(
                f"Prometheus {server.binary.version} was built without a page for the browser.",
                next_step="draw it here: lab.plot(…); official releases have a page "
                "(`labkit prometheus` fetches one).",
            )
        span_ms = round(minutes * 60_000)
        step_ms = default_step_ms(span_ms, client.scrape_interval)
        return page.address(
            server.url,
            server.binary.line.graph_path,
            expand(
                promql, step_ms=step_ms, span_ms=span_ms, scrape_interval=client.scrape_interval
            ),
            end=unix_ms(client.now() if time is None else time, "time") / 1000,
            minutes=minutes,
        )

    # --- What there is not ------------------------------------------------------------------

    def panel(self) -> ControlPanel:
        """Refuse: there is nothing to control."""
        self._refuse()

    def add_rules(self, text_or_path: str | Path) -> None:
        """Refuse: no rules are evaluated in this past."""
        del text_or_path
        self._client_now().get("rules")  # raises what says so

    def _any_app(self) -> LocalApp | RemoteApp:
        if self.running:
            self._refuse()
        return super()._any_app()

    def _sender(self) -> Worker:
        if self.running:
            self._refuse()
        return super()._sender()

    def _refuse(self) -> NoReturn:
        self._client_now()  # one that is stopped says that first
        raise LabError(
            "This lab shows a past: it has no app, no faults and no traffic.",
            next_step="query, plot and explain it; for an app to send traffic to, labkit.start().",
        )

    # --- State ------------------------------------------------------------------------------

    def check(self) -> Report:
        """Look at what this lab needs, say what is wrong and what to do about it."""
        from labkit.checks import Report

        found = super().check()
        if not self.running:
            return found
        return Report(tuple(one for one in found if one.name not in _OF_AN_APP))

    def _app_part(self) -> Part:
        start, end = (
            datetime.fromtimestamp(t, UTC) for t in (self.history.start, self.history.end)
        )
        days = (self.history.end - self.history.start) / _DAY_SECONDS
        whence = "from the cache" if self.from_cache else "built now"
        detail = (
            f"{days:.3g} day{'s' * (days != 1)}, {start:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M} UTC, a scrape every {self.history.interval:g} s; {whence}"
        )
        return Part("History", "up", detail)

    def _prometheus_part(self) -> Part:
        part = super()._prometheus_part()
        if part.state != "up":
            return part
        server = self._part(self._prometheus)
        end = datetime.fromtimestamp(self.history.end, UTC)
        detail = f"version {server.binary.version}; now is {end:%Y-%m-%d %H:%M} UTC"
        if not server.has_web_page:
            return Part(part.name, part.state, f"{detail}; no web page", part.url, page=False)
        return Part(part.name, part.state, detail, self.page("up", minutes=_DAY_SECONDS / 60))

    def _traffic_part(self) -> Part:
        detail = "no app, traffic or rules; what goes down lingers for 5 min (no staleness markers)"
        return Part("Not here", "idle", detail)
