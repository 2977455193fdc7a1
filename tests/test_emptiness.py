"""Why an answer is empty: each reason made for real, on each Prometheus line."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
import requests

from labkit.lab import Lab
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.promql.emptiness import probe, why_empty, why_empty_range
from labkit.promql.emptiness.moments import clock_time, lasting
from labkit.promql.emptiness.nan import why_nan
from labkit.promql.emptiness.nearest import listed, nearest, nearest_names
from labkit.promql.syntax.node import quoted
from tests.ports import steady_port
from tests.promql_data import HOSTILE, KEEP, T, blocks, escape, past
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

REQUESTS = "flask_requests_total"
LATENCY = "flask_request_duration_seconds"
SEEN_ONCE = f'{REQUESTS}{{endpoint="<unmatched>"}}'


class Live(NamedTuple):
    """A lab with some traffic behind it, and a Prometheus whose only target never answers."""

    lab: Lab
    client: Client
    before: float
    deaf: Client
    at_first: str  # why the latter had nothing when it had just started


@pytest.fixture(scope="module")
def live(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    before = float(int(time.time()) - 60)
    with socket.socket() as nobody, pytest.MonkeyPatch.context() as patch:
        nobody.bind(("127.0.0.1", 0))  # never listens
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        with (
            PrometheusServer(
                prometheus_binary,
                {"app-9": f"127.0.0.1:{nobody.getsockname()[1]}"},
                directory=tmp_path_factory.mktemp("deaf"),
                scrape_interval=1.0,
            ) as server,
            Client(server.url, scrape_interval=1.0) as deaf,
        ):
            at_first = why_empty(deaf, REQUESTS)  # its first scrape comes five seconds later
            # A scrape may take as long as its interval: in less, a busy app could not answer.
            with Lab(app_port=steady_port(), scrape_interval=1.0, seed=7) as lab:
                lab.traffic(requests=60, seconds=0.6, mix="everyday").wait(20)
                lab.wait_for("count_over_time(up[1m]) >= 5")
                yield Live(lab, lab._client_now(), before, deaf, at_first)


@pytest.fixture
def client(live: Live) -> Client:
    return live.client


@pytest.fixture(scope="module")
def then(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A known past of a minute, without targets; 15 s between scrapes, and now is its end."""
    folder = tmp_path_factory.mktemp("then")
    text = past().replace("# EOF", f"# TYPE lone counter\nlone_total 3 {T + 48}\n# EOF")
    data = blocks(prometheus_binary, folder, text)
    server = PrometheusServer(
        prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
    )
    with server, Client(server.url, scrape_interval=15, at=T + 60) as client:
        yield client


def asked_again(client: Client, sentence: str, before: str = "Write ") -> int:
    """Return how many series the query that a sentence proposes gives."""
    proposed = sentence.rpartition(before)[2].rstrip("?.")
    return len(client.query(proposed))


# No such metric


def test_a_slip_in_a_name_is_told_with_the_name_that_was_meant(client: Client):
    for wrong in ("flask_request_total", "flask_requests", "Flask_Requests_Total"):
        assert why_empty(client, f"sum(rate({wrong}[1m]))") == (
            f"No metric is called {wrong}. Did you mean {REQUESTS}?"
        )


def test_a_histogram_is_told_by_the_names_of_its_series(client: Client):
    assert why_empty(client, LATENCY) == (
        f"{LATENCY} is a histogram; its series are called {LATENCY}_bucket, {LATENCY}_count "
        f"and {LATENCY}_sum."
    )


def test_a_name_like_no_other_says_where_the_names_are(client: Client):
    why = why_empty(client, "qqq_xyz")
    assert why.startswith("No metric is called qqq_xyz, nor anything like it; lab.metrics() lists")
    assert "target" not in why


def test_a_name_is_not_blamed_for_a_label(client: Client):
    assert "No metric" not in why_empty(client, f'{REQUESTS}{{status="999"}}')


