"""The state of a lab's parts, as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass

_COLOURS = {
    "up": "#009E73",
    "elsewhere": "#009E73",
    "running": "#0072B2",
    "idle": "#777777",
    "failing": "#E69F00",
    "down": "#D55E00",
}


@dataclass(frozen=True)
class Part:
    """One part of the lab.

    Attributes:
        name: what it is.
        state: up, elsewhere, running, idle, failing or down.
        detail: one line more.
        url: where it is, if it has an address.
        page: whether there is a page for a browser at that address.
    """

    name: str
    state: str
    detail: str = ""
    url: str | None = None
    page: bool = True


@dataclass(frozen=True)
class Status:
    """What runs, where, and how it is.

    Attributes:
        title: the lab's name and state.
        parts: the app, Prometheus, the traffic.
    """

    title: str
    parts: tuple[Part, ...] = ()

    def __getitem__(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def __str__(self) -> str:
        rows = [
            f"  {p.name:<11} {p.state:<8} {' '.join(filter(None, [p.url, p.detail]))}".rstrip()
            for p in self.parts
        ]
        return "\n".join([self.title, *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(_row(part) for part in self.parts)
        return (
            "<div style='display:inline-block;border:1px solid rgba(128,128,128,.35);"
            "border-radius:8px;padding:.6em 1em'>"
            f"<div style='font-weight:600;margin-bottom:.3em'>{html.escape(self.title)}</div>"
            f"<table style='margin:0;border:none'>{rows}</table></div>"
        )


def _row(part: Part) -> str:
    cell = "style='text-align:left;border:none;padding:.15em 1.2em .15em 0;background:none'"
    colour = _COLOURS.get(part.state, "#777777")
    where = ""
    if part.url:
        url = html.escape(part.url, quote=True)
        where = f"<a href='{url}' target='_blank' rel='noopener'>{url}</a>" if part.page else url
    return (
        f"<tr style='background:none'><td {cell}>{html.escape(part.name)}</td>"
        f"<td {cell}><span style='white-space:nowrap'><span style='color:{colour}'>●</span> "
        f"{html.escape(part.state)}</span></td>"
        f"<td {cell}>{where}</td>"
        f"<td {cell}><span style='opacity:.75'>{html.escape(part.detail)}</span></td></tr>"
    )
