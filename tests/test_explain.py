"""Explaining expressions to a person, on a real Prometheus of each line whose past is known."""

from __future__ import annotations

import html.parser
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from labkit.errors import QueryError
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.promql.emptiness.moments import dated
from labkit.promql.explain import explain
from labkit.promql.explaining.sizes import MOST_ASKED, Size, sizes
from labkit.promql.syntax.tree import parse
from tests.promql_data import HOSTILE, KEEP, T, blocks, past
from tests.promql_functions import OF_2_42

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

END = T + 60


@pytest.fixture(scope="module")
def client(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("explain")
    data = blocks(prometheus_binary, folder, past())
    with (
        PrometheusServer(
            prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
        ) as server,
        Client(server.url, at=END) as client,
    ):
        yield client


def in_a_window(client: Client, seconds: int) -> int:
    """How many samples a window holds that ends on one: 3.x leaves the one at its start out."""
    version = client.get("status/buildinfo")["version"]
    return seconds + (1 if version.startswith("2.") else 0)


def test_each_part_comes_with_its_size(client: Client):
    made = explain(client, "sum by (endpoint) (rate(requests_total[30s])) > 2 * time()")
    samples = 3 * in_a_window(client, 30)
    assert [(step.node.text, str(step.size)) for step in made.steps] == [
        ("sum by (endpoint) (rate(requests_total[30s])) > 2 * time()", "0 series"),
        ("sum by (endpoint) (rate(requests_total[30s]))", "2 series"),
        ("rate(requests_total[30s])", "3 series"),
        ("requests_total[30s]", f"3 series, {samples} samples"),
        ("2 * time()", "one number"),
        ("time()", "one number"),
    ]
    assert [step.depth for step in made.steps] == [0, 1, 2, 3, 1, 2]


def test_the_size_of_a_subquery_counts_its_steps(client: Client):
    made = explain(client, "max_over_time(sum(requests_total)[20s:10s])")
    assert made.steps[1].node.kind == "subquery"
    at_the_start = in_a_window(client, 20) - 20
    assert made.steps[1].size == Size(1, 2 + at_the_start)


def test_the_text_is_a_tree(client: Client):
    made = explain(client, "sum(requests_total) / sum by (endpoint) (requests_total) ")
    assert "time" in made.result.attrs
    lines = str(made).splitlines()
    assert lines[0] == "sum(requests_total) / sum by (endpoint) (requests_total)"
    assert lines[1] == f"on {client.url} at {dated(END)}"
    assert lines[3:15] == [
        "sum(requests_total) / sum by (endpoint) (requests_total)  [0 series]",
        "│     Each series on the left divided by its partner on the right (partners have the same "
        "labels,",
        "│     the metric's name aside); these labels stay; a series without a partner is left "
        "out.",
        "├── sum(requests_total)  [1 series]",
        "│   │     The sum of all series; no label stays.",
        "│   └── requests_total  [3 series]",
        "│             The newest sample of each series of requests_total.",
        "└── sum by (endpoint) (requests_total)  [2 series]",
        "    │     The sum of the series with the same endpoint; only the label endpoint stays.",
        "    └── requests_total  [3 series]",
        "              The newest sample of each series of requests_total.",
        "",
    ]
    assert repr(made) == str(made)


@pytest.mark.parametrize(
    ("matching", "words", "columns"),
    [
        ("on (endpoint)", "only endpoint stays, with the left", ["endpoint", "value"]),
        ("ignoring (status)", "its labels but status", ["__name__", "endpoint", "value"]),
        ("bool on (endpoint)", "only endpoint stays; a", ["endpoint", "value"]),
    ],
)
def test_what_a_comparison_keeps_is_what_its_sentence_says(
    client: Client, matching: str, words: str, columns: list[str]
):
    left, right = ('requests_total{status="504"}', 'requests_total{status="200"}')
    made = explain(client, f"{left} > {matching} {right}")
    assert words in made.steps[0].sentence
    assert [*made.result] == columns


def test_times_are_those_of_the_clock_on_the_wall(client: Client, new_york: None):
    made = explain(client, f"requests_total @ {END}")
    assert str(made).splitlines()[1] == f"on {client.url} at 2023-11-14 17:14:20 EST"
    assert "2023-11-14 17:14:20 EST" in made._repr_html_()
    assert made.steps[0].sentence.endswith("as of 2023-11-14 17:14:20 EST.")


def test_a_long_part_is_cut_in_the_text_and_whole_in_the_page(client: Client):
    long = f'requests_total{{endpoint=~"{"|".join(["/slow"] * 30)}"}}'
    made = explain(client, long)
    cut = [line for line in str(made).splitlines() if line.endswith("…  [2 series]")]
    assert [len(line) for line in cut] == [100 + len("  [2 series]")]
    assert long in plain_text(made._repr_html_())


def test_the_result_is_shown_with_its_first_rows(client: Client):
    made = explain(client, "requests_total[30s]")
    assert made.tree is not None
    assert f"The result has {3 * in_a_window(client, 30)} rows, the first 10:" in str(made)
    assert str(made).splitlines()[-10:][0].startswith("requests_total")


def test_an_empty_result_comes_with_its_reason(client: Client):
    made = explain(client, 'requests_total{endpoint="/slwo"}')
    assert made.result.empty
    assert '"/slow"' in made.why_empty
    assert made.why_empty in " ".join(str(made).split())
    assert made.why_empty in plain_text(made._repr_html_())


def test_a_reason_that_is_a_mistake_too_is_shown_once(client: Client):
    made = explain(client, 'requests_total{endpoint="/slwo"}')
    (warning,) = [text for text in made.warnings if "/slow" in text]
    assert " ".join(str(made).split()).count(warning) == 1
    assert plain_text(made._repr_html_()).count(warning) == 1


def test_what_only_the_server_reads_is_answered_without_a_tree(client: Client):
    made = explain(client, 'requests_total{endpoint=~"[[/]slow"}')
    assert made.tree is None
    assert not made.steps
    assert len(made.result) == 2
    for shown in (str(made), plain_text(made._repr_html_())):
        words = " ".join(shown.split())
        assert "the parser of this lab does not read it (illegal regex" in words
        assert "/slow" in words


@pytest.mark.parametrize("promql", ["sum(rate(requests_total[30s])", "requests_total + on (x)"])
def test_what_the_server_refuses_is_its_own_error(client: Client, promql: str):
    with pytest.raises(QueryError) as asked:
        client.query(promql)
    with pytest.raises(QueryError) as explained:
        explain(client, promql)
    assert str(explained.value) == str(asked.value)
    assert "^" in explained.value.evidence


def test_many_to_many_is_refused_in_the_server_s_words(client: Client):
    with pytest.raises(QueryError, match="can't work it out"):
        explain(client, "requests_total / on () requests_total")


def test_the_lab_s_variables_are_filled_in(client: Client):
    made = explain(client, "rate(requests_total[$__rate_interval])")
    assert made.query == "rate(requests_total[4s])"
    assert made.steps[0].size.series == 3


def test_a_moment_of_the_past_is_that_of_every_part(client: Client):
    early = explain(client, "sum(count_over_time(requests_total[1h]))", time=T + 4)
    assert early.steps[-1].size == Size(3, 15)
    with pytest.raises(ValueError, match="time zone"):
        explain(client, "requests_total", time=datetime(2023, 11, 14))  # noqa: DTZ001 - what is refused


def test_a_number_a_text_and_a_clock_have_no_series(client: Client):
    for promql, size in (("1", ""), ('"a"', ""), ("time()", "one number"), ("(((1)))", "")):
        (step,) = explain(client, promql).steps
        assert str(step.size) == size


def test_not_more_than_twenty_parts_are_asked(client: Client):
    many = " or ".join(f'requests_total{{endpoint!="{i}"}}' for i in range(30))
    made = explain(client, many)
    known = [step for step in made.steps if step.size.series is not None]
    assert len(known) == MOST_ASKED
    assert {str(step.size) for step in made.steps if step not in known} == {"not asked"}


def test_a_part_that_gets_no_answer_leaves_the_others():
    class Refusing:
        def get(self, _: str, query: str, **__: Any) -> Any:
            if "bad" in query:
                raise QueryError("no")
            return {"result": [{"metric": {}, "value": [0, "7"]}]}

    good, bad = parse("good"), parse("bad")
    known = sizes(Refusing(), [good, bad], END)  # type: ignore[arg-type] # what sizes asks of it
    assert str(known[good]) == "7 series"
    assert str(known[bad]) == "not answered"


def test_one_of_something_is_singular():
    assert str(Size(1, 1)) == "1 series, 1 sample"
    assert str(Size(1200, 30_000)) == "1,200 series, 30,000 samples"


class Page(html.parser.HTMLParser):
    """The text of a page, and the elements that are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in {"br", "hr", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def plain_text(page: str) -> str:
    parser = Page()
    parser.feed(page)
    assert not parser.open
    return parser.text


def test_the_page_is_whole_and_takes_labels_as_text(client: Client):
    made = explain(client, 'label_replace(hostile, "more", "<i>$x$</i>", "", "") * 1')
    page = made._repr_html_()
    parser = Page()
    parser.feed(page)
    assert not parser.open
    assert not {"b", "i", "script"} & set(parser.seen)
    assert "mathjax_ignore" in page
    assert HOSTILE.splitlines()[0] in parser.text
    assert parser.seen.count("details") == len(made.steps)
    assert not re.search(r"color:\s*(?:#|black|white)", page)


def test_the_functions_that_have_sentences_are_the_server_s(
    client: Client, prometheus_binary: Binary
):
    gone = set() if prometheus_binary.version.startswith("2.") else {"holt_winters"}
    unknown = []
    for name in set(OF_2_42) - gone:
        try:
            client.query(f"{name}()")
        except QueryError as error:  # nearly all lack an argument now
            unknown += [name] if "unknown function" in error.evidence else []
    assert unknown == []
