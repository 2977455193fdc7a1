"""What differs between the lines of Prometheus, 2.x and 3.x: the one place that knows.

The rest of the lab asks this module instead of comparing versions. Beyond the fields of `Line`:

- 3.x refuses a target whose ``/metrics`` has no valid content type; 2.x guesses. The lab's app
  always sends one, so neither ``fallback_scrape_protocol`` (which 2.x does not know) nor any
  other setting is needed.
- 3.x writes bucket boundaries as floats, ``le="1.0"``, whatever the target exposes; 2.x keeps the
  target's spelling. prometheus_client writes ``1.0`` too, so queries agree on both lines.
- ``.`` in a label matcher's regular expression matches a newline in 3.x only.
- The log is ``ts=… level=info`` in 2.x and ``time=… level=INFO`` in 3.x; ``msg=`` is in both.
- The page in the browser is ``/graph`` in 2.x and ``/query`` in 3.x. Debian's 3.x is built without
  one, and Debian's 2.x has one only where its package is installed, not where the lab unpacked it
  (it reads ``/usr/share/prometheus``): ask `PrometheusServer.has_web_page`.
- ``promtool test rules`` evaluates as its server does: a window holds its left end in 2.x only, so
  that expectations are read where a counter has risen evenly for the whole window. 2.x prints the
  name of each test file, 3.x only the result; the words for a bad duration or number differ.
- ``/api/v1/rules`` has the fields that the lab reads on both.
- ``promtool`` is in Debian's ``prometheus`` package up to 2.42 and a package of its own later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The first with `@` and negative offsets out of the box.
OLDEST = (2, 33)


@dataclass(frozen=True)
class Line:
    """What a caller may have to know about a version.

    Attributes:
        major: 2 or 3.
        left_open_ranges: whether ``x[60s]`` leaves out the sample exactly 60 s ago (3.x). With
            samples on whole seconds it holds 60 of them then, and 61 otherwise.
        smoothing: the function for double exponential smoothing, as this line names it.
        smoothing_is_experimental: whether that function is off unless it is enabled.
        graph_path: where the page that draws a query is, where there is one.
    """

    major: int
    left_open_ranges: bool
    smoothing: str
    smoothing_is_experimental: bool
    graph_path: str


_TWO = Line(2, False, "holt_winters", False, "/graph")
_THREE = Line(3, True, "double_exponential_smoothing", True, "/query")


def parse(version: str) -> tuple[int, int, int]:
    """Return the numbers of a version such as ``2.42.0+ds`` or ``3.0.0-rc.1``.

    Raises:
        ValueError: when it does not begin with three numbers.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(f"not a version of Prometheus: {version!r}")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def line(version: str) -> Line:
    """Return the line that a version belongs to."""
    return _THREE if parse(version)[0] >= _THREE.major else _TWO
