"""The unit of an expression: from its tree, and the names and types of its metrics.

Names are those of Prometheus's own convention (https://prometheus.io/docs/practices/naming/): a
unit in the plural at the end, ``_total`` behind it for counters.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from labkit.promql.syntax.node import COMPARISONS, SET_OPERATORS, Node

if TYPE_CHECKING:
    from collections.abc import Mapping


class Unit(NamedTuple):
    """What is measured, and per which time.

    Attributes:
        what: ``s``, ``bytes``, ``ratio``, ``%``, or what is counted, such as ``requests``; empty
            where it is not known.
        per: ``s``, ``min`` or ``h``; empty where it is no rate.
        number: whether it is a plain number, which takes on the unit of what it is added to.
    """

    what: str = ""
    per: str = ""
    number: bool = False

    def __str__(self) -> str:
        if not self.per:
            return self.what
        return f"{self.what}/{self.per}" if self.what else f"per {_SPELT[self.per]}"


_SPELT = {"s": "second", "min": "minute", "h": "hour"}
_UNKNOWN, _NUMBER, _SECONDS, _RATIO = Unit(), Unit(number=True), Unit("s"), Unit("ratio")
_FLAG = Unit("1 = true")
_NAMED = MappingProxyType(  # the last word of a name to its unit
    {
        "seconds": "s",
        "bytes": "bytes",
        "ratio": "ratio",
        "percent": "%",
        "celsius": "°C",
        "meters": "m",
        "volts": "V",
        "amperes": "A",
        "joules": "J",
        "grams": "g",
        "hertz": "Hz",
    }
)
_MEASURED = frozenset(_NAMED.values())  # the rest is counted
_NO_NOUNS = frozenset({"status", "process", "address", "class", "success", "access", "progress"})
_PARTS = ("_bucket", "_count", "_sum")
_LONGEST_TAIL = 2  # words behind the noun of a gauge: requests_in_progress

_LARGER = ((1024.0, ("bytes", "KiB", "MiB", "GiB")), (1000.0, ("bytes", "kB", "MB", "GB")))


def _sizes() -> dict[tuple[Unit, float], Unit]:
    """Return what bytes become, divided by 1024 or 1000 once or several times."""
    found = {}
    for size, names in _LARGER:
        for place, small in enumerate(names):
            for power, large in enumerate(names[place + 1 :], 1):
                for per in ("", "s"):
                    found[Unit(small, per), size**-power] = Unit(large, per)
    return found


# What becomes of a unit, multiplied by a number.
_TIMES: Mapping[tuple[Unit, float], Unit] = MappingProxyType(
    {
        (_SECONDS, 1000.0): Unit("ms"),
        (_SECONDS, 1e6): Unit("µs"),
        (Unit("ms"), 1 / 1000): _SECONDS,
        (_SECONDS, 1 / 60): Unit("minutes"),
        (_SECONDS, 1 / 3600): Unit("hours"),
        (_SECONDS, 1 / 86400): Unit("days"),
        (Unit("minutes"), 1 / 60): Unit("hours"),
        (Unit("hours"), 1 / 24): Unit("days"),
        (_RATIO, 100.0): Unit("%"),
        (Unit("%"), 0.01): _RATIO,
        **_sizes(),
    }
)
_PER_LONGER = {60.0: "min", 3600.0: "h"}
# Factors that change a unit in a way that is not known here; others keep it.
_CONVERTING = frozenset(
    factor
    for size in (24.0, 60.0, 100.0, 1000.0, 1024.0, 3600.0, 86400.0, 1e6, 1e9)
    for factor in (size, 1 / size)
)


def unit_of(
    node: Node,
    types: Mapping[str, str] = MappingProxyType({}),
    known: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the unit of an expression, such as ``requests/s``; empty where it can't be told.

    Args:
        node: the expression; see :func:`labkit.promql.syntax.tree.parse`.
        types: the type of a metric, such as ``counter``, by its name, where it is known.
        known: the unit of a metric by its name, where its name does not tell it.
    """
    return str(_Reader(types, known).unit(node))


