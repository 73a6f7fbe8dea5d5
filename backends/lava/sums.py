"""The hash of every file of an emitted folder: what was added or edited is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

SUMS_FILE = "sha256sums.txt"
"""As `sha256sum --check` reads it."""


def write_sums(folder: Path) -> None:
    """Write the hashes of all files of a folder into it."""
    lines = "".join(f"{line}\n" for line in _list_sums(folder))
    (folder / SUMS_FILE).write_text(lines, encoding="utf-8")


def is_emitted(folder: Path) -> bool:
    """Whether a folder holds a Lava program as it was written, and nothing else but caches."""
    sums = folder / SUMS_FILE
    if not sums.is_file() or not all(map(_is_plain, folder.rglob("*"))):
        return False
    return sums.read_text(encoding="utf-8", errors="replace").splitlines() == [*_list_sums(folder)]


def explain_change(folder: Path) -> str:
    """Return what keeps a folder from being a Lava program as written; empty if nothing does.

    It is empty also for a folder that is no Lava program at all.
    """
    sums = folder / SUMS_FILE
    if not sums.is_file() or sums.is_symlink():
        return ""
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines()
    written = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if "run.py" not in written:
        return ""
    for file in sorted(folder.rglob("*")):
        if not _is_plain(file):
            return f"{file.relative_to(folder).as_posix()} is not of it"
    for line in _list_sums(folder):
        digest, _, name = line.partition("  ")
        if name not in written:
            return f"{name} is not of it"
        if written.pop(name) != digest:
            return f"{name} was changed"
    return "".join(f"{name} is missing" for name in sorted(written)[:1])


def _is_plain(file: Path) -> bool:
    return not file.is_symlink() and (file.is_file() or file.is_dir())


def _list_sums(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and name != Path(SUMS_FILE) and "__pycache__" not in name.parts:
            yield f"{_hash_file(file)}  {name.as_posix()}"


def _hash_file(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
