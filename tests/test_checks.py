"""Each row of the check, shown by breaking what it looks at."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import venv
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from app import create_app
from labkit.checks import Finding, Report, check, leftovers, logs, machine, prometheus_side, widgets
from labkit.checks.app_side import app
from labkit.checks.looking import Look, look_at_all
from labkit.checks.prometheus_side import Target, prometheus
from labkit.errors import LabError
from labkit.processes import tail
from labkit.prometheus.server import PrometheusServer
from labkit.runfolder import RunFolder
from labkit.server import AppServer
from tests.prometheus_lines import binaries
from tests.traffic_target import nobody
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Answer = Callable[[str], tuple[str, dict[str, str], bytes]]

TEXT = {"Content-Type": "text/plain; version=0.0.4"}
GOOD = b"# TYPE flask_requests_total counter\nflask_requests_total 3\n"


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve what a function of the path gives: status line, headers and body."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        status, headers, body = answer(environ["PATH_INFO"])
        start_response(status, list(headers.items()))
        return [body]

    with AppServer(application, threads=4) as server:
        yield server.url


def metrics_of(status: str, headers: dict[str, str], body: bytes) -> dict[str, Finding]:
    with serving(lambda path: (status, headers, body)) as url:
        return rows(app(url))


def rows(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own; returns where its run folders go."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "observability-lab" / "runs"


# --- The report -----------------------------------------------------------------------------


REPORT = Report(
    (
        Finding("Disk", "ok", "5 GB"),
        Finding("App", "failed", "<b>refused</b>", "start <it>"),
        Finding("Ports", "warning", "taken"),
        Finding("Target", "skipped", "no app"),
    )
)


def test_a_report_is_ok_until_something_failed():
    assert not REPORT.ok
    assert Report(REPORT.findings[:1] + REPORT.findings[2:]).ok


def test_a_report_reads_as_text_with_what_to_do_below():
    lines = repr(REPORT).splitlines()
    assert lines[0] == "Check: 1 failed, 1 to mind, 1 ok, 1 skipped"
    assert lines[2].split() == ["✗", "failed", "App", "<b>refused</b>"]
    assert lines[3].strip() == "→ start <it>"


def test_html_escapes_what_servers_say():
    html = REPORT._repr_html_()
    assert "&lt;b&gt;refused&lt;/b&gt;" in html
    assert "start &lt;it&gt;" in html
    assert "<b>refused" not in html


def test_a_report_becomes_a_frame():
    frame = REPORT.to_frame()
    assert list(frame.columns) == ["name", "state", "detail", "remedy"]
    assert list(frame["state"]) == ["ok", "failed", "warning", "skipped"]
    assert list(Report(()).to_frame().columns) == ["name", "state", "detail", "remedy"]


def test_a_row_is_found_by_its_name():
    assert REPORT["App"].remedy == "start <it>"
    with pytest.raises(KeyError, match="there are Disk, App"):
        REPORT["Nothing"]


def test_a_state_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="one of ok, warning"):
        Finding("x", "fine", "")


# --- Looking at many things at once ---------------------------------------------------------


def test_a_look_that_breaks_is_a_failed_row_and_stops_no_other():
    def breaks() -> Iterator[Finding]:
        yield Finding("first", "ok", "")
        raise OSError("no such luck")

    found = look_at_all(
        [
            Look(("first", "second"), breaks),
            Look(("other",), lambda: [Finding("other", "ok", "")]),
        ]
    )
    assert [(f.name, f.state) for f in found] == [
        ("first", "ok"),
        ("second", "failed"),
        ("other", "ok"),
    ]
    assert "OSError: no such luck" in found[1].detail


def test_what_breaks_after_its_last_row_is_not_hidden():
    def breaks() -> Iterator[Finding]:
        yield Finding("only", "ok", "")
        raise OSError("later")

    assert [f.state for f in look_at_all([Look(("only",), breaks)])] == ["ok", "failed"]


def test_a_lab_error_brings_its_next_step():
    def breaks() -> Iterator[Finding]:
        raise LabError("It fell.", evidence="hard", next_step="lift it")

    (found,) = look_at_all([Look(("it",), breaks)])
    assert found == Finding("it", "failed", "It fell. hard", "lift it")


def test_a_look_that_hangs_is_left_behind():
    released = threading.Event()

    def hangs() -> Iterator[Finding]:
        released.wait(30)
        yield Finding("slow", "ok", "")

    quick = Look(("quick",), lambda: [Finding("quick", "ok", "")])
    try:
        found = look_at_all([Look(("slow",), hangs), quick], seconds=0.2)
    finally:
        released.set()
    assert [(f.name, f.state) for f in found] == [("slow", "failed"), ("quick", "ok")]
    assert "within 0.2 s" in found[0].detail


# --- The machine ----------------------------------------------------------------------------


def test_this_python_and_its_packages_will_do():
    assert [f.state for f in [*machine.python(), *machine.packages()]] == ["ok", "ok"]


def test_an_old_python_fails():
    (found,) = machine.python(">=99.1")
    assert (found.state, "needs >=99.1" in found.detail) == ("failed", True)


def test_missing_and_old_packages_are_named_with_the_command_that_gets_them():
    (found,) = machine.packages(
        ["click>=999", "no-such-thing-here>=1", "flask>=3", 'pexpect>=999; extra == "test"']
    )
    assert found.state == "failed"
    assert "click>=999: 8" in found.detail
    assert "no-such-thing-here>=1: missing" in found.detail
    assert "pexpect" not in found.detail
    assert f'{sys.executable} -m pip install "click>=999" "no-such-thing-here>=1"' in found.remedy


def test_an_app_py_beside_the_notebook_is_named(tmp_path: Path):
    (found,) = machine.modules(tmp_path, [str(tmp_path), *sys.path])
    assert found.state == "ok"
    (tmp_path / "app.py").touch()
    (found,) = machine.modules(tmp_path, ["", *sys.path])  # as in a kernel
    assert (found.state, str(tmp_path / "app.py") in found.detail) == ("failed", True)
    (found,) = machine.modules(tmp_path, sys.path)  # as in the terminal
    assert found.state == "warning"


def test_a_file_named_like_a_library_is_named(tmp_path: Path):
    (tmp_path / "flask.py").touch()
    (found,) = machine.modules(tmp_path, ["", *sys.path])
    assert (found.state, "flask.py hides" in found.detail) == ("failed", True)


def test_another_labkit_in_front_is_named(tmp_path: Path):
    other = tmp_path / "elsewhere" / "labkit"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (found,) = machine.modules(tmp_path, [str(other.parent), *sys.path])
    assert (found.state, str(other) in found.detail) == ("failed", True)


def test_a_taken_port_names_its_holder(closed_port: int):
    (free,) = machine.port(closed_port, "app", {})
    assert free.state == "ok"
    with socket.create_server(("127.0.0.1", closed_port)):
        (taken,) = machine.port(closed_port, "app", {})
        (own,) = machine.port(closed_port, "app", {closed_port: "app"})
    assert taken.state == "warning"
    assert f"{psutil.Process().pid}" in taken.detail
    assert "--app-port" in taken.remedy
    assert own.state == "ok"


def test_a_small_disk_warns_and_a_full_one_fails(tmp_path: Path):
    folders = {"logs": tmp_path / "not" / "there", "data": tmp_path}
    states = [
        [f.state for f in machine.disk(folders, least_bytes=least, comfortable_bytes=comfortable)]
        for least, comfortable in [(1, 1), (1, 1e18), (1e18, 1e18)]
    ]
    assert states == [["ok"], ["warning"], ["failed"]]


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path):
    (tmp_path / "file").touch()
    (found,) = machine.disk({"logs": tmp_path / "file" / "logs"}, least_bytes=1)
    assert (found.state, "XDG_STATE_HOME" in found.remedy) == ("failed", True)


def test_a_state_folder_that_cannot_be_made_is_one_failed_row_of_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    report = check()
    assert report["Disk"].state == "failed"
    assert "XDG_STATE_HOME" in report["Disk"].remedy
    assert report["Python"].state == "ok"


def test_a_prometheus_that_is_none_fails_with_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABKIT_PROMETHEUS", "/no/such/prometheus")
    (found,) = machine.prometheus_binary()
    assert (found.state, "/no/such/prometheus" in found.detail) == ("failed", True)


def test_without_prometheus_the_command_that_fetches_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("LABKIT_PROMETHEUS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (found,) = machine.prometheus_binary()
    (elsewhere,) = machine.prometheus_binary(needed=False)
    assert (found.state, elsewhere.state) == ("failed", "warning")
    assert "`labkit prometheus`" in found.remedy


def test_the_prometheus_in_use_is_shown(monkeypatch: pytest.MonkeyPatch):
    binary = binaries()[-1]
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binary.path))
    (found,) = machine.prometheus_binary()
    assert (found.state, binary.version in found.detail) == ("ok", True)


# --- Jupyter's widgets ----------------------------------------------------------------------


def test_the_widget_extension_is_found():
    (found,) = widgets.widgets()
    assert found.state == "ok"


def test_a_disabled_widget_extension_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "labconfig" / "page_config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"disabledExtensions": {widgets.EXTENSION: True}}))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    (found,) = widgets.widgets()
    assert (found.state, str(config) in found.detail) == ("failed", True)
    assert "labextension enable" in found.remedy
    config.write_text(json.dumps({"disabledExtensions": {widgets.EXTENSION: False}}))
    assert [f.state for f in widgets.widgets()] == ["ok"]


def test_an_environment_without_the_widget_extension_fails(tmp_path: Path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=sys.platform != "win32")
    folder = "Scripts" if sys.platform == "win32" else "bin"
    libraries = [entry for entry in sys.path if entry.endswith("site-packages")]
    code = (
        f"import sys; sys.path += {[*libraries, str(Path.cwd())]!r}\n"
        "from labkit.checks.widgets import widgets\n"
        "for found in widgets(): print(found.state, found.detail, found.remedy)"
    )
    python = tmp_path / "env" / folder / "python"
    done = subprocess.run(
        [python, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        env={"JUPYTER_NO_CONFIG": "1", "HOME": str(tmp_path)},
    )
    assert done.stdout.startswith("failed"), done.stderr
    assert "JupyterLab does not find @jupyter-widgets" in done.stdout
    assert f"{python} -m pip install" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="another argv[0] is POSIX's")
def test_a_jupyter_of_another_environment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    python = tmp_path / "other" / "bin" / "python"
    code = [str(python), "-c", "input()", "/bin/jupyter-lab"]
    server = subprocess.Popen(code, executable=sys.executable, stdin=subprocess.PIPE)
    try:
        monkeypatch.setenv("JPY_PARENT_PID", str(server.pid))
        wait_for(lambda: psutil.Process(server.pid).cmdline() == code)
        (found,) = widgets.widgets()
        assert (found.state, str(tmp_path / "other") in found.detail) == ("warning", True)
        extension = tmp_path / "other" / "share" / "jupyter" / "labextensions" / widgets.EXTENSION
        extension.mkdir(parents=True)
        (extension / "package.json").touch()
        assert [f.state for f in widgets.widgets()] == ["ok"]
    finally:
        server.communicate(timeout=10)


# --- Processes left behind ------------------------------------------------------------------


class Crowd:
    """Processes started by hand, without a guard, as if theirs had been killed."""

    def __init__(self, runs: Path, closing: ExitStack) -> None:
        self.runs = runs
        self._closing = closing

    def folder(self, owner: dict[str, float] | None) -> Path:
        """Make a run folder that this process owns, or one that is gone."""
        self.runs.mkdir(parents=True, exist_ok=True)
        folder = self.runs / f"run-{len(list(self.runs.iterdir()))}"
        folder.mkdir()
        (folder / "owner.json").write_text(json.dumps(owner))
        return folder

    def start(self, command: Sequence[str | Path], log: Path) -> int:
        with log.open("ab") as output:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        self._closing.callback(child.communicate, timeout=10)
        self._closing.callback(child.kill)
        return child.pid

    def prometheus(self, folder: Path) -> int:
        config = folder / "prometheus.yml"
        config.touch()
        command = [
            binaries()[-1].path,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        return self.start(command, folder / "prometheus.log")


@pytest.fixture
def crowd(own_state: Path) -> Iterator[Crowd]:
    with ExitStack() as closing:
        yield Crowd(own_state, closing)


@pytest.fixture
def gone() -> dict[str, float]:
    """The identity of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    created = psutil.Process(ended.pid).create_time()
    ended.wait(10)
    return {"pid": ended.pid, "created": created}


