"""The export to Grafana: the files, the command, and what the lab tells of a Grafana that runs.

No Grafana runs here: where one has to, a program in its place answers as Grafana's documentation
says. What Grafana itself makes of the files is not shown by these tests.
"""

from __future__ import annotations

import configparser
import json
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner
from grafana_foundation_sdk.models.dashboard import Dashboard

from labkit.checks import check
from labkit.cli import main
from labkit.errors import LabError, StartupTimeout
from labkit.grafana import DATASOURCE_UID, board, running
from labkit.grafana.provisioning import Datasource, write
from labkit.grafana.server import GrafanaServer, find_grafana, free_port
from labkit.prometheus.server import PrometheusServer
from labkit.promql.tiles import TILES, Tile
from tests.cli_process import environment, finish, terminal
from tests.grafana_board import asked
from tests.ports import steady_port
from tests.prometheus_lines import binaries
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
NOWHERE = "http://127.0.0.1:9"

# A program in the place of Grafana: it takes the same arguments, reads the same settings, and
# answers at the two addresses that the lab asks.
STAND_IN = """\
#!{python}
import configparser, http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        paths = ("/api/health", "/api/datasources/uid/labkit-prometheus/health")
        body = json.dumps({{"message": "Successfully queried the Prometheus API."}}).encode()
        self.send_response(200 if self.path in paths else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

print("arguments:", sys.argv[1:], flush=True)
settings = configparser.ConfigParser(interpolation=None)
settings.read(sys.argv[sys.argv.index("--config") + 1])
address = settings["server"]["http_addr"], int(settings["server"]["http_port"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("LABKIT_PROMETHEUS_URL", "LABKIT_PROMETHEUS_HEADERS", "LABKIT_APP_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_grafana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a program in the place of Grafana, first on PATH."""
    home = tmp_path / "grafana-home"
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "defaults.ini").touch()
    (home / "bin").mkdir()
    program = home / "bin" / "grafana"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return home


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[PrometheusServer]:
    with PrometheusServer(binaries()[-1], {}, directory=tmp_path / "prometheus") as running_one:
        yield running_one


# --- The dashboard ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return json.loads(board.dashboard_json())


