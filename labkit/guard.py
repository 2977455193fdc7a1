"""The guard: a small process that runs one child and ends it when its parent is gone.

Run as ``python -S -E guard.py GRACE_SECONDS COMMAND [ARG ...]``. It lives in a session of its
own, so an interrupt of the kernel does not reach it. Its standard input is a pipe from the
parent: lines are passed on to the child, and end-of-file, which comes however the parent ends,
terminates the child. Standard library only, and few modules: it starts in some 20 ms.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

EXIT_NOT_STARTED = 127


def _die_with_guard() -> None:
    """On Linux, have the kernel end the child should the guard itself be killed."""
    import ctypes  # after the fork, so that only Linux pays for it

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _terminate(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    child.terminate()
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        child.kill()


def _pass_on(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Copy our input to the child; when our input ends, so does the child."""
    assert child.stdin is not None  # noqa: S101 - Popen was given PIPE
    while data := os.read(0, 65536):
        try:
            child.stdin.write(data)
        except OSError:  # the child is ending; the main thread sees that
            break
    while data := os.read(0, 65536):  # keep the pipe drained until the parent lets go
        pass
    _terminate(child, grace_seconds)


def main(arguments: list[str]) -> int:
    """Run the child to its end and return its exit code, 128 + n for signal n."""
    grace_seconds, command = float(arguments[0]), arguments[1:]
    linux = sys.platform == "linux"
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            bufsize=0,
            preexec_fn=_die_with_guard if linux else None,  # noqa: PLW1509 - no thread yet
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - its log
        return EXIT_NOT_STARTED
    threading.Thread(target=_pass_on, args=(child, grace_seconds), daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    # A signal meant for the parent's terminal or session is not ours to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os._exit(main(sys.argv[1:]))
