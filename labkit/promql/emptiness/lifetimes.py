"""Why a series that is known has no sample at a moment: its birth, its end, its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.promql.emptiness.absence import conditions, plain, subject, target_name
from labkit.promql.emptiness.moments import clock_time, lasting
from labkit.promql.emptiness.nearest import clipped
from labkit.promql.emptiness.probe import LOOKBACK_SECONDS
from labkit.promql.syntax.node import NAME, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from labkit.promql.emptiness.probe import Probe
    from labkit.promql.syntax.node import Node


def why_no_sample(probe: Probe, node: Node) -> str:
    """Say why a selector whose series exist finds no sample of theirs.

    Args:
        probe: where to ask, for the time that the selector looks at.
        node: a selector or range.

    Raises:
        QueryError: as any query.
    """
    what, selector = subject(node), plain(node).text
    if reason := why_not_yet(probe, node):
        return reason
    last = probe.last_sample(selector)
    after = probe.next_sample(selector)
    if last is None:
        return _unborn(probe, node, what, after)
    if after is not None:
        return _between(probe, node, last, after)
    return _ended(probe, node, what, last)


def why_not_yet(probe: Probe, node: Node) -> str:
    """Say that the time a selector looks at is yet to come; empty where it is not that.

    Args:
        probe: where to ask, for the time that the selector looks at.
        node: a selector or range.

    Raises:
        QueryError: as any query.
    """
    ahead = probe.start - probe.now
    if ahead <= 0:
        return ""
    # What is not there now either has ended, or was never there.
    current = probe.during(probe.now, probe.now).series(f"count({plain(node).text})")
    asked = f"{clock_time(probe.start, probe.now)}{_moved(node)}"
    return f"{asked} lies {lasting(ahead)} ahead: there are no samples yet." if current else ""


def _unborn(probe: Probe, node: Node, what: str, after: float | None) -> str:
    asked = f"{clock_time(probe.end, probe.now)}{_moved(node)}"
    if after is None:
        return f"{what} has series in storage, but no sample of them within reach of {asked}."
    return (
        f"{what} was not there yet at {asked}: its first sample came at "
        f"{clock_time(after, probe.now)}, {lasting(after - probe.end)} later."
    )


def _between(probe: Probe, node: Node, last: float, after: float) -> str:
    asked = f"at {clock_time(probe.end, probe.now)}"
    if not probe.instant:
        asked = f"from {clock_time(probe.start, probe.now)} to {clock_time(probe.end, probe.now)}"
    return (
        f"{subject(node)} has a gap {asked}{_moved(node)}: a sample came at "
        f"{clock_time(last, probe.now)}, the next one at {clock_time(after, probe.now)}."
    )


def _ended(probe: Probe, node: Node, what: str, last: float) -> str:
    since = clock_time(last, probe.now)
    targets = _own_targets(probe, node)
    if targets and targets[0]["health"] == "down" and _fell_with(probe, targets[0], last):
        return (
            f"The target {target_name(targets[0])} is down, so {what} has had no sample since "
            f"{since}. Its last scrape failed: {clipped(targets[0]['lastError'], 300)}"
        )
    if not probe.instant:
        return f"{what} had ended before this window: its last sample came at {since}."
    ago = lasting(probe.end - last)
    sentence = (
        f"{what} has ended: its last sample came at {since}, {ago} before the moment asked for"
        f"{_moved(node)}."
    )
    if targets and targets[0]["health"] == "up":
        return (
            f"{sentence} Its target is up, but does not expose it any more: after a restart, a "
            "series comes back with its first event."
        )
    if node.kind == "range":
        return f"{sentence} A window longer than that still reaches it."
    if probe.end - last > LOOKBACK_SECONDS:
        return f"{sentence} A selector looks back 5 min at most; last_over_time({what}[…]) further."
    return sentence


def _own_targets(probe: Probe, node: Node) -> list[Mapping[str, Any]]:
    """Return the targets that the series of a selector come from, those that are down first."""
    targets = probe.targets()
    if not targets:
        return []
    known = {label: probe.label_values(label, conditions(node)) for label in ("instance", "job")}
    own = [t for t in targets if all(t["labels"].get(name) in known[name] for name in known)]
    return sorted(own, key=lambda target: target["health"] != "down")


def _fell_with(probe: Probe, target: Mapping[str, Any], last: float) -> bool:
    """Whether a series had its last sample in the last scrape that succeeded."""
    from labkit.promql.frames import series_text

    labels = {name: target["labels"].get(name, "") for name in ("instance", "job")}
    up = probe.last_one(series_text({**labels, NAME: "up"}))
    return up is None or up - last < probe.client.scrape_interval


def _moved(node: Node) -> str:
    """Say that it is not the moment asked for, where an offset or @ moves it."""
    moved = [f"@ {node.at}"] if node.at else []
    if node.offset_seconds:
        moved.append(f"offset {seconds(node.offset_seconds)}")
    return f" (where {' '.join(moved)} looks)" if moved else ""