def me() -> dict[str, float]:
    return {"pid": psutil.Process().pid, "created": psutil.Process().create_time()}


def pids(runs: Path) -> set[int]:
    return {process.pid for process in leftovers.find(runs)}


def test_processes_of_a_lab_whose_owner_is_gone_are_found(crowd: Crowd, gone: dict[str, float]):
    folder = crowd.folder(gone)
    sleeper = [sys.executable, "-c", "input()"]
    guard = Path(leftovers.__file__).parents[1] / "guard.py"
    started = {
        crowd.prometheus(folder),
        crowd.start([sys.executable, "-S", "-E", guard, "1", *sleeper], folder / "guard.log"),
        crowd.start([sys.executable, "-P", "-m", "labkit.traffic.worker"], folder / "traffic.log"),
    }
    wait_for(lambda: pids(crowd.runs) == started)
    wait_for(lambda: "ready to receive" in (folder / "prometheus.log").read_text())
    (found,) = leftovers.leftovers(crowd.runs)
    assert found.state == "warning"
    for kind in ("guard", "Prometheus", "traffic worker"):
        assert f"{kind} (process " in found.detail
    if sys.platform == "linux":  # elsewhere a log in a folder that is gone is not seen
        shutil.rmtree(folder)  # as the next lab does, while they run on
        assert pids(crowd.runs) == started


