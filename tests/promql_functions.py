"""The functions of PromQL, as the documentation of each version lists them.

https://prometheus.io/docs/prometheus/2.42/querying/functions/ and …/latest/querying/functions/.
"""

from __future__ import annotations

_OF_2_42 = """
    abs absent absent_over_time ceil changes clamp clamp_max clamp_min day_of_month day_of_week
    day_of_year days_in_month delta deriv exp floor histogram_count histogram_sum
    histogram_fraction histogram_quantile holt_winters hour idelta increase irate label_join
    label_replace ln log2 log10 minute month predict_linear rate resets round scalar sgn sort
    sort_desc sqrt time timestamp vector year avg_over_time min_over_time max_over_time
    sum_over_time count_over_time quantile_over_time stddev_over_time stdvar_over_time
    last_over_time present_over_time acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh
    deg pi rad
"""
_SINCE_THEN = """
    double_exponential_smoothing end first_over_time histogram_avg histogram_quantiles
    histogram_stddev histogram_stdvar info mad_over_time max_of min_of range sort_by_label
    sort_by_label_desc start step timeseries_gen ts_of_first_over_time ts_of_last_over_time
    ts_of_max_over_time ts_of_min_over_time
"""
OF_2_42 = _OF_2_42.split()
SINCE_THEN = _SINCE_THEN.split()
