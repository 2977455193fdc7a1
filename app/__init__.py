"""The instrumented Flask app that the lab watches."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.logging import default_handler
from prometheus_client import CollectorRegistry

from app.faults import Faults
from app.log import RequestLog
from app.metrics import Metrics
from app.views import Views

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_BODY_BYTES = 64 * 1024


def create_app(
    config: Mapping[str, Any] | None = None, *, registry: CollectorRegistry | None = None
) -> Flask:
    """Make an app with metrics, faults and a log of its own.

    ``app.extensions`` has them as ``"metrics"`` (`Metrics`), ``"faults"`` (`Faults`) and
    ``"log"`` (`RequestLog`, to be closed by whoever gave it a file).

    Args:
        config: Flask's settings, and these:
            ``TOKEN`` the secret for PUT /faults; LABKIT_TOKEN in the environment by default.
            None or an empty one refuses every PUT.
            ``FAULTS`` the `Faults` to follow; the classic preset by default.
            ``SEED`` where the chances start, for runs that can be repeated.
            ``LOG`` the path of the request log, JSON lines; no log by default.
        registry: where the metrics appear; one of its own by default.

    Raises:
        ValueError: when the registry already holds the metrics of another app.
    """
    app = Flask("app", static_folder=None, template_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY_BYTES,
        PROPAGATE_EXCEPTIONS=False,  # an exception is an answer of 500, under test as well
        TOKEN=os.environ.get("LABKIT_TOKEN"),
        FAULTS=None,
        SEED=None,
        LOG=None,
    )
    app.config.update(config or {})
    # Exceptions go to the server's error stream. Flask's own logger of this name is one for
    # the process, and hands on to the root logger, which in a notebook prints into a cell.
    app.logger = logging.Logger("app", logging.INFO)
    app.logger.addHandler(default_handler)

    faults = app.config["FAULTS"] or Faults()
    if app.config["SEED"] is not None:
        faults.reseed(app.config["SEED"])
    metrics = Metrics(registry if registry is not None else CollectorRegistry())
    log = RequestLog()
    if app.config["LOG"] is not None:
        log.to_file(app.config["LOG"])
    app.extensions.update(faults=faults, metrics=metrics, log=log)

    Views(faults, metrics.registry, app.config["TOKEN"] or None).register(app)
    # Flask documents this assignment as the way to add middleware; its types do not know that.
    app.wsgi_app = log.track(metrics.track(app.wsgi_app))  # type: ignore[method-assign, assignment]
    return app