@pytest.mark.skipif(sys.platform == "win32", reason="the command is POSIX's")
def test_the_command_ends_what_was_left_behind_and_nothing_else(
    crowd: Crowd, gone: dict[str, float]
):
    orphan, other = crowd.prometheus(crowd.folder(gone)), crowd.prometheus(crowd.folder(me()))
    wait_for(lambda: pids(crowd.runs) == {orphan})
    (found,) = leftovers.leftovers(crowd.runs)
    command = found.remedy.removeprefix("end them: ")
    assert command == f"kill {orphan}"
    subprocess.run(command.split(), timeout=10, check=True)
    wait_for(lambda: not alive(orphan))
    assert alive(other)
    assert [f.state for f in leftovers.leftovers(crowd.runs)] == ["ok"]


def test_what_belongs_to_others_is_not_found(crowd: Crowd, gone: dict[str, float], tmp_path: Path):
    folder, mine, elsewhere = crowd.folder(gone), crowd.folder(me()), tmp_path / "run-x"
    elsewhere.mkdir()
    code = "import sys; print(sys.argv, flush=True); input()"
    reader = [sys.executable, "-c", code, folder / "prometheus.log", f"--config.file={folder}"]
    started = {
        crowd.start(reader, folder / "reader.log"),
        crowd.prometheus(mine),
        crowd.prometheus(elsewhere),
    }
    for log in (folder / "reader.log", mine / "prometheus.log", elsewhere / "prometheus.log"):
        wait_for(lambda log=log: log.read_text())  # they run, under their own command lines
    assert pids(crowd.runs).isdisjoint(started)


