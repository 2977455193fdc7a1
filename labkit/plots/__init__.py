"""Frames to matplotlib pictures: lines, stacks, bars, quantiles and ratios; asks nothing itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.plots.charts import bars, line, quantiles, ratio
    from labkit.plots.picture import figure, png, show
    from labkit.plots.stacked import stacked

__all__ = ["bars", "figure", "line", "png", "quantiles", "ratio", "show", "stacked"]

_HOMES = {"figure": "picture", "png": "picture", "show": "picture", "stacked": "stacked"}


def __getattr__(name: str) -> Any:
    # Matplotlib takes a third of a second to import: it is loaded when something is first drawn.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'charts')}"), name)