def test_a_server_without_samples_says_so(live: Live):
    assert live.at_first.startswith(
        f"No metric is called {REQUESTS}, nor anything else: this Prometheus holds no sample yet."
    )


def test_a_name_that_only_a_fallen_target_exposes_tells_of_the_target(live: Live):
    live.deaf.wait_for("up == 0", timeout=15)
    why = why_empty(live.deaf, REQUESTS)
    assert "The target app-9 (job flask) is down, though" in why
    assert "connection refused" in why


def test_alerts_have_a_series_only_while_one_is_pending_or_firing(client: Client):
    why = why_empty(client, 'ALERTS{alertname="HighLatency"}')
    assert "No alert was ever pending or firing" in why
    assert "No metric" not in why


# Labels


def test_a_value_never_seen_is_told_with_those_there_are(client: Client):
    assert why_empty(client, f'{REQUESTS}{{endpoint="/healt"}}') == (
        f'{REQUESTS} has never had a series with endpoint="/healt"; the values of endpoint are '
        '"/", "/error", "/health" and "/slow". Did you mean endpoint="/health"?'
    )


@pytest.mark.parametrize(
    ("matcher", "better"),
    [
        ('status=~"5"', 'status=~"5.."'),
        ('status=~"50"', 'status=~"50."'),
        ('endpoint=~"slow"', 'endpoint=~".*slow"'),
        ('endpoint=~"rro"', 'endpoint=~".*rro.*"'),
        ('endpoint=~"rro|low"', 'endpoint=~".*(?:rro|low).*"'),
        ('endpoint=~"/sl*"', 'endpoint=~"/sl.*"'),
        ('status="5.."', 'status=~"5.."'),
        ('status="5xx"', 'status=~"5.."'),
        ('status="4XX"', 'status=~"4.."'),
        ('status=~"5xx"', 'status=~"5.."'),
        ('endpoint="/sl*"', 'endpoint=~"/sl.*"'),
        ('code="500"', 'status="500"'),
        ('endpont="/slow"', 'endpoint="/slow"'),
        ('job="flsk"', 'job="flask"'),
    ],
)
def test_a_matcher_that_fits_nothing_is_put_right(client: Client, matcher: str, better: str):
    why = why_empty(client, f"sum({REQUESTS}{{{matcher}}})")
    assert better in re.split(r"write |Did you mean ", why)[-1]
    assert not client.query(f"{REQUESTS}{{{better}}}").empty
    without = why_empty(client, f"{{{matcher}}}")  # without a name
    assert "found out" not in without
    assert "usual reasons" not in without


def test_a_bucket_is_compared_as_a_number(client: Client):
    values = client.get("label/le/values", **{"match[]": f"{LATENCY}_bucket"})
    (one,) = [value for value in values if value != "+Inf" and float(value) == 1]
    other = "1" if one == "1.0" else "1.0"
    why = why_empty(client, f'{LATENCY}_bucket{{le="{other}"}}')
    assert why.endswith(f'Did you mean le="{one}"?')
    numbers = [float(text) for text in re.findall(r'"([\d.]+)"', why.partition("are ")[2])]
    assert numbers[:-1] == sorted(numbers[:-1])


def test_a_pattern_has_to_match_the_whole_value(client: Client):
    why = why_empty(client, f'{REQUESTS}{{status=~"5"}}')
    assert "has to match the whole value" in why
    assert "never" not in why


def test_a_label_that_a_metric_does_not_have_is_told_with_its_labels(client: Client):
    assert why_empty(client, 'flask_uptime_seconds{endpoint="/"}') == (
        "flask_uptime_seconds has no label endpoint; it has instance and job."
    )


def test_a_matcher_that_leaves_all_out_says_so(client: Client):
    assert why_empty(client, f'{REQUESTS}{{job!="flask"}}') == (
        'job!="flask" leaves out the only value that job has: "flask".'
    )
    assert "every value that status has" in why_empty(client, f'{REQUESTS}{{status!~".*"}}')
    assert "has the label job" in why_empty(client, f'{REQUESTS}{{job=""}}')


