"""The dashboard's widgets, linked to its model."""

from __future__ import annotations

import html
import io
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import link

from labkit.panels.dashboard_model import REFRESH_SECONDS, THEMES
from labkit.plots.colours import BLUE, DARK, LIGHT
from labkit.plots.tiles.board import ALERT_COLOURS, clock_time, mark_line
from labkit.plots.tiles.face import Failure
from labkit.plots.tiles.live import HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.panels.dashboard_model import DashboardModel
    from labkit.panels.dashboard_source import Frame
    from labkit.plots.colours import Theme
    from labkit.plots.tiles.face import Happening

_LEAST_TILE = 380  # CSS pixels; narrower ones go below each other
_MOST_MARKS = 5
_EVERY = [(f"{seconds} s", seconds) for seconds in REFRESH_SECONDS]
_STATES = ("firing", "pending", "inactive")


class DashboardView:
    """Builds the widgets and links them to the model.

    Args:
        model: what they show and change.
        titles: of the tiles.
    """

    def __init__(self, model: DashboardModel, titles: Sequence[str]) -> None:
        self._model = model
        self._inputs: list[widgets.Widget] = []
        self._pictures = [self._picture() for _ in titles]
        self._alerts = widgets.HTML('<div class="labkit-alerts"></div>')
        self._marks = widgets.HTML('<div class="labkit-marks"></div>')
        grid = widgets.GridBox(
            [widgets.Box([picture]) for picture in self._pictures],
            layout=widgets.Layout(
                grid_template_columns=f"repeat(auto-fit, minmax({_LEAST_TILE}px, 1fr))",
                grid_gap="10px",
            ),
        )
        grid.add_class("labkit-tiles")
        self.box = widgets.VBox(
            [widgets.HTML(_STYLE), self._toolbar(), self._alerts, grid, self._marks],
            layout=widgets.Layout(grid_gap="6px"),
        )
        self.box.add_class("labkit-dashboard")
        self._theme = ""
        self.use_theme(model.theme)
        model.observe(self._closed, "open")

    def _picture(self) -> widgets.Image:
        picture = widgets.Image(value=_blank(), format="png", layout=widgets.Layout(width="100%"))
        picture.add_class("labkit-tile")
        return picture

    def _toolbar(self) -> widgets.HBox:
        status = widgets.HTML(layout=widgets.Layout(flex="1 1 260px", margin="0 8px"))
        self._model.observe(lambda _: self._show_status(status), ["status", "failed"])
        self._show_status(status)
        parts = [self._choice("last", "window_minutes", list(self._model.windows.items()))]
        if self._model.past is None:
            parts.append(self._choice("every", "refresh_seconds", _EVERY))
        parts.append(self._choice("theme", "theme", list(THEMES)))
        parts += [self._pause()] if self._model.past is None else self._through_time()
        layout = widgets.Layout(align_items="center", flex_flow="row wrap", grid_gap="4px 10px")
        return widgets.HBox([*parts, status], layout=layout)

    def _pause(self) -> widgets.Widget:
        pause = widgets.ToggleButton(description="Pause", layout=_wide(84))
        link((self._model, "paused"), (pause, "value"))
        self._inputs.append(pause)
        return pause

    def _through_time(self) -> list[widgets.Widget]:
        """Return a slider over the past and a button to either side, which go half a window."""
        model = self._model
        first, last = model.past or (0.0, 0.0)
        slider = widgets.FloatSlider(
            min=first,
            max=last,
            step=60.0,
            readout=False,
            layout=widgets.Layout(flex="1 1 320px", min_width="220px"),
            tooltip="The end of the window",
        )
        link((model, "moment"), (slider, "value"))
        buttons = []
        for words, tip, way in (("◀", "Half a window back", -1), ("▶", "Half a window on", 1)):
            button = widgets.Button(description=words, tooltip=tip, layout=_wide(40))
            button.on_click(partial(self._go, way))
            buttons.append(button)
        self._inputs += [slider, *buttons]
        return [buttons[0], slider, buttons[1]]

    def _go(self, way: int, _: widgets.Button) -> None:
        self._model.moment += way * 30.0 * self._model.window_minutes

    def _choice(self, words: str, trait: str, options: list[Any]) -> widgets.HBox:
        box = widgets.Dropdown(options=options, layout=_wide(84))
        link((self._model, trait), (box, "value"))
        self._inputs.append(box)
        said = widgets.HTML(f'<span class="labkit-said">{words}</span>')
        return widgets.HBox([said, box], layout=widgets.Layout(align_items="center"))

    def _show_status(self, box: widgets.HTML) -> None:
        kind = "labkit-failed" if self._model.failed else "labkit-said"
        box.value = f'<div class="{kind}">{html.escape(self._model.status)}</div>'

    # --- What changes -----------------------------------------------------------------------

    def show(self, frame: Frame, pictures: Sequence[bytes], theme: str) -> None:
        """Show a frame and the pictures of its tiles."""
        self.use_theme(theme)
        for widget, png in zip(self._pictures, pictures, strict=True):
            widget.value = png
        self.show_alerts(frame)
        self._marks.value = _marks(frame.view.marks)

    def show_alerts(self, frame: Frame) -> None:
        """Show the alerts of a frame, with their states."""
        self._alerts.value = f'<div class="labkit-alerts">{_alerts(frame)}</div>'

    def use_theme(self, theme: str) -> None:
        """Take a theme's colours; "auto" leaves them to the page."""
        if theme != self._theme:
            self.box.remove_class(f"labkit-{self._theme}")
            self.box.add_class(f"labkit-{theme}")
            self._theme = theme

    def _closed(self, change: Any) -> None:
        for widget in self._inputs:
            widget.disabled = not change["new"]


