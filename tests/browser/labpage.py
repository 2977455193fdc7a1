"""A page with JupyterLab in it: what a person does there, and what they would see go wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import ConsoleMessage, Locator, Page, Request

    from labkit.jupyter import JupyterServer

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
SIZES = {"1280": (1280, 800), "1920": (1920, 1080)}

# What JupyterLab itself may write to the console, whatever the notebook: its server answers 500
# when the page asks for the kernels just while one is being made (it has no last activity yet).
JUPYTERLABS_OWN_ERROR = re.compile(r"Failed to load resource: .* 500 .*/api/kernels\b")

# The places where outputs show that a cell raised.
_RAISED = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
# What covers the page, or flies in over it, before anything was clicked.
_POP_UPS = ".jp-Dialog, .Toastify__toast"


class LabPage:
    """JupyterLab on one notebook of a server.

    Code cells are counted from 0; text cells don't count.

    Args:
        page: a fresh page of the browser.
        server: the JupyterLab it shows.
    """

    def __init__(self, page: Page, server: JupyterServer) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []  # of the console, and exceptions nobody caught
        self.outside: list[str] = []  # requests to anything but this machine
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("request", self._note_request)

    # --- Doing ------------------------------------------------------------------------------

    def open(self, notebook: str | None = None, *, size: str = "1280", seconds: float = 60) -> None:
        """Open a notebook, the lab's first one by default, and wait until its kernel is idle."""
        self.resize(size)
        address = self.server.first_page
        if notebook is not None:
            address = f"{self.server.url}lab/tree/{notebook}?token={self.server.token}"
        self.page.goto(address)
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=1000 * seconds)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=1000 * seconds)
        # The kernel may be idle before the page is connected to it, and the page show it idle
        # before it has asked.
        self.wait_until(lambda: self.kernel_state() == "idle", seconds)
        indicator = self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        indicator.first.wait_for(timeout=1000 * seconds)

    def resize(self, size: str) -> None:
        """Give the page one of `SIZES`."""
        width, height = SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})

    def menu(self, *labels: str) -> None:
        """Choose an entry of the menu bar, like ``menu("Run", "Run All Cells")``."""
        self.page.locator(".lm-MenuBar-itemLabel").get_by_text(labels[0], exact=True).click()
        for label in labels[1:]:
            self.page.locator(".lm-Menu-itemLabel").get_by_text(label, exact=True).click()

    def run_all(self) -> None:
        """Run all cells, from the menu; returns at once."""
        self.menu("Run", "Run All Cells")

    def set_theme(self, theme: str) -> None:
        """Switch to "Light" or "Dark", from the menu."""
        self.menu("Settings", "Theme", f"JupyterLab {theme}")
        is_light = "true" if theme == "Light" else "false"
        self.page.locator(f'body[data-jp-theme-light="{is_light}"]').wait_for(state="attached")

    def click_button(self, text: str) -> None:
        """Press a widget's button by its text."""
        self.button(text).click()

    def wait_until(self, condition: Callable[[], object], seconds: float) -> None:
        """Poll a condition until it holds; the page's messages are taken in meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not true within {seconds} s"
            self.page.wait_for_timeout(50)

    # --- Seeing -----------------------------------------------------------------------------

    def cell(self, number: int) -> Locator:
        """Return a code cell."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def button(self, text: str) -> Locator:
        """Return a widget's button."""
        return self.page.locator("button.widget-button").get_by_text(text, exact=True)

    def inputs_beside(self, text: str) -> Locator:
        """Return the input boxes in the row of the button with that text."""
        row = self.page.locator(".widget-hbox").filter(has=self.button(text)).last
        return row.locator("input")

    def progress(self) -> float:
        """Return how far the progress bar is, from 0 to 1."""
        style = self.page.locator(".jp-OutputArea-output .progress-bar").get_attribute("style")
        width = re.search(r"width: ([\d.]+)%", style or "")
        assert width, f"a progress bar without a width: {style}"
        return float(width[1]) / 100

    def wait_for_cell(self, number: int, seconds: float = 60) -> None:
        """Wait until a code cell has run; fail with its output if it raised."""
        prompts = self.cell(number).locator(".jp-InputPrompt")
        self.wait_until(lambda: _has_run(prompts.first.text_content()) or self.raised(), seconds)
        assert not self.raised(), "\n".join(self.raised())

    def wait_until_all_ran(self, seconds: float = 60) -> None:
        """Wait until every code cell has run; fail with the output of the first that raised."""
        for number in range(self.page.locator(".jp-Notebook .jp-CodeCell").count()):
            self.wait_for_cell(number, seconds)

    def raised(self) -> list[str]:
        """Return what cells wrote to standard error: exceptions and warnings."""
        return self.page.locator(_RAISED).all_text_contents()

    def picture(self, number: int = 0) -> Locator:
        """Return an image in the outputs, of a widget or not."""
        return self.page.locator(".jp-OutputArea-output img").nth(number)

    def picture_source(self, number: int = 0) -> str:
        """Return an address of that image, which is another one once its content is."""
        return self.picture(number).get_attribute("src") or ""

    def wait_for_new_picture(self, source: str, number: int = 0, seconds: float = 60) -> None:
        """Wait until an image is another one than it was, and drawn."""
        self.wait_until(lambda: self.picture_source(number) not in {"", source}, seconds)
        drawn = "image => image.complete && image.naturalWidth > 0"
        self.wait_until(lambda: self.picture(number).evaluate(drawn), seconds)

    def pop_ups(self) -> list[str]:
        """Return the texts of the dialogs and notifications that are over the page."""
        return self.page.locator(_POP_UPS).all_text_contents()

    def screenshot(self, name: str, part: Locator | None = None) -> Path:
        """Save what is to be seen, or a part of it, as test-artifacts/NAME.png."""
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{name}.png"
        # Given the path, Playwright would write it in threads that stay.
        path.write_bytes((part or self.page).screenshot())
        return path

    # --- The server behind it ---------------------------------------------------------------

    def kernel_state(self) -> str:
        """Return the state of the only kernel ("starting", "idle", "busy"), or "none"."""
        answer = self._api("GET", "api/kernels")
        if answer.status_code == 500:  # see JUPYTERLABS_OWN_ERROR
            return "starting"
        kernels = answer.json()
        assert len(kernels) <= 1, f"one notebook, {len(kernels)} kernels"
        return str(kernels[0]["execution_state"]) if kernels else "none"

    def end_kernels(self) -> None:
        """Shut every notebook's kernel down, as "Shut Down Kernel" in the menu does."""
        for session in self._api("GET", "api/sessions").json():
            self._api("DELETE", f"api/sessions/{session['id']}")

    def _api(self, method: str, path: str) -> requests.Response:
        headers = {"Authorization": f"token {self.server.token}"}
        return requests.request(method, self.server.url + path, headers=headers, timeout=30)

    def _note_message(self, message: ConsoleMessage) -> None:
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not JUPYTERLABS_OWN_ERROR.match(text):
            self.errors.append(text)

    def _note_request(self, request: Request) -> None:
        address: Any = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.hostname != "127.0.0.1":
            self.outside.append(request.url)


def _has_run(prompt: str | None) -> bool:
    """Whether a cell's prompt, "[3]:", has the number of a run that is over."""
    return prompt is not None and prompt.strip("[]: \xa0").isdigit()
