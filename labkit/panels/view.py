"""The control panel's widgets, linked to its model."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import dlink, link

from labkit.panels import model as limits
from labkit.plots.picture import DARK_PAGE, LIGHT_CLASS
from labkit.traffic.mixes import MIXES
from labkit.traffic.scenarios import SCENARIOS
from labkit.traffic.shapes import THINK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labkit.panels.model import ControlModel

    Ask = Callable[[Callable[[], object]], None]

_MIX_WORDS = {
    "everyday": "everyday: all endpoints",
    "errors": "errors: /error, /health",
    "timeouts": "timeouts: /slow only",
}
# The fields of the app's Faults that have a slider: field, label, highest value (shares in %).
FAULT_SLIDERS = (
    ("health_failure_probability", "/health fails (%)", 100.0),
    ("slow_timeout_probability", "/slow times out (%)", 100.0),
    ("slow_max_seconds", "/slow takes up to (s)", 5.0),
)
_PERCENT = 100.0
_WIDTH = 840
_LEFT, _RIGHT = 408, 362  # side by side in the narrowest page of a laptop


class ControlView:
    """Builds the widgets and links them to the model.

    Args:
        model: what they show and change.
        faults: the app's faults now, with the fields of `FAULT_SLIDERS`; None where it has none.
        ask: queues an action for the panel's own thread.
    """

    def __init__(self, model: ControlModel, faults: Any, ask: Ask) -> None:
        self._model = model
        self._faults = faults
        self._ask = ask
        self._inputs: list[widgets.Widget] = []
        self._sliders: dict[str, tuple[widgets.FloatSlider, float]] = {}  # and their scale
        self._faults_seen: dict[str, float] = {}
        self._chart = widgets.Image(
            format="png", layout=widgets.Layout(width=f"{_WIDTH}px", max_width="100%")
        )
        self._chart.add_class(LIGHT_CLASS)
        self._chart_note = widgets.HTML()
        columns = widgets.HBox(
            [self._scenarios(), self._app()],
            layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 16px"),
        )
        self.box = widgets.VBox(
            [
                columns,
                self._progress(),
                self._status(),
                self._chart,
                self._chart_note,
                widgets.HTML(DARK_PAGE),
            ],
            layout=widgets.Layout(grid_gap="4px", max_width=f"{_WIDTH}px"),
        )
        model.observe(self._closed, "open")

    # --- Traffic ----------------------------------------------------------------------------

    def _scenarios(self) -> widgets.VBox:
        users, length = self._number("threads", limits.MAX_THREADS), self._seconds("spike_seconds")
        count, over = self._number("requests", limits.MAX_REQUESTS), self._seconds("seconds")
        background = _words("")
        dlink((self._model, "background_summary"), (background, "value"), _background_words)
        rows = [
            [self._start("traffic"), count, _words("requests in"), over, _words("s")],
            [self._start("continuous"), _words("one user,"), self._intensity()],
            [self._start("spike"), users, _words("users for"), length, _words("s")],
            [self._start("scenario"), self._scenario()],
            [self._background(), background],
            [_words("sent to", 130), self._mix()],
        ]
        return widgets.VBox([_row(row) for row in rows], layout=_column(_LEFT))

    def _start(self, kind: str) -> widgets.Button:
        return self._button(
            f"Start {kind}", lambda: self._model.start(kind), style="primary", width=134
        )

    def _background(self) -> widgets.Button:
        button = self._button("", self._model.toggle_background, width=134)
        dlink(
            (self._model, "in_background"),
            (button, "description"),
            lambda on: "Stop background" if on else "Start background",
        )
        return button

    def _number(self, trait: str, highest: int) -> widgets.BoundedIntText:
        box = widgets.BoundedIntText(min=1, max=highest, layout=_wide(76))
        return self._linked(box, trait)

    def _seconds(self, trait: str) -> widgets.BoundedIntText:
        return self._number(trait, limits.MAX_SECONDS)

    def _intensity(self) -> widgets.Dropdown:
        return self._choice("intensity", THINK_SECONDS, 100)

    def _mix(self) -> widgets.Dropdown:
        return self._choice("mix", [(_MIX_WORDS.get(name, name), name) for name in MIXES], 262)

    def _scenario(self) -> widgets.Dropdown:
        names = [(f"{s.title} ({s.seconds:.0f} s)", name) for name, s in SCENARIOS.items()]
        return self._choice("scenario", names, 262)

    def _choice(self, trait: str, options: Iterable[Any], width: int) -> widgets.Dropdown:
        return self._linked(widgets.Dropdown(options=list(options), layout=_wide(width)), trait)

    def _linked(self, box: widgets.Widget, trait: str) -> widgets.Widget:
        link((self._model, trait), (box, "value"))
        self._inputs.append(box)
        return box

    def _button(
        self, text: str, action: Callable[[], object], *, style: str = "", width: int = 84
    ) -> widgets.Button:
        button = widgets.Button(description=text, button_style=style, layout=_wide(width))
        button.on_click(lambda _: self._ask(action))
        self._inputs.append(button)
        return button

    # --- What happens -----------------------------------------------------------------------

    def _progress(self) -> widgets.HBox:
        bar = widgets.FloatProgress(min=0.0, max=1.0, layout=widgets.Layout(flex="1 1 auto"))
        dlink((self._model, "progress"), (bar, "value"))
        left = widgets.HTML(layout=widgets.Layout(width="130px", margin="0 8px"))
        dlink((self._model, "time_left"), (left, "value"), html.escape)
        return _row([bar, left, self._button("Stop", self._model.stop, style="warning")])

    def _status(self) -> widgets.VBox:
        summary, notice = widgets.HTML(), widgets.HTML()
        dlink((self._model, "summary"), (summary, "value"), _status_line)
        self._model.observe(lambda _: _show_notice(notice, self._model), ["notice", "failed"])
        return widgets.VBox([summary, notice], layout=widgets.Layout(min_height="58px"))

    # --- The app ----------------------------------------------------------------------------

    def _app(self) -> widgets.VBox:
        toggle = self._button("", self._model.toggle_app, width=110)
        dlink(
            (self._model, "app_running"),
            (toggle, "description"),
            lambda on: "Stop the app" if on else "Start the app",
        )
        restart = self._button("Restart it", self._model.restart_app, width=110)
        rows = [
            *self._fault_sliders(),
            _words("<b>The app itself</b>: a restart resets its counters"),
            _row([toggle, restart]),
        ]
        return widgets.VBox(rows, layout=_column(_RIGHT))

    def _fault_sliders(self) -> list[widgets.Widget]:
        if self._faults is None:
            return [_words("<b>Faults</b>: this app has none that can be read")]
        title = _words("<b>Faults of the app</b>, changed while it runs")
        return [title, *(self._fault_slider(*spec) for spec in FAULT_SLIDERS)]

    def _fault_slider(self, field: str, label: str, highest: float) -> widgets.HBox:
        scale = _PERCENT if highest == _PERCENT else 1.0
        slider = widgets.FloatSlider(
            value=scale * getattr(self._faults, field),
            min=0.0,
            max=highest,
            step=highest / 20,
            readout_format=".0f" if highest == _PERCENT else ".2f",
            continuous_update=False,
            layout=_wide(200),
        )
        slider.observe(
            lambda change: self._ask(lambda: self._set_fault(field, scale, change)), "value"
        )
        self._inputs.append(slider)
        self._sliders[field] = (slider, scale)
        return _row([_words(label, 146), slider])

    def follow_faults(self) -> None:
        """Move the sliders where the faults were changed by code; an app elsewhere is not asked."""
        if not hasattr(self._faults, "on_change"):
            return
        for field, (slider, scale) in self._sliders.items():
            now = getattr(self._faults, field)
            if now != self._faults_seen.get(field, now):
                slider.value = scale * now
            self._faults_seen[field] = now

    def _set_fault(self, field: str, scale: float, change: Any) -> None:
        wanted = round(change["new"] / scale, 6)
        if wanted == getattr(self._faults, field):
            return  # put back by us, below
        if self._model.set_faults(**{field: wanted}):
            self._faults_seen[field] = wanted
        else:
            change["owner"].value = scale * getattr(self._faults, field)

    # --- What changes -----------------------------------------------------------------------

    def show_chart(self, png: bytes) -> None:
        """Replace the chart's picture."""
        self._chart.value = png
        self._chart_note.value = ""

    def chart_failed(self, error: Exception) -> None:
        """Keep the last picture and say under it why there is no newer one."""
        self._chart_note.value = _coloured(f"The chart stands still. {error}")

    def _closed(self, change: Any) -> None:
        for widget in self._inputs:
            widget.disabled = not change["new"]


