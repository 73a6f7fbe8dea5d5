"""Results on disk: written aside and renamed, so that nothing half-written is left behind.

That holds for a process that is killed, too: a folder changes places with the older one in one
step, and a guard, a shell that waits for the end of this process, removes what it left aside.
What stands at the place of a result is replaced only if it is ours: a folder or file of a user, a
link, a device or a pipe is refused and kept.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from snncompile.errors import InputError
from snncompile.files.npz import DAMAGED

MARK = "written by snncompile"
"""Text in files of formats that have a place for it."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux, renameat2(2): paths are as given; the two names change places."""
TAIL = 2**16
"""Bytes at the end of a file in which the mark is looked for."""


class Aside(NamedTuple):
    """A hidden folder."""

    folder: Path
    handle: int | None
    """Of a pipe: the folder is removed when nobody has it open. A process that writes into the
    folder inherits it."""


IsOurs = Callable[[Path], bool]
"""Whether a folder or a regular file that is not empty is a result of ours."""


@contextmanager
def replace_folder(path: Path, is_ours: IsOurs) -> Iterator[Path]:
    """Give an empty folder beside `path` and rename it to `path` when the block ends well.

    An older result at `path` is replaced; any other content is left alone.

    Raises:
        InputError: `path` is anything but an empty folder or an older result of ours; or it cannot
            be written.
    """
    path = Path(os.path.abspath(path))
    with translate_errors(path):
        _check_place(path, stat.S_ISDIR, lambda folder: _is_empty(folder) or is_ours(folder))
        with make_aside(path) as (aside, _):
            new = aside / "new"
            new.mkdir()
            yield new
            swap(new, path, aside / "old")


@contextmanager
def replace_file(path: Path, is_ours: IsOurs) -> Iterator[Path]:
    """Give the name of a file beside `path` and rename it to `path` when the block ends well.

    Raises:
        InputError: `path` is anything but an empty file or an older result of ours; or it cannot be
            written.
    """
    path = Path(os.path.abspath(path))
    with translate_errors(path):
        _check_file_place(path, is_ours)
        with make_aside(path) as (aside, _):
            yield aside / path.name
            (aside / path.name).replace(path)


def check_file(path: Path, is_ours: IsOurs) -> None:
    """Refuse what `replace_file` would refuse, before there is anything to write.

    Raises:
        InputError: as of `replace_file`.
    """
    path = Path(os.path.abspath(path))
    with translate_errors(path):
        _check_file_place(path, is_ours)
        above = next(parent for parent in path.parents if parent.exists())
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "")
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "")


def _check_file_place(path: Path, is_ours: IsOurs) -> None:
    if path.is_dir() and not path.is_symlink():
        raise InputError(f"{path}: is a folder; give the name of a file")
    _check_place(path, stat.S_ISREG, lambda file: not file.stat().st_size or is_ours(file))


def begins_with(*texts: str) -> IsOurs:
    """Return the test of files that begin with one of some texts."""
    longest = max(len(text) for text in texts)

    def is_ours(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(longest).startswith(tuple(text.encode() for text in texts))

    return is_ours


def ends_with_mark(path: Path) -> bool:
    """Whether the end of a file holds `MARK`."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return MARK.encode() in file.read()


def has_version(path: Path) -> bool:
    """Whether an npz file names the version of spikes or of a result, as ours do."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not {"spikes_version.npy", "result_version.npy"}.isdisjoint(archive.namelist())
    except DAMAGED:
        return False


def _check_place(path: Path, is_kind: Callable[[int], bool], is_ours: IsOurs) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise InputError(f"{path}: is a symbolic link; give the name of what it points to")
    if not is_kind(mode) or not is_ours(path):
        raise InputError(f"{path}: is there already and is not a result of ours; choose another")


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn an error of the system into one line."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{path}: cannot be written ({reason})") from None


@contextmanager
def make_aside(path: Path) -> Iterator[Aside]:
    """Give a hidden folder beside `path` that is gone afterwards, however the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name[:100]}-{secrets.token_hex(8)}"
    with _watch_over(aside) as handle:
        try:
            aside.mkdir(mode=0o700)
            yield Aside(aside, handle)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _watch_over(aside: Path) -> Iterator[int | None]:
    """Have a process of its own remove a folder once this one has ended or is done with it."""
    script = 'PATH="/bin:/usr/bin:$PATH"; read -r _; exec rm -rf -- "$1"'
    command = ["/bin/sh", "-c", script, "sh", str(aside)]
    quiet = subprocess.DEVNULL
    try:
        guard = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError:  # a system without a shell
        yield None
        return
    with guard:
        try:
            yield guard.stdin.fileno() if guard.stdin else None
        finally:
            guard.communicate(b"done\n")


def _exchange(new: Path, path: Path) -> bool:
    """Let two folders change places in one step; false where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(new), os.fsencode(path)
    return bool(rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)


def swap(new: Path, path: Path, old: Path) -> None:
    """Rename `new` to `path`; if that fails, the older result stays."""
    if path.exists() and _exchange(new, path):
        return
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
