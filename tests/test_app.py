"""The app: its routes, its answers to mistakes, and its faults over HTTP."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from app import create_app
from app.faults import Faults

INSTANT = {"slow_min_seconds": 0, "slow_max_seconds": 0, "slow_timeout_seconds": 0}
TOKEN = {"X-Lab-Token": "secret"}
KINDS = {"database_error": 500, "validation_error": 400, "permission_error": 403}
KINDS |= {"timeout_error": 504}


@pytest.fixture
def app():
    app = create_app({"SEED": 1, "TOKEN": "secret"})
    app.extensions["faults"].update(**INSTANT)
    return app


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def faults(app):
    return app.extensions["faults"]


# --- Routes ------------------------------------------------------------------------------------


def test_index_lists_the_routes_as_json(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert {*answer.json["routes"]} == {"/", "/health", "/slow", "/error", "/metrics", "/faults"}


def test_index_is_a_page_with_links_for_a_browser(client):
    answer = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.mimetype == "text/html"
    assert '<a href="/health">' in answer.text
    assert "Accept" in answer.headers["Vary"]


def test_health_answers_by_its_probability(client, faults):
    faults.health_failure_probability = 0
    assert (client.get("/health").status_code, client.get("/health").json) == (
        200,
        {"status": "healthy"},
    )
    faults.health_failure_probability = 1
    answer = client.get("/health")
    assert (answer.status_code, answer.json["error_type"]) == (503, "health_check_failed")


def test_slow_answers_or_times_out(client, faults):
    faults.slow_timeout_probability = 0
    assert client.get("/slow").status_code == 200
    faults.slow_timeout_probability = 1
    answer = client.get("/slow")
    assert (answer.status_code, answer.json["error_type"]) == (504, "timeout")


def test_error_fails_in_all_four_ways(client):
    answers = [client.get("/error") for _ in range(60)]
    assert {a.json["error_type"]: a.status_code for a in answers} == KINDS


def test_error_answers_200_when_the_faults_let_it(client, faults):
    faults.error_failure_probability = 0
    assert client.get("/error").status_code == 200


def test_the_same_seed_answers_the_same(app):
    def run() -> list[int]:
        app = create_app({"SEED": 5})
        app.extensions["faults"].update(**INSTANT)
        client = app.test_client()
        return [client.get(path).status_code for path in ("/health", "/slow", "/error") * 20]

    assert run() == run()


def test_faults_given_are_the_ones_followed():
    mine = Faults("healthy", seed=1)
    app = create_app({"FAULTS": mine})
    assert app.extensions["faults"] is mine


def test_what_is_not_there_is_said_in_json(client):
    answer = client.get("/nothing/<here>")
    assert answer.status_code == 404
    assert answer.mimetype == "application/json"
    assert "/nothing/<here>" in answer.json["error"]


def test_a_wrong_method_is_told_the_right_ones(client):
    answer = client.delete("/health")
    assert (answer.status_code, answer.mimetype) == (405, "application/json")
    assert "GET" in answer.headers["Allow"]


def test_head_has_no_body(client):
    answer = client.head("/")
    assert (answer.status_code, answer.data) == (200, b"")


def test_an_exception_becomes_an_answer_and_its_traceback_goes_to_the_servers_errors(app, capsys):
    def broken():
        raise ZeroDivisionError("a slip")

    app.add_url_rule("/broken", view_func=broken)
    errors = io.StringIO()
    answer = app.test_client().get("/broken", errors_stream=errors)
    assert (answer.status_code, answer.json["error_type"]) == (500, "unhandled_exception")
    assert "ZeroDivisionError: a slip" in errors.getvalue()
    assert "slip" not in answer.text
    assert capsys.readouterr() == ("", "")


# --- /faults -----------------------------------------------------------------------------------


def test_faults_can_be_read_by_anyone(client, faults):
    assert client.get("/faults").json == faults.to_dict()


def test_some_fields_change_and_the_others_stay(client, faults):
    before = faults.to_dict()
    answer = client.put("/faults", json={"health_failure_probability": 0.7}, headers=TOKEN)
    assert answer.status_code == 200
    assert answer.json == faults.to_dict() == {**before, "health_failure_probability": 0.7}


def test_a_preset_can_be_put_with_exceptions(client, faults):
    body = {"preset": "healthy", "slow_max_seconds": 0.06}
    assert client.put("/faults", json=body, headers=TOKEN).status_code == 200
    assert faults.to_dict() == {**Faults("healthy").to_dict(), "slow_max_seconds": 0.06}


def test_what_get_returns_can_be_put(client, faults):
    body = client.get("/faults").json
    faults.preset("healthy")
    assert client.put("/faults", json=body, headers=TOKEN).json == body


@pytest.mark.parametrize("token", [None, "", "Secret", "secrets", "sécret", "☃"])
def test_a_put_without_the_token_is_refused_in_words(client, faults, token):
    before = faults.to_dict()
    headers = {} if token is None else {"X-Lab-Token": token.encode().decode("latin-1")}
    answer = client.put("/faults", json={"preset": "healthy"}, headers=headers)
    assert answer.status_code == 403
    assert "X-Lab-Token" in answer.json["error"]
    assert faults.to_dict() == before


@pytest.mark.parametrize("none", [None, ""])
def test_without_a_token_of_its_own_the_app_refuses_every_put(none):
    app = create_app({"TOKEN": none})
    for headers in ({}, {"X-Lab-Token": ""}, {"X-Lab-Token": "None"}):
        answer = app.test_client().put("/faults", json={}, headers=headers)
        assert answer.status_code == 403
        assert "LABKIT_TOKEN" in answer.json["error"]


def test_the_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("LABKIT_TOKEN", "schlüssel")
    client = create_app().test_client()
    headers = {"X-Lab-Token": "schlüssel".encode().decode("latin-1")}
    assert client.put("/faults", json={}, headers=headers).status_code == 200
    assert client.put("/faults", json={}).status_code == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON object"),
        (b"{", "JSON object"),
        (b"[1]", "JSON object"),
        (b"\xff", "JSON object"),
        (b'{"health_failure_probability": 2}', "from 0 to 1"),
        (b'{"health_failure_probability": NaN}', "from 0 to 1"),
        (b'{"health_failure_probability": "0.1"}', "from 0 to 1"),
        (b'{"helth": 0.1}', "there is no field 'helth'"),
        (b'{"self": 1, "name": 2}', "there is no field 'self'"),
        (b'{"preset": "sunny"}', "classic, healthy"),
        (b'{"preset": ["classic"]}', "classic, healthy"),
        (b'{"slow_min_seconds": 5}', "slow_max_seconds"),
    ],
)
def test_a_bad_body_is_refused_in_words_and_changes_nothing(client, faults, body, words):
    before = faults.to_dict()
    answer = client.put("/faults", data=body, headers=TOKEN)
    assert answer.status_code == 400
    assert words in answer.json["error"]
    assert faults.to_dict() == before


def test_a_huge_body_is_refused(client):
    answer = client.put("/faults", data=b" " * 100_000, headers=TOKEN)
    assert (answer.status_code, answer.mimetype) == (413, "application/json")


def test_the_app_imports_nothing_of_labkit():
    code = "import sys, app, app.__main__; print([m for m in sys.modules if 'labkit' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n", done.stderr
