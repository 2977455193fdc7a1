"""A recording: a live session in one file, served again elsewhere, sample by sample."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from labkit.attached import AttachedLab
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.marks import Mark
from labkit.panels.dashboard_source import Source
from labkit.recording import archive, open_recording, record, recorder
from labkit.recording.contents import MOST_SAMPLES, Clock, Contents, Family, Window
from labkit.recording.recorded import SAMPLE_NAN, Recording
from labkit.recording.recorder import _settle
from tests.ports import steady_port
from tests.prometheus_lines import binaries
from tests.small_past import END, HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labkit.prometheus.candidate import Binary
    from labkit.recording.lab import RecordingLab

    Samples = dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]

NAME = "class <b>A</b>"
EVERYTHING = '{__name__!=""}'


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("states")))
        yield


@pytest.fixture(scope="module")
def live(prometheus_binary: Binary, own_cache: None) -> Iterator[Lab]:
    """A lab with traffic, a change of faults and an outage behind it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        lab = Lab(app_port=steady_port(), scrape_interval=0.25, seed=7, name=NAME).start()
    with lab:
        lab.traffic(requests=30, seconds=0.5, mix={"/": 2, "/health": 1}).wait(10)
        lab.wait_for("sum(flask_requests_total) == 30")
        lab.faults.health_failure_probability = 0.9
        lab.stop_app()
        lab.wait_for("max_over_time(up[800ms]) == 0")  # so, and not for a scrape that stalled
        lab.start_app()
        lab.traffic(requests=20, seconds=0.5, mix={"/": 2, "/health": 1}).wait(10)
        lab.wait_for("sum(flask_requests_total) == 20")
        lab.wait_for("count_over_time(up[1m]) >= 12")
        yield lab


@pytest.fixture(scope="module")
def session(live: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(live, tmp_path_factory.mktemp("sessions") / "session.labrec")


@pytest.fixture(scope="module")
def lab(prometheus_binary: Binary, session: Path) -> Iterator[RecordingLab]:
    with served(session, prometheus_binary) as lab:
        yield lab


def served(path: Path, binary: Binary) -> RecordingLab:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(binary.path))
        return open_recording(path)


def samples(lab: Lab, until: float) -> Samples:
    """Return all that a Prometheus holds, to that moment."""
    told = lab._client_now().get("query", query=f"{EVERYTHING}[1h]", time=f"{until:.3f}")["result"]
    return {
        tuple(sorted(series["metric"].items())): [
            (round(1000 * time), float(text)) for time, text in series["values"]
        ]
        for series in told
    }


def without_nan(found: Samples) -> Samples:
    numbers = {key: [p for p in pairs if p[1] == p[1]] for key, pairs in found.items()}
    return {key: pairs for key, pairs in numbers.items() if pairs}


def scrapes(lab: RecordingLab) -> list[tuple[int, float]]:
    return next(v for k, v in samples(lab, lab.history.end).items() if ("__name__", "up") in k)


# --- What comes back ----------------------------------------------------------------------------


def test_every_sample_comes_back_with_its_own_millisecond_and_no_other(
    live: Lab, lab: RecordingLab
):
    expected = samples(live, lab.history.end)
    assert without_nan(samples(lab, lab.history.end)) == without_nan(expected)
    assert lab.recording.samples == sum(map(len, expected.values()))
    names = {dict(key)["__name__"] for key in expected}
    assert {"up", "flask_request_duration_seconds_bucket", "job:flask_requests:rate2m"} < names


def test_a_prometheus_of_another_version_has_the_same_samples(
    prometheus_binary: Binary, lab: RecordingLab
):
    expected = samples(lab, lab.history.end)
    for other in binaries():
        if other != prometheus_binary:
            with served(lab.recording.path, other) as elsewhere:
                assert without_nan(samples(elsewhere, lab.history.end)) == without_nan(expected)


def test_what_the_rules_make_of_the_last_moments_is_waited_for(live: Lab):
    client = live._client_now()
    for _ in range(5):
        end = client.now()
        _settle(client, end)
        times = [group["lastEvaluation"] for group in client.get("rules")["groups"]]
        assert times
        assert all(datetime.fromisoformat(time).timestamp() > end for time in times)


def test_samples_that_are_not_a_number_come_back(live: Lab, lab: RecordingLab):
    found, expected = (
        {
            key: [time for time, value in pairs if np.isnan(value)]
            for key, pairs in samples(each, lab.history.end).items()
            if np.isnan([value for _, value in pairs]).any()
        }
        for each in (live, lab)
    )
    assert expected  # an endpoint without traffic has a ratio of 0 / 0
    assert found == expected


