"""Reading PromQL into a tree and writing it again; what each part means in words."""

from __future__ import annotations

import re

import pytest

from labkit.promql.catalog import QUERIES
from labkit.promql.explaining.functions import SENTENCES
from labkit.promql.explaining.sentences import sentence
from labkit.promql.syntax.node import Matcher, Matching, Node, replaced
from labkit.promql.syntax.tree import Unparsed, parse
from tests.promql_functions import OF_2_42, SINCE_THEN


@pytest.mark.parametrize(
    ("promql", "expected"),
    [
        ("up", Node("selector", name="up")),
        (
            'up{job="a", instance!~"b.*"} offset -5m',
            Node(
                "selector",
                name="up",
                matchers=(Matcher("job", "=", "a"), Matcher("instance", "!~", "b.*")),
                offset_seconds=-300,
            ),
        ),
        ("up[1h30m] @ end()", Node("range", name="up", range_seconds=5400, at="end()")),
        ('{__name__="a b"}', Node("selector", name="a b")),
        (
            '{__name__=~"a.*"}',
            Node("selector", matchers=(Matcher("__name__", "=~", "a.*"),)),
        ),
        (
            "up[5m:15s] @ 12.5 offset 1m",
            Node(
                "subquery",
                (Node("selector", name="up"),),
                range_seconds=300,
                step_seconds=15,
                offset_seconds=60,
                at="12.5",
            ),
        ),
        (
            "quantile without (a, b) (0.9, up)",
            Node(
                "aggregate",
                (Node("number", number=0.9), Node("selector", name="up")),
                name="quantile",
                grouping="without",
                labels=("a", "b"),
            ),
        ),
        (
            "a / on (x) group_left (y) b",
            Node(
                "binary",
                (Node("selector", name="a"), Node("selector", name="b")),
                name="/",
                matching=Matching("on", ("x",), "group_left", ("y",)),
            ),
        ),
        (
            "a and b",
            Node(
                "binary",
                (Node("selector", name="a"), Node("selector", name="b")),
                name="and",
                matching=Matching("", card="many-to-many"),
            ),
        ),
        (
            "-(a > bool 1)",
            Node(
                "unary",
                (
                    Node(
                        "paren",
                        (
                            Node(
                                "binary",
                                (Node("selector", name="a"), Node("number", number=1.0)),
                                name=">",
                                bool_modifier=True,
                            ),
                        ),
                    ),
                ),
                name="-",
            ),
        ),
        ("'it\"s'", Node("string", string='it"s')),
    ],
)
def test_an_expression_becomes_its_parts(promql: str, expected: Node):
    assert parse(promql) == expected


@pytest.mark.parametrize(
    ("promql", "text"),
    [
        ("sum(rate(x[5m]))by(a ,b)", "sum by (a, b) (rate(x[5m]))"),
        ("sum  by () (x) # all of them\n  + 1e3", "sum(x) + 1000"),
        ("a*on()group_right b", "a * on () group_right () b"),
        ("a > bool b", "a > bool b"),
        ("a == bool ignoring (x) b", "a == bool ignoring (x) b"),
        ("(a+b)*-c^2", "(a + b) * -c ^ 2"),
        ("x[90s:] offset 1d", "x[90s:] offset 1d"),
        ("x{a='\\n\"\\\\'}", 'x{a="\\n\\"\\\\"}'),
        ('{"a.b"="é日"}', '{"a.b"="é日"}'),
        ('{__name__="a.b", c="d"}', '{__name__="a.b", c="d"}'),
        ("-Inf + NaN", "-Inf + NaN"),
        ("x @ 1700000000.25", "x @ 1700000000.25"),
        ('x{a=" @ 5"}', 'x{a=" @ 5"}'),
        ("a + fill_left (0) fill_right (1) b", "a + fill_left (0) fill_right (1) b"),
        ("a + fill(0) b", "a + fill (0) b"),
    ],
)
def test_the_text_of_a_part_is_on_one_line_and_means_the_same(promql: str, text: str):
    assert parse(promql).text == text
    assert parse(text).text == text


@pytest.mark.parametrize("name", QUERIES)
def test_a_named_query_stays_as_it_is(name: str):
    assert parse(QUERIES[name].promql).text == QUERIES[name].promql


@pytest.mark.parametrize("promql", ["holt_winters(x[1h], 0.1, 0.1)", "x[1h-5m]", "sum(", "$x"])
def test_what_the_parser_refuses_is_told_with_its_words(promql: str):
    with pytest.raises(Unparsed) as caught:
        parse(promql)
    shown, words = caught.value.evidence.splitlines()
    assert shown == promql
    assert len(words) > 10
    assert "lab.query" in caught.value.next_step


def test_nesting_too_deep_is_refused_like_the_rest():
    with pytest.raises(Unparsed):
        parse("(" * 200 + "x" + ")" * 200)


def test_one_part_of_two_alike_is_replaced():
    tree = parse("x + x")
    assert replaced(tree, tree.children[1], parse("y")).text == "x + y"


def test_a_part_knows_whether_it_is_one_number():
    assert parse("-(time() / scalar(x))").is_scalar
    assert not parse("vector(1)").is_scalar
    assert not parse("x * 100").is_scalar


@pytest.mark.parametrize("name", [*OF_2_42, *SINCE_THEN])
def test_each_function_has_a_sentence_of_its_own(name: str):
    window = Node("range", name="x", range_seconds=60)
    arguments = tuple(Node("string", string=letter) for letter in "bcde")
    said = sentence(Node("call", (window, *arguments), name=name))
    assert "no sentence" not in said
    assert re.fullmatch(r"[^{}]+\.", said)
    if name not in {"holt_winters", "double_exponential_smoothing"}:  # two names of one
        assert [*SENTENCES.values()].count(SENTENCES[name]) == 1
    if "over_time" in name:
        assert "last minute" in said


