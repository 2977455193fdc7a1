"""What each function of PromQL gives, in one sentence; and what kind of argument it needs.

They are those of Prometheus 2.42 and 3.x, as its documentation has them
(https://prometheus.io/docs/prometheus/latest/querying/functions/).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# For counters: they take a fall of the value for a reset.
OF_COUNTERS = frozenset({"rate", "irate", "increase", "resets"})
# For gauges: they take a fall of the value for what it is.
OF_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear"})
# They give nothing for a series with fewer than two samples in the window.
OF_TWO_SAMPLES = frozenset({"rate", "irate", "increase", *OF_GAUGES})
# What is between them and a selector counts as the same series: they change values, not meaning.
PASSING = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc", "label_replace"})

# {1+} is the second argument and those after it; {window} is the window of the range
# argument in words; {0}, {1}, … are the arguments as written.
_RATES = {
    "rate": "How fast each counter grew over {window}, per second: its growth, corrected for "
    "resets and extended to the ends of the window where samples come near them, divided by the "
    "whole window.",
    "irate": "How fast each counter grew between its two newest samples in {window}, per second; "
    "the samples before them play no part.",
    "increase": "How much each counter grew over {window}: its rate times the seconds of the "
    "window, so it need not be a whole number. Resets are corrected for.",
    "resets": "How often each counter fell, and so began again, in {window}.",
    "delta": "The difference between the last and the first sample of each gauge over {window}, "
    "extended to the ends of the window where samples come near them.",
    "idelta": "The difference between the two newest samples of each gauge in {window}.",
    "deriv": "The slope of each gauge over {window}, per second: that of the straight line that "
    "fits its samples best.",
    "predict_linear": "What each gauge would be {1} seconds from the moment of the question if it "
    "kept to the straight line that fits {window} best.",
    "changes": "How often the value of each series changed in {window}.",
    "holt_winters": "Each gauge over {window}, smoothed: the newest value after double exponential "
    "smoothing with the smoothing factor {1} and the trend factor {2}.",
    "double_exponential_smoothing": "Each gauge over {window}, smoothed: the newest value after "
    "double exponential smoothing with the smoothing factor {1} and the trend factor {2}.",
}
_OVER_TIME = {
    "avg_over_time": "The mean of each series' samples over {window}.",
    "min_over_time": "The smallest sample of each series in {window}.",
    "max_over_time": "The largest sample of each series in {window}.",
    "sum_over_time": "The sum of each series' samples in {window}.",
    "count_over_time": "How many samples each series has in {window}.",
    "quantile_over_time": "The {0} quantile of each series' own samples in {window}.",
    "stddev_over_time": "The standard deviation of each series' samples in {window}.",
    "stdvar_over_time": "The variance of each series' samples in {window}.",
    "last_over_time": "The newest sample of each series in {window}.",
    "first_over_time": "The oldest sample of each series in {window}.",
    "present_over_time": "1 for each series that has a sample in {window}.",
    "absent_over_time": "1 if no series has a sample in {window}; nothing if one has.",
    "mad_over_time": "The median distance of each series' samples in {window} from their median.",
    "ts_of_min_over_time": "When each series had its smallest sample in {window}, in unix seconds.",
    "ts_of_max_over_time": "When each series had its largest sample in {window}, in unix seconds.",
    "ts_of_first_over_time": "When each series had its oldest sample in {window}, in unix seconds.",
    "ts_of_last_over_time": "When each series had its newest sample in {window}, in unix seconds.",
}
_HISTOGRAMS = {
    "histogram_quantile": "The {0} quantile of each histogram, estimated from its buckets: within "
    "the bucket that it falls into, observations count as evenly spread.",
    "histogram_quantiles": "Several quantiles of each histogram, estimated from its buckets; the "
    "label {1} says which quantile a series is.",
    "histogram_fraction": "The share of each histogram's observations that lies between {0} and "
    "{1}, estimated from its buckets.",
    "histogram_count": "How many observations each native histogram holds.",
    "histogram_sum": "The sum of the observations of each native histogram.",
    "histogram_avg": "The mean of the observations of each native histogram.",
    "histogram_stddev": "The standard deviation of each native histogram's observations, "
    "estimated from its buckets.",
    "histogram_stdvar": "The variance of each native histogram's observations, estimated from its "
    "buckets.",
}
_LABELS = {
    "label_replace": "Each series with the label {1} set to {2}, where its label {3} matches {4} "
    "as a whole; the values stay.",
    "label_join": "Each series with the label {1} set to the values of {3+}, joined by {2}; the "
    "values stay.",
    "info": "Each series with more labels: those of the info metric (target_info unless another "
    "is named) that has the same job and instance.",
    "absent": "1 if there is no series of what is asked for; nothing if there is one.",
    "scalar": "The value of the only series as a number without labels; NaN unless there is "
    "exactly one.",
    "vector": "The number {0} as a series without labels.",
    "sort": "The same series, smallest value first (in tables; a chart has its own order).",
    "sort_desc": "The same series, largest value first (in tables; a chart has its own order).",
    "sort_by_label": "The same series in the order of their values of {1+} (in tables; a chart has "
    "its own order).",
    "sort_by_label_desc": "The same series in the reverse order of their values of {1+} (in "
    "tables; a chart has its own order).",
    "timeseries_gen": "Series made from a template, not from samples.",
}
_VALUES = {
    "abs": "The absolute value of each series: what is negative becomes positive.",
    "ceil": "Each value, rounded up to a whole number.",
    "floor": "Each value, rounded down to a whole number.",
    "round": "Each value, rounded to the nearest multiple of {1}.",
    "clamp": "Each value, kept between {1} and {2}: what is below becomes {1}, what is above {2}.",
    "clamp_min": "Each value, but at least {1}: what is below becomes {1}.",
    "clamp_max": "Each value, but at most {1}: what is above becomes {1}.",
    "sgn": "The sign of each value: 1, 0 or -1.",
    "exp": "e to the power of each value.",
    "ln": "The natural logarithm of each value.",
    "log2": "The logarithm of each value to the base 2.",
    "log10": "The logarithm of each value to the base 10.",
    "sqrt": "The square root of each value; NaN for what is negative.",
    "deg": "Each value, from radians to degrees.",
    "rad": "Each value, from degrees to radians.",
    "pi": "The number pi, 3.14159….",
    "max_of": "The larger of the numbers {0} and {1}.",
    "min_of": "The smaller of the numbers {0} and {1}.",
}
_ANGLES = {
    "sin": "sine",
    "cos": "cosine",
    "tan": "tangent",
    "sinh": "hyperbolic sine",
    "cosh": "hyperbolic cosine",
    "tanh": "hyperbolic tangent",
    "asin": "inverse sine, in radians,",
    "acos": "inverse cosine, in radians,",
    "atan": "inverse tangent, in radians,",
    "asinh": "inverse hyperbolic sine",
    "acosh": "inverse hyperbolic cosine",
    "atanh": "inverse hyperbolic tangent",
}
_CLOCK = {
    "time": "The moment of the question, in unix seconds.",
    "timestamp": "When each sample was taken, in unix seconds.",
    "start": "The first moment of a range query, in unix seconds; that of the question otherwise.",
    "end": "The last moment of a range query, in unix seconds; that of the question otherwise.",
    "range": "The length of a range query, in seconds; 0 otherwise.",
    "step": "The step of a range query, in seconds; 0 otherwise.",
}
_DATES = {
    "minute": "The minute of the hour, 0 to 59",
    "hour": "The hour of the day, 0 to 23",
    "day_of_week": "The day of the week, 0 (Sunday) to 6",
    "day_of_month": "The day of the month, 1 to 31",
    "day_of_year": "The day of the year, 1 to 366",
    "days_in_month": "How many days the month has, 28 to 31",
    "month": "The month, 1 to 12",
    "year": "The year",
}

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        **_RATES,
        **_OVER_TIME,
        **_HISTOGRAMS,
        **_LABELS,
        **_VALUES,
        **_CLOCK,
        **{name: f"The {what} of each value." for name, what in _ANGLES.items()},
        **{
            name: f"{what}, in UTC, of each value, which is taken for unix seconds."
            for name, what in _DATES.items()
        },
    }
)
# Where the last argument is left out, of as many as LONGEST says.
SHORTER: Mapping[str, str] = MappingProxyType(
    {
        "round": "Each value, rounded to the nearest whole number.",
        **{
            name: f"{what}, in UTC, at the moment of the question." for name, what in _DATES.items()
        },
    }
)
LONGEST: Mapping[str, int] = MappingProxyType({"round": 2, **dict.fromkeys(_DATES, 1)})