QUESTIONS = [
    "up",
    "rate(flask_requests_total[1s])",
    "sum by (status) (increase(flask_requests_total[2s]))",
    "sum(resets(flask_requests_total[20s]))",
    "histogram_quantile(0.95, sum by (le) (rate(flask_request_duration_seconds_bucket[3s])))",
    "max_over_time(ALERTS_FOR_STATE[10s])",
    "count_over_time(job:flask_requests:rate2m[2s])",
    "rate(flask_requests_total[$__rate_interval])",
]


def test_rates_and_up_are_those_of_the_live_server_at_the_same_times(live: Lab, lab: RecordingLab):
    # By a Prometheus of the same version: they differ in how they extrapolate.
    moments = [(time + 100) / 1000 for time, _ in scrapes(lab)][:-1]
    assert len(moments) >= 8
    for question in QUESTIONS:
        answered = 0
        for moment in moments:
            expected, found = (each._client_now().query(question, moment) for each in (live, lab))
            answered += len(expected)
            assert expected.columns.tolist() == found.columns.tolist(), (question, moment)
            labels = expected.columns.drop("value").tolist()
            expected, found = (frame.sort_values(labels) for frame in (expected, found))
            assert expected[labels].values.tolist() == found[labels].values.tolist()
            assert np.allclose(expected["value"], found["value"], rtol=1e-12, equal_nan=True)
        assert answered, question
    assert lab.query("max(resets(flask_requests_total[20s]))")["value"].item() == 1


def test_the_one_difference_is_that_what_went_down_lingers(live: Lab, lab: RecordingLab):
    stopped, started = (
        1000 * mark.time
        for mark in lab.marks.between(lab.history.start, lab.history.end)
        if mark.kind == "app"
    )
    down = [time for time, value in scrapes(lab) if value == 0 and stopped < time < started]
    moment = (down[-1] + 100) / 1000
    assert live._client_now().query("flask_uptime_seconds", moment).empty
    assert len(lab.query("flask_uptime_seconds", moment)) == 1
    assert lab.query("last_over_time(flask_uptime_seconds[500ms])", moment).empty


def test_it_is_a_lab_whose_now_is_the_end_of_the_session(live: Lab, lab: RecordingLab):
    end = lab.history.end
    assert lab.query("time()")["value"].item() == end
    assert Recording(lab.recording.path).start == pytest.approx(live._began, abs=0.001)
    assert lab.query("rate(up[$__rate_interval])").attrs["query"] == "rate(up[1s])"
    found, expected = (each.metrics().set_index("name") for each in (lab, live))
    assert set(expected.index) <= set(found.index)
    assert found.loc[expected.index, "type"].to_dict() == expected["type"].to_dict()
    assert found.loc[expected.index, "help"].to_dict() == expected["help"].to_dict()
    assert found.loc["flask_requests_total", "type"] == "counter"
    with pytest.raises(LabError, match="not what made them"):
        _ = lab.truth
    assert lab.kind == "recording"
    status = lab.status()
    assert status.title == "recording: running"
    assert f"of {NAME!r}, recorded 20" in status["Recording"].detail
    assert f"a scrape every 0.25 s, {lab.recording.samples:,} samples" in status["Recording"].detail
    assert "<b>" not in status._repr_html_()


def test_its_marks_are_those_of_the_session(live: Lab, lab: RecordingLab):
    marks = lab.marks.between(lab.history.start, lab.history.end)
    assert marks == live.marks.between(lab.history.start, lab.history.end)
    assert [m.label for m in marks if m.kind in {"app", "faults"}] == [
        "faults",
        "app stopped",
        "app started",
    ]
    source = Source(lab._client_now(), [], marks=lab.marks)
    assert list(source.fetch(1.0).view.marks) == marks
    source.close()


# --- What is recorded ---------------------------------------------------------------------------


def test_small_answers_give_the_same_recording(live: Lab, lab: RecordingLab, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "_ANSWER_SAMPLES", 100)
    path = record(live, tmp_path / "again.labrec")
    found: dict[Any, Any] = {}
    for chunk in Recording(path).chunks():
        for each in chunk.series:
            key = (each.name, *sorted(each.labels.items()))
            found.setdefault(key, []).extend(zip(chunk.times_ms.tolist(), each.values, strict=True))
    with archive.Reader(path) as reader:
        assert len(reader.contents.windows) > 5
    for key, pairs in without_nan(samples(lab, lab.history.end)).items():
        labels = dict(key)
        known = found[(labels.pop("__name__"), *sorted(labels.items()))]
        assert [p for p in known if p[0] <= 1000 * lab.history.end and p[1] == p[1]] == pairs