def test_an_unknown_function_or_aggregation_is_admitted():
    assert "no sentence" in sentence(Node("call", name="novel"))
    assert "no sentence" in sentence(Node("aggregate", (Node("number"),), name="novel"))


@pytest.mark.parametrize(
    ("promql", "words"),
    [
        ("x", "The newest sample of each series of x."),
        ("x offset 1h", "The sample of each series of x as of 1 hour ago."),
        ("x offset -1m", "as of 1 minute after the moment of the question."),
        ("x[1m] offset -1m", "in the minute that ends 1 minute after the moment of the question"),
        ("x[5m] offset -1h", "in the 5 minutes that end 1 hour after the moment of the question"),
        ("x @ 0 offset 90s", "as of 1 minute 30 seconds before 1970-01-01 00:00:00 UTC"),
        ("x @ 1e15", "as of 1e+15 unix seconds"),
        ('x{a="1"}', 'of x whose a is "1".'),
        ('x{a=~"5"}', 'whose a matches "5" (a pattern has to match the whole value)'),
        ('x{a!="",b!~"c"}', 'whose a is not empty or missing and b does not match "c"'),
        ("x[5m]", "All samples in the last 5 minutes of each series of x."),
        ("x[1d] offset 1w", "in the day that ended 7 days ago"),
        ("x[250ms]", "in the last 250 ms"),
        ("x[5m] @ end()", "in the 5 minutes up to the end of the query's range"),
        ("x[1h:1m]", "worked out every minute over the last hour"),
        ("x[1h:]", "the server's evaluation intervals"),
        ("rate(x[5m])", "over the last 5 minutes, per second: its growth, corrected for resets"),
        ("rate(x[5m])", "where samples come near them, divided by the whole window."),
        ("increase(x[5m])", "its rate times the seconds of the window"),
        ("delta(x[5m])", "extended to the ends of the window where samples come near them."),
        ("irate((x[5m]))", "two newest samples in the last 5 minutes"),
        ("predict_linear(x[1h], 60)", "60 seconds from the moment"),
        ("round(x)", "nearest whole number"),
        ("round(x, 5)", "nearest multiple of 5"),
        ("hour()", "at the moment of the question"),
        ("hour(x)", "of each value"),
        ("histogram_quantile(0.95, x)", "The 0.95 quantile"),
        ('label_replace(x, "a", "$1", "b", "(.*)")', 'set to "$1", where its label "b" matches'),
        ('label_replace(x, "a", "p95", "", "")', 'the label "a" set to "p95"; the values stay'),
        ('label_join(x, "a", "-", "b", "c")', 'the values of "b" and "c", joined by "-"'),
        ("sum(x)", "The sum of all series; no label stays."),
        ("sum by (a) (x)", "the same a; only the label a stays."),
        ("sum by (a, b) (x)", "the same a and b; only the labels a and b stay."),
        ("max without (a) (x)", "differ only in a; all labels stay but the metric's name and a."),
        ("count by (a) (x)", "The count of the series with the same a"),
        ('count_values("v", x)', 'the label "v"; no other label stays'),
        (
            "topk by (a) (3, x)",
            "The 3 series with the largest values, of the series with the same a",
        ),
        ("topk(3, x)", "they keep all their labels"),
        ("quantile(0.9, x)", "The 0.9 quantile across the values of all series"),
        (
            "x / y",
            "divided by its partner on the right (partners have the same labels, the metric's",
        ),
        ("x / on (a) y", "(partners have the same a); only a stays"),
        ("x / on (a) y", "; a series without a partner is left out."),
        ("x > bool y", "; these labels stay; a series without a partner is left out."),
        ("x / ignoring (a) y", "the same labels, a and the metric's name aside); these labels"),
        ("x > y", "the metric's name aside); the left side's labels and values stay."),
        ("x > on (a) y", "(partners have the same a); only a stays, with the left side's values."),
        ("x > on () y", "whatever their labels); no label stays, with the left side's values."),
        ("x > ignoring (a, b) y", "the left side's values stay, and its labels but a and b."),
        ("x > on (a) group_right () y", "keep their labels; the values are the left side's."),
        ("x * on () y", "any two series are partners"),
        (
            "x * on (a) group_left (b) y",
            "several on the left may share one on the right, and keep their labels, with b from",
        ),
        ("x * on (a) group_right () y", "several on the right may share one on the left"),
        ("x * 100", "Each value times 100."),
        ("1 - x", "1 minus each value."),
        ("2 ^ 3", "2 to the power of 3."),
        ("x > 1", "whose value is greater than 1; the others are left out."),
        ("1 > x", "whose value is less than 1; the others are left out."),
        ("x >= bool 1", "1 for the series whose value is at least 1, 0 for the others."),
        ("1 == bool 2", "1 if 1 is equal to 2, 0 if not."),
        ("x != y", "on the left whose value is not equal to that of the partner on the right"),
        ("x and y", "The series on the left that have a partner on the right"),
        ("x unless y", "that have no partner on the right"),
        ("x or y", "All series on the left, and those on the right that have no partner"),
        ("-x", "its sign turned round"),
        ("5", "The number 5."),
        ('"a"', 'The text "a".'),
        ("(x)", "The newest sample of each series of x."),
    ],
)
def test_a_part_in_words(utc: None, promql: str, words: str):
    assert words in sentence(parse(promql))
