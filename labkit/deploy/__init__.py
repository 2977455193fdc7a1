"""Files for the app and Prometheus as services of a machine: a systemd unit and a configuration."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
import tempfile
from importlib.resources import files
from pathlib import Path, PurePosixPath

from labkit.errors import LabError

UNIT = "flask-app.service"
CONFIG = "prometheus.yml"

_ELSEWHERE = "/opt/flask-app/bin/python3"  # for those who write the files on another system
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_MOST_USER_LENGTH = 31
_UNQUOTABLE = re.compile(r"[\x00-\x1f\x7f\"'\\$]")
_DYNAMIC = "# A user that exists only while the service runs.\nDynamicUser=yes"


def default_python() -> str:
    """Return this interpreter, where it is one that a service of this machine could run."""
    return sys.executable if sys.platform == "linux" else _ELSEWHERE


def default_user() -> str | None:
    """Return this user, who can run this interpreter; None for root, as whom no app should run."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return None
    return getpass.getuser()


def render(*, python: str | None = None, user: str | None = None) -> dict[str, str]:
    """Return the files as text, by name.

    Args:
        python: the interpreter that the app is installed in; this one by default.
        user: the service's user; by default one that exists only while it runs.

    Raises:
        ValueError: the interpreter or the user cannot stand in a unit file.
    """
    interpreter = _quoted(python or default_python())
    identity = _DYNAMIC if user is None else f"User={_checked(user)}"
    unit = _shipped(UNIT).replace("@PYTHON@", interpreter).replace("@IDENTITY@", identity)
    return {UNIT: unit, CONFIG: _shipped(CONFIG)}


def write(
    folder: Path, *, python: str | None = None, user: str | None = None, force: bool = False
) -> list[Path]:
    """Write the files; each as a whole or not at all, and none where one would be overwritten.

    Args:
        folder: where they go; made if it is not there.
        python: the interpreter that the app is installed in; this one by default.
        user: the service's user; by default one that exists only while it runs.
        force: whether files that are there are overwritten.

    Returns:
        The files that were written.

    Raises:
        LabError: a file is there already, or the folder cannot be written.
        ValueError: the interpreter or the user cannot stand in a unit file.
    """
    texts = {folder / name: text for name, text in render(python=python, user=user).items()}
    there = [str(path) for path in texts if os.path.lexists(path)]
    if there and not force:
        raise LabError(
            "Nothing was written: it would overwrite what is there.",
            evidence="\n".join(there),
            next_step="give another folder, or --force to overwrite.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            _replace(path, text)
    except OSError as error:
        raise LabError(
            f"The files cannot be written in {folder}.",
            evidence=str(error),
            next_step="give a folder that you may write in.",
        ) from error
    return list(texts)


def next_steps(folder: Path) -> str:
    """Return what to do with the files, as text for a terminal."""
    unit, config = (shlex.quote(str(folder / name)) for name in (UNIT, CONFIG))
    return f"""\
The service's user must be able to run the interpreter and to read what is installed beside it;
--python and --user name others.

Next, on the machine that is to run them (the comments in the files say why):

  systemd-analyze verify {unit}
  sudo cp {unit} /etc/systemd/system/
  sudo systemctl daemon-reload && sudo systemctl enable --now flask-app
  curl http://127.0.0.1:5000/metrics

  promtool check config {config}
  prometheus --config.file={config} --web.listen-address=127.0.0.1:9090

  labkit check --url http://127.0.0.1:5000 --prometheus-url http://127.0.0.1:9090"""


def _shipped(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _quoted(python: str) -> str:
    """Write a path as systemd reads it: % begins a specifier, a space ends a word."""
    if not PurePosixPath(python).is_absolute() or _UNQUOTABLE.search(python):
        raise ValueError(
            f"the interpreter is {python!r}; it must be an absolute path such as {_ELSEWHERE}, "
            "without quotes, backslashes and $"
        )
    escaped = python.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped


def _checked(user: str) -> str:
    if not _USER.fullmatch(user) or len(user) > _MOST_USER_LENGTH:
        raise ValueError(
            f"the user is {user!r}; it must be the name of one, such as flask-app: letters, "
            f"digits, _, . and -, at most {_MOST_USER_LENGTH} in all"
        )
    return user


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        new.chmod(0o644)  # secrets are in a file of their own
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
