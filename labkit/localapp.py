"""The lab's own app: made, served in a thread, stopped, and started again on the same port."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.server import AppServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.faults import Faults
    from labkit.runfolder import RunFolder


class LocalApp:
    """The instrumented app in a thread; its faults outlive a restart, its counters do not.

    Args:
        folder: takes its logs.
        port: its port; 0 takes a free one, which it then keeps.
        threads: how many requests it works on at once.
        seed: makes its faults repeat.

    Raises:
        PortInUse: the port is taken.
        LabError: a file of the user's hides the package `app`.
    """

    def __init__(
        self, folder: RunFolder, *, port: int = 0, threads: int = 32, seed: int | None = None
    ) -> None:
        self.token = secrets.token_urlsafe(16)
        self._folder = folder
        self._threads = threads
        self._app: Any = None
        self._server: AppServer | None = None
        self._life = threading.Lock()  # cells and the panel may start and stop it at once
        self._serve(port, {"SEED": seed})
        self.port = self._part().port

    @property
    def running(self) -> bool:
        """Whether it is served."""
        return self._server is not None and self._server.running

    @property
    def url(self) -> str:
        """Its address, which stays the same over a restart."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def faults(self) -> Faults:
        """Its error probabilities and latencies."""
        faults: Faults = self._app.extensions["faults"]
        return faults

    def start(self) -> None:
        """Serve it again on its port, with counters from zero; a running one is left as it is."""
        with self._life:
            if not self.running:
                self._close()  # one whose loop broke down still has its threads and the port
                self._serve(self.port, {"FAULTS": self.faults})

    def stop(self) -> None:
        """Answer what is in flight and stop serving. Idempotent."""
        with self._life:
            self._close()

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._app.extensions["log"].close()

    def _serve(self, port: int, config: Mapping[str, Any]) -> None:
        log = self._folder.log("app")
        self._app = _create_app({"TOKEN": self.token, "LOG": log, **config})
        try:
            self._server = AppServer(
                self._app, port=port, threads=self._threads, log=self._folder.log("server")
            )
        except BaseException:
            self._app.extensions["log"].close()
            raise

    def _part(self) -> AppServer:
        assert self._server is not None  # noqa: S101 - asked for right after it was made
        return self._server


def _create_app(config: Mapping[str, Any]) -> Any:
    """Make the app; a file app.py beside the notebook would take its name."""
    import app

    if not hasattr(app, "create_app"):
        raise LabError(
            "A module of yours hides the lab's own package `app`.",
            evidence=str(app.__file__),
            next_step="rename that file and restart the kernel.",
        )
    return app.create_app(config)