def _wide(pixels: int) -> widgets.Layout:
    return widgets.Layout(width=f"{pixels}px", flex="0 0 auto")


def _alerts(frame: Frame) -> str:
    """Return the strip: a chip an alert, the urgent ones first."""
    if frame.alerts is None:
        return ""
    if isinstance(frame.alerts, Failure):
        return f'<span class="labkit-failed">Alerts: {html.escape(frame.alerts.words)}</span>'
    if frame.alerts.empty:
        return '<span class="labkit-said">No alerts are set up.</span>'
    rows = sorted(frame.alerts.to_dict("records"), key=_urgency)
    return "".join(_chip(row) for row in rows)


def _urgency(row: Any) -> tuple[int, str]:
    state = str(row["state"])
    return (_STATES.index(state) if state in _STATES else len(_STATES), str(row["name"]))


def _chip(row: Any) -> str:
    name, state, summary = (html.escape(str(row[key])) for key in ("name", "state", "summary"))
    known = state if state in _STATES else "inactive"
    active = state != "inactive" and row["since"] == row["since"]  # NaT is not itself
    # Not when it fired: `since` is when its condition came to hold, and then it was pending.
    since = f" · true since {clock_time(row['since'].timestamp())}" if active else ""
    tone = " labkit-alert-quiet" if row.get("severity") == "info" else ""
    return (
        f'<span class="labkit-alert labkit-alert-{known}{tone}" title="{summary}">'
        f"<b>{name}</b> {state}{since}</span>"
    )


def _marks(marks: Sequence[Happening]) -> str:
    lines = [html.escape(mark_line(mark)) for mark in reversed(list(marks)[-_MOST_MARKS:])]
    more = len(marks) - len(lines)
    if more > 0:
        lines[-1] += f" · and {more} more before"
    return f'<div class="labkit-marks">{"<br>".join(lines)}</div>'


