"""Alerts of a lab that runs: their states, waiting for one, and callbacks, on both lines."""

from __future__ import annotations

import json
import math
import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import labkit
from labkit.alerts import Alert, AlertWatch, frame
from labkit.grafana.board import dashboard_json
from labkit.lab import Lab
from labkit.promql.client import Client
from labkit.server import AppServer
from tests.grafana_board import asked
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.prometheus.binary import Binary

SHIPPED = {"HighErrorRate", "SlowRequests", "TargetDown", "NoTraffic"}
# Over a minute: one scrape that fails on a busy machine resolves nothing.
AT_ONCE = """\
groups:
  - name: at-once
    rules:
      - alert: Started
        expr: last_over_time(flask_uptime_seconds[1m]) {comparison}
        labels: {{severity: info, team: "a"}}
        annotations: {{summary: "The app runs for {{{{ $value }}}} s."}}
"""


@pytest.fixture(scope="module")
def lab(prometheus_binary: Binary) -> Iterator[Lab]:
    """A lab that a burst of errors has just hit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        # A scrape may take as long as its interval: in less, a busy app could not answer.
        with Lab(seed=7, scrape_interval=1.0) as lab:
            # All sent: while a burst stalls on a busy machine, its rate may fall below the rule's.
            lab.traffic(requests=400, seconds=2, mix="errors").wait()
            yield lab


@pytest.fixture
def started(lab: Lab) -> Iterator[None]:
    """A rule that fires at once, and does not any more at the end."""
    lab.add_rules(AT_ONCE.format(comparison="< 0"))
    yield
    lab.add_rules(AT_ONCE.format(comparison="< 0"))


def test_a_burst_of_errors_is_pending_before_it_fires(lab: Lab) -> None:
    """First in the file: the burst is young."""
    row = lab.wait_for_alert("HighErrorRate", state="pending", timeout=40)
    assert row["value"] > 0.2
    assert row["severity"] == "page"
    with pytest.raises(labkit.LabError) as late:
        lab.wait_for_alert("HighErrorRate", timeout=0.1)
    assert "HighErrorRate is pending, since" in late.value.message
    assert "not firing, after 0.1 s" in late.value.message
    assert "ratio_rate2m = 0.4" in late.value.evidence
    assert "hold for 15 s" in late.value.evidence


def test_alerts_are_rows_with_their_state_and_words(lab: Lab) -> None:
    alerts = lab.alerts()
    assert list(alerts) == ["name", "state", "since", "value", "severity", "summary", "labels"]
    assert set(alerts["name"]) >= SHIPPED
    assert str(alerts["since"].dt.tz) == "UTC"
    idle = alerts.set_index("name").loc["SlowRequests"]
    assert idle["state"] == "inactive"
    assert pd.isna(idle["since"])
    assert pd.isna(idle["value"])
    assert idle["summary"] == "More than 25 % of the requests take longer than 0.3 s."
    assert idle["labels"] == {"severity": "ticket"}


def test_an_alert_that_is_not_known_is_answered_with_those_there_are(lab: Lab) -> None:
    with pytest.raises(labkit.LabError, match=r"'HighErrorRates'; there are .*HighErrorRate"):
        lab.wait_for_alert("HighErrorRates", timeout=30)
    with pytest.raises(ValueError, match="firing, pending, inactive"):
        lab.wait_for_alert("HighErrorRate", state="red")


def test_a_callback_is_told_once_of_firing_and_of_resolving(lab: Lab, started: None) -> None:
    told: list[tuple[Alert, str]] = []
    before = datetime.now(UTC)
    with lab.on_alert(lambda alert: told.append((alert, threading.current_thread().name))):
        lab.add_rules(AT_ONCE.format(comparison="> 0"))
        row = lab.wait_for_alert("Started", timeout=40)
        wait_for(lambda: told)
        at = row["since"].timestamp()
        lab.wait_for(f"vector(time()) > {at + 3}")  # evaluations of which nothing is told
        lab.add_rules(AT_ONCE.format(comparison="< 0"))
        lab.wait_for_alert("Started", state="inactive", timeout=40)
        wait_for(lambda: any(alert.state == "resolved" for alert, _ in told))
    mine = [alert for alert, _ in told if alert.name == "Started"]
    assert [alert.state for alert in mine] == ["firing", "resolved"]
    fired, resolved = mine
    assert fired.labels == {
        "instance": "app-1",
        "job": "flask",
        "severity": "info",
        "team": "a",
    }
    assert fired.value > 0
    assert fired.summary.startswith("The app runs for ")
    assert before < fired.at < resolved.at
    assert resolved.labels == fired.labels
    assert {thread for _, thread in told} == {"labkit-alerts"}


def test_what_fires_already_is_told_only_when_it_resolves(lab: Lab, started: None) -> None:
    lab.add_rules(AT_ONCE.format(comparison="> 0"))
    lab.wait_for_alert("Started", timeout=40)
    told: list[Alert] = []
    with lab.on_alert(told.append):
        lab.add_rules(AT_ONCE.format(comparison="< 0"))
        wait_for(lambda: [a for a in told if a.name == "Started"])
    assert [alert.state for alert in told if alert.name == "Started"] == ["resolved"]


def test_an_exception_in_a_callback_is_raised_at_the_next_call(lab: Lab, started: None) -> None:
    def broken(alert: Alert) -> None:
        if alert.name == "Started":  # and not the alerts of the burst, which may fire meanwhile
            raise ZeroDivisionError(alert.state)

    def goes_on(call: Callable[[], object]) -> Callable[[], bool]:
        """Call it until it raises: what is raised in a callback is passed on a moment later."""

        def calls() -> bool:
            call()
            return False

        return calls

    with lab.on_alert(broken):
        lab.add_rules(AT_ONCE.format(comparison="> 0"))
        with pytest.raises(ZeroDivisionError, match="firing"):
            wait_for(goes_on(lambda: lab.query("up")))
        lab.query("up")
        lab.add_rules(AT_ONCE.format(comparison="< 0"))
        with pytest.raises(ZeroDivisionError, match="resolved"):
            wait_for(goes_on(lab.alerts))


def test_an_exception_of_the_time_before_a_stop_does_not_fail_the_next_start(
    lab: Lab, started: None
) -> None:
    told = threading.Event()

    def broken(alert: Alert) -> None:
        told.set()
        wait_for(watch._closing.is_set)
        raise ZeroDivisionError

    with labkit.connect(prometheus_url=lab.prometheus_url) as attached:
        watch = attached.on_alert(broken)
        lab.add_rules(AT_ONCE.format(comparison="> 0"))
        assert told.wait(30)
        attached.stop()
        attached.start()
        assert len(attached.query("up")) == 1


def test_an_odd_answer_does_not_end_a_watch() -> None:
    rule = {"name": "A", "query": "a > 0", "lastEvaluation": "2025-01-01T00:00:00Z"}
    active = {"labels": {}, "annotations": {}, "state": "firing", "value": "1"}
    answers: list[Any] = [[], [{"rules": None}], [{"rules": [rule | {"alerts": [active]}]}]]
    active["activeAt"] = "2025-01-01T00:00:00Z"

    def prometheus(environ: Any, start_response: Any) -> list[bytes]:
        groups = answers.pop(0) if len(answers) > 1 else answers[0]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"status": "success", "data": {"groups": groups}}).encode()]

    told: list[Alert] = []
    with (
        AppServer(prometheus) as server,
        closing(Client(server.url, scrape_interval=0.1)) as client,
        AlertWatch(client, told.append, pytest.fail),
    ):
        wait_for(lambda: told)
    assert (told[0].name, told[0].state) == ("A", "firing")


def test_a_closed_watch_is_silent_and_closes_itself_from_its_own_callback(
    lab: Lab, started: None
) -> None:
    told: list[Alert] = []

    def once(alert: Alert) -> None:
        told.append(alert)
        watch.close()

    watch = lab.on_alert(once)
    lab.add_rules(AT_ONCE.format(comparison="> 0"))
    wait_for(lambda: told)
    wait_for(lambda: not watch._thread.is_alive())
    assert "closed" in repr(watch)
    watch.close()


def test_a_rule_that_cannot_be_evaluated_is_a_warning(lab: Lab) -> None:
    twice = AT_ONCE.format(comparison="* on () flask_requests_total")
    lab.add_rules(twice.replace("at-once", "broken").replace("Started", "Broken"))
    wait_for(lambda: lab.alerts().attrs.get("warnings"))
    (warning,) = lab.alerts().attrs["warnings"]
    assert warning.startswith("Broken: ")
    assert "many-to-many" in warning
    lab.add_rules(AT_ONCE.format(comparison="< 0").replace("at-once", "broken").replace("Sta", "B"))
    assert "warnings" not in lab.alerts().attrs


def test_a_burst_of_errors_fires_and_good_answers_resolve_it(
    lab: Lab, prometheus_binary: Binary
) -> None:
    """Late in the file: some of the 15 s that the alert waits have passed meanwhile."""
    if prometheus_binary is not binaries()[-1]:
        pytest.skip("promtool shows on this line when it fires")
    row = lab.wait_for_alert("HighErrorRate", timeout=40)
    assert row["labels"] == {"job": "flask", "severity": "page"}
    assert row["since"] < datetime.now(UTC)
    assert lab.alerts()["state"].iloc[0] == "firing", "the most urgent first"
    lab.wait_for('ALERTS{alertname="HighErrorRate", alertstate="firing"} == 1')  # a moment later
    lab.traffic(requests=600, seconds=1, mix={"/": 1})
    lab.wait_for_alert("HighErrorRate", state="inactive", timeout=40)


def test_the_lab_closes_its_watches_and_attached_ones_take_no_rules(lab: Lab) -> None:
    with labkit.connect(prometheus_url=lab.prometheus_url) as attached:
        assert set(attached.alerts()["name"]) >= SHIPPED
        watch = attached.on_alert(print)
        with pytest.raises(labkit.LabError, match="does not own its Prometheus"):
            attached.add_rules(AT_ONCE)
    assert not watch._thread.is_alive()
    with pytest.raises(labkit.LabError, match=r"labkit\.start\(\)"):
        attached.add_rules(AT_ONCE)


def test_rules_are_tested_by_promtool_and_told_when_they_fail(lab: Lab) -> None:
    rules = AT_ONCE.format(comparison="> 9")
    test = """
