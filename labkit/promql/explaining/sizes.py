"""How much each part of an expression is at one moment: series, and samples in windows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from labkit.promql.client import Client
    from labkit.promql.syntax.node import Node

MOST_ASKED = 20  # parts of one expression
_AT_ONCE = 4
_WHAT = "what"  # the label that tells series from samples


@dataclass(frozen=True)
class Size:
    """How much a part of an expression is.

    Attributes:
        series: how many; None where that is not known, or the part is a number or text.
        samples: how many in its window; None where it has none.
        note: why it is not known; empty where it is.
    """

    series: int | None = None
    samples: int | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            return self.note
        if self.series is None:
            return ""
        parts = [_counted(self.series, "series", "series")]
        if self.samples is not None:
            parts.append(_counted(self.samples, "sample", "samples"))
        return ", ".join(parts)


def sizes(client: Client, nodes: Iterable[Node], when: float) -> Mapping[Node, Size]:
    """Ask how much each part of an expression is, four at a time and not more than twenty.

    Args:
        client: where to ask.
        nodes: the parts, the most important ones first.
        when: the moment in unix seconds.
    """
    known: dict[Node, Size] = {}
    asked: list[Node] = []
    for node in dict.fromkeys(nodes):
        if node.kind in {"number", "string"} or node.is_scalar:
            known[node] = Size(note="" if node.kind in {"number", "string"} else "one number")
        elif len(asked) < MOST_ASKED:
            asked.append(node)
        else:
            known[node] = Size(note="not asked")
    if asked:
        with ThreadPoolExecutor(min(_AT_ONCE, len(asked)), "labkit-sizes") as pool:
            answers = pool.map(lambda node: _size(client, node, when), asked)
            known.update(zip(asked, answers, strict=True))
    return known


def _size(client: Client, node: Node, when: float) -> Size:
    windowed = node.bare.kind in {"range", "subquery"}
    try:
        counts = _asked(client, _windowed(node.bare) if windowed else f"count({node.text})", when)
    except QueryError:
        return Size(note="not answered")
    if not windowed:
        return Size(counts.get("", 0))
    return Size(counts.get("series", 0), counts.get("samples", 0))


def _windowed(node: Node) -> str:
    counted = f"count_over_time({node.text})"
    return " or ".join(
        f'label_replace({count}({counted}), "{_WHAT}", "{what}", "", "")'
        for count, what in (("count", "series"), ("sum", "samples"))
    )


def _asked(client: Client, promql: str, when: float) -> dict[str, int]:
    result = client.get("query", query=promql, time=f"{when:.3f}")["result"]
    return {row["metric"].get(_WHAT, ""): round(float(row["value"][1])) for row in result}


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