def _blank() -> bytes:
    """Return a picture of nothing, which takes the room of a tile until there is one."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("LA", (WIDTH, HEIGHT), (0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def _colours(theme: Theme) -> str:
    """Return JupyterLab's variables in a theme's colours, for what is inside the dashboard."""
    names = {
        "--jp-layout-color0": theme.paper,
        "--jp-layout-color1": theme.paper,
        "--jp-layout-color2": theme.grid,
        "--jp-layout-color3": theme.grid,
        "--jp-border-color1": theme.grid,
        "--jp-border-color2": theme.grid,
        "--jp-ui-font-color0": theme.ink,
        "--jp-ui-font-color1": theme.ink,
        "--jp-ui-font-color2": theme.muted,
        "--jp-widgets-color": theme.ink,
        "--jp-widgets-label-color": theme.ink,
        "--jp-widgets-input-color": theme.ink,
        "--jp-widgets-input-background-color": theme.paper,
        "--jp-widgets-input-border-color": theme.muted,
    }
    scheme = "dark" if theme is DARK else "light"  # for what the browser draws, such as arrows
    return (
        "".join(f"{name}:{colour};" for name, colour in names.items()) + f"color-scheme:{scheme};"
    )


# The kernel cannot know JupyterLab's theme, and it can change. With "auto", the page turns the
# pictures' light and dark round, and their hues back; the rest follows JupyterLab's variables.
_STYLE = f"""<style>
.labkit-dashboard {{ background: var(--jp-layout-color0); color: var(--jp-ui-font-color1);
  padding: 8px; border-radius: 6px; overflow: hidden; }}
.labkit-dashboard.labkit-light {{ {_colours(LIGHT)} }}
.labkit-dashboard.labkit-dark {{ {_colours(DARK)} }}
.labkit-tiles > .widget-box {{ border: 1px solid var(--jp-border-color2); border-radius: 6px;
  overflow: hidden; margin: 0; }}
.labkit-tile {{ aspect-ratio: {WIDTH} / {HEIGHT}; margin: 0; }}
[data-jp-theme-light="false"] .labkit-auto .labkit-tile {{
  filter: invert(0.93) hue-rotate(180deg); }}
.labkit-dashboard .widget-html, .labkit-dashboard .widget-html-content {{ height: auto;
  color: inherit; }}
.labkit-said {{ color: var(--jp-ui-font-color2); font-size: 12px; line-height: 1.4;
  margin-right: 4px; white-space: nowrap; }}
.labkit-failed {{ color: {ALERT_COLOURS["firing"]}; font-size: 12px; line-height: 1.4;
  white-space: pre-wrap; }}
.labkit-alerts {{ display: flex; flex-wrap: wrap; gap: 6px; min-height: 26px; }}
.labkit-alert {{ font-size: 12px; line-height: 24px; padding: 0 10px; border-radius: 13px;
  border: 1px solid var(--jp-border-color2); color: var(--jp-ui-font-color2);
  white-space: nowrap; }}
.labkit-alert::before {{ content: "●"; margin-right: 6px; color: {ALERT_COLOURS["inactive"]}; }}
.labkit-alert-pending {{ border-color: {ALERT_COLOURS["pending"]};
  color: var(--jp-ui-font-color1); }}
.labkit-alert-pending::before {{ color: {ALERT_COLOURS["pending"]}; }}
.labkit-alert-firing {{ border-color: {ALERT_COLOURS["firing"]};
  background: {ALERT_COLOURS["firing"]}; color: white; }}
.labkit-alert-firing::before {{ content: "▲"; color: white; }}
.labkit-alert-firing.labkit-alert-quiet {{ background: none; border-color: {BLUE};
  color: var(--jp-ui-font-color1); }}
.labkit-alert-firing.labkit-alert-quiet::before {{ content: "●"; color: {BLUE}; }}
.labkit-marks {{ color: var(--jp-ui-font-color2); font-size: 12px; line-height: 18px;
  min-height: 90px; font-variant-numeric: tabular-nums; }}
</style>"""
