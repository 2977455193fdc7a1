"""What the instrumentation costs a request, beside prometheus-flask-exporter and bare Flask.

    python benchmarks/instrumentation.py [ROUNDS]

In process, without a server: `GET /` of the same views on three apps. The apps take turns in
every round, so that a machine that slows down slows all of them. All six metrics are on, and
the request log is in place without a handler, as create_app() leaves it.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.test import EnvironBuilder

from app import create_app
from app.faults import Faults
from app.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS = 500
ROUNDS = 60
AIM = 0.35
MICROSECONDS = 1e6


def bare() -> Flask:
    """Return the views on a Flask app that counts nothing."""
    app = Flask("app", static_folder=None)
    Views(Faults(), CollectorRegistry(), None).register(app)
    return app


def exporter() -> Flask:
    """Return the views on a Flask app with prometheus-flask-exporter's default metrics."""
    app = bare()
    PrometheusMetrics(app, path=None, group_by="url_rule", registry=CollectorRegistry())
    return app


def _ignore(*_: object) -> None:
    """Take a status and headers, as a server would."""


def seconds_per_request(app: Callable[..., object]) -> float:
    """Return the mean time of one `GET /`, its body read."""
    template = EnvironBuilder(path="/").get_environ()
    start = time.perf_counter()
    for _ in range(REQUESTS):
        answer = app(dict(template), _ignore)
        b"".join(answer)
        answer.close()
    return (time.perf_counter() - start) / REQUESTS


def main() -> None:
    """Measure and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    apps = {
        "bare Flask": bare(),
        "prometheus-flask-exporter": exporter(),
        "app (six metrics)": create_app(),
    }
    for app in apps.values():
        seconds_per_request(app)  # warm up
    times: dict[str, list[float]] = {name: [] for name in apps}
    for number in range(rounds):
        order = list(apps) if number % 2 else list(reversed(apps))
        for name in order:
            times[name].append(seconds_per_request(apps[name]))
    report({name: statistics.median(values) * MICROSECONDS for name, values in times.items()})


def report(medians: dict[str, float]) -> None:
    """Print the medians, what each adds to bare Flask, and the ratio that is aimed at."""
    base = medians["bare Flask"]
    print(f"{'median per request':28}{'µs':>8}{'added µs':>10}")
    for name, median in medians.items():
        print(f"{name:28}{median:8.1f}{median - base:10.1f}")
    ratio = (medians["app (six metrics)"] - base) / (medians["prometheus-flask-exporter"] - base)
    print(f"added time, app to exporter: {ratio:.2f} (aim: at most {AIM})")
    packages = "flask", "werkzeug", "prometheus-client", "prometheus-flask-exporter"
    print(
        f"{platform.platform()}, {platform.processor() or platform.machine()}, "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in packages)
    )


if __name__ == "__main__":
    main()
