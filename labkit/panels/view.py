"""The control panel's widgets, linked to its model."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import dlink, link

from labkit.panels import model as limits
from labkit.traffic.mixes import MIXES
from labkit.traffic.shapes import THINK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.errors import LabError
    from labkit.panels.model import ControlModel

    Ask = Callable[[Callable[[], None]], None]

_MIX_WORDS = {
    "everyday": "everyday: all endpoints",
    "errors": "errors: /error, /health",
    "timeouts": "timeouts: /slow only",
}
# The fields of the app's Faults that have a slider: field, label, highest value.
FAULT_SLIDERS = (
    ("health_failure_probability", "/health answers 503", 1.0),
    ("slow_timeout_probability", "/slow times out", 1.0),
    ("slow_max_seconds", "/slow takes up to (s)", 5.0),
)
_CHART_WIDTH = 840


class ControlView:
    """Builds the widgets and links them to the model.

    Args:
        model: what they show and change.
        faults: the app's faults, with the fields of `FAULT_SLIDERS`.
        ask: queues an action for the panel's own thread.
    """

    def __init__(self, model: ControlModel, faults: Any, ask: Ask) -> None:
        self._model = model
        self._faults = faults
        self._ask = ask
        self._chart = widgets.Image(
            format="png",
            layout=widgets.Layout(width=f"{_CHART_WIDTH}px", max_width="100%"),
        )
        self._chart_note = widgets.HTML()
        self._inputs: list[widgets.Widget] = []
        self.box = widgets.VBox(
            [
                widgets.HBox(
                    [self._scenarios(), self._fault_sliders()],
                    layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 28px"),
                ),
                self._progress(),
                self._status(),
                self._chart,
                self._chart_note,
            ],
            layout=widgets.Layout(grid_gap="6px", max_width=f"{_CHART_WIDTH}px"),
        )
        model.observe(self._closed, "open")

    # --- Parts ------------------------------------------------------------------------------

    def _scenarios(self) -> widgets.VBox:
        parts = [
            self._scenario(
                "traffic",
                [
                    *self._count("requests", limits.MAX_REQUESTS, "requests in"),
                    *self._time("seconds"),
                ],
            ),
            self._scenario("continuous", ["one user,", self._choice("intensity", THINK_SECONDS)]),
            self._scenario(
                "spike",
                [
                    *self._count("threads", limits.MAX_THREADS, "users for"),
                    *self._time("spike_seconds"),
                ],
            ),
            self._row([_words("sent to", "134px"), self._mixes()]),
        ]
        return widgets.VBox(parts, layout=widgets.Layout(width="410px"))

    def _scenario(self, kind: str, inputs: list[Any]) -> widgets.HBox:
        button = widgets.Button(
            description=f"Start {kind}",
            button_style="primary",
            layout=widgets.Layout(width="130px", flex="0 0 auto"),
        )
        button.on_click(lambda _: self._ask(lambda: self._model.start(kind)))
        self._inputs.append(button)
        parts = [_words(part) if isinstance(part, str) else part for part in inputs]
        return self._row([button, *parts])

    def _number(self, trait: str, highest: int) -> widgets.BoundedIntText:
        box = widgets.BoundedIntText(min=1, max=highest, layout=widgets.Layout(width="76px"))
        link((self._model, trait), (box, "value"))
        self._inputs.append(box)
        return box

    def _count(self, trait: str, highest: int, words: str) -> list[Any]:
        return [self._number(trait, highest), words]

    def _time(self, trait: str) -> list[Any]:
        return [self._number(trait, limits.MAX_SECONDS), "s"]

    def _choice(self, trait: str, options: Any) -> widgets.Dropdown:
        box = widgets.Dropdown(options=list(options), layout=widgets.Layout(width="100px"))
        link((self._model, trait), (box, "value"))
        self._inputs.append(box)
        return box

    def _mixes(self) -> widgets.Dropdown:
        options = [(_MIX_WORDS.get(name, name), name) for name in MIXES]
        box = widgets.Dropdown(options=options, layout=widgets.Layout(width="262px"))
        link((self._model, "mix"), (box, "value"))
        self._inputs.append(box)
        return box

    def _progress(self) -> widgets.HBox:
        bar = widgets.FloatProgress(min=0.0, max=1.0, layout=widgets.Layout(flex="1 1 auto"))
        dlink((self._model, "progress"), (bar, "value"))
        left = widgets.HTML(layout=widgets.Layout(width="130px", margin="0 8px"))
        dlink((self._model, "time_left"), (left, "value"), html.escape)
        stop = widgets.Button(
            description="Stop", button_style="warning", layout=widgets.Layout(width="84px")
        )
        stop.on_click(lambda _: self._ask(self._model.stop))
        self._inputs.append(stop)
        return self._row([bar, left, stop])

    def _status(self) -> widgets.VBox:
        summary, notice = widgets.HTML(), widgets.HTML()
        dlink((self._model, "summary"), (summary, "value"), _status_line)
        self._model.observe(lambda _: _show_notice(notice, self._model), ["notice", "failed"])
        return widgets.VBox([summary, notice], layout=widgets.Layout(min_height="58px"))

    def _fault_sliders(self) -> widgets.VBox:
        rows = [_words("<b>Faults of the app</b>, changed while it runs")]
        return widgets.VBox([*rows, *(self._fault_slider(*spec) for spec in FAULT_SLIDERS)])

    def _fault_slider(self, field: str, label: str, highest: float) -> widgets.HBox:
        slider = widgets.FloatSlider(
            value=getattr(self._faults, field),
            min=0.0,
            max=highest,
            step=highest / 20,
            readout_format=".0%" if highest == 1.0 else ".2f",
            continuous_update=False,
            layout=widgets.Layout(width="225px"),
        )
        slider.observe(lambda change: self._ask(lambda: self._set_fault(field, change)), "value")
        self._inputs.append(slider)
        return self._row([_words(label, "150px"), slider])

    def _set_fault(self, field: str, change: Any) -> None:
        try:
            self._faults.update(**{field: change["new"]})
        except ValueError as error:
            self._model.fail(error)
            change["owner"].value = getattr(self._faults, field)

    def _row(self, parts: list[widgets.Widget]) -> widgets.HBox:
        return widgets.HBox(parts, layout=widgets.Layout(align_items="center"))

    # --- What changes -----------------------------------------------------------------------

    def show_chart(self, png: bytes) -> None:
        """Replace the chart's picture."""
        self._chart.value = png
        self._chart_note.value = ""

    def chart_failed(self, error: LabError) -> None:
        """Keep the last picture and say under it why there is no newer one."""
        self._chart_note.value = _coloured(f"The chart stands still. {error}")

    def _closed(self, change: Any) -> None:
        for widget in self._inputs:
            widget.disabled = not change["new"]


def _words(text: str, width: str = "auto") -> widgets.HTML:
    """A fixed text of ours between the inputs; it may hold markup."""
    return widgets.HTML(text, layout=widgets.Layout(width=width, margin="0 4px"))


def _status_line(text: str) -> str:
    return f"<div style='line-height:1.4'>{html.escape(text)}</div>"


def _show_notice(box: widgets.HTML, model: ControlModel) -> None:
    text = html.escape(model.notice)
    box.value = _coloured(model.notice) if model.failed else f"<i>{text}</i>"


def _coloured(text: str) -> str:
    return (
        f"<div style='color:#D55E00;white-space:pre-wrap;line-height:1.4'>{html.escape(text)}</div>"
    )
