"""A lab on an app and a Prometheus that run elsewhere."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.errors import LabError, TargetRefused
from labkit.lab import Lab
from labkit.promql.client import Client
from labkit.remote import RemoteApp, RemoteFaults
from labkit.status import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labkit.localapp import LocalApp
    from labkit.progress import Progress

DEFAULT_SCRAPE_SECONDS = 15.0
FIRST_ANSWER_SECONDS = 10.0


class AttachedLab(Lab):
    """A lab whose app and Prometheus someone else starts and stops; the rest works as usual.

    Args:
        app_url: the app's address; the environment's LABKIT_APP_URL by default. Without one
            there is no traffic and there are no faults.
        prometheus_url: the address of Prometheus, or of anything with its API;
            LABKIT_PROMETHEUS_URL by default.
        headers: sent with each query; LABKIT_PROMETHEUS_HEADERS (a JSON object) by default.
        auth: a bearer token, or a pair of user and password.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
        token: the app's LABKIT_TOKEN; with it the faults can be changed.
        allow_remote: whether traffic may go to another machine.
        name: what tells this lab from another one in the same notebook.

    Raises:
        LabError: no Prometheus was named, or it does not answer.
        ValueError: an address or the headers make no sense.
    """

    kind = "attached"

    def __init__(
        self,
        app_url: str | None = None,
        prometheus_url: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | str | None = None,
        verify: bool | str = True,
        token: str | None = None,
        allow_remote: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or "attached lab")
        self.allow_remote = allow_remote
        self._app_url = _checked(app_url or os.environ.get("LABKIT_APP_URL"))
        self._prometheus_url = prometheus_url or os.environ.get("LABKIT_PROMETHEUS_URL")
        self._headers = {**(headers or headers_from_environment()), **_authorization(auth)}
        self._verify = verify
        self._token = token or os.environ.get("LABKIT_TOKEN")

    def _start(self, progress: Progress) -> None:
        if not self._prometheus_url:
            raise LabError(
                "No Prometheus was named to attach to.",
                next_step='labkit.connect(prometheus_url="http://…:9090"), '
                "or set LABKIT_PROMETHEUS_URL.",
            )
        progress.say(f"Asking {self._prometheus_url} …")
        self._start_folder()
        client = Client(self._prometheus_url, headers=self._headers, verify=self._verify)
        self._start_client(client)
        client.wait_for("vector(1)", timeout=FIRST_ANSWER_SECONDS)
        client.scrape_interval = self.scrape_interval = scrape_interval_of(client)
        if self._app_url:
            faults = RemoteFaults(self._app_url, token=self._token, verify=self._verify)
            self._app = RemoteApp(self._app_url.rstrip("/"), faults)
            self.marks.follow(faults.to_dict)
            self._start_worker()

    def _any_app(self) -> LocalApp | RemoteApp:
        if self.running and self._app is None:
            raise TargetRefused(
                "This lab was attached to a Prometheus alone; it knows of no app.",
                next_step='labkit.connect(app_url="http://…", prometheus_url="http://…")',
            )
        return super()._any_app()

    def _app_part(self) -> Part:
        if self._app is None:
            return Part("App", "idle", "none was named: queries only")
        return Part("App", "elsewhere", f"metrics at {self._app.url}/metrics", self._app.url)

    def _traffic_part(self) -> Part:
        if self._app is None:
            return Part("Traffic", "idle", "no app was named to send it to")
        return super()._traffic_part()

    def _prometheus_part(self) -> Part:
        detail = f"its targets are scraped every {self.scrape_interval:g} s"
        return Part("Prometheus", "elsewhere", detail, self.prometheus_url)


def _checked(app_url: str | None) -> str | None:
    """Return the address of an app; ValueError where it is none."""
    if not app_url:
        return None
    try:
        parts = urlsplit(app_url)
        port = parts.port
    except ValueError:  # no such port, or a bracket that is open
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(
            f"app_url must be an address such as http://127.0.0.1:5000, not {app_url!r}"
        )
    return app_url


def headers_from_environment() -> dict[str, str]:
    """Return the headers of LABKIT_PROMETHEUS_HEADERS, a JSON object of names and values.

    Raises:
        ValueError: it holds something else.
    """
    text = os.environ.get("LABKIT_PROMETHEUS_HEADERS", "").strip()
    if not text:
        return {}
    words = 'LABKIT_PROMETHEUS_HEADERS must be a JSON object such as {"X-Scope-OrgID": "1"}'
    try:
        headers = json.loads(text)
    except ValueError as error:
        raise ValueError(words) from error
    if not isinstance(headers, dict):
        raise ValueError(words)  # noqa: TRY004 - the text is wrong, not a type of the caller's
    return {str(name): str(value) for name, value in headers.items()}


def _authorization(auth: tuple[str, str] | str | None) -> dict[str, str]:
    if auth is None:
        return {}
    if isinstance(auth, str):
        return {"Authorization": f"Bearer {auth}"}
    pair = base64.b64encode(":".join(auth).encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def scrape_interval_of(client: Client) -> float:
    """Return the shortest scrape interval of the server's targets, in seconds.

    A server that was just started has no targets for some seconds: then its configuration tells.
    Servers that only have Prometheus's query API do not tell: then it is the usual 15 s.
    """
    from labkit.promql.steps import step_in_ms

    try:
        targets = client.get("targets", state="active")["activeTargets"]
        known = [target["scrapeInterval"] for target in targets] or _configured(client)
        return min(map(step_in_ms, known), default=1000 * DEFAULT_SCRAPE_SECONDS) / 1000
    except (LabError, AttributeError, KeyError, TypeError, ValueError):
        return DEFAULT_SCRAPE_SECONDS


def _configured(client: Client) -> list[str]:
    """Return the scrape intervals of a server's jobs, as its configuration has them."""
    import yaml

    config = yaml.safe_load(client.get("status/config")["yaml"])
    return [job["scrape_interval"] for job in config.get("scrape_configs", ())]
