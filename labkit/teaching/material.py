"""The histories that exercises are about: by name, each with a hidden twin of another seed.

Small on purpose: both twins of one are built within seconds, at the first check of a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.teaching import scenes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from labkit.history.past import Past


@dataclass(frozen=True)
class Material:
    """A history that exercises share.

    Attributes:
        name: how exercises name it.
        words: what it is, for people.
        make: gives it, or its hidden twin; the moments of exercises hold for both.
        instances: how many instances of the app there are.
    """

    name: str
    words: str
    make: Callable[[bool], Past]
    instances: int


def material(name: str) -> Material:
    """Return a history's description.

    Raises:
        LabError: there is none of that name.
    """
    if name not in _MATERIALS:
        raise LabError(
            f"There is no material {name!r}.", next_step=f"take one of {', '.join(_MATERIALS)}."
        )
    return _MATERIALS[name]


@cache
def past(name: str, *, hidden: bool = False) -> Past:
    """Return a history by its name, or its hidden twin.

    Raises:
        LabError: there is none of that name.
    """
    return material(name).make(hidden)


_MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        each.name: each
        for each in (
            Material(
                "days",
                "two days of three instances, a scrape a minute, with restarts, 4xx and 5xx, "
                "a slow dependency and a sick instance",
                scenes.days,
                3,
            ),
            Material(
                "incident",
                "two days of three instances, a scrape a minute, calm until an incident at the end",
                scenes.incident,
                3,
            ),
            Material(
                "month",
                "a month of one instance, a scrape every two minutes, without the histogram",
                scenes.month,
                1,
            ),
            Material(
                "live", "four hours of one instance, a scrape every ten seconds", scenes.live, 1
            ),
            Material(
                "own",
                "two hours of a small app of someone's own, two instances, a scrape every 15 s",
                scenes.own,
                2,
            ),
        )
    }
)
