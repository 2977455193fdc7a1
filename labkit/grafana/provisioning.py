"""The folder that a Grafana starts on: its settings, the datasource, and the dashboard."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from labkit.errors import LabError
from labkit.grafana import DATASOURCE_UID
from labkit.promql.steps import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labkit.promql.tiles import Tile

HOST = "127.0.0.1"
PORT = 3000
SETTINGS = "grafana.ini"
BOARD = Path("dashboards") / "labkit.json"

_DATASOURCE = Path("provisioning") / "datasources" / "labkit.yml"
_FOR_OWNER, _FOR_ALL = 0o600, 0o666  # as far as the umask allows
_SPECIAL = re.compile(r"[`$%;#\"'\n]")  # has a meaning of its own in Grafana's settings

_INI = """\
; Settings of a Grafana for this folder alone: on loopback, without a login, and without asking
; anything on the internet. Written by `labkit grafana`, which overwrites it.

[paths]
data = {folder}/data
logs = {folder}/data/log
plugins = {folder}/data/plugins
provisioning = {folder}/provisioning

[server]
http_addr = {host}
http_port = {port}

[auth]
disable_login_form = true

[auth.basic]
enabled = false

[auth.anonymous]
enabled = true
org_role = Editor

[dashboards]
default_home_dashboard_path = {folder}/{board}
min_refresh_interval = 1s

[log]
mode = console

[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false

[news]
news_feed_enabled = false

[plugins]
preinstall_disabled = true
"""

_DASHBOARDS = """\
apiVersion: 1
providers:
  - name: labkit
    type: file
    allowUiUpdates: true
    options:
      path: {folder}
"""

_README = """\
# The lab's dashboard in Grafana

Start Grafana on this folder, with the place where it is installed as its home path
(`/usr/share/grafana` where its package put it):

    {command}

Then open <http://{host}:{port}>. `labkit grafana {folder} --start` does both, where a Grafana is
installed. It needs no login, and listens to this machine only.

To use a Grafana that runs already, copy `provisioning/datasources/labkit.yml` and
`provisioning/dashboards/labkit.yml` into its provisioning folder and start it again; or add a
Prometheus datasource with the UID `{uid}` and import `{board}`.

The datasource asks {url}. A lab takes another port at each start: run
`labkit grafana {folder}` again then, or start one on a port of its own
(`labkit up`, or `labkit.start(prometheus_port=9090)`).
"""


@dataclass(frozen=True)
class Datasource:
    """The Prometheus that Grafana asks.

    Attributes:
        url: its address; a user and a password in it are given to Grafana apart.
        scrape_interval: seconds; no chart asks for a smaller step.
        headers: sent with each query.
    """

    url: str
    scrape_interval: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_secrets(self) -> bool:
        """Whether it holds a password or headers, so that nobody else is to read its file."""
        return bool(self.headers or urlsplit(self.url).password)

    def render(self) -> str:
        """Return the file that provisions it."""
        parts = urlsplit(self.url)
        plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        settings = {
            "timeInterval": duration(round(self.scrape_interval * 1000)),
            "httpMethod": "POST",
        }
        secrets = {}
        for number, (name, value) in enumerate(self.headers.items(), 1):
            settings[f"httpHeaderName{number}"] = name
            secrets[f"httpHeaderValue{number}"] = value
        lines = [
            "apiVersion: 1",
            "datasources:",
            "  - name: Observability lab",
            f"    uid: {DATASOURCE_UID}",
            "    type: prometheus",
            "    access: proxy",
            f"    url: {_quoted(plain)}",
            "    isDefault: true",
            "    editable: false",
        ]
        if parts.username:
            lines += [
                "    basicAuth: true",
                f"    basicAuthUser: {_quoted(unquote(parts.username))}",
            ]
            secrets["basicAuthPassword"] = unquote(parts.password or "")
        for key, values in (("jsonData", settings), ("secureJsonData", secrets)):
            if values:
                lines.append(f"    {key}:")
                lines += [f"      {name}: {_quoted(value)}" for name, value in values.items()]
        return "\n".join(lines) + "\n"


def write(
    folder: Path,
    datasource: Datasource,
    *,
    port: int = PORT,
    tiles: Sequence[Tile] | None = None,
) -> list[Path]:
    """Write everything a Grafana needs into a folder; return the files.

    Args:
        folder: made if it is not there; files of an earlier call are overwritten.
        datasource: the Prometheus to ask.
        port: where Grafana is to listen.
        tiles: what the dashboard shows; those of the lab's own by default.

    Raises:
        LabError: the folder cannot be written, or Grafana could not read its name; or the SDK
            that builds the dashboard is not installed.
        ValueError: the tiles make no sense.
    """
    try:
        from labkit.grafana.board import dashboard_json
    except ImportError as error:
        raise LabError(
            "The export to Grafana needs a package that is not installed.",
            evidence=str(error),
            next_step="pip install 'observability-lab[grafana]', or in a clone: "
            "pip install -c constraints.txt -e '.[grafana]'",
        ) from error
    folder = folder.expanduser().absolute()
    texts = _texts(folder, datasource, port, dashboard_json(tiles))
    try:
        return [
            _write(folder / name, text, secret=name == _DATASOURCE and datasource.has_secrets)
            for name, text in texts.items()
        ]
    except OSError as error:
        raise LabError(
            f"The files for Grafana cannot be written in {folder}.",
            evidence=str(error),
            next_step="choose another folder, or allow writing there.",
        ) from error


def _texts(folder: Path, datasource: Datasource, port: int, board_json: str) -> dict[Path, str]:
    if special := _SPECIAL.search(str(folder)):
        raise LabError(
            f"Grafana cannot read its settings from {folder}: {special[0]!r} is special to it.",
            next_step="choose a folder without that character.",
        )
    where = folder.as_posix()
    board = BOARD.as_posix()
    url = re.sub(r"//[^/@]*@", "//", datasource.url)
    command = (
        f"grafana server --homepath /usr/share/grafana --config {shlex.quote(where)}/{SETTINGS}"
    )
    return {
        BOARD: board_json,
        _DATASOURCE: datasource.render(),
        Path("provisioning") / "dashboards" / "labkit.yml": _DASHBOARDS.format(
            folder=_quoted(f"{where}/{BOARD.parent.as_posix()}")
        ),
        Path(SETTINGS): _INI.format(folder=where, host=HOST, port=port, board=board),
        Path("README.md"): _README.format(
            folder=shlex.quote(where),
            command=command,
            host=HOST,
            port=port,
            uid=DATASOURCE_UID,
            board=board,
            url=url,
        ),
    }


def _write(path: Path, text: str, *, secret: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=_FOR_OWNER if secret else _FOR_ALL)
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    return path


def _quoted(text: str) -> str:
    """Quote a text for YAML; Grafana replaces variables in these files, unless $ is doubled."""
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")
