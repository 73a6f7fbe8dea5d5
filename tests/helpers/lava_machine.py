"""A machine with made-up executables: a Python 3.10 and a uv that makes environments."""

from __future__ import annotations

from pathlib import Path

GOOD = "exit 0"
"""A Python 3.10, as far as `find_python` asks."""
UV_FINDS_NOTHING = 'echo "warning: x" >&2; echo "error: No interpreter found" >&2; exit 2'


def quiet(text: str) -> None:
    """Take a message and forget it."""


def script(path: Path, text: str) -> Path:
    """Write an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{text}\n")
    path.chmod(0o755)
    return path


UV_MAKES = """
case "$1" in
  venv)
    for last; do :; done
    mkdir -p $last/bin
    printf '#!/bin/sh\\n{python}\\n' > $last/bin/python
    chmod 755 $last/bin/python
    echo made >> {folder}/log
    sleep {sleep} ;;
  pip) {pip} ;;
esac"""
WORKS = "echo 3.10.13 0.10.0"


def uv_that_makes(
    machine: Path, *, python: str = WORKS, pip: str = "exit 0", sleep: float = 0
) -> None:
    script(machine / "one" / "python3.10", GOOD)
    text = UV_MAKES.format(folder=machine, python=python, pip=pip, sleep=sleep)
    script(machine / "uv", text)