def test_values_that_never_meet_are_not_called_unknown(client: Client):
    assert why_empty(client, f'{REQUESTS}{{endpoint="/", status="504"}}') == (
        f'No series of {REQUESTS} has endpoint="/" and status="504" at once: with endpoint="/", '
        'status is "200".'
    )
    assert why_empty(client, f'{REQUESTS}{{endpoint="/slow", status="500"}}').endswith(
        'with endpoint="/slow", status is "200" or "504".'
    )


def test_a_pattern_for_the_name_is_told_with_names_like_it(client: Client):
    why = why_empty(client, '{__name__=~"flask_request_total"}')
    assert why == (
        f'No metric has a name that fits __name__=~"flask_request_total". Did you mean {REQUESTS}?'
    )


def test_hostile_values_come_through(then: Client):
    why = why_empty(then, 'hostile{text="x"}', time=T + 1)
    assert why.count("\n") == 0
    assert f"the only value of text is {quoted(HOSTILE)}" in why
    wanted = f'hostile{{text="{escape(HOSTILE)}z"}}'
    assert f'Did you mean text="{escape(HOSTILE)}"?' in why_empty(then, wanted, time=T + 1)


# Samples in a window


def test_a_window_shorter_than_two_scrapes_is_told_with_a_wider_one(client: Client):
    why = why_empty(client, f"sum(rate({REQUESTS}[$__interval]))")
    assert "rate needs two. They come 1 s apart" in why or "holds no sample" in why
    assert "at least 2s, better 4s" in why
    assert asked_again(client, why, "better 4s: ") > 0
    assert "holds no sample" in why_empty(client, f"{REQUESTS}[1ms]")


def test_a_window_that_is_wide_enough_is_not_blamed(client: Client):
    assert "window" not in why_empty(client, f"rate({REQUESTS}[5s]) > 1e6")
    assert "The comparison is true for none" in why_empty(client, f"rate({REQUESTS}[5s]) > 1e6")


def test_a_series_with_one_sample_says_when_the_second_comes(then: Client):
    # Scraped each 15 s, the last time 12 s ago.
    assert why_empty(then, "sum(rate(lone_total[1m]))") == (
        "rate needs two samples, and lone_total had only one, of "
        f"{clock_time(T + 48, T)}: the second will be there in about 3 s."
    )


def test_a_subquery_with_one_point_is_told_its_step(then: Client):
    why = why_empty(then, "rate(sum(requests_total)[30s:30s])", time=T + 45)
    assert "rate needs two points" in why
    assert "its step is 30s" in why


# Operators


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            f"sum by (endpoint) ({REQUESTS}) / sum({REQUESTS})",
            "only the left side has endpoint. Write",
        ),
        (f"flask_uptime_seconds * {REQUESTS}", "only the right side has endpoint, method"),
        (
            f'{REQUESTS}{{status="503"}} / {REQUESTS}{{status="200"}}',
            'status is "503" on the left and "200" on the right. Write',
        ),
        (
            f"sum by (endpoint) ({REQUESTS}) and sum by (status) ({REQUESTS})",
            "only the left side has endpoint and only the right side has status. Write "
            f"sum by (endpoint) ({REQUESTS}) and sum by (endpoint) ({REQUESTS}).",
        ),
        (
            f"flask_errors_total / {REQUESTS}",
            "only the left side has error_type and only the right side has endpoint",
        ),
        (f"{REQUESTS} < on (status, job) flask_uptime_seconds", "< on (status, job) puts together"),
    ],
)
def test_sides_that_share_no_labels_are_told_apart_and_joined(
    client: Client, query: str, words: str
):
    why = why_empty(client, f"max({query})")
    assert words in why
    assert asked_again(client, why) > 0


def test_a_set_operator_is_not_joined_on_nothing(client: Client):
    why = why_empty(client, f"sum by (endpoint) ({REQUESTS}) and on (endpoint) sum({REQUESTS})")
    assert "only the left side has endpoint" in why
    assert "on ()" not in why