def test_the_last_minutes_can_be_recorded_alone(live: Lab, tmp_path):
    recording = Recording(record(live, tmp_path / "short.labrec", minutes=1 / 60))
    assert recording.end - recording.start == pytest.approx(1.0, abs=0.01)
    times = np.concatenate([chunk.times_ms for chunk in recording.chunks()]) / 1000
    assert recording.start <= times.min() <= times.max() <= recording.end
    assert "app stopped" not in [mark.label for mark in recording.marks]
    for wrong in (0, -1, float("nan"), "5"):
        with pytest.raises(ValueError, match="minutes must be"):
            record(live, tmp_path / "none.labrec", minutes=wrong)


def test_an_attached_lab_is_recorded_as_far_back_as_one_says(live: Lab, tmp_path):
    with AttachedLab(prometheus_url=live.prometheus_url) as attached:
        with pytest.raises(LabError, match=r"(?s)no beginning.*minutes=30"):
            record(attached, tmp_path / "attached.labrec")
        recording = Recording(record(attached, tmp_path / "attached.labrec", minutes=2))
        names = {each.name for chunk in recording.chunks() for each in chunk.series}
        assert {"up", "flask_requests_total", "job:flask_requests:rate2m"} < names
        assert recording.interval == 0.25
        alone = Recording(record(attached, tmp_path / "up.labrec", minutes=2, match=["up"]))
        assert {each.name for chunk in alone.chunks() for each in chunk.series} == {"up"}
        with pytest.raises(LabError, match=r"(?s)nothing to record.*job=\"shop\".*match="):
            record(attached, tmp_path / "none.labrec", minutes=2, match=['{job="shop"}'])
        with pytest.raises(ValueError, match="match must be a list"):
            record(attached, tmp_path / "none.labrec", minutes=2, match="up")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attached.labrec", "up.labrec"]


def test_an_interrupt_or_a_full_disk_leaves_nothing(live: Lab, tmp_path, monkeypatch):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    for method, function, expected in (
        (recorder._Session, ("_ask", interrupt), pytest.raises(KeyboardInterrupt)),
        (archive.Writer, ("finish", interrupt), pytest.raises(KeyboardInterrupt)),
        (
            zipfile.ZipFile,
            ("writestr", fail),
            pytest.raises(LabError, match=r"(?s)No space left.*MB are free in.*make room"),
        ),
    ):
        with monkeypatch.context() as patch, expected:
            patch.setattr(method, *function)
            record(live, tmp_path / "session.labrec")
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(LabError, match=r"(?s)there is no folder"):
        record(live, tmp_path / "no" / "session.labrec")


def test_only_a_recording_is_replaced(live: Lab, session: Path, tmp_path):
    notebook = tmp_path / "notes.ipynb"
    notebook.write_text("{}")
    for taken in (notebook, tmp_path):
        with pytest.raises(LabError, match="no recording that could be read; it was left alone"):
            record(live, taken)
    assert notebook.read_text() == "{}"
    again = tmp_path / "session.labrec"
    again.write_bytes(session.read_bytes())
    record(live, again)
    assert Recording(again).end > Recording(session).end


# --- Files of any origin ------------------------------------------------------------------------

START_MS = 1000 * (END - 60)
TIMES = np.arange(START_MS, 1000 * END, 5_000) + 17


def contents(**changed: Any) -> Contents:
    told: dict[str, Any] = {
        "lab": "made",
        "interval": 5.0,
        "start_ms": START_MS,
        "end_ms": 1000 * END,
        "families": [Family("odd", "gauge", 'A\n"help"\\')],
        "series": [{"__name__": "odd", "path": "../../x", "text": HOSTILE}, {"__name__": "nan"}],
        "marks": [Mark(END - 50, None, "run", HOSTILE, HOSTILE)],
        "windows": [Window(START_MS, 1000 * END, (Clock(len(TIMES), (0, 1)),))],
    }
    return Contents(**told | changed)


VALUES = np.array([0.1, 1e300, -np.inf, np.inf, 5e-324, 2.0**53 + 2, -1 / 3, 0, 1, 2, 3, 4])