rule_files: [rules.yml]
evaluation_interval: 1s
tests:
- interval: 1s
  input_series: [{series: flask_uptime_seconds, values: 0+1x20}]
  alert_rule_test: [{eval_time: 5s, alertname: Started, exp_alerts: []}]
"""
    assert lab.test_rules(test, rules) == ""
    assert "Started" in lab.test_rules(test, rules.replace("> 9", "> 2"))


def test_every_expression_of_the_export_to_grafana_is_answered(lab: Lab) -> None:
    """Here, because this lab runs: as Grafana sends them, its variables filled in."""
    for title, promql, over_time in asked(dashboard_json()):
        frame = lab.query_range(promql, minutes=1) if over_time else lab.query(promql)
        assert "$" not in frame.attrs["query"], title
        assert frame.shape[1 if over_time else 0] or "ALERTS" in promql, f"{title}: no series"


def test_a_prometheus_that_does_not_answer_does_not_end_the_watch() -> None:
    class Client:
        """Prometheus as it starts anew; the real one would take the lab with it."""

        scrape_interval = 0.02
        answers = True

        def get(self, path: str, **parameters: str) -> dict[str, list[dict[str, object]]]:
            if not self.answers:
                raise labkit.QueryError("Nothing answers.")
            return {"groups": []}

    client = Client()
    with AlertWatch(client, print, print) as watch:  # type: ignore[arg-type] # see its docstring
        client.answers = False
        wait_for(lambda: watch.problem)
        assert "Nothing answers" in repr(watch)
        client.answers = True
        wait_for(lambda: watch.problem is None)


def test_no_rules_are_a_frame_without_rows() -> None:
    empty = frame([])
    assert list(empty) == ["name", "state", "since", "value", "severity", "summary", "labels"]
    assert str(empty["since"].dt.tz) == "UTC"
    one = Alert("A", "inactive", {}, math.nan, datetime.now(UTC))
    assert len(frame([one])) == 1
