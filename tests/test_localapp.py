"""The lab's own app: started again on its port, whatever has become of its server."""

from __future__ import annotations

import errno
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.request import urlopen

from labkit.localapp import LocalApp
from labkit.runfolder import RunFolder
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path


class Broken:
    """What a server's loop can't go on with, as with a descriptor that someone else closed."""

    def readable(self) -> bool:
        raise OSError(errno.EBADF, "Bad file descriptor")

    def close(self) -> None:
        """Have nothing to close."""


def test_an_app_whose_server_broke_down_starts_again_on_its_port(tmp_path: Path):
    """The leak detector sees whether the threads and the socket of the first one are gone."""
    with closing(RunFolder(tmp_path)) as folder:
        app = LocalApp(folder, threads=4)
        try:
            server = app._part()
            server._map[10**6] = Broken()
            server._server.trigger.pull_trigger()  # the loop looks at what it watches
            wait_for(lambda: not app.running)
            url = app.url
            app.start()
            assert app.url == url
            with urlopen(url, timeout=5) as answer:
                assert answer.status == 200
        finally:
            app.stop()
