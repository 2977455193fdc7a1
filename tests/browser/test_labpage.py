"""JupyterLab's page: no pop-ups, nothing from outside, widgets that work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.browser.labpage import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.labpage import LabPage

pytestmark = pytest.mark.browser

WIDGETS = """
import io
import ipywidgets
from PIL import Image

def png(colour):
    data = io.BytesIO()
    Image.new("RGB", (300, 100), colour).save(data, "PNG")
    return data.getvalue()

def press(_):
    image.value, text.value = png("blue"), "pressed"

button = ipywidgets.Button(description="Press me")
button.on_click(press)
image, text = ipywidgets.Image(value=png("red")), ipywidgets.HTML("not yet")
ipywidgets.VBox([button, text, image])
"""


def test_first_page_opens_without_pop_ups_or_errors_or_requests_outside(lab_page: LabPage) -> None:
    lab_page.open()
    for size in SIZES:
        lab_page.resize(size)
        lab_page.screenshot(f"first-page-{size}")

    assert lab_page.pop_ups() == []
    assert lab_page.errors == []
    assert lab_page.outside == []
    tab = lab_page.page.locator(".lm-TabBar-tab.lm-mod-current").get_by_text("00-open-the-lab")
    assert tab.is_visible()


def test_widgets_work_even_in_a_notebook_that_names_no_kernel(
    lab_page: LabPage, notebooks: Path
) -> None:
    lab_page.open(_write(notebooks / "widgets.ipynb", "import ipywidgets", WIDGETS))
    assert lab_page.pop_ups() == []  # JupyterLab would ask which kernel to take
    lab_page.run_all()
    lab_page.wait_until_all_ran()
    before = lab_page.picture_source()

    lab_page.click_button("Press me")

    lab_page.wait_for_new_picture(before)
    assert lab_page.page.get_by_text("pressed", exact=True).is_visible()
    for theme in ("Dark", "Light"):
        lab_page.set_theme(theme)
    assert lab_page.errors == []


def test_what_goes_wrong_in_a_cell_or_on_the_page_is_seen(
    lab_page: LabPage, notebooks: Path
) -> None:
    lab_page.open(_write(notebooks / "raising.ipynb", "1 / 0"))
    lab_page.page.evaluate("console.error('wrong'); setTimeout(() => { throw Error('worse') })")
    lab_page.page.evaluate("fetch('http://localhost:9/').catch(() => 'refused, as it should be')")
    lab_page.run_all()

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        lab_page.wait_for_cell(0)
    assert any("wrong" in error for error in lab_page.errors)
    assert any("worse" in error for error in lab_page.errors)
    assert lab_page.outside == ["http://localhost:9/"]


def _write(path: Path, *cells: str) -> str:
    """Write a notebook of code cells; return its name."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c.strip()) for c in cells])
    nbformat.write(notebook, path)
    return path.name
