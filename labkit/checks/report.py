"""What a check found: one row a thing looked at, its state, and what to do."""

from __future__ import annotations

import html
import textwrap
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

OK, WARNING, FAILED, SKIPPED = STATES = ("ok", "warning", "failed", "skipped")

_COLOURS = {OK: "#009E73", WARNING: "#E69F00", FAILED: "#D55E00", SKIPPED: "#777777"}
_MARKS = {OK: "✓", WARNING: "!", FAILED: "✗", SKIPPED: "–"}
_CELL = "style='text-align:left;vertical-align:top;border:none;padding:.15em 1.2em .15em 0'"
_WIDTH = 98


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: ok, warning (it works, but not for everything), failed, or skipped.
        detail: what was seen.
        remedy: what to do about it; empty where there is nothing to do.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state is {self.state!r}; it is one of {', '.join(STATES)}")

    @classmethod
    def of(cls, name: str, error: BaseException, state: str = FAILED) -> Finding:
        """Make one of what went wrong, in the error's own words."""
        if isinstance(error, LabError):
            words = " ".join(f"{error.message} {error.evidence}".split())
            return cls(name, state, words, error.next_step)
        return cls(name, state, f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Report:
    """All that was found.

    Attributes:
        findings: the rows, in a fixed order.
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings are no failures."""
        return all(finding.state != FAILED for finding in self.findings)

    @property
    def summary(self) -> str:
        """How many rows are in which state, the worst first."""
        count = Counter(finding.state for finding in self.findings)
        words = {FAILED: "failed", WARNING: "to mind", OK: "ok", SKIPPED: "skipped"}
        return ", ".join(f"{count[state]} {word}" for state, word in words.items() if count[state])

    def __getitem__(self, name: str) -> Finding:
        """Return the first row of that name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        names = ", ".join(dict.fromkeys(finding.name for finding in self.findings))
        raise KeyError(f"there is no row {name!r}; there are {names}")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return ``ok`` and the rows as plain data, for JSON."""
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}

    def to_frame(self) -> pd.DataFrame:
        """Return one row a thing looked at: ``name, state, detail, remedy``."""
        import pandas as pd

        columns = ["name", "state", "detail", "remedy"]
        return pd.DataFrame([asdict(finding) for finding in self.findings], columns=columns)

    def __str__(self) -> str:
        return "\n".join([f"Check: {self.summary}", *map(_lines, self.findings)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(map(_row, self.findings))
        return (
            "<div style='display:inline-block;border:1px solid rgba(128,128,128,.35);"
            "border-radius:8px;padding:.6em 1em'>"
            f"<div style='font-weight:600;margin-bottom:.3em'>Check: {self.summary}</div>"
            f"<table style='margin:0;border:none'>{rows}</table></div>"
        )


def _lines(finding: Finding) -> str:
    first = f"  {_MARKS[finding.state]} {finding.state:<8} {finding.name:<19} "
    indent = " " * len(first)
    lines = textwrap.wrap(
        finding.detail, _WIDTH, initial_indent=first, subsequent_indent=indent
    ) or [first.rstrip()]
    if finding.remedy:
        # Not broken: what it names is there to be copied.
        lines.append(f"{indent}→ {finding.remedy}")
    return "\n".join(lines)


def _row(finding: Finding) -> str:
    colour = _COLOURS[finding.state]
    remedy = f"<div><b>→ {html.escape(finding.remedy)}</b></div>" if finding.remedy else ""
    return (
        f"<tr style='background:none'><td {_CELL}>{html.escape(finding.name)}</td>"
        f"<td {_CELL}><span style='white-space:nowrap'><span style='color:{colour}'>"
        f"{_MARKS[finding.state]}</span> {finding.state}</span></td>"
        f"<td {_CELL}>{html.escape(finding.detail)}{remedy}</td></tr>"
    )