# --- The app --------------------------------------------------------------------------------


def test_a_closed_port_fails_and_the_rest_is_skipped(closed_port: int):
    found = rows(app(f"http://user:secret@127.0.0.1:{closed_port}"))
    assert [f.state for f in found.values()] == ["failed", "skipped", "skipped"]
    assert found["App"].detail.endswith("Connection refused")
    assert "secret" not in str(found)
    assert "`labkit up`" in found["App"].remedy


def test_the_lab_s_own_app_passes_and_is_not_counted():
    flask_app = create_app()
    with AppServer(flask_app) as server:
        found = rows(app(server.url))
    assert [f.state for f in found.values()] == ["ok", "ok", "ok"]
    metrics = flask_app.test_client().get("/metrics").text
    counts = [line for line in metrics.splitlines() if line.startswith("flask_requests_total{")]
    assert counts
    assert all(line.endswith(" 0.0") for line in counts)


def test_a_web_page_is_told_from_metrics():
    found = metrics_of("200 OK", {"Content-Type": "text/html"}, b"<h1>Welcome</h1>")
    assert found["App"].state == "ok"
    assert found["Metrics"].state == "failed"
    assert "<h1>Welcome</h1>" in found["Metrics"].detail


def test_malformed_metrics_name_the_line():
    found = metrics_of("200 OK", TEXT, GOOD + b"flask_errors_total{kind= oops\n")["Metrics"]
    assert (found.state, "line 3: flask_errors_total{kind= oops" in found.detail) == (
        "failed",
        True,
    )


