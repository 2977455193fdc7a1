"""The request log: JSON lines in a file of bounded size, and nowhere else."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

import app.log
from app import create_app

FULL = Path("/dev/full")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "app.log"


@pytest.fixture
def logged(path):
    app = create_app({"LOG": path, "SEED": 1})
    yield app
    app.extensions["log"].close()


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_request_is_a_json_line(logged, path):
    answer = logged.test_client().get("/error")
    (line,) = _lines(path)
    assert line == {
        "time": line["time"],
        "request_id": answer.headers["X-Request-Id"],
        "method": "GET",
        "route": "/error",
        "status": answer.status_code,
        "duration_seconds": line["duration_seconds"],
        "error_type": answer.json["error_type"],
    }
    assert line["time"].endswith("+00:00")
    assert 0 < line["duration_seconds"] < 5


def test_a_request_without_error_or_route_says_so(logged, path):
    client = logged.test_client()
    client.get("/")
    client.get("/nothing")
    assert [(n["route"], n["status"], n["error_type"]) for n in _lines(path)] == [
        ("/", 200, None),
        ("<unmatched>", 404, None),
    ]


def test_scrapes_do_not_bury_the_requests(logged, path):
    logged.test_client().get("/metrics")
    logged.test_client().get("/faults")
    assert [line["route"] for line in _lines(path)] == ["/faults"]


def test_an_invented_request_cannot_forge_a_line(logged, path):
    logged.test_client().open("/%0a{}", method='GET"}\n{"forged": 1')
    assert len(_lines(path)) == 1


def test_nothing_reaches_the_root_logger_or_the_terminal(logged, caplog, capsys):
    with caplog.at_level(logging.DEBUG):
        logged.test_client().get("/error")
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


def test_without_a_log_there_is_no_id_and_no_line(caplog, capsys):
    answer = create_app().test_client().get("/")
    assert "X-Request-Id" not in answer.headers
    assert (caplog.records, capsys.readouterr()) == ([], ("", ""))


def test_a_handler_can_be_attached_while_the_app_runs():
    app, records = create_app(), []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    app.test_client().get("/")
    app.extensions["log"].attach(Keep())
    app.test_client().get("/health")
    app.extensions["log"].close()
    app.test_client().get("/health")
    assert [json.loads(record)["route"] for record in records] == ["/health"]


def test_the_file_is_rotated_and_bounded(monkeypatch, path):
    monkeypatch.setattr(app.log, "LARGEST_BYTES", 2000)
    logged = create_app({"LOG": path})
    client = logged.test_client()
    for _ in range(100):
        client.get("/")
    logged.extensions["log"].close()
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["app.log", "app.log.1"]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert _lines(path)  # and no line was cut


def test_two_apps_log_apart(tmp_path):
    apps = [create_app({"LOG": tmp_path / f"{name}.log"}) for name in ("one", "two")]
    apps[0].test_client().get("/")
    for each in apps:
        each.extensions["log"].close()
    assert len(_lines(tmp_path / "one.log")) == 1
    assert _lines(tmp_path / "two.log") == []


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
def test_a_full_disk_stops_neither_the_app_nor_the_cell(capsys):
    logged = create_app({"LOG": FULL})
    (handler,) = logged.extensions["log"].logger.handlers
    for _ in range(2):
        assert logged.test_client().get("/").status_code == 200
    assert handler.lost == 2
    logged.extensions["log"].close()
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
def test_lines_are_written_again_once_the_disk_has_room(logged, path):
    client = logged.test_client()
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(FULL)
    (handler,) = logged.extensions["log"].logger.handlers
    handler.stream.close()
    handler.stream = handler._open()
    client.get("/")
    path.unlink()
    client.get("/nothing")
    assert [line["status"] for line in _lines(path)] == [404]
    assert handler.lost == 1


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
def test_a_disk_that_is_full_at_the_end_lets_the_log_close():
    """The last line waits in the buffer, as it does where one could not be written before."""
    logged = create_app({"LOG": FULL})
    (handler,) = logged.extensions["log"].logger.handlers
    handler.stream.write("waits")
    logged.extensions["log"].close()
    assert handler.lost == 1
    assert handler.stream is None


def test_closing_twice_is_fine(logged):
    logged.extensions["log"].close()
    logged.extensions["log"].close()
    assert logged.test_client().get("/").status_code == 200