def _wide(pixels: int) -> widgets.Layout:
    return widgets.Layout(width=f"{pixels}px", flex="0 0 auto")


def _column(pixels: int) -> widgets.Layout:
    return widgets.Layout(width=f"{pixels}px", grid_gap="2px")


def _row(parts: list[widgets.Widget]) -> widgets.HBox:
    return widgets.HBox(parts, layout=widgets.Layout(align_items="center"))


def _words(text: str, width: int | None = None) -> widgets.HTML:
    """A fixed text of ours between the inputs; it may hold markup."""
    layout = widgets.Layout(width=f"{width}px" if width else "auto", margin="0 4px")
    return widgets.HTML(text, layout=layout)


def _background_words(summary: str) -> str:
    """One line that never wraps: the row below must not move."""
    words = html.escape(summary or "one user, outlives the notebook")
    return f"<span style='white-space:nowrap'>{words}</span>"


def _status_line(text: str) -> str:
    return f"<div style='line-height:1.4'>{html.escape(text)}</div>"


def _show_notice(box: widgets.HTML, model: ControlModel) -> None:
    text = html.escape(model.notice)
    box.value = (
        _coloured(model.notice)
        if model.failed
        else f"<div style='line-height:1.4;opacity:.8'>{text}</div>"
    )


def _coloured(text: str) -> str:
    return (
        f"<div style='color:#D55E00;white-space:pre-wrap;line-height:1.4'>{html.escape(text)}</div>"
    )
