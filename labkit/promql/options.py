"""The options in front of a query: ``%promql --range 5m --plot stacked QUERY``."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.syntax.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

PLOTS = ("bar", "line", "stacked", "table")
# Each option, with what it takes and what it does; --time is another name for --at.
OPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "range": (
            "DURATION",
            "ask over a range that ends now (or at --at), and draw it: 5m, 1h30m",
        ),
        "step": ("DURATION", "the distance of a range's points; chosen by the range's length"),
        "plot": ("|".join(PLOTS), "how the answer is shown"),
        "as": ("NAME", "put the DataFrame in this variable; a list of them for several queries"),
        "on": ("NAME", "the lab to ask, where several run; the one opened last by default"),
        "at": ("TIME", "the moment: unix seconds, 2026-01-31T12:00 (local), or -5m for ago"),
        "time": ("TIME", "the same as --at"),
    }
)
USAGE = (
    "%promql [--range 5m [--step 5s]] [--plot bar|line|stacked|table] [--as NAME] [--on NAME] "
    "[--at TIME] QUERY"
)

_NAME = re.compile(r"\s*--(?P<name>[A-Za-z][\w-]*)(?P<equals>=?)")
_BEGUN = re.compile(r"\s*(--?[\w-]*)")
_VALUE = re.compile(r"[ \t]*(?:\"([^\"\n]*)\"|'([^'\n]*)'|(\S+))")


@dataclass(frozen=True)
class Options:
    """What was asked for beside the query; each as it was typed.

    Attributes:
        values: what was typed behind each option, by the option's name.
        length: how many characters of the text the options took.
    """

    values: Mapping[str, str]
    length: int


@dataclass(frozen=True)
class Typed(Options):
    """Options that are still being typed.

    Attributes:
        open: the option whose value is being typed, empty for the name of one; None where the
            query has begun.
        fragment: what is typed of it.
    """

    open: str | None = None
    fragment: str = ""


def parse(text: str) -> Options:
    """Read the options at the start of a text; the rest, from ``length`` on, is PromQL as typed.

    An option is ``--name value`` or ``--name=value``; a value with blanks is put in quotes.

    Raises:
        LabError: there is no such option, or its value is missing or makes no sense.
    """
    values: dict[str, str] = {}
    place = 0
    while found := _NAME.match(text, place):
        name = found["name"]
        if name not in OPTIONS:
            raise _wrong(f"There is no option --{name}.")
        value = _VALUE.match(text, found.end())
        content = _content(value)
        if value is None or (content.startswith("--") and not found["equals"]):
            raise _wrong(f"--{name} needs a value: {OPTIONS[name][0]}.")
        values["at" if name == "time" else name] = _checked(name, content)
        place = value.end()
    return Options(values, place)


def typed(text: str) -> Typed:
    """Read the options of a text that ends at the cursor, complete or not."""
    values: dict[str, str] = {}
    place = 0
    while found := _NAME.match(text, place):
        value = _VALUE.match(text, found.end())
        begun = found["equals"] or text[found.end() : found.end() + 1].isspace()
        if not begun:
            break
        if value is None or value.end() == len(text):
            fragment = text[found.end() :].lstrip()
            return Typed(values, place, found["name"], fragment)
        values[found["name"]] = _content(value)
        place = value.end()
    name = _BEGUN.fullmatch(text, place)
    return Typed(values, place, "", name[1]) if name else Typed(values, place)


def misplaced(promql: str) -> str | None:
    """Return an option that stands behind the query's first word, or None.

    To PromQL it would be two minus signs and a metric.
    """
    pieces = [*tokens(promql)]
    for first, second, word in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if first.text == second.text == "-" and word.kind == "word" and word.text in OPTIONS:
            return f"--{word.text}"
    return None


def usage() -> str:
    """Return what can be typed, an option a line."""
    lines = [f"--{name} {takes}: {what}" for name, (takes, what) in OPTIONS.items()]
    return "\n  ".join([USAGE, *lines])


def _content(value: re.Match[str] | None) -> str:
    return next((group for group in value.groups() if group is not None), "") if value else ""


def _checked(name: str, value: str) -> str:
    if name == "plot" and value not in PLOTS:
        raise _wrong(f"--plot is one of {', '.join(PLOTS)}, not {value!r}.")
    if name == "as" and (not value.isidentifier() or keyword.iskeyword(value)):
        raise _wrong(f"--as takes the name of a Python variable, not {value!r}.")
    return value


def _wrong(message: str) -> LabError:
    return LabError(message, next_step=f"options come before the query:\n  {usage()}")
