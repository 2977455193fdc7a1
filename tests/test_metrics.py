"""Metrics: what is counted, when, and what it looks like to Prometheus."""

from __future__ import annotations

import shutil
import subprocess
import threading

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app import create_app
from app.metrics import BUCKETS, ERROR_TYPES, ErrorRate, Metrics
from labkit.errors import LabError
from labkit.prometheus.binary import find_prometheus
from tests.waiting import wait_for

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
INSTANT = {"slow_min_seconds": 0, "slow_max_seconds": 0, "slow_timeout_seconds": 0}
ROUTES = {("/", "200"), ("/health", "200"), ("/health", "503"), ("/slow", "200"), ("/slow", "504")}
ROUTES |= {("/error", status) for status in ("400", "403", "500", "504")}


@pytest.fixture
def app():
    app = create_app({"SEED": 1})
    app.extensions["faults"].update(**INSTANT)
    return app


@pytest.fixture
def value(app):
    """Look up one sample: value("flask_requests_total", endpoint="/")."""
    registry = app.extensions["metrics"].registry

    def look_up(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    return look_up


def _samples(app):
    return [s for m in app.extensions["metrics"].registry.collect() for s in m.samples]


def _requests(app):
    return {
        (s.labels["method"], s.labels["endpoint"], s.labels["status"]): s.value
        for s in _samples(app)
        if s.name == "flask_requests_total"
    }


@pytest.fixture(scope="module")
def promtool():
    found = shutil.which("promtool")
    if found is None:
        try:
            found = find_prometheus(fetch=False).promtool
        except LabError:
            found = None
    if found is None:
        pytest.skip("promtool is neither on PATH nor in the lab's cache")
    return str(found)


# --- From the start ----------------------------------------------------------------------------


def test_every_outcome_of_the_routes_exists_at_zero(app):
    assert _requests(app) == {("GET", rule, status): 0 for rule, status in ROUTES}


def test_all_six_error_types_exist_at_zero(app):
    errors = {s.labels["error_type"]: s.value for s in _samples(app) if "errors_total" in s.name}
    assert errors == dict.fromkeys(ERROR_TYPES, 0)
    assert len(errors) == 6


def test_an_instance_has_78_series_with_which_up_makes_79(app):
    """The simulated history is made of the same series."""
    series = {(s.name, *sorted(s.labels.items())) for s in _samples(app)}
    buckets_sum_and_count = len(BUCKETS) + 1 + 2
    assert len(series) == len(_samples(app)) == 9 + 6 + 3 + 4 * buckets_sum_and_count == 78


def test_the_buckets_have_the_boundaries_that_the_lessons_need(app):
    bounds = {s.labels["le"] for s in _samples(app) if s.name.endswith("_bucket")}
    assert {"0.3", "0.5", "2.0", "2.5", "5.0", "+Inf"} <= bounds


def test_created_series_are_left_out_without_the_switch_for_the_process(app):
    app.test_client().get("/")
    assert not [s.name for s in _samples(app) if s.name.endswith("_created")]
    elsewhere = CollectorRegistry()
    prometheus_client.Counter("mine_total", "A counter of someone else.", registry=elsewhere)
    assert elsewhere.get_sample_value("mine_created") is not None


def test_two_apps_count_apart():
    one, two = create_app(), create_app()
    one.test_client().get("/")
    assert sum(_requests(one).values()) == 1
    assert sum(_requests(two).values()) == 0


def test_a_registry_takes_one_app():
    registry = CollectorRegistry()
    create_app(registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        create_app(registry=registry)


# --- Counting ----------------------------------------------------------------------------------


def test_a_request_is_counted_once_under_its_rule_and_status(app, value):
    app.test_client().get("/?page=2")
    labels = {"method": "GET", "endpoint": "/"}
    assert value("flask_requests_total", **labels, status="200") == 1
    assert value("flask_request_duration_seconds_count", **labels) == 1
    assert sum(_requests(app).values()) == 1


def test_an_error_counts_as_a_request_and_by_type(app, value):
    app.extensions["faults"].health_failure_probability = 1
    app.test_client().get("/health")
    assert value("flask_requests_total", method="GET", endpoint="/health", status="503") == 1
    assert value("flask_errors_total", error_type="health_check_failed") == 1


def test_the_duration_falls_into_the_bucket_of_what_the_client_waited(app, value):
    app.extensions["faults"].update(
        slow_timeout_probability=0, slow_min_seconds=0.11, slow_max_seconds=0.11
    )
    app.test_client().get("/slow")
    name, labels = "flask_request_duration_seconds_bucket", {"method": "GET", "endpoint": "/slow"}
    assert value(name, **labels, le="0.1") == 0
    assert value(name, **labels, le="5.0") == 1


def test_metrics_and_faults_are_not_counted(app):
    client = app.test_client()
    for path in ("/metrics", "/faults"):
        client.get(path)
        client.head(path)
        client.put(path, json={})
        client.post(path)
    assert sum(_requests(app).values()) == 0


def test_what_no_rule_matches_shares_one_endpoint(app):
    client = app.test_client()
    for number in range(20):
        client.get(f"/nothing/{number}")
    client.get("/health/")
    client.post("/health")
    born = {key: n for key, n in _requests(app).items() if (key[1], key[2]) not in ROUTES}
    assert born == {("GET", "<unmatched>", "404"): 21, ("POST", "<unmatched>", "405"): 1}


def test_head_and_options_have_their_own_method(app):
    client = app.test_client()
    client.head("/")
    assert "GET" in client.options("/").headers["Allow"]
    assert _requests(app)["HEAD", "/", "200"] == 1
    assert _requests(app)["OPTIONS", "/", "200"] == 1


def test_invented_methods_share_one_label_value(app):
    client = app.test_client()
    for number in range(50):
        assert client.open("/", method=f"HACK{number}").status_code == 405
    born = {key: n for key, n in _requests(app).items() if key[0] != "GET"}
    assert born == {("other", "<unmatched>", "405"): 50}
    assert len(app.extensions["metrics"]._outcomes) == len(ROUTES) + 1


def test_an_unexpected_exception_is_a_counted_500(app, value):
    def broken():
        raise ZeroDivisionError

    app.add_url_rule("/broken", view_func=broken)
    app.logger.handlers.clear()  # the traceback is another test's matter
    assert app.test_client().get("/broken").status_code == 500
    assert value("flask_requests_total", method="GET", endpoint="/broken", status="500") == 1
    assert value("flask_errors_total", error_type="unhandled_exception") == 1
    assert value("flask_requests_in_progress") == 0


def test_a_view_that_leaves_without_answering_is_counted_and_does_not_leak(app, value):
    def leave():
        raise SystemExit

    app.add_url_rule("/leave", view_func=leave)
    with pytest.raises(SystemExit):
        app.test_client().get("/leave")
    assert value("flask_requests_in_progress") == 0
    assert sum(_requests(app).values()) == 1


def test_in_progress_follows_the_requests(app, value):
    release = threading.Event()

    def wait():
        release.wait(10)
        return "done"

    app.add_url_rule("/wait", view_func=wait)
    threads = [
        threading.Thread(target=app.test_client().get, args=("/wait",), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: value("flask_requests_in_progress") == 3)
    release.set()
    for thread in threads:
        thread.join(10)
    assert value("flask_requests_in_progress") == 0


def test_many_threads_lose_no_count(app, value):
    def send():
        client = app.test_client()
        for _ in range(200):
            client.get("/")

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    labels = {"method": "GET", "endpoint": "/"}
    assert value("flask_requests_total", **labels, status="200") == 1600
    assert value("flask_request_duration_seconds_count", **labels) == 1600
    assert value("flask_requests_in_progress") == 0
    assert value("flask_error_rate") == 0


def test_a_request_is_counted_before_its_answer_leaves():
    """So the sum after a scrape equals the answers that clients have had."""
    registry = CollectorRegistry()

    def application(environ, start_response):
        start_response("200 OK", [])
        return iter([b"body"])

    tracked = Metrics(registry).track(application)
    answer = tracked({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None)
    labels = {"method": "GET", "endpoint": "<unmatched>", "status": "200"}
    assert registry.get_sample_value("flask_requests_total", labels) == 1
    assert b"".join(answer) == b"body"


def test_uptime_grows(app, value):
    first = value("flask_uptime_seconds")
    wait_for(lambda: value("flask_uptime_seconds") > first)
    assert 0 <= first < 60


# --- The error rate ----------------------------------------------------------------------------


def test_the_error_rate_is_a_percentage_of_requests_that_recorded_an_error(app, value):
    client = app.test_client()
    for path in ("/", "/", "/error", "/nothing"):  # a 404 records no error
        client.get(path)
    assert value("flask_error_rate") == 25.0


def test_the_error_rate_forgets_after_sixty_seconds():
    rate = ErrorRate()
    rate.record(True, now=1000.9)
    rate.record(False, now=1030.0)
    assert rate.percent(now=1059.9) == 50.0
    assert rate.percent(now=1060.0) == 0.0  # the success at 1030 is left
    assert rate.percent(now=1090.0) == 0.0  # nothing is left


def test_the_error_rate_is_zero_without_requests():
    assert ErrorRate().percent(now=0.0) == 0.0
    assert ErrorRate().percent(now=59.0) == 0.0


def test_a_slot_starts_anew_when_the_ring_comes_round():
    rate = ErrorRate()
    for minute in range(3):
        rate.record(minute != 2, now=10.0 + 60 * minute)
    assert rate.percent(now=130.0) == 0.0


# --- Exposition --------------------------------------------------------------------------------


def test_text_is_the_default_form(app):
    answer = app.test_client().get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert {m.name for m in parse_text(answer.text)} == {
        "flask_requests",
        "flask_errors",
        "flask_error_rate",
        "flask_uptime_seconds",
        "flask_request_duration_seconds",
        "flask_requests_in_progress",
    }


def test_openmetrics_comes_on_request_and_parses(app):
    client = app.test_client()
    for path in ("/", "/error", "/slow", "/nothing"):
        client.get(path)
    answer = client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["flask_requests"].type == "counter"
    assert families["flask_request_duration_seconds"].type == "histogram"
    assert sum(s.value for s in families["flask_requests"].samples) == 4


def test_what_prometheus_3_asks_for_is_understood(app):
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3"
    )
    answer = app.test_client().get("/metrics", headers={"Accept": accept})
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=new", "text/plain; version=", "*/*;;,,", "é"]
)
def test_an_odd_accept_header_gets_text(app, accept):
    answer = app.test_client().get("/metrics", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")


def test_promtool_has_nothing_to_say_about_the_text(app, promtool):
    client = app.test_client()
    for path in ("/", "/error", "/slow", "/nothing"):
        client.get(path)
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=client.get("/metrics").data,
        capture_output=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