@pytest.mark.parametrize(
    ("status", "headers", "body", "state", "words"),
    [
        ("200 OK", TEXT, GOOD, "ok", "1 metrics"),
        ("200 OK", {"Content-Type": "application/json"}, GOOD, "warning", "application/json"),
        ("200 OK", TEXT, b"", "failed", "empty"),
        ("200 OK", TEXT, b"other_total 1\n", "warning", "none named flask_requests_total"),
        ("404 NOT FOUND", TEXT, GOOD, "failed", "status 404"),
        ("302 FOUND", {"Location": "/login"}, b"", "failed", "a redirect to /login"),
    ],
)
def test_metrics_that_prometheus_would_not_take(status, headers, body, state, words):
    found = metrics_of(status, headers, body)["Metrics"]
    assert (found.state, words in found.detail) == (state, True), found


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [(0, "ok", "agrees"), (12, "warning", "ahead of"), (-100, "failed", "behind")],
)
def test_a_clock_that_is_wrong_shows_in_the_date_header(ahead, state, words):
    headers = TEXT | {"Date": formatdate(time.time() + ahead, usegmt=True)}
    found = metrics_of("200 OK", headers, GOOD)["App's clock"]
    assert (found.state, words in found.detail) == (state, True), found


# --- Prometheus -----------------------------------------------------------------------------


class Lines:
    """A Prometheus of each line, all with the same three targets, and what was seen first."""

    def __init__(self, folder: Path, app_url: str, bad_url: str, closing: ExitStack) -> None:
        self.closed = closing.enter_context(nobody())
        self.app_url, self.bad_url = app_url, bad_url
        urls = {"app-1": app_url, "app-2": self.closed, "app-3": bad_url}
        targets = {name: url.removeprefix("http://") for name, url in urls.items()}
        self.servers = [
            closing.enter_context(
                PrometheusServer(
                    # A scrape may take as long: in less, a busy app could not answer.
                    binary,
                    targets,
                    directory=folder / str(number),
                    scrape_interval=1.0,
                )
            )
            for number, binary in enumerate(binaries())
        ]
        self.first = [self.look(server, self.app_url) for server in self.servers]
        wait_for(lambda: all(map(self._is_scraped, self.servers)))

    def look(self, server: PrometheusServer, app_url: str | None) -> dict[str, Finding]:
        return rows(prometheus(server.url, app_url=app_url))

    def _is_scraped(self, server: PrometheusServer) -> bool:
        urls = (self.app_url, self.closed, self.bad_url)
        return all(self.look(server, url)["Target"].state != "warning" for url in urls)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    malformed = TEXT, b"flask_requests_total{ 1\n"
    with (
        AppServer(create_app()) as own,
        serving(lambda path: ("200 OK", *malformed)) as bad_url,
        ExitStack() as closing,
    ):
        yield Lines(tmp_path_factory.mktemp("lines"), own.url, bad_url, closing)


