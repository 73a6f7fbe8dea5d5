"""Install and check the environment of Lava: lava-nc 0.10.0 runs on Python 3.10 only.

The compiler runs on newer versions and never imports Lava; it starts the Python of this
environment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from uv import find_uv_bin

from snncompile.errors import LINE_LENGTH, BackendError, list_reasons
from snncompile.files.replace import make_aside, swap

CONSTRAINTS = Path(__file__).parent / "constraints.txt"
"""The packages of the environment, each with its version."""
PYTHON, LAVA = "3.10", "0.10.0"
MARK = "snncompile-lava.txt"
"""File in an environment of ours: a copy of its constraints. Without it nothing is deleted."""

Say = Callable[[str], None]

_IS_310 = (
    "import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 10) else 'is Python %d.%d' % v)"
)
_VERSIONS = """
import os, platform, sys
from importlib.metadata import distributions, version
for package in distributions():
    for file in (package.files or ()) if package.name in sys.argv else ():
        if file.suffix in (".py", ".so") and not os.path.exists(package.locate_file(file)):
            sys.exit(f"{file} of {package.name} is missing")
import lava.magma.core.process.process
print(platform.python_version(), version("lava-nc"))
"""
"""Print the versions; the arguments are packages of which every file must be there."""
_WITH_US = """
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl:  # Linux; 1 is PR_SET_PDEATHSIG, 9 is SIGKILL
    prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("its parent has ended")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(error.strerror)
"""
"""Become a command that is killed when its parent ends; the arguments are parent and command."""


@dataclass(frozen=True)
class LavaState:
    """State of the environment."""

    path: Path
    installed: bool
    """Whether `import lava` works in it, in the version `LAVA`."""
    python: str | None
    lava: str | None
    message: str
    """One line for the user."""


class _FailedError(Exception):
    """A command did not work; the message says why, in one line."""


def locate_folder() -> Path:
    """Return the folder of the environment: $SNNCOMPILE_LAVA_ENV, or one in the user's cache.

    Raises:
        BackendError: there is no such variable, and no home.
    """
    if given := os.environ.get("SNNCOMPILE_LAVA_ENV"):
        return Path(given).absolute()
    try:
        return platformdirs.user_cache_path("snncompile") / "lava-0.10.0"
    except RuntimeError:
        raise BackendError(
            "this user has no home folder, where Lava would be; set HOME, or SNNCOMPILE_LAVA_ENV to"
            " the folder of its environment"
        ) from None


def locate_python() -> Path:
    """Return the path of the environment's Python.

    Raises:
        BackendError: the environment is not installed.
    """
    folder = locate_folder()
    if not _has_interpreter(folder):
        raise BackendError(
            f"Lava is not installed in {folder}; run `snncompile lava install`"
            " (needs the network once)"
        )
    return _locate_interpreter(folder)


def check() -> LavaState:
    """Return the state of the environment; starts its Python, which takes about a second.

    Raises:
        BackendError: the folder may not be looked into.
    """
    path = locate_folder()
    if not _has_interpreter(path):
        message = f"Lava is not installed in {path}; run `snncompile lava install`"
        return LavaState(path, False, None, None, message)
    try:
        python_version, lava_version = _ask_versions(path)
    except _FailedError as error:
        message = f"Lava does not start in {path}: {error}; run `snncompile lava install`"
        return LavaState(path, False, None, None, message)
    installed = lava_version == LAVA
    message = f"lava-nc {lava_version} on Python {python_version} in {path}"
    if not installed:
        message += f"; {LAVA} is needed, run `snncompile lava install`"
    return LavaState(path, installed, python_version, lava_version, message)


def install(say: Say) -> Path:
    """Build the environment unless it is there and works; return its folder.

    The build takes place in another folder, which changes places with an older environment in one
    step when `import lava` works in it: an error, or a kill at any moment, leaves the old or the
    new one and nothing beside it. Of several processes the first builds, the others wait.

    Raises:
        BackendError: there is no Python 3.10, a package cannot be had, the folder is not ours or
            cannot be written.
    """
    path = locate_folder()
    state = check()
    if not _is_current(state):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock(path.parent, say):
                _build_unless_current(path, say)
        except OSError as error:
            reason = f"{error.filename or path}: {error.strerror}"
            raise BackendError(f"cannot install Lava in {path}: {reason}") from None
        state = check()
        if not state.installed:
            raise BackendError(state.message)
    say(state.message)
    return path


def find_python(say: Say) -> Path:
    """Return a Python 3.10 that really starts.

    Raises:
        BackendError: none does; the message lists the candidates with their reasons, as many as a
            line holds.
    """
    tried = []
    given = os.environ.get("SNNCOMPILE_PYTHON310")
    if given:
        return _use_given(Path(given))
    for where, candidates in SEARCH:
        try:
            for candidate in candidates(say):
                reason = _explain_failure(candidate)
                if reason is None:
                    return candidate
                tried.append(f"{candidate}: {reason}")
        except _FailedError as error:
            tried.append(f"{where}: {error}")
    text = f"found no Python {PYTHON}, which Lava needs; tried "
    hint = f"; install Python {PYTHON} and set SNNCOMPILE_PYTHON310 to its path"
    room = LINE_LENGTH - len(text) - len(hint) - 1
    raise BackendError(f"{text}{list_reasons(tried, room)}{hint}")


def _use_given(path: Path) -> Path:
    """Return the user's own choice, or refuse it: any other would be a surprise."""
    reason = _explain_failure(path)
    if reason is not None:
        raise BackendError(
            f"SNNCOMPILE_PYTHON310={path} is no Python {PYTHON} that starts: {reason}"
        )
    return path