def made(path: Path, times: Any = TIMES, values: Any = VALUES, **changed: Any) -> Path:
    told = contents(**changed)
    with archive.writing(path) as writer:
        writer.add(np.asarray(times, np.int64))
        writer.add(np.asarray(values, float))
        writer.add(np.where(np.arange(len(values)) % 2 == 0, SAMPLE_NAN, 1.0))
        writer.finish(told)
    return path


@pytest.fixture
def newest(monkeypatch) -> Binary:
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    return binaries()[-1]


def test_labels_are_data_and_values_are_exact(newest: Binary, tmp_path):
    with open_recording(made(tmp_path / "made.labrec"), name="again") as lab:
        assert not lab.from_cache
        assert lab.status().title == "again: running"
        found = {dict(k)["__name__"]: (dict(k), v) for k, v in samples(lab, END).items()}
        labels, pairs = found["odd"]
        assert (labels["path"], labels["text"]) == ("../../x", HOSTILE)
        assert pairs == list(zip(TIMES.tolist(), VALUES.tolist(), strict=True))
        assert [m.until for m in lab.marks.between(0, END)] == [END]  # it went on: to the end
        assert lab.metrics().set_index("name").loc["odd", "help"] == 'A\n"help"\\'
    with open_recording(made(tmp_path / "copy.labrec")) as lab:
        assert lab.from_cache
    assert Recording(made(tmp_path / "other.labrec", lab="other")).digest != lab.history.digest


def told(recording: Recording) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for chunk in recording.chunks():
        for each in chunk.series:
            pairs = zip(chunk.times_ms.tolist(), each.values.tolist(), strict=True)
            found.setdefault(each.name, []).extend(pairs)
    return found


def test_samples_at_the_edges_of_windows_are_recorded_once(
    prometheus_binary: Binary, tmp_path, monkeypatch
):
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
    monkeypatch.setattr(recorder, "_ANSWER_SAMPLES", 2)  # a window each interval
    first, last = TIMES, TIMES[:-1] + 4_999  # at the first and the last millisecond of windows
    clocks = (Clock(len(first), (0,)), Clock(len(last), (1,)))
    edges = (START_MS + 17, 1000 * END)
    path = tmp_path / "made.labrec"
    with archive.writing(path) as writer:
        for words in (first, 1.0 * np.arange(12), last, 0.5 * np.arange(11)):
            writer.add(words)
        writer.finish(contents(start_ms=edges[0], windows=[Window(*edges, clocks)]))
    with open_recording(path) as lab:
        again = Recording(record(lab, tmp_path / "again.labrec"))
    with archive.Reader(again.path) as reader:
        assert len(reader.contents.windows) == 12
    assert told(again) == told(Recording(path))
    assert (again.start, again.end, again.lab) == (edges[0] / 1000, END, "recording")


def rezip(path: Path, **members: bytes) -> None:
    """Write the archive anew with other members, and the checksum that fits."""
    with zipfile.ZipFile(path) as old:
        kept = {name: old.read(name) for name in old.namelist()}
    kept |= members
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in kept.items():
            new.writestr(name, data)


def rewritten(path: Path, **fields: Any) -> None:
    """Change fields of the manifest; the checksum fits."""
    with zipfile.ZipFile(path) as old:
        manifest = json.dumps(json.loads(old.read("manifest.json")) | fields).encode()
        digest = hashlib.sha256(old.read("samples") + manifest).hexdigest()
    rezip(path, **{"manifest.json": manifest, "sha256": digest.encode()})


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 8] ^= 1
    path.write_bytes(data)