def test_a_target_is_waited_for_until_its_first_scrape(lines: Lines):
    for found in lines.first:
        assert found["Prometheus"].state == "ok"
        assert (found["Target"].state, found["Samples"].state) == ("warning", "skipped")
        assert "some 5 s after the start" in found["Target"].remedy


def test_a_target_that_is_up_shows_how_old_its_last_scrape_is(lines: Lines):
    for server in lines.servers:
        found = lines.look(server, lines.app_url)
        assert {f.state for f in found.values()} == {"ok"}, found
        assert server.binary.version.partition("+")[0] in found["Prometheus"].detail
        assert "app-1" in found["Target"].detail
        assert "every 1 s" in found["Target"].detail


def test_a_target_that_is_down_shows_prometheus_own_words(lines: Lines):
    for server in lines.servers:
        down = lines.look(server, lines.closed)
        assert (down["Target"].state, down["Samples"].state) == ("failed", "failed")
        assert "connection refused" in down["Target"].detail
        bad = lines.look(server, lines.bad_url)["Target"]
        assert bad.state == "failed"
        assert "app-3" in bad.detail
        assert "is down: " in bad.detail


def test_without_the_app_s_address_all_of_the_job_are_shown_the_worst_first(lines: Lines):
    targets = [f for f in prometheus(lines.servers[-1].url) if f.name == "Target"]
    assert [f.state for f in targets] == ["failed", "failed", "ok"]


def test_the_whole_check_of_a_lab_that_is_well(lines: Lines, monkeypatch: pytest.MonkeyPatch):
    server = lines.servers[-1]
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(server.binary.path))
    report = check(
        app_url=lines.app_url,
        prometheus_url=server.url,
        log_tails={"prometheus": partial(server.tail, 100)},
    )
    assert report.ok, report
    assert {f.state for f in report} <= {"ok", "warning"}  # a port may be taken here
    assert len({f.name for f in report}) == len(report) == 17


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits are Linux's")
def test_samples_that_are_no_longer_stored_fail_although_the_target_is_up(lines: Lines):
    for server in lines.servers:  # the last test of them: their disks are full from here on
        (wal,) = server.log.parent.glob("data-*/wal/00000000")
        # Its log must still have room, to say what happens.
        wait_for(lambda log=server.log, wal=wal: size(wal) > size(log) + 2000)
        psutil.Process(server.pid).rlimit(psutil.RLIMIT_FSIZE, (size(wal), size(wal)))
    wait_for(
        lambda: all(
            lines.look(server, lines.app_url)["Samples"].state == "failed"
            for server in lines.servers
        )
    )
    for server in lines.servers:
        found = lines.look(server, lines.app_url)
        assert "no longer arrive" in found["Samples"].detail
        (logged,) = logs.logs({"prometheus": partial(tail, server.log, 100)})
        assert logged.state == "warning"
        # Not the last one: its line may be cut where the log itself has reached the limit.
        assert any("file too large" in error for error in logs.errors_of(tail(server.log, 100)))


def size(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.parametrize(
    ("health", "scraped_ago", "state", "words"),
    [
        ("up", 1, "ok", "scraped 1.0 s ago, every 15 s"),
        ("up", 46, "ok", "scraped 46.0 s ago"),
        ("up", 48, "failed", "scraped 48.0 s ago"),
        ("unknown", 0, "warning", "not been scraped yet"),
        ("down", 1, "failed", "is down: no route"),
    ],
)
def test_a_target_is_judged_by_its_health_and_its_last_scrape(health, scraped_ago, state, words):
    now = 1_700_000_000.0
    scraped_at = now - scraped_ago if scraped_ago else 0.0
    target = Target("flask", "app-1", "http://x/metrics", health, "no route", scraped_at, 15.0)
    found = target.find(now)
    assert (found.state, words in found.detail) == (state, True), found


def test_a_prometheus_without_the_app_s_target_says_how_to_add_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prometheus_side, "TARGETS_SECONDS", 0.0)  # it started long ago
    with PrometheusServer(binaries()[-1], {}, directory=tmp_path) as server:
        found = rows(prometheus(server.url, app_url="http://127.0.0.1:5000"))
    assert found["Target"].state == "failed"
    assert "no target at all, not http://127.0.0.1:5000" in found["Target"].detail
    assert "labkit deploy-files" in found["Target"].remedy


