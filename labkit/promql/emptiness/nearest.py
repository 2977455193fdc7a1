"""The names and values nearest to what was asked for, and how lists of them are written."""

from __future__ import annotations

from difflib import SequenceMatcher, get_close_matches
from typing import TYPE_CHECKING

from labkit.promql.syntax.node import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_seconds", "_seconds_total", "_bytes", "_info")
_MOST_COMPARED = 20_000  # difflib takes about a second for these
_MOST_SHOWN = 6
_LONGEST = 60
_CUTOFF = 0.6  # difflib's own
_AS_NEAR = 0.1  # how much less alike than the nearest one a text may be


def nearest_names(name: str, known: Sequence[str], most: int = 3) -> list[str]:
    """Return the metric names that were probably meant, the likeliest first.

    Where some differ by a usual suffix only (``_total``, ``_bucket`` …), it is those.

    Args:
        name: what was asked for.
        known: the names there are.
        most: how many to return at most.
    """
    there = set(known)
    stem = _stem(name)
    slips = [stem, *(f"{stem}{suffix}" for suffix in _SUFFIXES)]
    found = [slip for slip in slips if slip in there and slip != name]
    return found[:most] or nearest(name, known, most)


def nearest(word: str, known: Sequence[str], most: int = 3) -> list[str]:
    """Return the texts most like a word, the likeliest first; case does not count.

    Where some are the same number in other words (``1`` and ``1.0``), it is those.

    Args:
        word: what was asked for.
        known: the texts there are.
        most: how many to return at most.
    """
    if same := _same_number(word, known):
        return same[:most]
    lower: dict[str, list[str]] = {}
    for text in known[:_MOST_COMPARED]:
        lower.setdefault(text.lower(), []).append(text)
    alike = get_close_matches(word.lower(), lower, n=most, cutoff=_CUTOFF)
    ratios = [SequenceMatcher(None, key, word.lower()).ratio() for key in alike]
    near = [key for key, ratio in zip(alike, ratios, strict=True) if ratio > ratios[0] - _AS_NEAR]
    return [text for key in near for text in lower[key] if text != word][:most]


def listed(
    texts: Iterable[str], last: str = "and", most: int = _MOST_SHOWN, longest: int = _LONGEST
) -> str:
    """Write texts as a list in a sentence: ``a, b and c``; what is too much becomes a number.

    Args:
        texts: what to list.
        last: the word before the last one.
        most: how many to write out.
        longest: characters of each; what is longer is shortened.
    """
    items = [clipped(text, longest) for text in texts]
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    if len(items) < 2:  # noqa: PLR2004 - a list of one has no last word
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def values_listed(values: Iterable[str], last: str = "and") -> str:
    """Write the values of a label as a list of PromQL strings; numbers by their size."""
    texts = list(values)
    numbers = {text: number for text in texts if (number := _number(text)) is not None}
    if len(numbers) == len(texts):
        texts.sort(key=numbers.__getitem__)
    return listed(map(quoted, texts), last)


def clipped(text: str, longest: int = _LONGEST) -> str:
    """Return a text on one line, shortened where it is longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _same_number(word: str, known: Sequence[str]) -> list[str]:
    number = _number(word)
    if number is None:
        return []
    return [text for text in known if text != word and _number(text) == number]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _stem(name: str) -> str:
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name
