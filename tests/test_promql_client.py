"""Asking a real Prometheus of each line: answers, waits, and every way of failing."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import psutil
import pytest

from labkit.errors import QueryError
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.promql.position import caret, position
from labkit.promql.steps import default_step_ms, expand, window
from tests.promql_data import HOSTILE, KEEP, T, Target, blocks, escape, past
from tests.traffic_target import nobody

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

PLAIN = f"""\
# HELP seen_total What was "seen"; a <b>count</b>.
# TYPE seen_total counter
seen_total{{text="{escape(HOSTILE)}"}} 3
seen_total{{text="b"}} 4
# HELP took_seconds How long it took.
# TYPE took_seconds histogram
took_seconds_bucket{{le="1.0"}} 2
took_seconds_bucket{{le="+Inf"}} 2
took_seconds_sum 1
took_seconds_count 2
# TYPE level gauge
level 0
nameless 1
"""
OPEN = """\
# HELP sent What was sent.
# TYPE sent counter
sent_total 5
# TYPE build info
build_info{version="1"} 1
# EOF
"""


class Parts(NamedTuple):
    binary: Binary
    client: Client
    target: Target
    server: PrometheusServer
    native: Client


@pytest.fixture(scope="module")
def parts(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("promql")
    data = blocks(prometheus_binary, folder, past())
    openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    with (
        Target(PLAIN) as plain,
        Target(OPEN, kind=openmetrics) as opened,
        PrometheusServer(
            prometheus_binary,
            {"app-1": plain.address, "app-2": opened.address},
            directory=folder / "server",
            scrape_interval=0.5,
            data=data,
            arguments=[KEEP],
        ) as server,
        # It scrapes the first one, whose own metrics are native histograms in 3.x.
        PrometheusServer(
            prometheus_binary,
            {"app-1": server.url.removeprefix("http://")},
            directory=folder / "native",
            arguments=["--enable-feature=native-histograms"],
        ) as native,
        Client(server.url, scrape_interval=0.5) as client,
        Client(native.url) as native_client,
    ):
        yield Parts(prometheus_binary, client, plain, server, native_client)


@pytest.fixture
def client(parts: Parts) -> Client:
    return parts.client


# Instant queries


def test_an_instant_vector_is_a_row_a_series(client: Client):
    frame = client.query('requests_total{endpoint="/slow"}', time=T + 10)
    assert list(frame.columns) == ["__name__", "endpoint", "status", "value"]
    assert frame["value"].dtype == np.float64
    assert dict(zip(frame["status"], frame["value"], strict=True)) == {"200": 10.0, "504": 20.0}
    assert type(frame) is pd.DataFrame
    assert frame.attrs["time"] == T + 10


def test_rows_keep_the_order_of_the_server(client: Client):
    for function, expected in (("sort", [10.0, 20.0, 40.0]), ("sort_desc", [40.0, 20.0, 10.0])):
        frame = client.query(f"{function}(requests_total)", time=T + 10)
        assert frame["value"].tolist() == expected


def test_an_empty_answer_has_the_column_value(client: Client):
    frame = client.query("there_is_no_such_metric")
    assert frame.empty
    assert list(frame.columns) == ["value"]
    assert frame["value"].dtype == np.float64


def test_scalars_and_strings_are_one_row(client: Client):
    assert client.query("3 * 2", time=T)["value"].tolist() == [6.0]
    assert client.query('"text"')["value"].tolist() == ["text"]


def test_a_range_vector_is_a_row_a_sample(client: Client):
    frame = client.query('requests_total{status="504"}[3500ms]', time=T + 10.25)
    assert list(frame.columns) == ["__name__", "endpoint", "status", "time", "value"]
    assert frame["value"].tolist() == [14.0, 16.0, 18.0, 20.0]
    assert frame["time"].iloc[-1] == pd.Timestamp(T + 10, unit="s", tz="UTC")


def test_nan_and_infinities_stay(client: Client):
    frame = client.query("odd", time=T).set_index("is")["value"]
    assert np.isnan(frame["NaN"])
    assert frame["+Inf"] == np.inf
    assert frame["-Inf"] == -np.inf


def test_hostile_labels_survive_and_step_aside_for_the_value(client: Client):
    frame = client.query("hostile", time=T)
    assert list(frame.columns) == ["__name__", "exported_value", "text", "time", "value"]
    assert frame.loc[0, "text"] == HOSTILE
    assert frame.loc[0, ["exported_value", "time"]].tolist() == ["v", "t"]
    samples = client.query("hostile[10s]", time=T)
    assert samples.loc[0, ["exported_value", "exported_time"]].tolist() == ["v", "t"]
    ranged = client.query_range("sum by (text) (hostile)", start=T, end=T + 1, step=1)
    assert list(ranged.columns) == [HOSTILE]
    whole = client.query_range("hostile", start=T, end=T + 1, step=1)
    assert whole.attrs["labels"][whole.columns[0]]["text"] == HOSTILE


def test_times_are_sent_to_the_millisecond(client: Client):
    assert client.query("between", time=T + 0.249).empty
    assert client.query("between", time=T + 0.25)["value"].item() == 7
    zone = timezone(timedelta(hours=5, minutes=30))
    assert not client.query("between", time=datetime.fromtimestamp(T + 0.25, zone)).empty


# Range queries


def test_a_range_is_a_regular_utc_index_with_a_column_a_series(client: Client):
    frame = client.query_range(
        "sum by (endpoint) (requests_total)", start=T + 0.25, end=T + 5, step=0.5
    )
    assert frame.index.name == "time"
    assert str(frame.index.tz) == "UTC"
    assert frame.index[0] == pd.Timestamp((T + 0.25) * 1000, unit="ms", tz="UTC")
    assert set(np.diff(frame.index.asi8)) == {500}
    assert len(frame) == 10
    assert list(frame.columns) == ["/", "/slow"]
    assert frame.columns.name == "endpoint"
    assert frame["/"].tolist() == [0, 0, 4, 4, 8, 8, 12, 12, 16, 16]


def test_columns_are_unique_and_give_their_labels_back(client: Client):
    frame = client.query_range("requests_total", start=T, end=T + 2, step="1s")
    assert 'requests_total{endpoint="/slow", status="504"}' in frame.columns
    assert frame.columns.is_unique
    labels = frame.attrs["labels"]['requests_total{endpoint="/slow", status="504"}']
    assert labels == {"__name__": "requests_total", "endpoint": "/slow", "status": "504"}
    total = client.query_range("sum(requests_total)", start=T, end=T + 2, step=1)
    assert list(total.columns) == ["value"]
    assert total["value"].tolist() == [0, 7, 14]


def test_missing_points_are_nan_at_their_times(client: Client):
    # Samples end at 9 s and are looked back at for five minutes; they begin again at 400 s.
    gappy = client.query_range("gappy", start=T, end=T + 410, step=10)["gappy"]
    assert gappy.isna().tolist() == [310 <= i * 10 < 400 for i in range(42)]
    assert gappy.iloc[0] == 0
    assert gappy.iloc[-1] == 410


def test_an_empty_range_keeps_its_times(client: Client):
    frame = client.query_range("there_is_no_such_metric", start=T, end=T + 60, step=15)
    assert frame.empty
    assert frame.shape == (5, 0)
    assert frame.attrs["labels"] == {}


def test_a_range_until_now_lies_on_multiples_of_its_step(client: Client):
    frame = client.query_range("vector(1)", minutes=30)
    assert frame.attrs["step"] == 5.0
    assert len(frame) == 361
    assert all(second % 5 == 0 for second in frame.index[[0, -1]].second)
    assert 0 <= time.time() - frame.index[-1].timestamp() < 30


def test_rate_interval_is_what_grafana_makes_of_it(client: Client):
    frame = client.query_range(
        "sum(rate(requests_total[$__rate_interval]))", start=T + 20, end=T + 50, step=10
    )
    assert frame.attrs["query"] == "sum(rate(requests_total[10500ms]))"
    assert frame["value"].to_numpy() == pytest.approx(7.0)
    assert client.query("vector(1) # $__rate_interval").attrs["query"].endswith("# 2s")


def test_a_query_longer_than_an_address_may_be_is_answered(client: Client):
    long = " or ".join(f'requests_total{{status="{i}"}}' for i in range(3000, 3600))
    assert len(long) > 16_000
    frame = client.query(f'{long} or requests_total{{status="504"}}', time=T + 1)
    assert frame["value"].tolist() == [2.0]


def test_native_histograms_are_nan_and_say_so(parts: Parts):
    if parts.binary.version.startswith("2."):
        pytest.skip("this Prometheus has no native histogram of its own to scrape")
    name = "prometheus_http_request_duration_seconds"
    parts.native.wait_for(f"count_over_time({name}[10s]) > 2")
    frame = parts.native.query(name)
    assert frame["value"].isna().all()
    assert "histogram_quantile" in frame.attrs["warnings"][0]
    ranged = parts.native.query_range(name, minutes=1)
    assert ranged.shape[1] > 0
    assert ranged.isna().all(axis=None)
    assert parts.native.query(f"{name}[5s]").attrs["warnings"]


# Waiting


def test_waiting_ends_when_a_scrape_brings_what_is_waited_for(parts: Parts):
    parts.client.wait_for('up{instance="app-1"} == 1')
    pool = ThreadPoolExecutor(1)
    with pool:
        waiting = pool.submit(parts.client.wait_for, "level > 41")
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        parts.target.body = PLAIN.replace("level 0", "level 42")
        assert waiting.result(30)["value"].item() == 42
    assert parts.client.wait_for("level == bool 42", timeout=30)["value"].item() == 1


@pytest.mark.parametrize(
    ("promql", "reason"),
    [
        ("there_is_no_such_metric", "the answer is empty"),
        ("vector(0) > 1", "the answer is empty"),
        ("vector(0) / 0", "every value is NaN"),
        ("vector(0) > bool 1", "the comparison is false"),
        ("1 == bool 2", "the comparison is false"),
    ],
)
def test_waiting_in_vain_says_what_the_last_answer_was(client: Client, promql: str, reason: str):
    with pytest.raises(QueryError, match=reason) as failure:
        client.wait_for(promql, timeout=0.2)
    assert promql in failure.value.evidence
    assert "lab.metrics()" in failure.value.next_step


@pytest.mark.parametrize("promql", ["vector(0)", '"> bool"', "vector(0) # > bool", "0 < bool 1"])
def test_a_zero_is_an_answer_unless_it_is_a_comparison_s(client: Client, promql: str):
    assert len(client.wait_for(promql, timeout=0.2)) == 1


def test_waiting_ends_with_what_alive_raises(client: Client):
    def dead() -> None:
        raise ChildProcessError("Prometheus is gone")

    with pytest.raises(ChildProcessError, match="gone"):
        client.wait_for("there_is_no_such_metric", alive=dead)


def test_waiting_does_not_go_on_with_a_query_that_can_t_be_read(client: Client):
    begun = time.monotonic()
    with pytest.raises(QueryError, match="can't read"):
        client.wait_for("rate(", timeout=20)
    assert time.monotonic() - begun < 10


# What there is


def test_metrics_tell_type_help_labels_and_series(parts: Parts):
    parts.client.wait_for("nameless and on() sent_total")
    frame = parts.client.metrics()
    assert list(frame.columns) == ["name", "type", "help", "labels", "series"]
    assert frame["name"].is_monotonic_increasing
    rows = {row.pop("name"): row for row in frame.to_dict("records")}
    assert rows["seen_total"] == {
        "type": "counter",
        "help": 'What was "seen"; a <b>count</b>.',
        "labels": "instance, job, text",
        "series": 2,
    }
    for suffix, series in (("bucket", 2), ("sum", 1), ("count", 1)):
        row = rows[f"took_seconds_{suffix}"]
        assert (row["type"], row["help"]) == ("histogram", "How long it took.")
        assert row["series"] == series
    assert rows["took_seconds_bucket"]["labels"] == "instance, job, le"
    assert rows["level"]["type"] == "gauge"
    assert rows["nameless"]["type"] == "unknown"
    # OpenMetrics names the family, not the counter.
    assert (rows["sent_total"]["type"], rows["sent_total"]["help"]) == ("counter", "What was sent.")
    assert rows["build_info"]["type"] == "info"
    assert rows["up"]["type"] == "gauge"
    assert rows["up"]["series"] == 2


def test_any_endpoint_can_be_read(parts: Parts):
    parts.client.wait_for('up{instance="app-2"}')
    targets = parts.client.get("targets", state="active")["activeTargets"]
    assert {each["labels"]["instance"] for each in targets} == {"app-1", "app-2"}


# What Prometheus refuses


@pytest.mark.parametrize(
    ("promql", "shown"),
    [
        ("rate(requests_total[5m)", ["rate(requests_total[5m)", "                      ^"]),
        ("sum(\n  up,,\n)", ["  up,,", "    ^"]),
        ('up{a="日本é"} +* 2', ['up{a="日本é"} +* 2', "               ^"]),
        ("nope(up)", ["nope(up)", "^"]),
        ("sum(up", ["sum(up", "      ^"]),
    ],
)
def test_a_syntax_error_has_a_caret_under_its_place(client: Client, promql: str, shown: list[str]):
    with pytest.raises(QueryError, match="can't read") as failure:
        client.query(promql)
    *lines, words = failure.value.evidence.split("\n")
    assert lines == shown
    assert "parse error" in words
    with pytest.raises(QueryError, match="can't read"):
        client.query_range(promql)


def test_an_unknown_variable_is_told_from_the_known_ones(client: Client):
    with pytest.raises(QueryError) as failure:
        client.query("rate(up[$__interal])")
    assert "$__rate_interval" in failure.value.next_step


@pytest.mark.parametrize(
    ("promql", "next_step"),
    [
        ("rate(requests_total)", "add [1m], as in rate(requests_total[1m])."),
        ('rate(up{job="a"} )', 'add [1m], as in rate(up{job="a"}[1m]).'),
        ("rate(sum(up))", "behind a metric's name [1m], behind an expression [5m:15s]"),
        ("rate(5)", "rate() takes a metric with a window"),
        ("sum(requests_total[5m])", "such as rate(requests_total[5m]) for a counter"),
        ("requests_total[5m] * 2", "such as rate(requests_total[5m]) for a counter"),
        ("requests_total{status=500}", 'quote the value: status="500".'),
        ("requests_total{status=~5..}", 'quote the value: status=~"5..".'),
        ("requests_total{endpoint=slow}", 'quote the value: endpoint="slow".'),
        ('requests_total{status=="500"}', "one = is enough"),
        ("sum(rate(requests_total[5m])", "close the bracket: ) is missing."),
        ("requests_total[5m", "close the bracket: ] is missing."),
        ("requests_total{", "close the braces: } is missing."),
        ("up)", "take away one )"),
        ('up{job="a}', "close the quotes."),
        ("up + ", "the query breaks off"),
        ("RATE(up[5m])", "did you mean rate()?"),
        ("averag(up)", "did you mean avg()?"),
        ("p95(up)", "write histogram_quantile(0.95, sum by (le)"),
        ("qqqqqq(up)", "Tab completes"),
        ("sum(up)[5m]", "as in [5m:15s]."),
        ("5 > 3", "needs bool"),
        ("{}", "name a metric"),
        ("# nothing", "write an expression"),
        ("up up", "change the query at the caret; lab.metrics() lists"),
    ],
)
def test_a_refused_query_comes_with_what_to_do(client: Client, promql: str, next_step: str):
    with pytest.raises(QueryError, match="can't read") as failure:
        client.query(promql)
    assert next_step in failure.value.next_step
    assert ("caret" in failure.value.next_step) <= ("^" in failure.value.evidence)


@pytest.mark.parametrize(
    ("promql", "next_step"),
    [
        ("requests_total[5s]", "such as rate(requests_total[5s]) for a counter"),
        ("'a'", "a text has no course over time"),
    ],
)
def test_what_can_not_be_drawn_comes_with_what_to_do(client: Client, promql: str, next_step: str):
    with pytest.raises(QueryError, match="can't read") as failure:
        client.query_range(promql, start=T, end=T + 60)
    assert next_step in failure.value.next_step
    assert "caret" not in failure.value.next_step


@pytest.mark.parametrize(
    ("promql", "next_step"),
    [
        ("requests_total * on () requests_total", "several series on the right fit one"),
        ("requests_total / on () sum(requests_total)", "write group_left () behind"),
        ('label_replace(requests_total, "status", "x", "", "")', "sum by (…)"),
    ],
)
def test_series_that_do_not_pair_come_with_what_to_do(client: Client, promql: str, next_step: str):
    if "label_replace" in promql:
        promql = f'label_replace({promql}, "endpoint", "x", "", "")'
    with pytest.raises(QueryError, match="can't work it out") as failure:
        client.query(promql, time=T)
    assert next_step in failure.value.next_step


def test_an_empty_query_is_told_what_to_type(client: Client):
    for nothing in ("", " \n"):
        with pytest.raises(QueryError, match="The query is empty") as failure:
            client.query(nothing)
        assert "such as up" in failure.value.next_step
        with pytest.raises(QueryError, match="The query is empty"):
            client.query_range(nothing)


def test_an_execution_error_keeps_the_server_s_words(client: Client):
    with pytest.raises(QueryError, match="can't work it out") as failure:
        client.query("requests_total * on () requests_total", time=T)
    assert "many-to-many" in failure.value.evidence


def test_a_range_of_the_wrong_type_is_refused_in_words(client: Client):
    with pytest.raises(QueryError, match="can't read") as failure:
        client.query_range("up[5m]")
    assert "must be Scalar or instant Vector" in failure.value.evidence


def test_a_query_that_takes_too_long_is_given_up(parts: Parts):
    with (
        Client(parts.client.url, timeout=0.02) as hasty,
        pytest.raises(QueryError, match=r"takes too long|within"),
    ):
        hasty.query("sum_over_time(vector(1)[40d:1s])")


# What is not reached, and what is no Prometheus


def test_a_refused_connection_is_reported_at_once_and_in_words():
    begun = time.monotonic()
    with (
        nobody() as url,
        Client(url.replace("//", "//user:secret@")) as client,
        pytest.raises(QueryError, match="is not reached") as failure,
    ):
        client.query("up")
    assert time.monotonic() - begun < 10, "as long as it waits for an answer"
    assert "refused" in failure.value.evidence
    assert "lab.logs('prometheus')" in failure.value.next_step
    assert "secret" not in f"{failure.value} {client!r} {client.url}"


def test_a_server_that_never_answers_is_given_up():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1) as client,
        pytest.raises(QueryError, match=r"did not answer within 0\.1 s"),
    ):
        client.query("up")


@pytest.mark.parametrize(
    ("status", "body", "message", "next_step"),
    [
        (200, "<html>Welcome</html>", "does not answer as a Prometheus", "check the address"),
        (200, '{"detail": "hello"}', "does not answer as a Prometheus", "check the address"),
        (401, "Unauthorized", "asks who you are", "Authorization"),
        (403, "<html>no</html>", "does not let you ask", "Authorization"),
        (404, "404 page not found", "no Prometheus API", "--web.route-prefix"),
        (502, "<html>Bad Gateway</html>", "failed", "lab.logs"),
        (503, '{"status":"error","errorType":"unavailable","error":"x"}', "not ready", "ask again"),
        (500, '{"status":"error","errorType":"internal","error":"disk"}', "HTTP 500", "lab.logs"),
    ],
)
def test_each_failure_of_http_has_its_own_words(
    status: int, body: str, message: str, next_step: str
):
    with (
        Target(body, status=status, kind="text/html; charset=utf-8") as other,
        Client(other.url + "/prefix/") as client,
        pytest.raises(QueryError, match=message) as failure,
    ):
        client.query("up")
    assert next_step in failure.value.next_step
    assert other.requests[0].startswith("GET /prefix/api/v1/query?")


def test_a_proxy_of_the_network_does_not_come_between(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Client(client.url) as fresh:
        assert not fresh.query("vector(1)").empty


def test_a_long_query_travels_in_the_body():
    with Target('{"status":"success","data":{"resultType":"vector","result":[]}}') as other:
        with Client(other.url) as client:
            client.query("up")
            client.query(" or ".join(["up"] * 1000))
        short, long = other.requests
    assert short.startswith("GET /api/v1/query?query=up&")
    assert long.startswith("POST /api/v1/query b'query=up+or+up")


def test_a_closed_client_holds_no_connection(client: Client):
    def connections() -> int:
        found = psutil.Process().net_connections(kind="inet")
        port = int(client.url.rpartition(":")[2])
        return sum(bool(c.raddr) and c.raddr.port == port for c in found)

    before = connections()
    fresh = Client(client.url)
    fresh.query("up")
    assert connections() == before + 1
    fresh.close()
    assert connections() == before


def test_headers_are_sent_and_a_closed_client_refuses():
    with Target('{"status":"success","data":{"resultType":"vector","result":[]}}') as other:
        client = Client(other.url, headers={"X-Scope-OrgID": "lab"})
        assert client.query("up").empty
        client.close()
        client.close()
        with pytest.raises(QueryError, match="is closed"):
            client.query("up")
        assert len(other.requests) == 1
        assert other.headers[0]["X-Scope-OrgID"] == "lab"


def test_threads_can_share_a_client(client: Client):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: client.query(f"vector({i})")["value"].item(), range(80)))
    assert answers == list(range(80))


# Times, steps and variables, before anything is sent


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"minutes": -5}, "minutes must be more than 0"),
        ({"minutes": float("nan")}, "minutes must be a number"),
        ({"minutes": "5"}, "minutes must be a number"),
        ({"step": 0}, "step must be more than 0"),
        ({"step": "5 parsecs"}, "duration such as '15s'"),
        ({"start": datetime(2026, 1, 1)}, "start has no time zone"),  # noqa: DTZ001 - the mistake
        ({"start": "2026-01-01"}, "start has no time zone: .*'2026-01-01T00:00:00Z' for UTC"),
        ({"start": "yesterday"}, "start must be a time with a time zone, .* not 'yesterday'"),
        ({"start": T + 60, "end": T}, "60 s before its start"),
        ({"start": T, "end": T + 86400, "step": 1}, "use a step of 7855ms or more"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_words(
    client: Client, arguments: dict[str, object], words: str
):
    with pytest.raises(ValueError, match=words):
        client.query_range("up", **arguments)


def test_queries_and_addresses_that_are_none_are_refused(client: Client):
    with pytest.raises(TypeError, match="must be text"):
        client.query(None)
    with pytest.raises(ValueError, match="http://"):
        Client("127.0.0.1:9090")
    with pytest.raises(ValueError, match="scrape_interval must be more than 0"):
        Client("http://127.0.0.1:9090", scrape_interval=0)


def test_the_server_takes_as_many_points_as_are_let_through(client: Client):
    assert len(client.query_range("vector(1)", start=T, end=T + 11_000, step=1)) == 11_001
    with pytest.raises(ValueError, match=r"11,002 points"):
        client.query_range("vector(1)", start=T, end=T + 11_001, step=1)


@pytest.mark.parametrize(
    ("minutes", "scrape", "step_s"),
    [(5, 1, 1), (5, 15, 15), (15, 1, 2), (60, 1, 10), (1440, 1, 300), (43_200, 60, 7200)],
)
def test_the_default_step_is_readable_and_never_under_the_scrape_interval(
    minutes: float, scrape: float, step_s: float
):
    assert default_step_ms(round(minutes * 60_000), scrape) == step_s * 1000


def test_a_given_end_is_kept_and_the_start_counts_from_it():
    grid = window(1, None, None, T + 0.123, scrape_interval=1.0, now=0.0)
    assert (grid.start_ms, grid.end_ms) == (T * 1000 - 59_877, T * 1000 + 123)
    started = window(5, 1, datetime.fromtimestamp(T, UTC), None, scrape_interval=1.0, now=T + 9.5)
    assert (started.start_ms, started.points) == (T * 1000, 10)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("rate(x[$__rate_interval])", "rate(x[1m])"),
        ("rate(x[${__rate_interval}])", "rate(x[1m])"),
        ("x[$__interval] / $__interval_ms", "x[30s] / 30000"),
        ("x[$__range] / $__range_s / ${__range_ms}", "x[90m] / 5400 / 5400000"),
        ('label_replace(x, "a", "$1", "b", "(.*)")', 'label_replace(x, "a", "$1", "b", "(.*)")'),
        ("$__intervals ${__nothing}", "$__intervals ${__nothing}"),
    ],
)
def test_variables_are_filled_in_as_grafana_does(typed: str, sent: str):
    assert expand(typed, step_ms=30_000, span_ms=5_400_000, scrape_interval=15.0) == sent


def test_rate_interval_holds_a_scrape_more_than_the_step():
    assert expand("$__rate_interval", step_ms=60_000, span_ms=1, scrape_interval=1.0) == "61s"


# Places in errors


def test_places_count_bytes_and_may_be_absent():
    assert position("é+", "1:3: parse error: x") == (1, 2)
    assert position("a\nb", "2:2: parse error: x") == (2, 2)
    assert position("a", "9:1: parse error: x") is None
    assert position("a", "unknown position: parse error: no expression") is None
    assert caret(" up ", "unknown position: parse error: x").split("\n")[0] == "up"


def test_a_caret_stays_under_its_place_behind_tabs_wide_letters_and_long_lines():
    assert caret("\t日b", "1:5: parse error: x").split("\n")[:2] == ["\t日b", "\t  ^"]
    line = f"{'a' * 500}!{'b' * 500}"
    shown, below, _ = caret(line, "1:501: parse error: x").split("\n")
    assert len(shown) < 110
    assert shown[below.index("^")] == "!"