def _search_path(say: Say) -> Iterator[Path]:
    """Yield every python3.10 on PATH, not only the first: a pyenv shim starts nothing."""
    name = f"python{PYTHON}"
    folders = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    candidates = [Path(entry, name) for entry in folders if Path(entry, name).is_file()]
    if not candidates:
        raise _FailedError(f"no {name}")
    yield from dict.fromkeys(candidates)


def _search_pyenv(say: Say) -> Iterator[Path]:
    versions = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")) / "versions"
    candidates = sorted(versions.glob(f"{PYTHON}.*/bin/python"), key=_read_patch, reverse=True)
    if not candidates:
        raise _FailedError(f"no {PYTHON}.* in {versions}")
    yield from candidates


def _read_patch(path: Path) -> tuple[int, str]:
    patch = path.parts[-3].split(".")[2]
    return (int(patch), patch) if patch.isdigit() else (-1, patch)


def _ask_uv(say: Say) -> Iterator[Path]:
    yield Path(_run_uv("python", "find", "--no-project", PYTHON).strip())


def _download_with_uv(say: Say) -> Iterator[Path]:
    say(f"downloading Python {PYTHON}")
    _run_uv("python", "install", PYTHON)
    # Only its own: an interpreter that does not start, first on PATH, would end the search.
    managed = ("--no-project", "--python-preference", "only-managed")
    yield Path(_run_uv("python", "find", *managed, PYTHON).strip())


SEARCH: tuple[tuple[str, Callable[[Say], Iterator[Path]]], ...] = (
    ("PATH", _search_path),
    ("pyenv", _search_pyenv),
    ("uv python find", _ask_uv),
    ("uv python install", _download_with_uv),
)
"""Places of Python 3.10 in the order of the search, unless SNNCOMPILE_PYTHON310 names a path."""


def _explain_failure(candidate: Path) -> str | None:
    try:
        _run([candidate, "-c", _IS_310], seconds=30)
    except _FailedError as error:
        return str(error)
    return None


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _is_current(state: LavaState) -> bool:
    """Return whether an environment works and has these constraints, or is the user's own."""
    mark = state.path / MARK
    return state.installed and (not mark.is_file() or mark.read_bytes() == CONSTRAINTS.read_bytes())