def test_labels_are_not_blamed_for_a_comparison(client: Client):
    by_endpoint = f"sum by (endpoint) ({REQUESTS})"
    why = why_empty(client, f"{by_endpoint} > {by_endpoint}")
    assert why.startswith("The comparison is true for no series: ")
    assert '(endpoint="/")' in why


def test_unless_leaves_out_what_the_right_side_has(client: Client):
    by_endpoint = f"sum by (endpoint) ({REQUESTS})"
    assert "all 4 series" in why_empty(client, f"{by_endpoint} unless {by_endpoint}")


def test_a_false_comparison_tells_the_values(client: Client):
    assert why_empty(client, "up + 0.12 > 2") == "The comparison is false: 1.12 is not > 2."
    assert why_empty(client, "up > up + 1") == "The comparison is false: 1 is not > 2."
    assert why_empty(client, "2 < up") == "The comparison is false: 1 is not > 2."
    why = why_empty(client, f"sum by (endpoint) ({REQUESTS}) < 0")
    assert why.startswith(
        "The comparison is true for none of the 4 series: none is < 0; the nearest are "
    )
    assert why.count("endpoint=") == 3


def test_a_value_that_looks_like_the_limit_is_told_in_full(client: Client):
    assert why_empty(client, "up * 0.19999 >= 0.2") == (
        "The comparison is false: 0.19999 is not >= 0.2."
    )


def test_nan_is_not_called_too_small(client: Client):
    why = why_empty(client, "0 * up / 0 > 0.5")
    assert "is NaN" in why
    assert "is not >" not in why


# Functions


def test_what_is_there_is_not_absent(client: Client):
    assert "up has 1 series: nothing is absent" in why_empty(client, "absent(up)")
    assert "nothing is absent" in why_empty(client, "absent_over_time(up[1m])")


def test_an_aggregation_or_clamp_that_keeps_nothing_says_so(client: Client):
    assert "keeps 0 series" in why_empty(client, "topk(0, up)")
    assert "3 > 1" in why_empty(client, "clamp(up, 3, 1)")
    assert "native histograms only" in why_empty(client, f"histogram_count({LATENCY}_count)")


@pytest.mark.parametrize(
    "inside",
    [
        f"sum by (endpoint) (rate({LATENCY}_bucket[10s]))",
        f"sum(rate({LATENCY}_bucket[10s]))",
        f"sum without (le) (rate({LATENCY}_bucket[10s]))",
        f"rate({LATENCY}_count[10s])",
        f"sum by (endpoint) (rate({LATENCY}_sum[10s]))",
    ],
)
def test_a_quantile_without_buckets_is_put_right(client: Client, inside: str):
    why = why_empty(client, f"histogram_quantile(0.95, {inside})")
    assert why.startswith("histogram_quantile needs the label le")
    assert asked_again(client, why) > 0


# Births, gaps and ends


def test_a_series_not_born_yet_says_when_it_was(live: Live):
    born = live.client.query(f"{REQUESTS}[10m]")["time"].min().timestamp()
    why = why_empty(live.client, f"sum(rate({REQUESTS}[1m])) / 3", time=live.before)
    assert why.startswith(
        f"{REQUESTS} was not there yet at {clock_time(live.before, time.time())}: its first "
    )
    # Found within 0.05 s, which may round to the next second.
    assert any(clock_time(born + late, time.time()) in why for late in (0, 0.05))


def test_a_slip_in_a_name_is_told_for_any_time(live: Live):
    assert "Did you mean" in why_empty(live.client, "flask_request_total", time=live.before)


def test_a_recorded_metric_is_explained_by_its_rule(live: Live):
    why = why_empty(live.client, "job:flask_requests:rate2m", time=live.before)
    assert "recorded by a rule that gives nothing either" in why
    assert f"{REQUESTS} was not there yet" in why


def test_an_offset_says_which_moment_it_looks_at(client: Client):
    assert "(where offset 1h looks): its first sample" in why_empty(client, "up offset 1h")