class _Reader:
    def __init__(self, types: Mapping[str, str], known: Mapping[str, str]) -> None:
        self._types, self._known = types, known

    def unit(self, node: Node) -> Unit:
        if node.kind in {"selector", "range"}:
            return self._metric(node.name)
        if node.kind in {"paren", "unary", "subquery"}:
            return self.unit(node.operand)
        if node.kind in {"number", "string"}:
            return _NUMBER
        return {"call": self._call, "aggregate": self._aggregate, "binary": self._binary}[
            node.kind
        ](node)

    # --- Metrics ------------------------------------------------------------------------

    def _metric(self, name: str) -> Unit:
        if name in self._known:
            return Unit(self._known[name])
        if name in {"up", "ALERTS"}:
            return _FLAG
        if ":" in name:
            return _recorded(name)
        part = next((part for part in _PARTS if name.endswith(part)), "")
        if part and self._types.get(name) not in {"gauge", "counter"}:
            family = name.removesuffix(part)
            return _named(family) if part == "_sum" else Unit(_observed(family))
        return _named(name.removesuffix("_total"))

    def _observations(self, node: Node) -> Unit:
        """Return the unit of what a histogram's buckets hold."""
        names = [part.name for part in node.walk() if part.kind in {"selector", "range"}]
        return _named(names[0].removesuffix("_bucket")) if names else _UNKNOWN

    # --- Functions ----------------------------------------------------------------------

    def _call(self, node: Node) -> Unit:
        if node.name in _FIXED:
            return _FIXED[node.name]
        if node.name in {"histogram_quantile", "histogram_quantiles", "histogram_avg"}:
            return self._observations(node)
        vectors = [child for child in node.children if child.kind not in {"number", "string"}]
        if not vectors:
            return _NUMBER if node.name == "vector" else _UNKNOWN
        inside = self.unit(vectors[-1] if node.name == "quantile_over_time" else vectors[0])
        if node.name in {"rate", "irate", "deriv"}:
            return _ratio_of_time(inside)
        return inside if node.name in _KEEPING or node.name.endswith("_over_time") else _UNKNOWN

    def _aggregate(self, node: Node) -> Unit:
        if node.name in {"count", "count_values"}:
            return Unit("series")
        if node.name in {"group", "stdvar"}:
            return _UNKNOWN
        return self.unit(node.operand)

    # --- Operators ----------------------------------------------------------------------

    def _binary(self, node: Node) -> Unit:
        left, right = (self.unit(child) for child in node.children)
        if node.name in COMPARISONS:
            if node.bool_modifier:
                return _FLAG
            return right if node.children[0].is_scalar else left
        if node.name in SET_OPERATORS:
            return _either(left, right) if node.name == "or" else left
        if node.name in {"+", "-", "%"}:
            return _either(left, right)
        if node.name not in {"*", "/"}:
            return _UNKNOWN
        return self._product(node, left, right)

    def _product(self, node: Node, left: Unit, right: Unit) -> Unit:
        first, second = (_constant(child) for child in node.children)
        if first is not None and second is not None:
            return _NUMBER
        if second is not None:
            return _scaled(left, second if node.name == "*" else _inverse(second))
        if first is not None:
            return _scaled(right, first) if node.name == "*" else _UNKNOWN
        if node.name == "*":
            return _times(left, right)
        factor, core = _without_factor(node.children[0])  # 100 * a / b is 100 times a / b
        return _scaled(_divided(self.unit(core), right), factor)


def _without_factor(node: Node) -> tuple[float, Node]:
    """Return the number that something is multiplied by, and what that is."""
    bare = node.bare
    if bare.kind == "binary" and bare.name == "*":
        for one, other in (bare.children, bare.children[::-1]):
            if (factor := _constant(one)) is not None:
                return factor, other
    return 1.0, node


def _named(name: str) -> Unit:
    """Return the unit that stands in a name, or what it counts."""
    words = name.split("_")
    if words[-1] in _NAMED:
        return Unit(_NAMED[words[-1]])
    return Unit(next((w for w in reversed(words[-_LONGEST_TAIL - 1 :]) if _is_noun(w)), ""))


def _is_noun(word: str) -> bool:
    return len(word) > 3 and word.endswith("s") and word not in {*_NO_NOUNS, *_NAMED}  # noqa: PLR2004 - shorter ones are no nouns


