"""Make the project's .venv and install the lab into it; `make` calls this.

    python3 bootstrap.py [EXTRA ...]      extras: test, dev

Standard library only, and in words that an old Python can read, so that it can say that it is
too old. Run again it does nothing; after an interruption it starts afresh; run twice at once,
the second waits for the first.
"""
# ruff: noqa: E402, RUF005, T201, UP010, UP031, UP032 - old Pythons must get through the syntax

from __future__ import print_function

import sys

MINIMUM = (3, 11)

if sys.version_info < MINIMUM:
    sys.exit(
        "The lab needs Python %d.%d or later; this is %s (%s).\n"
        "Next: install one, and name it if it is not the first on the PATH:\n"
        "  Debian 12, Ubuntu 24.04 or later:  sudo apt install python3 python3-venv\n"
        "                                     make lab PYTHON=/usr/bin/python3\n"
        "  Ubuntu 22.04:                      sudo apt install python3.11 python3.11-venv\n"
        "                                     make lab PYTHON=python3.11\n"
        "  macOS:                             brew install python@3.12\n"
        "                                     make lab PYTHON=python3.12\n"
        "  Windows and others:                https://www.python.org/downloads"
        % (MINIMUM + (sys.version.split()[0], sys.executable))
    )

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / ".venv.lock"
LOG = VENV / "install.log"
STAMP = VENV / "installed"
WINDOWS = sys.platform == "win32"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
EXTRAS = {"test", "dev"}
UNFINISHED = b"unfinished"

# Settings of the person that would lead pip or .venv's Python astray; those that say where
# packages come from (index, proxy, certificate, cache) are kept.
FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PIP_CONSTRAINT", "PIP_DRY_RUN", "PIP_NO_DEPS")
FOREIGN += ("PIP_PREFIX", "PIP_PYTHON", "PIP_QUIET", "PIP_ROOT", "PIP_TARGET", "PIP_USER")

NETWORK_WORDS = ("NewConnectionError", "name resolution", "ConnectTimeout", "ReadTimeout")
NETWORK_WORDS += ("Connection refused", "Network is unreachable", "ProxyError")


def say(text):
    """Tell the person at the terminal."""
    print(text, flush=True)


# --- One at a time ------------------------------------------------------------------------------


@contextlib.contextmanager
def alone():
    """Hold this clone's lock, which is free again once its holders have ended, however that is.

    The file also remembers whether the setup that held it last was cut short.
    """
    with LOCK.open("a+b") as lock:
        waiting = False
        while not acquired(lock):
            if not waiting:
                say("Another setup of this folder is running; waiting for it ...")
                waiting = True
            time.sleep(0.2)
        yield lock


def acquired(lock):
    """Try to take the lock; where the file system has none, go on without."""
    try:
        if WINDOWS:
            import msvcrt

            lock.seek(1000)  # past the text: Windows would keep readers from the locked part
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def is_unfinished(lock):
    """Whether the last setup was cut short."""
    lock.seek(0)
    return lock.read() == UNFINISHED


def mark(lock, text):
    """Write down how far the setup is; it must survive a power cut."""
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()
    os.fsync(lock.fileno())


# --- What is there ------------------------------------------------------------------------------


