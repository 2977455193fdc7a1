"""PromQL's own words: functions, aggregations, operators and modifiers, each with a line of help.

They are those of Prometheus 2.42 to 3.5, as its documentation has them
(https://prometheus.io/docs/prometheus/latest/querying/functions/ and …/operators/).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Version = tuple[int, int]

_BEFORE_ALL: Version = (0, 0)


class Word(NamedTuple):
    """A function or an aggregation.

    Attributes:
        name: as it is written.
        signature: how it is called; v is an instant vector, r a range vector, s a number, and what
            is in square brackets may be left out.
        help: what it gives, in one line.
        since: the first version that has it, where that is after 2.42.
        until: the first version that has it no more.
        experimental: whether servers know it only with promql-experimental-functions enabled.
    """

    name: str
    signature: str
    help: str
    since: Version = _BEFORE_ALL
    until: Version | None = None
    experimental: bool = False

    def known_to(self, version: Version | None) -> bool:
        """Whether a server of a version (None: an unknown one) takes it without being set up."""
        if self.experimental:
            return False
        if version is None:
            return self.until is None and self.since == _BEFORE_ALL
        return version >= self.since and (self.until is None or version < self.until)


def _by_name(*words: Word) -> Mapping[str, Word]:
    return MappingProxyType({word.name: word for word in words})


def _plain(lines: str) -> list[Word]:
    """Return the words of a table: ``signature : help`` in each line."""
    rows = (line.split(" : ", 1) for line in lines.strip().splitlines())
    return [
        Word(signature.split("(")[0].strip(), signature.strip(), text) for signature, text in rows
    ]


FUNCTIONS: Mapping[str, Word] = _by_name(
    *_plain(
        """
rate(r) : per-second rate of a counter over the window, resets allowed for
irate(r) : per-second rate of a counter between the last two samples of the window
increase(r) : how much a counter grew over the window, resets allowed for
delta(r) : how much a gauge changed over the window
idelta(r) : how much a gauge changed between the last two samples
deriv(r) : per-second slope of a gauge, by linear regression
predict_linear(r, s) : where a gauge will be in s seconds, by linear regression
changes(r) : how often the value changed within the window
resets(r) : how often a counter fell within the window
histogram_quantile(s, v) : the s-quantile (0 to 1) of a histogram, estimated from its buckets
histogram_count(v) : how many observations native histograms hold
histogram_sum(v) : the sum of the observations in native histograms
histogram_fraction(s, s, v) : share of observations in native histograms between two values
avg_over_time(r) : average of the samples in the window
min_over_time(r) : lowest sample in the window
max_over_time(r) : highest sample in the window
sum_over_time(r) : sum of the samples in the window
count_over_time(r) : how many samples the window holds
quantile_over_time(s, r) : the s-quantile of the samples in the window
stddev_over_time(r) : standard deviation of the samples in the window
stdvar_over_time(r) : variance of the samples in the window
last_over_time(r) : most recent sample in the window
present_over_time(r) : 1 for each series with a sample in the window
absent(v) : 1 when the vector is empty, else nothing
absent_over_time(r) : 1 when the window holds no sample, else nothing
abs(v) : absolute value
ceil(v) : rounded up to a whole number
floor(v) : rounded down to a whole number
round(v[, s]) : rounded to the nearest multiple of s, 1 by default
clamp(v, s, s) : limited to between two values
clamp_min(v, s) : no lower than s
clamp_max(v, s) : no higher than s
sgn(v) : 1, 0 or -1, by the sign
sqrt(v) : square root
exp(v) : e to the power of each value
ln(v) : natural logarithm
log2(v) : logarithm to the base 2
log10(v) : logarithm to the base 10
sort(v) : the series by value, lowest first (tables only)
sort_desc(v) : the series by value, highest first (tables only)
label_replace(v, "new", "text", "from", "regex") : sets a label from what a regex finds in another
label_join(v, "new", "separator", "from", …) : sets a label to others joined together
scalar(v) : the value of a vector's only series as a number, else NaN
vector(s) : a number as a series without labels
time() : the evaluation time in unix seconds
timestamp(v) : the time of each sample in unix seconds
year([v]) : year, in UTC
month([v]) : month from 1 to 12, in UTC
day_of_month([v]) : day of the month, in UTC
day_of_week([v]) : day of the week from 0 (Sunday), in UTC
day_of_year([v]) : day of the year, in UTC
days_in_month([v]) : how many days the month has, in UTC
hour([v]) : hour from 0 to 23, in UTC
minute([v]) : minute from 0 to 59, in UTC
pi() : the number pi
deg(v) : radians to degrees
rad(v) : degrees to radians
sin(v) : sine, of radians
cos(v) : cosine, of radians
tan(v) : tangent, of radians
asin(v) : arcsine, in radians
acos(v) : arccosine, in radians
atan(v) : arctangent, in radians
sinh(v) : hyperbolic sine
cosh(v) : hyperbolic cosine
tanh(v) : hyperbolic tangent
asinh(v) : inverse hyperbolic sine
acosh(v) : inverse hyperbolic cosine
atanh(v) : inverse hyperbolic tangent
"""
    ),
    Word("histogram_avg", "histogram_avg(v)", "average observation in native histograms", (2, 51)),
    Word(
        "histogram_stddev",
        "histogram_stddev(v)",
        "estimated standard deviation of the observations in native histograms",
        (2, 47),
    ),
    Word(
        "histogram_stdvar",
        "histogram_stdvar(v)",
        "estimated variance of the observations in native histograms",
        (2, 47),
    ),
    Word(
        "holt_winters",
        "holt_winters(r, s, s)",
        "a gauge smoothed by its level and trend",
        until=(3, 0),
    ),
    Word(
        "double_exponential_smoothing",
        "double_exponential_smoothing(r, s, s)",
        "a gauge smoothed by its level and trend; holt_winters before 3.0",
        (3, 0),
        experimental=True,
    ),
    Word(
        "sort_by_label",
        'sort_by_label(v, "label", …)',
        "the series by the values of labels (tables only)",
        (2, 49),
        experimental=True,
    ),
    Word(
        "sort_by_label_desc",
        'sort_by_label_desc(v, "label", …)',
        "the series by the values of labels, last first (tables only)",
        (2, 49),
        experimental=True,
    ),
    Word(
        "mad_over_time",
        "mad_over_time(r)",
        "median absolute deviation of the samples in the window",
        (2, 53),
        experimental=True,
    ),
    Word(
        "info",
        "info(v[, {matchers}])",
        "the vector with the labels of info metrics added",
        (3, 0),
        experimental=True,
    ),
    *(
        Word(
            f"ts_of_{which}_over_time",
            f"ts_of_{which}_over_time(r)",
            f"when the window's {which} sample was, in unix seconds",
            (3, 5),
            experimental=True,
        )
        for which in ("min", "max", "last")
    ),
)

AGGREGATIONS: Mapping[str, Word] = _by_name(
    *_plain(
        """
