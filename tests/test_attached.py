"""A lab on parts that run elsewhere: here, on parts that another lab started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests

import labkit
from labkit.attached import scrape_interval_of
from labkit.lab import Lab
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.remote import RemoteFaults
from labkit.server import AppServer
from tests.ports import steady_port
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labkit.prometheus.binary import Binary


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        with Lab(scrape_interval=0.5) as lab:
            yield lab


@pytest.fixture
def own_lab(monkeypatch) -> Iterator[Lab]:
    """A lab for one test, which restarts its app and so has other threads afterwards."""
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    with Lab(app_port=steady_port()) as lab:
        yield lab


@pytest.fixture
def attached(elsewhere: Lab) -> Iterator[Lab]:
    lab = labkit.connect(elsewhere.url, elsewhere.prometheus_url, token=elsewhere._app.token)
    yield lab
    lab.stop()


def test_queries_traffic_and_charts_work_and_the_interval_is_read(attached: Lab, elsewhere: Lab):
    assert labkit.current() is attached
    assert attached.scrape_interval == 0.5
    stats = attached.traffic(requests=20, seconds=1, mix={"/": 1}).wait(10)
    assert stats.responses == 20
    attached.wait_for("sum(flask_requests_total) >= 20")
    assert attached.plot("sum(rate(flask_requests_total[30s]))", minutes=1).get_lines()
    assert attached.status()["App"].state == "elsewhere"


def test_faults_are_read_and_changed_through_the_app(attached: Lab, elsewhere: Lab):
    attached.faults.health_failure_probability = 1.0
    assert elsewhere.faults.health_failure_probability == 1.0
    attached.faults.preset("classic")
    assert attached.faults.to_dict() == elsewhere.faults.to_dict()
    with pytest.raises(ValueError, match="health_failure_probability"):
        attached.faults.health_failure_probability = 7
    with pytest.raises(AttributeError, match="slow_min_seconds"):
        _ = attached.faults.colour


def test_a_preset_takes_fields_as_that_of_the_app_does(attached: Lab, elsewhere: Lab):
    attached.faults.preset("healthy", health_failure_probability=0.5)
    assert elsewhere.faults.health_failure_probability == 0.5
    attached.faults.preset("classic")


def test_a_proxy_of_the_network_gets_neither_the_faults_nor_the_token(
    attached: Lab, elsewhere: Lab, monkeypatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    attached.faults.update(health_failure_probability=0.3)
    assert elsewhere.faults.health_failure_probability == 0.3
    attached.faults.preset("classic")


def test_an_answer_that_is_no_json_is_told(elsewhere: Lab):
    def half(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"health_']

    with (
        AppServer(half) as server,
        pytest.raises(labkit.TargetRefused, match="no answer that makes sense"),
    ):
        RemoteFaults(server.url).to_dict()


def test_without_the_token_faults_are_only_read(elsewhere: Lab, monkeypatch):
    monkeypatch.delenv("LABKIT_TOKEN", raising=False)
    with labkit.connect(elsewhere.url, elsewhere.prometheus_url) as lab:
        assert lab.faults.health_failure_probability == 0.2
        with pytest.raises(labkit.LabError, match="token"):
            lab.faults.health_failure_probability = 0.1
    with (
        labkit.connect(elsewhere.url, elsewhere.prometheus_url, token="wrong") as lab,
        pytest.raises(labkit.TargetRefused, match="refused the token"),
    ):
        lab.faults.preset("healthy")


def test_without_an_app_no_part_of_it_is_said_to_have_ended(elsewhere: Lab, monkeypatch):
    monkeypatch.delenv("LABKIT_APP_URL", raising=False)
    with labkit.connect(prometheus_url=elsewhere.prometheus_url) as lab:
        assert {part.name: part.state for part in lab.status().parts} == {
            "App": "idle",
            "Prometheus": "elsewhere",
            "Traffic": "idle",
        }


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:5000", "http://", "http://x:99999"])
def test_an_address_of_an_app_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="app_url must be an address such as http"):
        labkit.connect(app_url=address, prometheus_url="http://127.0.0.1:9")


def test_start_gives_a_lab_of_ones_own_even_while_attached_elsewhere(elsewhere: Lab):
    with labkit.connect(elsewhere.url, elsewhere.prometheus_url) as attached:
        assert labkit.current() is attached
        assert labkit.start() is elsewhere
        assert labkit.current() is elsewhere


def test_stopping_detaches_and_leaves_the_parts_running(elsewhere: Lab):
    lab = labkit.connect(elsewhere.url, elsewhere.prometheus_url)
    lab.stop()
    assert requests.get(elsewhere.url, timeout=5).status_code == 200
    assert elsewhere.query("up")["value"].item() == 1
    with pytest.raises(labkit.LabError, match=r"labkit\.start"):
        lab.query("up")


def test_an_attached_lab_does_not_stop_or_start_the_app(attached: Lab):
    for refuse in (attached.stop_app, attached.start_app, attached.restart_app):
        with pytest.raises(labkit.LabError, match="was not started by this lab"):
            refuse()


def test_a_prometheus_alone_answers_queries_and_says_what_is_missing(elsewhere: Lab, monkeypatch):
    monkeypatch.delenv("LABKIT_APP_URL", raising=False)
    monkeypatch.setenv("LABKIT_PROMETHEUS_URL", elsewhere.prometheus_url)
    with labkit.connect() as lab:
        assert lab.query("up")["value"].item() == 1
        for needs_an_app in (lab.spike, lab.stop_app, lambda: lab.faults):
            with pytest.raises(labkit.TargetRefused, match="app_url"):
                needs_an_app()
        assert "none that can be read" in str(lab.panel().view.box.children[0].children)


def test_addresses_and_headers_come_from_the_environment(elsewhere: Lab, monkeypatch):
    monkeypatch.setenv("LABKIT_APP_URL", elsewhere.url + "/")
    monkeypatch.setenv("LABKIT_PROMETHEUS_URL", elsewhere.prometheus_url)
    monkeypatch.setenv("LABKIT_PROMETHEUS_HEADERS", '{"X-Scope-OrgID": "1"}')
    with labkit.connect() as lab:
        assert lab.url == elsewhere.url
    monkeypatch.setenv("LABKIT_PROMETHEUS_HEADERS", "X-Scope-OrgID: 1")
    with pytest.raises(ValueError, match="JSON object"):
        labkit.connect()


def test_nobody_there_is_said_at_once(monkeypatch):
    began = time.monotonic()
    with pytest.raises(labkit.LabError, match=r"127\.0\.0\.1:1\b"):
        labkit.connect(prometheus_url="http://127.0.0.1:1")
    assert time.monotonic() - began < 15
    monkeypatch.delenv("LABKIT_PROMETHEUS_URL", raising=False)
    with pytest.raises(labkit.LabError, match="LABKIT_PROMETHEUS_URL"):
        labkit.connect()


def test_traffic_to_another_machine_is_refused_unless_allowed(elsewhere: Lab):
    with (
        labkit.connect("http://192.0.2.1:5000", elsewhere.prometheus_url) as lab,
        pytest.raises(labkit.TargetRefused, match="allow_remote"),
    ):
        lab.traffic(requests=1, seconds=1)


def test_a_restart_resets_the_counters_on_the_same_port_and_keeps_the_faults(own_lab: Lab):
    requests.get(own_lab.url + "/", timeout=5)
    own_lab.wait_for("sum(flask_requests_total) > 0")
    url = own_lab.url
    own_lab.faults.health_failure_probability = 0.25
    own_lab.stop_app()
    assert own_lab.status()["App"].state == "down"
    own_lab.wait_for('up{job="flask"} == 0')
    own_lab.start_app()
    own_lab.start_app()
    own_lab.wait_for('up{job="flask"} == 1')
    assert own_lab.url == url
    own_lab.wait_for("sum(flask_requests_total) == 0")
    assert own_lab.faults.health_failure_probability == 0.25
    own_lab.restart_app()
    wait_for(lambda: requests.get(url, timeout=5).status_code == 200)


def test_a_server_that_has_no_targets_yet_tells_its_scrape_interval(
    prometheus_binary: Binary, tmp_path: Path
):
    given = {"app-1": "127.0.0.1:9"}
    with (
        PrometheusServer(prometheus_binary, given, directory=tmp_path, scrape_interval=2) as server,
        Client(server.url) as client,
    ):
        assert scrape_interval_of(client) == 2.0
        assert client.get("targets", state="active")["activeTargets"] == [], "it is that young"