def test_the_future_has_no_samples(client: Client):
    assert "ahead" in why_empty(client, "up", time=time.time() + 4000)


@pytest.mark.parametrize(
    ("query", "ahead"),
    [
        (f'{REQUESTS}{{status="200"}} offset -5m', "5 min"),
        (f"rate({REQUESTS}[1m] offset -70s)", "70 s"),
        (f"{REQUESTS}[1s] offset -1m", "60 s"),
        ("sum(flask_uptime_seconds offset -10m) / 2", "10 min"),
    ],
)
def test_an_offset_into_the_future_ends_nothing(client: Client, query: str, ahead: str):
    client.wait_for("up == 1")
    why = why_empty(client, query)
    assert f"lies {ahead} ahead: there are no samples yet." in why
    assert "ended" not in why


def test_what_has_ended_has_ended_in_the_future_too(then: Client):
    later = Client(then.url, at=T + 4000)
    why = why_empty(later, "requests_total offset -1h")
    later.close()
    assert "has ended" in why


def test_a_gap_is_told_by_the_samples_around_it(then: Client):
    past_it = Client(then.url, at=T + 410)
    why = why_empty(past_it, "gappy", time=T + 350)
    assert f"{clock_time(T + 9, T)}, the next one at {clock_time(T + 400, T)}" in why
    past_it.close()


def test_an_end_without_a_target_is_told_with_a_longer_look(then: Client):
    later = Client(then.url, at=T + 4000)
    why = why_empty(later, "sum(requests_total)")
    later.close()
    assert f"its last sample came at {clock_time(T + 60, T)}, 66 min before" in why
    assert "looks back 5 min at most" in why
    assert "target" not in why


def test_what_came_before_its_own_time_is_told_in_a_past(then: Client):
    why = why_empty(then, "requests_total", time=T - 100)
    assert "was not there yet" in why
    assert f"{clock_time(T, T)}, 100 s later" in why


# Values that are no numbers


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (
            'sum by (endpoint) (rate(requests_total{status="504"}[10s] offset -1m)) / '
            "sum by (endpoint) (rate(requests_total[10s] offset -1m))",
            "",
        ),
        (
            "0 * sum by (endpoint) (rate(requests_total[10s])) / "
            "(0 * sum by (endpoint) (rate(requests_total[10s])))",
            'Each of {endpoint="/"} and {endpoint="/slow"} is NaN, as 0/0 is: nothing was counted '
            "in the window.",
        ),
        ("100 * (sum(lone_total) * 0 / sum(lone_total * 0))", "The value is NaN, as 0/0 is: both"),
        ("max(sqrt(-requests_total{endpoint='/'}))", 'status="200"} is NaN: sqrt() has no value'),
        ("vector(scalar(requests_total))", "The value is NaN: scalar() has a value for a single"),
        ("(lone_total * Inf) / (lone_total * Inf)", "divides what is infinite."),
        ("requests_total", ""),
        ("sum(requests_total) * 2", ""),
        ("requests_total[10s]", ""),
        ("'text'", ""),
    ],
)
def test_a_value_that_is_no_number_says_why(then: Client, query: str, why: str):
    told = why_nan(then, then.query(query))
    assert why in told
    assert bool(why) == bool(told)


def test_a_sample_that_is_no_number_says_so(then: Client):
    told = why_nan(then, then.query("odd", time=T + 1))
    assert told == '{is="NaN"} is NaN, as it was exposed: odd has no number there.'


def test_a_quantile_without_observations_says_so(client: Client):
    idle = f'rate({LATENCY}_bucket{{endpoint="/error"}}[1s] offset 1h)'
    assert why_nan(client, client.query(f"histogram_quantile(0.95, {idle})")) == ""
    none = f"0 * rate({LATENCY}_bucket[5s])"
    told = why_nan(client, client.query(f"histogram_quantile(0.95, sum by (le) ({none}))"))
    assert told == (
        "The value is NaN: the histogram has no observation in the window, and so no quantile."
    )
    one = f'sum by (le) ({LATENCY}_bucket{{le="0.1"}})'
    told = why_nan(client, client.query(f"histogram_quantile(0.95, {one})"))
    assert "the bucket +Inf, which holds every observation, is missing" in told
    last = f'sum by (le) ({LATENCY}_bucket{{le="+Inf"}})'
    told = why_nan(client, client.query(f"histogram_quantile(0.95, {last})"))
    assert "has no bucket but +Inf" in told