def project():
    """What an installation depends on, as a digest."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def installed():
    """What is installed in .venv: the stamp of the setup that finished there, or {}."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def venv_version():
    """The version of .venv's Python, as "3.12", or None where it does not run."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run(
            [str(PYTHON), "-I", "-S", "-c", program],
            check=False,
            stdout=subprocess.PIPE,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.decode().strip() if result.returncode == 0 else None


def is_usable(stamp):
    """Whether .venv can be built on: made for this folder, and its Python still the same."""
    return stamp.get("root") == str(ROOT) and stamp.get("python") == venv_version()


# --- Making .venv -------------------------------------------------------------------------------


def require_venv():
    """Say which package is missing where this Python cannot make virtual environments."""
    try:
        import ensurepip  # noqa: F401 - Debian has it in a package of its own
        import venv  # noqa: F401
    except ImportError:
        sys.exit(
            "This Python ({}) cannot make virtual environments: that part is not installed.\n"
            "Next (Debian, Ubuntu): sudo apt install python3-venv   or python{}.{}-venv\n"
            "and run the same command again.".format(sys.executable, *sys.version_info[:2])
        )


def make_venv():
    """Create .venv with pip in it."""
    say("Making .venv with Python {} ...".format(sys.version.split()[0]))
    base = sys.executable
    if not Path(base).exists():  # it was in the .venv that is being replaced
        base = sys._base_executable  # noqa: SLF001 - what venv itself goes by
    made = subprocess.run(
        [base, "-m", "venv", str(VENV)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if made.returncode:
        sys.exit(
            "{}\nMaking .venv failed.\nNext: remove the cause and run the same command again; "
            "by hand it is: {} -m venv .venv".format(made.stdout.decode(errors="replace"), base)
        )


def adopt_venv():
    """Build on a .venv that somebody made by hand, if it will do."""
    version = venv_version()
    pip = [str(PYTHON), "-m", "pip", "--version"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if version is None or subprocess.call(pip, **quiet) != 0:
        sys.exit(
            "There is a .venv here that this did not make, and it has no working Python with pip.\n"
            "Next: remove it (make clean) and run the same command again."
        )
    if tuple(map(int, version.split("."))) < MINIMUM:
        sys.exit(
            "The .venv here has Python {}; the lab needs {}.{} or later.\n"
            "Next: remove it (make clean) and run the same command again.".format(version, *MINIMUM)
        )


# --- Installing ---------------------------------------------------------------------------------


def install(extras, lock):
    """Install the project and its pinned dependencies; return pip's exit code.

    pip inherits the lock, so that one which outlives us keeps the next setup waiting.
    """
    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["-c", "constraints.txt", "-e", ".[{}]".format(",".join(extras)) if extras else "."]
    say("Installing the lab into .venv: once, about a minute ...")
    with LOG.open("w", encoding="utf-8") as log:
        pip = subprocess.Popen(
            command,
            cwd=str(ROOT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=() if WINDOWS else (lock.fileno(),),
        )
        try:
            for line in pip.stdout:
                log.write(line)
                show_progress(line)
            return pip.wait()
        except BaseException:
            pip.terminate()
            pip.wait(30)
            raise
        finally:
            show_progress("")


def explain_failure():
    """End with pip's last words and what to do about them."""
    output = LOG.read_text(encoding="utf-8")
    lines = output.splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    shown = "\n".join(errors[-6:] or lines[-15:])
    if any(line.startswith("The conflict is caused by") for line in lines):
        start = next(n for n, line in enumerate(lines) if line.startswith("The conflict is caused"))
        sys.exit(
            "{}\nThe pinned versions do not fit this Python ({}).\n"
            "Next: take another one, such as make lab PYTHON=python3.12; and report it, with\n"
            "{}".format("\n".join(lines[start : start + 6]), sys.version.split()[0], LOG)
        )
    if any(word in output for word in NETWORK_WORDS):
        sys.exit(
            "{}\nThe package index cannot be reached, and not everything is in pip's cache.\n"
            "Next: connect to the network and run the same command again. Behind a proxy set\n"
            "HTTPS_PROXY first; for an index of your own set PIP_INDEX_URL. All of pip's output:\n"
            "{}".format(shown, LOG)
        )
    sys.exit(
        "{}\nThe installation failed.\n"
        "Next: read all of pip's output in\n{}\nand run the same command again.".format(shown, LOG)
    )


def show_progress(line):
    """On a terminal, show what pip is at, on one line that is overwritten."""
    if not sys.stdout.isatty():
        return
    words = line.split()
    text = None
    if not words:
        text = ""
    elif words[0] in ("Collecting", "Downloading"):
        text = "  " + " ".join(words[:2])
    elif words[0] == "Installing" and words[1] == "collected":
        text = "  Installing the packages ..."
    elif words[:2] == ["WARNING:", "Retrying"]:
        text = "  The package index does not answer; trying again ..."
    if text is not None:
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r\033[K" + text[:width])
        sys.stdout.flush()


def main(extras):
    """Bring .venv up to date with the project."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ["PIP_USER"] = "0"  # over a `user = true` in the person's pip.conf
    with alone() as lock:
        stamp = installed()
        extras = sorted(set(extras) | (EXTRAS & set(stamp.get("extras", ()))))
        ours = bool(stamp) or is_unfinished(lock)
        usable = is_usable(stamp) and not is_unfinished(lock)
        if not usable or stamp.get("project") != project() or stamp.get("extras") != extras:
            update(lock, extras, ours, usable)
        elif stamp["python"] != "%d.%d" % sys.version_info[:2]:
            say(".venv keeps its Python {}; make clean, to change it.".format(stamp["python"]))


def update(lock, extras, ours, usable):
    """Install into .venv; make it first where it is not there or not to be built on."""
    replaced = VENV.exists() and ours and not usable
    if replaced or not VENV.exists():
        require_venv()
        mark(lock, UNFINISHED)
        if replaced:
            say("Making .venv again: it is unfinished, or this folder or its Python has changed.")
            shutil.rmtree(str(VENV))
        make_venv()
    elif usable:
        mark(lock, UNFINISHED)
    else:
        adopt_venv()  # not ours to remove, whatever happens to us
    if install(extras, lock) != 0:
        mark(lock, b"")  # pip takes back what it began, and an older installation still works
        explain_failure()
    stamp = {"root": str(ROOT), "python": venv_version(), "project": project(), "extras": extras}
    STAMP.write_text(json.dumps(stamp))
    mark(lock, b"")


if __name__ == "__main__":
    try:
        main(sorted(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the same command again to start afresh.")
    except OSError as error:
        sys.exit(
            "The setup failed: {}\nNext: see that there is room on the disk and that you may write "
            "to {}, and run the same command again.".format(error, ROOT)
        )