def panel(made: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(one for one in made["panels"] if one["type"] == kind)


def test_each_tile_is_a_panel_with_its_expressions(made: dict[str, Any]) -> None:
    kinds = {"line": "timeseries", "quantiles": "timeseries", "bars": "barchart"}
    expected = [(tile.title, kinds.get(tile.kind, tile.kind)) for tile in TILES]
    assert [(one["title"], one["type"]) for one in made["panels"]] == expected
    exported = [(one.title, one.promql) for one in asked(made)]
    for tile in TILES:
        for promql in tile.queries.values():
            assert (tile.title, promql) in exported
    sources = [one["datasource"] for one in made["panels"]]
    sources += [target["datasource"] for one in made["panels"] for target in one["targets"]]
    assert all(s == {"type": "prometheus", "uid": DATASOURCE_UID} for s in sources)


def test_panels_have_ids_and_do_not_overlap(made: dict[str, Any]) -> None:
    assert len({one["id"] for one in made["panels"]}) == len(TILES)
    places = [one["gridPos"] for one in made["panels"]]
    cells = [
        (place["x"] + dx, place["y"] + dy)
        for place in places
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_units_and_thresholds_are_the_tiles(made: dict[str, Any]) -> None:
    gauge = panel(made, "gauge")["fieldConfig"]["defaults"]
    assert (gauge["unit"], gauge["min"], gauge["max"]) == ("percent", 0, 100)
    assert gauge["thresholds"]["steps"] == [
        {"value": None, "color": "green"},
        {"value": 20.0, "color": "red"},
    ]
    latency = next(one for one in made["panels"] if one["title"] == "Latency")
    assert latency["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] == 0.3
    assert latency["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "dashed"}
    assert latency["targets"][0]["legendFormat"] == "{{quantile}}"


def test_the_table_names_its_columns_and_colours_their_thresholds(made: dict[str, Any]) -> None:
    table = panel(made, "table")
    assert [step["id"] for step in table["transformations"]] == ["merge", "organize"]
    names = table["transformations"][1]["options"]["renameByName"]
    assert names == {"Value #A": "rate", "Value #B": "5xx", "Value #C": "p95"}
    assert {target["format"] for target in table["targets"]} == {"table"}
    column = next(
        one for one in table["fieldConfig"]["overrides"] if one["matcher"]["options"] == "5xx"
    )
    values = {one["id"]: one["value"] for one in column["properties"]}
    assert values["unit"] == "percent"
    assert values["thresholds"]["steps"][1] == {"value": 20.0, "color": "red"}


def test_it_refreshes_and_marks_alerts_that_fire(made: dict[str, Any]) -> None:
    assert made["refresh"] == "5s"
    (alerts,) = made["annotations"]["list"]
    assert alerts["expr"] == 'ALERTS{alertstate="firing"}'
    assert (alerts["titleFormat"], alerts["step"]) == ("{{alertname}}", "5s")


def test_the_sdk_reads_what_was_written(made: dict[str, Any]) -> None:
    again = Dashboard.from_json(made)
    assert again.uid == "labkit"
    assert len(again.panels or ()) == len(TILES)


def test_own_tiles_are_exported() -> None:
    own = Tile("CPU", {"app": "up", "us": "up * 2"}, "line", "cores", (0.5, 0.8))
    (one,) = json.loads(board.dashboard_json([own]))["panels"]
    assert [target["legendFormat"] for target in one["targets"]] == ["app", "us"]
    assert [target["refId"] for target in one["targets"]] == ["A", "B"]
    defaults = one["fieldConfig"]["defaults"]
    assert defaults["unit"] == "suffix: cores"
    assert [step["color"] for step in defaults["thresholds"]["steps"]] == ["green", "orange", "red"]
    with pytest.raises(ValueError, match="list of Tile"):
        board.dashboard_json(own)  # type: ignore[arg-type] # the slip that is tested


# --- The files ----------------------------------------------------------------------------------


def test_the_datasource_and_the_dashboard_are_provisioned(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    write(folder, Datasource("http://127.0.0.1:9090", 0.25), port=3001)
    read = yaml.safe_load((folder / "provisioning/datasources/labkit.yml").read_text())
    (source,) = read["datasources"]
    assert read["apiVersion"] == 1
    assert (source["uid"], source["type"]) == (DATASOURCE_UID, "prometheus")
    assert source["url"] == "http://127.0.0.1:9090"
    assert source["jsonData"] == {"timeInterval": "250ms", "httpMethod": "POST"}
    assert "secureJsonData" not in source
    (provider,) = yaml.safe_load((folder / "provisioning/dashboards/labkit.yml").read_text())[
        "providers"
    ]
    assert Path(provider["options"]["path"], "labkit.json").is_file()
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(folder / "grafana.ini")
    assert dict(settings["server"]) == {"http_addr": "127.0.0.1", "http_port": "3001"}
    assert Path(settings["paths"]["provisioning"], "datasources", "labkit.yml").is_file()
    assert Path(settings["dashboards"]["default_home_dashboard_path"]).is_file()
    assert f"--config '{folder}'/grafana.ini" in (folder / "README.md").read_text()


def test_passwords_and_headers_go_where_grafana_hides_them(tmp_path: Path) -> None:
    url = "https://me:pa%24s@prometheus.example:9090/path"
    write(tmp_path, Datasource(url, 15, {"X-Scope-OrgID": "1"}))
    file = tmp_path / "provisioning/datasources/labkit.yml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert source["url"] == "https://prometheus.example:9090/path"
    assert (source["basicAuth"], source["basicAuthUser"]) == (True, "me")
    assert source["jsonData"]["httpHeaderName1"] == "X-Scope-OrgID"
    assert source["secureJsonData"] == {"httpHeaderValue1": "1", "basicAuthPassword": "pa$$s"}
    others = [path for path in tmp_path.rglob("*") if path.is_file() and path != file]
    assert not any("pa%24s" in path.read_text() or "pa$" in path.read_text() for path in others)
    assert sys.platform == "win32" or stat.S_IMODE(file.stat().st_mode) == 0o600
    plain = write(tmp_path / "plain", Datasource("http://127.0.0.1:9090"))
    assert all(os.access(path, os.R_OK) and path.stat().st_mode & 0o044 for path in plain), (
        "a Grafana that runs as a user of its own can read a copy"
    )


@pytest.mark.parametrize("name", ["a$b", "a;b", "it's"])
def test_a_folder_that_grafana_cannot_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="choose a folder"):
        write(tmp_path / name, Datasource(NOWHERE))
    assert not (tmp_path / name).exists()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_lab(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="cannot be written"):
        write(tmp_path / "file" / "sub", Datasource(NOWHERE))


def test_without_the_sdk_the_words_say_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "labkit.grafana.board")
    monkeypatch.setitem(sys.modules, "grafana_foundation_sdk.builders", None)
    with pytest.raises(LabError, match=r"observability-lab\[grafana\]"):
        write(tmp_path, Datasource(NOWHERE))


# --- The command --------------------------------------------------------------------------------


def test_the_command_writes_the_files_for_the_prometheus_given(
    tmp_path: Path, prometheus: PrometheusServer
) -> None:
    folder = tmp_path / "out"
    arguments = ["grafana", str(folder), "--prometheus-url", prometheus.url]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert f"wrote {folder / 'dashboards' / 'labkit.json'}" in done.output
    assert "add --start" in done.output
    read = yaml.safe_load((folder / "provisioning/datasources/labkit.yml").read_text())
    assert read["datasources"][0]["url"] == prometheus.url


def test_the_command_without_a_prometheus_says_what_to_start(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["grafana", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "labkit up" in done.output
    assert not (tmp_path / "out").exists()


def test_start_without_a_grafana_writes_the_files_and_says_where_to_get_one(
    tmp_path: Path, no_grafana: None
) -> None:
    arguments = ["grafana", str(tmp_path / "out"), "--prometheus-url", NOWHERE, "--start"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "There is no Grafana on this machine" in done.output
    assert "grafana.com/grafana/download" in done.output
    assert (tmp_path / "out" / "README.md").is_file()


# --- A program in the place of Grafana ----------------------------------------------------------


@POSIX
def test_the_home_is_found_and_given(stand_in: Path) -> None:
    program = str(stand_in / "bin" / "grafana")
    assert find_grafana() == [program, "server", "--homepath", str(stand_in)]
    (stand_in / "bin" / "grafana").rename(stand_in / "bin" / "grafana-server")
    assert find_grafana() == [f"{program}-server", "--homepath", str(stand_in)]
    (stand_in / "conf" / "defaults.ini").unlink()
    if not Path("/usr/share/grafana/conf/defaults.ini").exists():
        with pytest.raises(LabError, match="not the folder with its web page"):
            find_grafana()


def test_a_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    port = steady_port()
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(port) not in (port, 0)
    assert free_port(port) == port


@POSIX
def test_a_lab_tells_of_the_grafana_on_its_prometheus(
    tmp_path: Path, stand_in: Path, prometheus: PrometheusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labkit import connect

    folder, port = tmp_path / "out", free_port(0)
    write(folder, Datasource(prometheus.url), port=port)
    with connect(prometheus_url=prometheus.url) as lab:
        with pytest.raises(LabError, match="No Grafana runs"):
            lab.logs("grafana")
        with GrafanaServer(
            find_grafana(), folder, port=port, prometheus_url=prometheus.url
        ) as started:
            assert lab.status()["Grafana"].url == started.url == f"http://127.0.0.1:{port}"
            assert "--homepath" in lab.logs("grafana")
            (row,) = [finding for finding in lab.check().findings if finding.name == "Grafana"]
            assert (row.state, "Successfully queried" in row.detail) == ("ok", True)
            pid = started._child.pid
            assert pid is not None
        assert not alive(pid)
        assert running(prometheus.url) is None
        assert "Grafana" not in {part.name for part in lab.status().parts}


def test_a_datasource_that_does_not_answer_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labkit import registry

    entry = registry.announce("grafana", url=NOWHERE, prometheus_url=NOWHERE, folder=tmp_path)
    rows = {row.name: row for row in check(prometheus_url=NOWHERE).findings}
    assert rows["Grafana"].state == "failed"
    assert rows["Grafana"].remedy
    entry.withdraw()


@POSIX
def test_a_grafana_that_ends_or_does_not_answer_is_an_error_with_its_log(tmp_path: Path) -> None:
    program = tmp_path / "grafana"
    program.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(LabError, match="exit code 3") as ended:
        GrafanaServer([str(program)], tmp_path, port=1, prometheus_url=NOWHERE)
    assert "no space left" in ended.value.evidence
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(StartupTimeout):
        GrafanaServer([str(program)], tmp_path, port=1, prometheus_url=NOWHERE, start_seconds=0.3)
    assert running(NOWHERE) is None


@POSIX
def test_start_runs_it_until_ctrl_c(tmp_path: Path, stand_in: Path) -> None:
    env = environment(tmp_path / "state")
    command = ("grafana", str(tmp_path / "out"), "--prometheus-url", NOWHERE, "--start")
    with terminal(*command, env=env) as child:
        child.expect(r"Grafana shows the lab at (http://127\.0\.0\.1:\d+/d/labkit)")
        entry = running(NOWHERE)
        assert entry is not None
        assert child.match[1].startswith(entry.url)
        child.sendintr()
        assert finish(child) == 0
        assert "nothing is left running" in child.before
    wait_for(lambda: running(NOWHERE) is None)