def bomb(path: Path) -> None:
    """Samples that are all zeros: a megabyte on the disk, a thousand of them unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        with new.open("samples", "w") as file:
            for _ in range(archive.MOST_SAMPLE_BYTES // 16_000_000 + 1):
                file.write(bytes(16_000_000))
        new.writestr("manifest.json", "{}")
        new.writestr("sha256", "0")


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("../../etc/passwd", "")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p.unlink(), r"cannot be opened.*No such file.*path is right"),
    "folder": (lambda p: (p.unlink(), p.mkdir()), r"cannot be opened.*directory"),
    "empty": (lambda p: p.write_bytes(b""), "is empty.*copy it again"),
    "foreign": (lambda p: p.write_text("a,b\n1,2"), r"no recording.*b'a,b.n'.*labkit\.record"),
    "other zip": (other_zip, r"no recording.*\.\./\.\./etc/passwd"),
    "other json": (lambda p: rewritten(p, format="x"), "no recording.*does not say"),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-60]), "damaged: its end is missing"),
    "half": (lambda p: p.write_bytes(p.read_bytes()[:99]), "damaged: its end.*99 bytes are there"),
    "flipped": (flipped, "damaged"),
    "other checksum": (lambda p: rezip(p, sha256=b"0" * 64), "damaged.*its checksum"),
    "other samples": (lambda p: rezip(p, samples=bytes(12 * 8 * 3)), "damaged.*its checksum"),
    "no json": (lambda p: rezip(p, **{"manifest.json": b"[" * 100_000}), "damaged.*is no JSON"),
    "newer": (lambda p: rewritten(p, version=2), "newer labkit.*format is 2; this.*update labkit"),
    "no version": (lambda p: rewritten(p, version="1"), "damaged.*no version"),
    "bomb": (bomb, "too large.*its samples would take.*MB.*minutes="),
    "too many": (
        lambda p: rewritten(
            p, windows=[[START_MS, 1000 * END, [[MOST_SAMPLES, [0]], [MOST_SAMPLES, [1]]]]]
        ),
        "too large.*40,000,000 samples",
    ),
    "long labels": (
        lambda p: rewritten(
            p,
            series=[{"__name__": "a", "b": "x" * 10**6}, {"__name__": "c"}],
            windows=[[START_MS, 1000 * END, [[6_000, [0, 1]]]]],
        ),
        "too large",
    ),
    "unequal": (
        lambda p: rewritten(p, windows=[[START_MS, 1000 * END, [[11, [0, 1]]]]]),
        "damaged.*more or fewer samples than it says",
    ),
    "times": (lambda p: made(p, times=TIMES[::-1]), "damaged.*times are not in order"),
    "time outside": (lambda p: made(p, times=TIMES + 60_000), "damaged.*times are not in order"),
    "window outside": (lambda p: rewritten(p, end_ms=START_MS + 9), "damaged.*after its end"),
    "wide window": (
        lambda p: rewritten(p, windows=[[START_MS, START_MS + 8_000_000, [[12, [0, 1]]]]]),
        "damaged.*too wide",
    ),
    "no series": (
        lambda p: rewritten(p, windows=[[START_MS, 1000 * END, [[12, [0, 2]]]]]),
        "damaged.*samples of no series",
    ),
    "series twice": (
        lambda p: rewritten(p, windows=[[START_MS, 1000 * END, [[12, [0, 0]]]]]),
        "damaged.*series twice",
    ),
    "same labels": (
        lambda p: rewritten(p, series=[{"__name__": "a", "b": ""}, {"__name__": "a"}]),
        "damaged.*series is there twice",
    ),
    "label name": (
        lambda p: rewritten(p, series=[{"__name__": "a", 'b="1"} 1\n# EOF\n': "x"}, {}]),
        "damaged.*label has no plain name",
    ),
    "surrogate": (
        lambda p: rewritten(p, series=[{"__name__": "a", "b": "\ud800"}, {}]),
        "damaged.*letters that cannot be stored",
    ),
    "metric name": (lambda p: rewritten(p, series=[{"b": "1"}, {}]), "damaged.*no plain name"),
    "type": (lambda p: rewritten(p, families=[["a", "x\n# EOF", ""]]), "damaged.*no known type"),
    "mark": (
        lambda p: rewritten(p, marks=[{"time": 1, "kind": "x", "label": "", "text": ""}]),
        "damaged.*mark is of no known kind",
    ),
    "interval": (lambda p: rewritten(p, interval=float("nan")), "damaged.*interval is out of"),
    "true": (lambda p: rewritten(p, interval=True), "damaged.*interval is bool"),
    "far": (lambda p: rewritten(p, end_ms=10**18), "damaged.*end_ms is out of range"),
    "lists": (lambda p: rewritten(p, windows={}), "damaged.*windows is dict, not list"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_cannot_be_served_is_refused_with_a_reason(what: str, tmp_path):
    change, reason = REFUSED[what]
    path = made(tmp_path / "made.labrec")
    Recording(path)
    change(path)
    before = [*Lab.opened]
    with pytest.raises(LabError, match=f"(?s){reason}") as refused:
        open_recording(path)
    assert str(path) in refused.value.message
    assert refused.value.next_step
    assert Lab.opened == before


def test_a_file_that_was_changed_since_it_was_opened_is_noticed(tmp_path):
    recording = Recording(made(tmp_path / "made.labrec"))
    made(recording.path, lab="other")
    with pytest.raises(LabError, match=r"(?s)damaged.*was changed since"):
        next(recording.chunks())