sum(v) : sum of the series in each group
avg(v) : average of the series in each group
min(v) : lowest series in each group
max(v) : highest series in each group
count(v) : how many series each group has
topk(s, v) : the s highest series of each group, labels and all
bottomk(s, v) : the s lowest series of each group, labels and all
quantile(s, v) : the s-quantile (0 to 1) across the series of each group
count_values("label", v) : how many series have each value; the value becomes a label
stddev(v) : standard deviation across the series of each group
stdvar(v) : variance across the series of each group
group(v) : 1 for each group that there is
"""
    ),
    Word(
        "limitk",
        "limitk(s, v)",
        "s series of each group, whichever",
        (2, 53),
        experimental=True,
    ),
    Word(
        "limit_ratio",
        "limit_ratio(s, v)",
        "a share s of the series of each group",
        (2, 53),
        experimental=True,
    ),
)

GROUPING: Mapping[str, str] = MappingProxyType(
    {
        "by": "keep these labels, and put series that agree in them together",
        "without": "drop these labels, and put series that agree in the rest together",
    }
)
MATCHING: Mapping[str, str] = MappingProxyType(
    {
        "on": "pair the two sides by these labels alone",
        "ignoring": "pair the two sides by all labels but these",
        "group_left": "several series on the left may pair with one on the right",
        "group_right": "one series on the left may pair with several on the right",
    }
)
SET_OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        "and": "the left side's series that the right side has too",
        "or": "the left side's series, and those that only the right side has",
        "unless": "the left side's series that the right side does not have",
    }
)
MODIFIERS: Mapping[str, str] = MappingProxyType(
    {
        "offset": "look this far back",
        "bool": "0 or 1 for each series, rather than only those that meet the comparison",
    }
)
OPERATORS: Mapping[str, str] = MappingProxyType(
    {**SET_OPERATORS, "atan2": "the angle of the two sides, in radians"}
)
KEYWORDS: Mapping[str, str] = MappingProxyType({**GROUPING, **MATCHING, **OPERATORS, **MODIFIERS})

# What a window is usually one of; Grafana's variables, which the lab fills in, come first.
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "$__rate_interval": "a window that always holds enough scrapes for rate()",
        "$__interval": "the step of the chart",
        "$__range": "the whole range of the chart",
    }
)
DURATIONS = ("30s", "1m", "5m", "15m", "30m", "1h", "6h", "1d", "7d")
DURATION_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "s": "seconds",
        "m": "minutes",
        "h": "hours",
        "d": "days",
        "w": "weeks",
        "ms": "milliseconds",
        "y": "years",
    }
)
