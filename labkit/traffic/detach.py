"""Start a command that outlives us, and print its process number.

Run as ``python -S -E detach.py OUTPUT COMMAND [ARG ...]``. The command gets a session of its own,
so that closing a terminal or interrupting a kernel does not reach it, and the file OUTPUT for
whatever it prints. We end at once, and so it is the system that will reap it: to the program that
ran us it is no child to wait for. Standard library only, and few modules.
"""

from __future__ import annotations

import os
import subprocess
import sys

EXIT_NOT_STARTED = 127
_WINDOWS = sys.platform == "win32"
# CREATE_NEW_PROCESS_GROUP, and CREATE_NO_WINDOW: a console of its own that nobody sees. With
# DETACHED_PROCESS each of its children would open a window.
_ON_WINDOWS = 0x200 | 0x08000000
_BREAK_AWAY = 0x01000000  # CREATE_BREAKAWAY_FROM_JOB: from a terminal that ends all in its job


def _start(output: str, command: list[str], flags: int) -> int:
    with open(output, "ab") as stream:  # noqa: PTH123 - pathlib takes its time to load
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=os.path.abspath(os.sep),  # noqa: PTH100 - the same; holds no folder of anybody's
            start_new_session=not _WINDOWS,
            creationflags=flags,
        )
    pid = process.pid
    process.returncode = 0  # it is not for us to wait for
    return pid


def main(arguments: list[str]) -> int:
    """Start the command, print its number, and return an exit code."""
    output, command = arguments[0], arguments[1:]
    try:
        try:
            pid = _start(output, command, _ON_WINDOWS | _BREAK_AWAY if _WINDOWS else 0)
        except PermissionError:
            if not _WINDOWS:
                raise
            pid = _start(output, command, _ON_WINDOWS)  # a job that lets nobody go
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - for our caller
        return EXIT_NOT_STARTED
    print(pid)  # noqa: T201 - for our caller
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
