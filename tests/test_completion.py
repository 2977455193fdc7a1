"""Completion of PromQL: from the text alone, and from the names of a real server of each line."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkit.errors import LabError, QueryError
from labkit.prometheus.server import PrometheusServer
from labkit.promql import options
from labkit.promql.client import Client
from labkit.promql.completion import complete, of_option
from labkit.promql.names import NoNames, ServerNames
from labkit.promql.syntax.tokens import queries, query_at, tokens
from labkit.promql.syntax.vocabulary import AGGREGATIONS, FUNCTIONS
from tests.promql_data import HOSTILE, KEEP, T, blocks, past
from tests.traffic_target import nobody

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from labkit.prometheus.binary import Binary
    from labkit.promql.syntax.vocabulary import Version

LABELS = {"requests_total": ["endpoint", "status"], "up": ["job"], "": ["endpoint", "job"]}
VALUES = {"endpoint": ["/", "/slow", "/v1.0", 'a"b\\'], "status": ["200", "504"]}


class Known:
    """Names that need no server."""

    version: Version | None = (3, 5)

    def metrics(self) -> Mapping[str, str]:
        return {"requests_total": "counter", "requests_open": "gauge", "up": ""}

    def labels(self, metric: str = "") -> Sequence[str]:
        return LABELS.get(metric, [])

    def values(self, label: str, metric: str = "") -> Sequence[str]:
        return VALUES.get(label, []) if metric in {"", "requests_total"} else []


def suggested(marked: str, variables: Sequence[str] = ()) -> dict[str, str]:
    """Return what is suggested at the mark ¦, with its kind."""
    found = complete(marked.replace("¦", ""), marked.index("¦"), Known(), variables)
    return dict(found.suggestions)


def completed(marked: str) -> list[str]:
    """Return what the text becomes with each suggestion."""
    cursor = marked.index("¦")
    text = marked.replace("¦", "")
    found = complete(text, cursor, Known())
    return [text[: found.start] + s.text + text[cursor:] for s in found.suggestions]


def test_metrics_functions_and_aggregations_are_completed_with_their_kind():
    assert suggested("req¦") == {"requests_open": "gauge", "requests_total": "counter"}
    assert suggested("u¦") == {"up": "metric"}
    assert suggested("rat¦") == {"rate": "function"}
    assert suggested("sum(hist¦")["histogram_quantile"] == "function"
    assert suggested("1 + topk¦") == {"topk": "aggregation"}


def test_a_piece_from_the_middle_of_a_name_is_found_when_none_begins_with_it():
    assert [*suggested("_total¦")] == ["requests_total"]
    assert "requests_total" not in suggested("to¦"), "topk begins with it"


def test_labels_are_those_of_the_metric_and_not_the_ones_already_there():
    assert [*suggested("requests_total{¦")] == ["endpoint", "status"]
    assert [*suggested('requests_total{status="200", ¦}')] == ["endpoint"]
    assert [*suggested("up{j¦")] == ["job"]
    assert [*suggested("{¦")] == ["endpoint", "job"]
    assert suggested("requests_total{endpoint¦") == {"endpoint": "label"}


@pytest.mark.parametrize("word", ["by", "without", "on", "ignoring", "group_left"])
def test_label_lists_hold_the_labels_of_all_metrics_in_the_query(word: str):
    marked = f"sum {word} (¦) (rate(requests_total[5m])) / up"
    assert [*suggested(marked)] == ["endpoint", "job", "status"]
    assert [*suggested(f"sum {word} (job, st¦) (requests_total)")] == ["status"]


def test_values_are_escaped_as_the_quotes_and_the_operator_want_it():
    assert completed('requests_total{endpoint="/s¦"}') == ['requests_total{endpoint="/slow"}']
    assert completed("requests_total{status=¦}")[0] == 'requests_total{status="200"}'
    assert [*suggested('requests_total{endpoint="a¦')] == ['a\\"b\\\\']
    assert [*suggested('requests_total{endpoint=~"/v¦')] == ["/v1\\\\.0"]
    assert [*suggested("requests_total{endpoint=~`/v¦")] == ["/v1\\.0"]
    assert completed('requests_total{status=~"200|5¦"}') == ['requests_total{status=~"200|504"}']
    assert suggested('up{endpoint="¦') == {}, "it has no such label"


def test_windows_are_completed_with_variables_and_durations():
    assert [*suggested("rate(up[¦")][:2] == ["$__rate_interval", "$__interval"]
    assert [*suggested("rate(up[$__ra¦")] == ["$__rate_interval", "$__range"]
    assert suggested("up[5¦") == dict.fromkeys(
        ["5s", "5m", "5h", "5d", "5w", "5ms", "5y"], "duration"
    )
    assert "1h" in suggested("up[1d:¦]")
    assert "5m" in suggested("up offset ¦")


def test_what_follows_depends_on_what_stands_before():
    assert [*suggested("sum ¦")] == ["by", "without"]
    assert [*suggested("up ¦")] == ["and", "or", "unless", "offset", "atan2"]
    assert [*suggested("sum(up) b¦")] == ["by"]
    assert "by" not in suggested("rate(up[5m]) ¦")
    assert {"on", "ignoring", "bool", "up"} <= suggested("up > ¦").keys()
    assert "bool" not in suggested("up + ¦")
    assert {"group_left", "up"} <= suggested("up / on (job) ¦").keys()
    assert suggested("sum by (job) ¦") == {}
    assert suggested("up{job ¦") == {}


def test_python_variables_follow_a_dollar():
    assert [*suggested("up[$w¦", ["window", "x"])] == ["$window"]
    assert [*suggested('up{job="$¦"}', ["window"])] == []
    assert [*suggested('up{job="$w¦"}', ["window"])] == ["$window"]
    assert [*suggested("up > ${wi¦", ["window"])] == ["${window}"]


def test_nothing_is_suggested_in_comments_and_texts():
    assert suggested("up # u¦") == {}
    assert suggested('label_replace(up, "jo¦') == {}
    assert suggested('up{job="x"¦') == {}


def test_completion_fails_nowhere_in_a_query():
    query = "sum by (job) (rate(requests_total{status=~\"5..\",x!='y'}[5m:1m] @ 5)) / ${w}#)"
    for cursor in range(len(query) + 1):
        for text in (query, query[:cursor]):
            assert 0 <= complete(text, cursor, Known(), ["w"]).start <= cursor


def test_functions_that_the_server_does_not_know_are_left_out():
    assert "holt_winters" not in suggested("holt¦")
    assert "histogram_avg" in suggested("histogram_a¦")
    assert "sort_by_label" not in suggested("sort¦"), "it has to be enabled"
    assert "limitk" not in suggested("limit¦")
    Known.version = (2, 42)
    try:
        assert "holt_winters" in suggested("holt¦")
        assert "histogram_avg" not in suggested("histogram_a¦")
    finally:
        Known.version = (3, 5)


def test_without_a_server_there_are_still_functions_and_keywords():
    found = [s.text for s in complete("ra", 2, NoNames()).suggestions]
    assert found == ["rate", "rad"]


# Cells


def test_a_cell_has_a_query_a_line_without_comments():
    cell = '\n# first\nup  # here\n\nsum(\n  up # no\n)\n{job="#1"}\n'
    assert [part.text for part in queries(cell)] == ["up", "sum(\n  up\n)", '{job="#1"}']
    assert queries("# nothing\n \n") == []


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("sum(a)\n  / sum(b)\nc", 2),
        ("sum(a) /\nsum(b)\nc", 2),
        ("sum(a)\nby (x)\nc", 2),
        ("sum by (x)\n(a)\nc", 2),
        ("a * on (x)\nb\nc", 2),
        ("a\nand b\nc", 2),
        ("a\noffset 5m\nc", 2),
        ("a\n-b", 1),
        ("a\n\n-b", 2),
        ("a\n# / \nb", 2),
        ('"a\nb', 2),
    ],
)
def test_a_query_goes_on_where_a_line_is_no_whole_query(cell: str, expected: int):
    assert len(queries(cell)) == expected


def test_the_query_under_the_cursor_is_found_while_it_is_typed():
    cell = "up\nsum(rate(x[\n5m]))\n# why\nzz"
    assert query_at(cell, 1) == ("up", 1)
    assert query_at(cell, cell.index("5m") + 1) == ("sum(rate(x[\n5m]))", 13)
    assert query_at(cell, cell.index("why")) is None
    assert query_at(cell, len(cell)) == ("zz", 2)
    assert query_at("up\n", 3) == ("", 0)


def test_tokens_are_the_whole_text():
    odd = 'up{a="\\"x`", b=\'y\\\n} $ ${ $1 é日本 0x1f 1e-5 .5 `raw\nraw` "open'
    assert "".join(token.text for token in tokens(odd)) == odd


# Options


def test_options_come_first_and_the_rest_is_promql_as_typed():
    found = options.parse(' --range 5m --on="my lab" --plot stacked -up{a="--as x"} # ${w} {b}')
    assert found.values == {"range": "5m", "on": "my lab", "plot": "stacked"}
    rest = ' -up{a="--as x"} # ${w} {b}'
    assert found.length == len(
        ' --range 5m --on="my lab" --plot stacked -up{a="--as x"} # ${w} {b}'
    ) - len(rest)
    assert options.parse("--time 5 up").values == {"at": "5"}
    assert options.parse("-up").length == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--rang 5m up", "no option --rang"),
        ("--range", "--range needs a value: DURATION"),
        ("--as --plot bar up", "--as needs a value"),
        ("--plot pie up", "bar, line, stacked, table, not 'pie'"),
        ("--as 1x up", "Python variable, not '1x'"),
        ("--as class up", "Python variable"),
    ],
)
def test_a_wrong_option_is_named_with_what_there_is(line: str, words: str):
    with pytest.raises(LabError, match=re.escape(words)) as raised:
        options.parse(line)
    assert "--range DURATION" in raised.value.next_step


def test_an_option_behind_the_query_is_noticed_and_minus_signs_are_not():
    assert options.misplaced("up --range 5m") == "--range"
    assert options.misplaced('up{a="--range"} - -at') is None
    assert options.misplaced("a --b") is None


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("--pl", ["--plot"]),
        ("-", [f"--{name}" for name in options.OPTIONS]),
        ("--plot s", ["stacked"]),
        ("--plot=", [*options.PLOTS]),
        ("--range 5m --on ", ["live", '"a past"']),
        ("--range 30", ["30s", "30m"]),
    ],
)
def test_options_and_their_values_are_completed(typed: str, expected: list[str]):
    found = of_option(options.typed(typed), len(typed), ["live", "a past"])
    assert [s.text for s in found.suggestions] == expected
    assert typed[found.start :] == re.split(r"[\s=]", typed)[-1]


def test_behind_the_options_the_query_begins():
    for text in ("--range 5m up", "--range 5m ", "up", ""):
        assert options.typed(text).open is None
    assert options.typed("--range 5m up").values == {"range": "5m"}


# A real server of each line


@pytest.fixture(scope="module")
def client(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("names")
    data = blocks(prometheus_binary, folder, past())
    with (
        PrometheusServer(
            prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
        ) as server,
        Client(server.url, at=T + 60) as client,
    ):
        yield client


def test_every_function_is_one_of_the_servers_that_it_says(client: Client):
    version = ServerNames(client).version
    assert version is not None
    for word in (*FUNCTIONS.values(), *AGGREGATIONS.values()):
        try:
            client.query(f"{word.name}()")
            refused = ""
        except QueryError as error:
            refused = error.evidence
        unknown = "unknown function" in refused or "is not enabled" in refused
        if not word.experimental:
            assert unknown != word.known_to(version), f"{word.name}: {refused}"


def test_names_come_from_the_server(client: Client):
    names = ServerNames(client)
    assert {"requests_total", "gappy"} <= names.metrics().keys()
    assert names.labels("requests_total") == ["endpoint", "status"]
    assert names.labels('no"such') == []
    assert names.values("status", "requests_total") == ["200", "504"]
    assert HOSTILE in names.values("text")
    assert names.values("../../x") == []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What servers are asked for, in a moment that does not pass."""
    ask, paths = ServerNames._ask, []

    def noted(names: ServerNames, path: str, metric: str | None) -> Any:
        paths.append(path)
        return ask(names, path, metric)

    monkeypatch.setattr(ServerNames, "_ask", noted)
    monkeypatch.setattr("labkit.promql.names.KEPT_SECONDS", 3600.0)
    return paths


def test_names_are_kept_for_a_moment(client: Client, asked: list[str]):
    names = ServerNames(client)
    for _ in range(100):
        assert names.values("status")
    assert asked == ["label/status/values"]


def test_a_server_that_is_gone_or_hangs_does_not_stop_who_types(asked: list[str]):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}") as hanging,
    ):
        names = ServerNames(hanging)
        begun = time.perf_counter()
        assert complete("ra", 2, names).suggestions[0].text == "rate"
        assert time.perf_counter() - begun < 10, "as long as other queries wait"
        complete('up{job="', 8, names)
        complete("requests", 8, names)
        assert len(asked) == 1, "it is left alone"
    with nobody() as url, Client(url) as refused:
        assert ServerNames(refused).metrics() == {}