def _build_unless_current(path: Path, say: Say) -> None:
    if _is_current(check()):  # another process was faster
        return
    if path.exists() and not (path / MARK).is_file() and not _is_empty(path):
        raise BackendError(
            f"{path} is there and is no Lava environment made by snncompile; remove it or set"
            " SNNCOMPILE_LAVA_ENV to another folder"
        )
    _build(path, say)


def _build(path: Path, say: Say) -> None:
    interpreter = find_python(say)
    with make_aside(path) as (aside, handle):
        new = aside / "new"
        inherit = () if handle is None else (handle,)
        try:
            options = ("--quiet", "--no-project", "--relocatable", "--python", str(interpreter))
            _run_uv("venv", *options, str(new), inherit=inherit)
            say(f"installing lava-nc {LAVA} for {interpreter} in {path}")
            target = ("--python", str(_locate_interpreter(new)))
            packages = ("--requirement", str(CONSTRAINTS))
            _run_uv("pip", "install", "--quiet", *target, *packages, inherit=inherit)
            _ask_versions(new)
        except _FailedError as error:
            raise BackendError(f"cannot install Lava in {path}: {error}") from None
        (new / MARK).write_bytes(CONSTRAINTS.read_bytes())
        swap(new, path, aside / "old")


@contextmanager
def _lock(folder: Path, say: Say) -> Iterator[None]:
    """Hold the lock of the folder with the environment; the system frees the lock of the dead.

    On a file system without locks of folders (NFS) several processes may build: the last one stays.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another process is installing Lava; waiting for it")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
    try:
        yield
    finally:
        os.close(handle)


def _ask_versions(path: Path) -> list[str]:
    """Return the versions of Python and Lava in an environment of which no file is missing."""
    command = (_locate_interpreter(path), "-E", "-s", "-c", _VERSIONS)
    lines = CONSTRAINTS.read_text().splitlines()
    packages = [line.split("==")[0] for line in lines if "==" in line]
    versions = _run([*command, *packages]).split()
    if len(versions) != 2:
        raise _FailedError("its Python answers something else than two versions")
    return versions


def _has_interpreter(path: Path) -> bool:
    try:
        return _locate_interpreter(path).is_file()
    except OSError as error:
        raise BackendError(f"cannot look for Lava in {path}: {error.strerror}") from None


def _locate_interpreter(path: Path) -> Path:
    return path / "bin" / "python"


def _run_uv(*arguments: str, inherit: Sequence[int] = ()) -> str:
    try:
        command = find_uv_bin()
    except FileNotFoundError:
        raise _FailedError("uv is not installed") from None
    return _run([command, *arguments], 1200, inherit)


def _run(command: Sequence[str | Path], seconds: float = 120, inherit: Sequence[int] = ()) -> str:
    """Return the output of a command; raise _FailedError with its reason in one line.

    If this process is killed, so is the command.

    Args:
        command: program and arguments.
        seconds: time limit.
        inherit: file descriptors that stay open in the command.
    """
    guarded = [sys.executable, "-I", "-S", "-c", _WITH_US, str(os.getpid()), *command]
    try:
        done = subprocess.run(
            guarded,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            pass_fds=inherit,
            env=os.environ | {"UV_PYTHON_INSTALL_BIN": "0"},
        )
    except subprocess.TimeoutExpired:
        raise _FailedError(f"no answer in {seconds:g} s") from None
    if done.returncode < 0:
        raise _FailedError(f"it was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        raise _FailedError(_find_reason(done.stderr) or f"exit status {done.returncode}")
    return done.stdout


def _find_reason(errors: str) -> str:
    """Return the last line of a traceback; else the first line and the last line of a cause."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("warning:")]
    if not lines or lines[0].startswith("Traceback"):
        return lines[-1] if lines else ""
    causes = [line for line in lines[1:] if re.match("cause|\\W*because", line, re.IGNORECASE)]
    return " ".join([re.sub(r"^(error:|\W) *", "", lines[0]), *causes[-1:]])
