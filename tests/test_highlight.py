"""PromQL in colours: every piece in the right one, and nothing lost or let through."""

from __future__ import annotations

import html
import re

import pytest

from labkit.promql.syntax.highlight import to_html, to_terminal

QUERIES = [
    "sum by (le, a1) (rate(order_total{status=~\"5..\", x='y'}[5m])) / on (job) group_left up",
    "a and b or c unless d > bool 1e-5 ^ -Inf atan2 0x1F",
    "max_over_time(x[1h30m:$__interval] offset 1w) # a comment <b>\n+ ${w} @ start()",
    'x{a="\\"quoted\\" <script>", b=`raw\\`}',
    'sum without (x) (y) == 1.5 and on_call{on=""}',
    'label_replace(up, "dst", "$1", "src", "(.*)")',
    'x{"odd name"="é日本"',
    "",
    "  \n\t",
]


def coloured(promql: str) -> dict[str, str]:
    """Return the colour's name of each piece that has one."""
    found = re.findall(
        r'<span style="color:var\(--jp-mirror-editor-(\w+)-color[^"]*">(.*?)</span>',
        to_html(promql),
    )
    return {html.unescape(text): name for name, text in found}


@pytest.mark.parametrize("promql", QUERIES)
def test_the_text_stays_the_same(promql: str):
    assert html.unescape(re.sub(r"<[^>]*>", "", to_html(promql))) == promql
    assert re.sub(r"\x1b\[[\d;]*m", "", to_terminal(promql)) == promql


def test_each_kind_of_word_has_its_colour():
    found = coloured(QUERIES[0])
    assert found["sum"] == found["by"] == found["on"] == found["group_left"] == "keyword"
    assert found["rate"] == "def"
    assert found["le"] == found["a1"] == found["status"] == found["job"] == "property"
    assert found['"5.."'] == found["'y'"] == "string"
    assert found["5m"] == "number"
    assert found["=~"] == found["/"] == "operator"
    assert "order_total" not in found
    assert "or" not in found, "it is part of a name"
    assert "\x1b[34mrate\x1b[0m" in to_terminal(QUERIES[0])


def test_operators_variables_and_comments_have_theirs():
    found = {**coloured(QUERIES[1]), **coloured(QUERIES[2])}
    assert {found[word] for word in ("and", "or", "unless", "atan2", "^")} == {"operator"}
    assert found["bool"] == found["offset"] == "keyword"
    assert found["max_over_time"] == "def"
    assert found["1h30m"] == found["1w"] == found["1e-5"] == found["0x1F"] == "number"
    assert found["$__interval"] == found["${w}"] == "meta"
    assert found["# a comment <b>"] == "comment"


def test_what_is_html_in_a_query_is_shown_and_not_run():
    shown = to_html(QUERIES[3])
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert coloured(QUERIES[3])['"\\"quoted\\" <script>"'] == "string"


def test_a_metric_that_is_called_like_a_word_is_a_metric():
    assert coloured("rate + sum_x + count:rate5m + on_call") == {"+": "operator"}