def test_the_reason_for_nan_stands_beside_the_answer(live: Live, capsys):
    frame = live.lab.query("0 * up / 0")
    assert frame.attrs["why_nan"].endswith("is NaN, as 0/0 is: both sides of / are 0.")
    assert frame.attrs["why_nan"] in capsys.readouterr().err
    made = live.lab.explain("0 * up / 0")
    assert frame.attrs["why_nan"] in str(made)
    assert "both sides of / are 0" in made._repr_html_()


# Over a window


def test_a_window_before_the_birth_says_when_that_was(live: Live):
    why = why_empty_range(live.client, f"rate({REQUESTS}[1s])", live.before - 60, live.before)
    assert "was not there yet" in why


def test_a_window_after_the_end_says_when_that_was(then: Client):
    later = Client(then.url, at=T + 4000)
    why = why_empty_range(later, "requests_total", T + 2000, T + 3000)
    later.close()
    assert "had ended before this window" in why
    assert clock_time(T + 60, T) in why


def test_a_comparison_over_a_window_tells_the_best_of_it(then: Client):
    why = why_empty_range(then, 'requests_total{status="504"} > 500', T, T + 60)
    assert why == "The comparison is true at no time in the window: the best was 120, not > 500."
    why = why_empty_range(then, "requests_total > 500", T, T + 60)
    assert why.startswith(
        "The comparison is true for none of the 3 series at any time in the window: none was > 500;"
        ' the best were 240 (endpoint="/", status="200"), 120'
    )
    why = why_empty_range(then, "requests_total > requests_total + 1", T, T + 60)
    assert why.startswith(
        "The comparison is true for no series at any time in the window; at its end: 240 is not > "
        "241"
    )


def test_a_comparison_for_equality_tells_the_nearest(then: Client):
    why = why_empty_range(then, "sum(requests_total) == 421", T, T + 60)
    assert why == "The comparison is true at no time in the window: the best was 420, not == 421."


def test_sides_that_are_there_at_different_times_are_not_called_different(then: Client):
    later = Client(then.url, at=T + 410)
    why = why_empty_range(later, "sum(gappy > 380) + sum(gappy < 5)", T, T + 410)
    later.close()
    assert "never at the same moment" in why


# What cannot be found out


def test_an_answer_that_came_meanwhile_is_not_explained_away(client: Client):
    assert "not empty any more" in why_empty(client, "up")


def test_a_query_that_the_parser_does_not_read_is_searched_for_selectors(client: Client):
    # promql-parser refuses strings in backticks; Prometheus does not.
    why = why_empty(client, r"sum by (status) (rate(flask_request_total{status=~`5\d+`}[1m]))")
    assert "Did you mean flask_requests_total?" in why
    assert "usual reasons" in why_empty(client, rf"{REQUESTS}{{status=~`5\d+`}} > 1e9")


def test_it_gives_up_rather_than_ask_on_and_on(client: Client, monkeypatch):
    monkeypatch.setattr(probe, "MOST_QUESTIONS", 3)
    assert why_empty(client, "flask_request_total").startswith("Why it is empty could not")


def test_a_server_that_does_not_answer_raises_nothing():
    with Client("http://127.0.0.1:9", timeout=1) as nobody:
        assert "is not reached" in why_empty(nobody, "up")
        assert "is not reached" in why_empty_range(nobody, "up", 0, 60)


def test_a_past_is_never_asked_for_targets(then: Client, monkeypatch):
    asked = []
    monkeypatch.setattr(Client, "get", _recording(Client.get, asked))
    why_empty(then, "no_such", time=T)
    why_empty(then, "requests_total", time=T + 3000)
    assert asked
    assert "targets" not in asked


