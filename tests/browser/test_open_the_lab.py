"""The way in, as a newcomer goes it: open, run, press a button, see the chart move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

from labkit.jupyter import FIRST_NOTEBOOK
from tests.browser.labpage import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.labpage import LabPage

pytestmark = pytest.mark.browser

SPIKE_SECONDS = 4


@pytest.fixture
def up_to_the_panel(notebooks: Path) -> str:
    """The first notebook as far as its panel: what follows stops the lab, and nbval runs it."""
    notebook = nbformat.read(notebooks / FIRST_NOTEBOOK, as_version=4)
    panel = next(n for n, cell in enumerate(notebook.cells) if "lab.panel()" in cell.source)
    del notebook.cells[panel + 1 :]
    nbformat.write(notebook, notebooks / "up-to-the-panel.ipynb")
    return "up-to-the-panel.ipynb"


def test_spike_pressed_on_the_panel_moves_the_chart(
    lab_page: LabPage, up_to_the_panel: str
) -> None:
    lab_page.open(up_to_the_panel, size="1920")
    lab_page.run_all()
    lab_page.wait_until_all_ran(90)
    before = lab_page.picture_source()
    seconds = lab_page.inputs_beside("Start spike").nth(1)
    seconds.fill(str(SPIKE_SECONDS))
    seconds.press("Enter")

    lab_page.click_button("Start spike")

    lab_page.wait_until(lambda: 0 < lab_page.progress() < 1, 15)
    lab_page.wait_for_new_picture(before)
    lab_page.wait_until(lambda: lab_page.progress() == 1, SPIKE_SECONDS + 15)
    assert lab_page.errors == []
    assert lab_page.pop_ups() == []
    assert lab_page.outside == []
    _picture_the_panel(lab_page)


def _picture_the_panel(lab_page: LabPage) -> None:
    """Leave screenshots to look at: both sizes and themes, and the panel alone."""
    outputs = lab_page.page.locator(".jp-OutputArea-output")
    panel = outputs.filter(has=lab_page.page.locator(".widget-image")).last
    for theme in ("Dark", "Light"):
        lab_page.set_theme(theme)
        for size in sorted(SIZES, reverse=True):  # ends as most will see it
            lab_page.resize(size)
            panel.evaluate("panel => panel.scrollIntoView()")
            lab_page.screenshot(f"panel-{theme.lower()}-{size}")
    lab_page.screenshot("panel", panel)
