"""Why an operator between two sides that are there gives nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.emptiness.nearest import clipped, listed, values_listed
from labkit.promql.emptiness.probe import AskedEnough
from labkit.promql.syntax.node import NAME, SET_OPERATORS, Matching, Node, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labkit.promql.emptiness.probe import Found, Probe

Key = frozenset[tuple[str, str]]
_MOST_ALONE = 3


def why_no_pair(probe: Probe, node: Node) -> str:
    """Say why no series of the left side meets one of the right; empty if some do.

    Args:
        probe: where to ask.
        node: an operator between two vectors, neither of which is empty.

    Raises:
        QueryError: as any query.
    """
    left, right = (probe.series(child.text) for child in node.children)
    keys = [{_key(found.labels, node.matching) for found in side} for side in (left, right)]
    if node.name == "unless":
        return _all_excluded(left, node)
    if keys[0] & keys[1]:
        return ""
    sides = _Sides(left, right)
    sentences = [_what_differs(node, sides)]
    if better := _tested(probe, node, sides):
        sentences.append(f"Write {better}.")
    return " ".join(sentences)


def left_alone(node: Node, left: Sequence[Found], right: Sequence[Found]) -> str:
    """Say which series of a side are left out for want of a partner; empty if all or none are.

    It is the side whose series the answer has: the left one, unless ``group_right`` is written.

    Args:
        node: an operator between two vectors, no set operator.
        left: its left side.
        right: its right side.
    """
    turned = node.matching is not None and node.matching.card == "group_right"
    many, others = (right, left) if turned else (left, right)
    side, other = ("right", "left") if turned else ("left", "right")
    there = {_key(found.labels, node.matching) for found in others}
    alone = [found for found in many if _key(found.labels, node.matching) not in there]
    if not alone or len(alone) == len(many):
        return ""
    compared = {name for found in many for name, _ in _key(found.labels, node.matching)}
    names = [name for name in sorted(compared) if len(_values(map(_labels, many), name)) > 1]
    texts = dict.fromkeys(_written(found.labels, names) for found in alone)
    have = "has" if len(alone) == 1 else "have"
    return (
        f"{len(alone)} of the {len(many)} series on the {side} of {node.name} {have} no partner "
        f"on the {other}, and {'is' if len(alone) == 1 else 'are'} left out: "
        f"{listed(texts, most=_MOST_ALONE, longest=100)}."
    )


def _labels(found: Found) -> Mapping[str, str]:
    return found.labels


def _written(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return f"{{{', '.join(f'{name}={quoted(labels[name])}' for name in names if name in labels)}}}"


def meet(node: Node, left: Sequence[Found], right: Sequence[Found]) -> bool:
    """Whether a series of the left side meets one of the right."""
    here, there = ({_key(found.labels, node.matching) for found in side} for side in (left, right))
    return bool(here & there)


def paired(node: Node, left: Sequence[Found], right: Sequence[Found]) -> list[tuple[Found, Found]]:
    """Return the series of both sides that an operator puts together."""
    partners: dict[Key, list[Found]] = {}
    for found in right:
        partners.setdefault(_key(found.labels, node.matching), []).append(found)
    return [
        (found, other)
        for found in left
        for other in partners.get(_key(found.labels, node.matching), ())
    ]


class _Sides:
    """The labels of both sides of an operator."""

    def __init__(self, left: Sequence[Found], right: Sequence[Found]) -> None:
        self.left = [_unnamed(found.labels) for found in left]
        self.right = [_unnamed(found.labels) for found in right]
        self.only_left = sorted(_names(self.left) - _names(self.right))
        self.only_right = sorted(_names(self.right) - _names(self.left))
        self.common = sorted(_names(self.left) & _names(self.right))
        self.apart = [
            name for name in self.common if not _values(self.left, name) & _values(self.right, name)
        ]


def _what_differs(node: Node, sides: _Sides) -> str:
    rule = f"{node.name} puts together only series whose labels are all equal"
    names: Sequence[str] = sorted({*sides.common, *sides.only_left, *sides.only_right})
    if node.matching is not None and node.matching.kind == "on":
        names = node.matching.labels
        rule = f"{node.name} on ({', '.join(names)}) puts together only series that agree in them"
    elif node.matching is not None and node.matching.labels:
        names = [name for name in names if name not in node.matching.labels]
        rule = f"{node.name} puts together only series whose other labels are all equal"
    differences = list(_differences(sides, names))
    if not differences:
        return f"{rule}, and no two of the sides do: {_example(sides, names)}."
    return f"{rule}, and here {listed(differences, most=4, longest=200)}."


def _differences(sides: _Sides, names: Iterable[str]) -> Iterable[str]:
    wanted = set(names)
    for only, here in ((sides.only_left, "left"), (sides.only_right, "right")):
        if found := [name for name in only if name in wanted]:
            yield f"only the {here} side has {listed(found)}"
    for name in sides.apart:
        if name in wanted:
            values = (_shown(side, name) for side in (sides.left, sides.right))
            yield "{} is {} on the left and {} on the right".format(name, *values)


def _example(sides: _Sides, names: Iterable[str]) -> str:
    kept = sorted(set(names) & set(sides.common))
    texts = (
        listed(f'{name}="{side[0].get(name, "")}"' for name in kept)
        for side in (sides.left, sides.right)
    )
    return "the first one on the left has {}, on the right {}".format(*texts)


def _tested(probe: Probe, node: Node, sides: _Sides) -> str:
    """Return a way to write the operator that gives something, as the server sees it."""
    for candidate in _candidates(node, sides):
        try:
            if not probe.empty(candidate):
                return clipped(candidate.text, 300)
        except AskedEnough:
            raise
        except LabError:  # the server refuses it: several partners for one series
            continue
    return ""


def _candidates(node: Node, sides: _Sides) -> Iterable[Node]:
    yield from _same_grouping(node)
    shared = [name for name in sides.common if name not in sides.apart]
    different = [*sides.only_left, *sides.only_right, *sides.apart]
    many = [_repeated(side, shared) for side in (sides.left, sides.right)]
    if node.name in SET_OPERATORS:
        if shared:  # on () would ask whether the right side has any series at all
            yield _with(node, Matching("on", tuple(shared), "many-to-many"))
    elif not all(many):
        card = "group_left" if many[0] else "group_right" if many[1] else "one-to-one"
        if card == "one-to-one" and different and len(different) < len(shared):
            yield _with(node, Matching("ignoring", tuple(different)))
        yield _with(node, Matching("on", tuple(shared), card))
    else:
        children = tuple(
            Node("aggregate", (child,), name="sum", grouping="by", labels=tuple(shared))
            for child in node.children
        )
        yield replace(node, children=children, matching=None)


def _same_grouping(node: Node) -> Iterable[Node]:
    """Yield an operator between two aggregations with the labels of one of them on both sides."""
    left, right = (child.bare for child in node.children)
    if left.grouping == right.grouping == "by" and left.labels and right.labels:
        yield replace(node, children=(left, replace(right, labels=left.labels)))


def _with(node: Node, matching: Matching) -> Node:
    return replace(node, matching=matching)


def _all_excluded(left: Sequence[Found], node: Node) -> str:
    many = f"all {len(left)} series" if len(left) > 1 else "the only series"
    return (
        f"unless leaves out what the right side has, too, and {many} of "
        f"{clipped(node.children[0].text)} {'have' if len(left) > 1 else 'has'} a partner there."
    )


def _key(labels: Mapping[str, str], matching: Matching | None) -> Key:
    """Return what of a series' labels an operator compares."""
    kept: Callable[[str], bool]
    if matching is not None and matching.kind == "on":
        kept = set(matching.labels).__contains__
    else:
        left_out = {NAME, *(matching.labels if matching is not None else ())}
        kept = lambda name: name not in left_out  # noqa: E731 - the counterpart of the line above
    return frozenset((name, value) for name, value in labels.items() if kept(name))


def _repeated(side: Sequence[Mapping[str, str]], names: Sequence[str]) -> bool:
    counts = Counter(tuple(labels.get(name, "") for name in names) for labels in side)
    return max(counts.values(), default=0) > 1


def _unnamed(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != NAME}


def _names(side: Iterable[Mapping[str, str]]) -> set[str]:
    return {name for labels in side for name in labels}


def _values(side: Iterable[Mapping[str, str]], name: str) -> set[str]:
    return {labels.get(name, "") for labels in side}


def _shown(side: Iterable[Mapping[str, str]], name: str) -> str:
    return values_listed(sorted(_values(side, name)), "or")