def test_a_closed_prometheus_fails_and_the_rest_is_skipped(closed_port: int):
    found = rows(prometheus(f"http://127.0.0.1:{closed_port}"))
    assert [f.state for f in found.values()] == ["failed", "skipped", "skipped", "skipped"]


def test_something_else_in_prometheus_place_is_told():
    page = "200 OK", {"Content-Type": "text/html"}, b"<h1>Grafana</h1>"
    with serving(lambda path: page) as url:
        found = rows(prometheus(url))["Prometheus"]
    assert (found.state, "Grafana" in found.detail) == ("failed", True)


def test_a_server_with_the_query_api_alone_and_another_time():
    """Mimir and Thanos have no targets; their clock is seen as the others' is."""
    then = time.time() + 100

    def answer(path: str) -> tuple[str, dict[str, str], bytes]:
        data = {"resultType": "scalar", "result": [then, str(then)]}
        if not path.endswith("/query"):
            return "404 NOT FOUND", {"Date": formatdate(then, usegmt=True)}, b"nothing here"
        return "200 OK", {}, json.dumps({"status": "success", "data": data}).encode()

    with serving(answer) as url:
        report = {f.name: f for f in look_at_all([Look(("x",), lambda: prometheus(url))])}
    assert report["Prometheus"].state == "ok"
    assert report["Target"].state == "skipped"
    assert report["Prometheus's clock"].state == "failed"
    assert "100 s ahead" in report["Prometheus's clock"].detail


# --- Logs, and all of it --------------------------------------------------------------------


def test_errors_in_logs_are_shown_and_failed_requests_are_none():
    requests = '{"time": "…", "status": 500, "error_type": "database_error"}\n'
    (fine,) = logs.logs({"app": lambda: requests, "traffic": lambda: "INFO run 1 started\n"})
    assert fine.state == "ok"
    (bad,) = logs.logs(
        {
            "app": lambda: requests + '{"level": "error", "message": "the loop ended"}\n',
            "traffic": lambda: "12:00 ERROR run 1 failed\n",
        }
    )
    assert bad.state == "warning"
    assert "the loop ended" in bad.detail
    assert "run 1 failed" in bad.detail
    assert 'lab.logs("app")' in bad.remedy


def test_with_nothing_running_the_live_rows_say_how_to_start_it():
    report = check()
    skipped = [f.name for f in report if f.state == "skipped"]
    assert skipped == [
        *("App", "Metrics", "App's clock", "Prometheus", "Prometheus's clock", "Target"),
        *("Samples", "Logs"),
    ]
    assert "labkit.start()" in report["App"].remedy
    assert "`labkit up`" in report["Prometheus"].remedy


def test_servers_that_never_answer_do_not_hold_the_check_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        report = check(app_url=url, prometheus_url=url)
        took = time.monotonic() - started
    assert (report["App"].state, report["Prometheus"].state) == ("failed", "failed")
    assert "within 1.5 s" in report["App"].detail
    assert took < 10  # 2.5 s where the machine is idle


def test_a_server_that_never_finishes_does_not_hold_the_check_up():
    with socket.create_server(("127.0.0.1", 0)) as slow:
        ended = threading.Event()

        def drip() -> None:
            client, _ = slow.accept()
            with client:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
                while not ended.wait(0.1):
                    client.sendall(b"#\n")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            report = check(app_url=f"http://127.0.0.1:{slow.getsockname()[1]}", seconds=1.0)
        finally:
            ended.set()
            thread.join(5)
    assert report["App"].state == "failed"
    assert "gave no answer within 1 s" in report["Metrics"].detail


def test_a_run_folder_of_this_process_is_no_leftover(own_state: Path):
    folder = RunFolder()
    try:
        assert [f.state for f in leftovers.leftovers(own_state)] == ["ok"]
    finally:
        folder.close()