def _recording(get, asked):
    def recorded(self, path, **parameters):
        asked.append(path)
        return get(self, path, **parameters)

    return recorded


# The words


def test_a_usual_suffix_comes_before_what_is_only_alike():
    known = ["a_requests_total", "a_requests_in_progress", "a_request_total"]
    assert nearest_names("a_requests", known) == ["a_requests_total"]
    assert nearest_names("a_requests_count", known) == ["a_requests_total"]
    assert nearest_names("zzz", known) == []


def test_only_values_about_as_near_as_the_nearest_are_named():
    assert nearest("505", ["200", "500", "503"]) == ["503", "500"]
    assert nearest("GET", ["get", "post"]) == ["get"]


def test_the_same_number_is_nearest():
    assert nearest("1", ["0.1", "1.0", "10.0"]) == ["1.0"]
    assert nearest("1e0", ["0.1", "1.0"]) == ["1.0"]
    assert nearest("inf", ["+Inf", "0.1"]) == ["+Inf"]


def test_long_lists_and_texts_are_cut():
    assert listed("abcdefgh") == "a, b, c, d, e, f and 2 more"
    assert listed("ab", "or") == "a or b"
    assert listed(["x" * 100]) == "x" * 59 + "…"


def test_times_are_told_in_words(utc: None):
    assert [lasting(s) for s in (0.25, 3, 119, 300, 7200, 200_000)] == [
        "0.25 s",
        "3 s",
        "119 s",
        "5 min",
        "2 h",
        "2 days",
    ]
    assert clock_time(T, T + 60) == "22:13:20 UTC"
    assert clock_time(T, T + 86400) == "2023-11-14 22:13:20 UTC"


def test_moments_are_those_of_the_clock_on_the_wall(then: Client, new_york: None):
    assert clock_time(T, T + 60) == "17:13:20 EST"
    assert clock_time(T, T + 86400) == "2023-11-14 17:13:20 EST"
    assert clock_time(T + 240 * 86400, T) == "2024-07-11 18:13:20 EDT"
    assert "17:13:20 EST, 100 s later" in why_empty(then, "requests_total", time=T - 100)


# Targets: last in the file, as the app is restarted and then stopped


@pytest.fixture(scope="module")
def restarted(live: Live) -> Live:
    """The lab after a restart that ended a series; for the module, as it brings new threads."""
    requests.get(f"{live.lab.url}/nowhere", timeout=5)
    live.client.wait_for(SEEN_ONCE)
    live.lab.restart_app()
    wait_for(lambda: live.client.query(SEEN_ONCE).empty)
    live.client.wait_for("up == 1")
    return live


def test_a_series_that_a_restart_ended_is_not_called_unknown(restarted: Live):
    why = why_empty(restarted.client, SEEN_ONCE)
    assert f"{SEEN_ONCE} has ended: its last sample came at" in why
    assert "Its target is up" in why


def test_a_series_just_born_says_when_its_second_sample_comes(restarted: Live):
    born = restarted.client.query(f"{SEEN_ONCE}[10m]")["time"].min().timestamp()
    why = why_empty(restarted.client, f"rate({SEEN_ONCE}[1m])", time=born + 0.01)
    assert f"rate needs two samples, and {SEEN_ONCE} had only one" in why
    assert "the second" in why


def test_a_target_that_is_down_is_told_with_its_scrape_error(restarted: Live):
    restarted.client.wait_for("flask_uptime_seconds > 3")  # a few scrapes after the restart
    restarted.lab.stop_app()
    restarted.client.wait_for("up == 0")
    for query in (REQUESTS, f"sum(rate({REQUESTS}[200ms])) > 3", "flask_uptime_seconds * 2"):
        why = why_empty(restarted.client, query)
        assert "The target app-1 (job flask) is down, so " in why
        assert "connection refused" in why
    # It ended with the restart, seconds before: not the target's fault.
    assert "has ended" in why_empty(restarted.client, SEEN_ONCE)
