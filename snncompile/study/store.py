"""The folder of a study: inputs and results under the hash of what they were made of.

study.json            the study, and the mark of the folder
networks/HASH/        saved networks
data/HASH.npz         copies of the data files, by their content
conversions/HASH.json which network a conversion gives, or why none
builds/HASH/          compiled Programs
results/HASH.json     results, one per trial: the same bytes whoever computes them
locks/HASH            held while a trial or a Program is made, by the system: gone with its process
log/PROCESS.jsonl     one line when a process begins a trial, one when it has ended it
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snncompile.errors import InputError

HEAD = "study.json"
FORMAT = "snncompile study"
FOLDERS = ("networks", "data", "conversions", "builds", "results", "locks", "log")
CHUNK = 1 << 22


def hash_value(value: Any) -> str:
    """Return 32 digits of the SHA-256 of a JSON value; equal values, equal hash."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_file(path: Path) -> str:
    """Return 32 digits of the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Store:
    """The folder of a study."""

    folder: Path

    def create(self, record: dict[str, Any]) -> None:
        """Make the folder, or take one that a study has made.

        Args:
            record: the study as JSON values.

        Raises:
            InputError: the folder holds something else, or cannot be written.
        """
        head = self.folder / HEAD
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()) and not self.is_ours():
                raise InputError(
                    f"{self.folder}: is there already and is no folder of a study; choose another"
                )
            write_text(head, dump({"format": FORMAT, "study": record}))
            for name in FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror})") from None

    def is_ours(self) -> bool:
        """Whether the folder was made by a study."""
        record = read_json(self.folder / HEAD)
        return isinstance(record, dict) and record.get("format") == FORMAT

    def read_result(self, key: str) -> str | None:
        """Return the result of a trial as JSON text; None: not there, or damaged."""
        path = self.folder / "results" / f"{key}.json"
        return read_text(path) if isinstance(read_json(path), dict) else None

    def write_result(self, key: str, text: str) -> None:
        """Write the result of a trial; nothing half-written is ever under its name."""
        write_text(self.folder / "results" / f"{key}.json", text)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Wait until no other process holds a name, and keep others waiting meanwhile."""
        with (self.folder / "locks" / key).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Hold a name until the block ends; give whether no other process has it."""
        with (self.folder / "locks" / name).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def log(self, event: str, key: str, **more: Any) -> None:
        """Add a line to the log of this process."""
        line = {"event": event, "trial": key, "time": round(time.time(), 3), **more}
        name = f"{socket.gethostname()}-{os.getpid()}.jsonl"
        with (self.folder / "log" / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """Return the lines of all processes; a line that was cut by a kill is left out."""
        lines = []
        for path in sorted((self.folder / "log").glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    continue
        return lines

    def add_file(self, path: Path) -> str:
        """Copy a file of data under the hash of its content, which is returned."""
        key = hash_file(path)
        target = self.folder / "data" / f"{key}.npz"
        if not target.exists():
            aside = target.with_name(f".{key}-{secrets.token_hex(4)}")
            shutil.copyfile(path, aside)
            aside.replace(target)
        return key

    def find_data(self, key: str) -> Path:
        """Return the path of a file of data."""
        return self.folder / "data" / f"{key}.npz"


def dump(value: Any) -> str:
    """Return JSON text, the same for equal values."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file of the study's folder in one step."""
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def read_text(path: Path) -> str | None:
    """Return a file's text; None: not there."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def read_json(path: Path) -> Any:
    """Return a file's JSON value; None: not there, or no JSON."""
    try:
        text = read_text(path)
        return None if text is None else json.loads(text)
    except (ValueError, OSError):
        return None