def _observed(family: str) -> str:
    """Return what a histogram counts: ``requests`` of ``flask_request_duration_seconds``."""
    words = family.split("_")
    measures = {"duration", "latency", "size", "time"}
    place = next((i for i, word in enumerate(words) if word in measures), 0)
    return f"{words[place - 1].removesuffix('s')}s" if place else "observations"


def _recorded(name: str) -> Unit:
    """Return the unit of a recorded metric, level:metric:operations."""
    metric, operation = name.split(":")[-2:]
    if operation.startswith("ratio"):
        return _RATIO
    counted = _named(metric.removesuffix("_total"))
    return _ratio_of_time(counted) if "rate" in operation else counted


def _ratio_of_time(unit: Unit) -> Unit:
    if unit.per:
        return _UNKNOWN
    # Seconds a second are a share of the time: how busy something is.
    return _RATIO if unit == _SECONDS else Unit(unit.what, "s")


def _either(left: Unit, right: Unit) -> Unit:
    if left.number or right.number:
        return right if left.number else left
    return left if left == right else _UNKNOWN


def _times(left: Unit, right: Unit) -> Unit:
    for one, other in ((left, right), (right, left)):
        if one.number or one == _RATIO:  # a share of something is of its kind
            return other
        if one.per == "s" and other == _SECONDS:
            return Unit(one.what)
    return _UNKNOWN


def _divided(left: Unit, right: Unit) -> Unit:
    if right.number:
        return left
    if left == right:
        return _RATIO if left.what or left.per else _UNKNOWN
    if not left.what or not right.what:
        return _UNKNOWN
    if right == _SECONDS:
        return _UNKNOWN if left.per else Unit(left.what, "s")
    return _each(left, right) if right.what not in _MEASURED else _UNKNOWN


def _each(left: Unit, right: Unit) -> Unit:
    """Return the unit of so much for each of what is counted."""
    if left == _RATIO:  # seconds a second, divided by requests a second: the mean of a request
        return _SECONDS if right.per == "s" else _UNKNOWN
    if left.per != right.per:
        return _UNKNOWN
    return Unit(left.what) if left.what in _MEASURED else _RATIO


def _scaled(unit: Unit, factor: float) -> Unit:
    for (before, by), after in _TIMES.items():
        if before == unit and abs(by - factor) <= 1e-9 * by:
            return after
    if unit.per == "s" and factor in _PER_LONGER:
        return Unit(unit.what, _PER_LONGER[factor])
    near = any(abs(factor - size) <= 1e-9 * size for size in _CONVERTING)
    return _UNKNOWN if near and not unit.number else unit


def _constant(node: Node) -> float | None:
    """Return the value of a number, or of arithmetic with numbers."""
    node = node.bare
    if node.kind == "number":
        return node.number
    if node.kind == "unary":
        inside = _constant(node.operand)
        return None if inside is None else -inside
    if node.kind != "binary" or node.name not in {"*", "/"}:
        return None
    left, right = (_constant(child) for child in node.children)
    if left is None or right is None:
        return None
    return left * (right if node.name == "*" else _inverse(right))


def _inverse(number: float) -> float:
    return 1 / number if number else 0.0


_KEEPING = frozenset(
    {
        *("increase", "delta", "idelta", "predict_linear"),
        *("holt_winters", "double_exponential_smoothing"),
        *("abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max"),
        *("label_replace", "label_join", "info", "scalar", "vector", "histogram_sum"),
        *("sort", "sort_desc", "sort_by_label", "sort_by_label_desc"),
    }
)
_FIXED: Mapping[str, Unit] = MappingProxyType(
    {
        "time": _SECONDS,
        "timestamp": _SECONDS,
        "count_over_time": Unit("samples"),
        "changes": Unit("changes"),
        "resets": Unit("resets"),
        "histogram_count": Unit("observations"),
        "histogram_fraction": _RATIO,
        "absent": _FLAG,
        "absent_over_time": _FLAG,
        "present_over_time": _FLAG,
        "stdvar_over_time": _UNKNOWN,
        **{f"ts_of_{which}_over_time": _SECONDS for which in ("min", "max", "first", "last")},
        "minute": Unit("minutes"),
        "hour": Unit("hours"),
        "days_in_month": Unit("days"),
    }
)
