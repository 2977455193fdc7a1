"""Frames to matplotlib pictures: lines, bars, quantiles and ratios; asks nothing itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.plots.charts import bars, line, quantiles, ratio
    from labkit.plots.picture import figure, png, show

__all__ = ["bars", "figure", "line", "png", "quantiles", "ratio", "show"]

_PICTURE = {"figure", "png", "show"}


def __getattr__(name: str) -> Any:
    # Matplotlib takes a third of a second to import: it is loaded when something is first drawn.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "picture" if name in _PICTURE else "charts"
    return getattr(import_module(f"{__name__}.{module}"), name)
