"""Words for a terminal: commands in place of a notebook's calls, and no control codes."""

from __future__ import annotations

import re

from labkit.errors import LabError

_LAYOUT = "\n\t"
_NAMES = """`labkit query 'count by (__name__) ({__name__!=""})'`"""
_HEADERS = """LABKIT_PROMETHEUS_HEADERS='{"Authorization": "Bearer …"}'"""

# What a message advises in a cell, and in a terminal; phrases come before the calls in them.
_INSTEAD = [
    (re.compile(pattern.replace(" ", r"\s+")), instead)  # a text may be wrapped
    for pattern, instead in (
        (r"see lab\.status\(\) and lab\.logs\('prometheus'\), or call labkit\.start\(\) again",
         "see `labkit logs prometheus`, or start one with `labkit up`"),
        (r" Then start again: lab\.stop\(\), and lab = labkit\.start\(\)\.",
         " Then start both again with `labkit up`."),
        (r", or the notebook's labkit\.start\(\)", ""),
        (r"; lab\.alerts\(\) lists them all", ""),
        (r"(?:lab\.logs\([^)]*\)(?: and )?)+, or (`labkit logs .+?`) in a terminal", r"\1"),
        (r"lab[\w.\s={}]*\([^)]*\)(?:\.check\(\))? in (?:a|the) notebook, (`[^`]+`) in a terminal",
         r"\1"),
        (r"lab\.metrics\(\)", _NAMES),
        (r"lab\.logs\(['\"](\w+)['\"]\)", r"`labkit logs \1`"),
        (r"lab\.query\(['\"]([^'\"]+)['\"]\)", r"`labkit query '\1'`"),
        (r"lab\.query\(…?\)", "`labkit query`"),
        (r"lab\.explain\([^)]*\)", "`labkit explain`"),
        (r"lab\.(?:check|status)\(\)", "`labkit check`"),
        (r"(?:lab = )?labkit\.start\([^)]*\)", "`labkit up`"),
        (r"headers=\{'Authorization': (?:'Bearer )?…'?\}", _HEADERS),
    )
]  # fmt: skip


def for_terminals(text: str) -> str:
    """Return a text with commands in place of the calls that it advises."""
    for pattern, instead in _INSTEAD:
        text = pattern.sub(instead, text)
    return text


def told(error: LabError) -> str:
    """Return an error in words for a terminal; its evidence stays as it is."""
    again = LabError(
        for_terminals(error.message),
        evidence=error.evidence,
        next_step=for_terminals(error.next_step),
    )
    return printable(str(again))


def printable(text: str) -> str:
    """Return a text with what a terminal would obey rather than show escaped, as backslash x1b."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _LAYOUT else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
