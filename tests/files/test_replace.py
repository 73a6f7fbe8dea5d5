"""What stands at an output and is not ours is refused and kept; ours is replaced, every time."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from networks import chain
from priced import wide_chip
from rights import no_right_to_write_anywhere

import snncompile
from snncompile.backends.energy import export, trace
from snncompile.backends.sanafe.export import write_sanafe
from snncompile.errors import InputError
from snncompile.files.spikes import Spikes, write_result, write_spikes
from snncompile.ir.result import Result

X = np.ones((1, 4, 2), np.uint8)


def made():
    """Return a Program that every format can hold."""
    return snncompile.compile(chain(2, 3, 2), chip=wide_chip(4), prune=False, formats="netx")


FOLDERS: dict[str, Callable[[Any, Path], object]] = {
    "program": lambda program, path: program.save(path),
    "network": lambda program, path: program.source.save(path),
    "lava": lambda program, path: program.emit(path, "lava"),
}
FILES: dict[str, Callable[[Any, Path], object]] = {
    "spikes": lambda program, path: write_spikes(path, Spikes(X, None)),
    "result": lambda program, path: write_result(path, Result(X)),
    "nir": lambda program, path: program.emit(path, "nir"),
    "netx": lambda program, path: program.emit(path, "netx"),
    "trace": lambda program, path: trace.write_trace(path, program, X),
    "csv": lambda program, path: export.write_csv(path, export.list_events(program.estimate(X))),
    "parquet": lambda program, path: export.write_parquet(
        path, export.list_steps(program.estimate(X))
    ),
}
ALL = FOLDERS | FILES
KEPT = "is there already and is not a result of ours; choose another"


@pytest.fixture(scope="module")
def program():
    return made()


def content(path: Path) -> dict[str, Any]:
    """Return all that stands in a folder, links and kinds of files included."""
    return {
        str(p.relative_to(path)): (
            stat.S_IFMT(p.lstat().st_mode),
            os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None,
        )
        for p in path.rglob("*")
    }


def put_text(path: Path) -> None:
    path.write_text("precious")


def put_npz(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), weight=np.arange(3))
    path.with_suffix(".npz").rename(path)


def put_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["layer"] = 1


def put_link(path: Path) -> None:
    (path.parent / "own").write_text("precious")
    path.symlink_to("own")


def put_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def put_link_to_a_folder(path: Path) -> None:
    (path.parent / "own").mkdir()
    path.symlink_to("own")


def put_socket(path: Path) -> None:
    os.chdir(path.parent)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as made_here:
        made_here.bind(path.name)


LINK = "is a symbolic link; give the name of what it points to"
# What a user has there, the end of the message.
PLACES = {
    "a text": (put_text, KEPT),
    "arrays": (put_npz, KEPT),
    "a file of another library": (put_hdf5, KEPT),
    "a pipe": (os.mkfifo, KEPT),
    "a socket": (put_socket, KEPT),
    "a link": (put_link, LINK),
    "a link to nothing": (put_dangling_link, LINK),
    "a link to a folder": (put_link_to_a_folder, LINK),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ALL)
def test_what_a_user_has_there_is_kept(kind, place, program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put, message = PLACES[place]
    put(tmp_path / "out")
    before = content(tmp_path)
    with pytest.raises(InputError) as error:
        ALL[kind](program, tmp_path / "out")
    assert str(error.value) == f"{tmp_path}/out: {message}"
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", ALL)
def test_ours_is_replaced_again_and_again(kind, program, tmp_path):
    write, out = ALL[kind], tmp_path / "out"
    write(program, out)
    first = content(tmp_path)
    for _ in range(2):
        write(program, out)
    assert content(tmp_path).keys() == first.keys()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", FILES)
def test_an_empty_file_is_taken_and_another_kind_of_ours_is_not(kind, program, tmp_path):
    (tmp_path / "out").touch()
    FILES[kind](program, tmp_path / "out")
    before = (tmp_path / "out").read_bytes()
    other = "trace" if kind != "trace" else "csv"
    with pytest.raises(InputError, match=KEPT):
        FILES[other](program, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == before


# Files that a user put into a folder, by what they are called.
OTHERS = {
    "a file with our name": {"program.json": "precious"},
    "a network with our name": {"network.json": '{"format": "mine"}'},
    "arrays": {"weights.npz": "precious"},
    "our arrays alone": {"arrays.npz": "precious"},
    "sums": {"sha256sums.txt": "precious", "weights.npz": "precious"},
}


@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("kind", FOLDERS)
def test_files_that_are_called_like_ours_are_kept(kind, case, program, tmp_path):
    for name, text in OTHERS[case].items():
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    before = content(tmp_path)
    with pytest.raises(InputError) as error:
        FOLDERS[kind](program, tmp_path / "out")
    assert str(error.value) == f"{tmp_path}/out: {KEPT}"
    assert content(tmp_path) == before


def add_notes(out: Path) -> None:
    (out / "notes.txt").write_text("precious")


def edit_run(out: Path) -> None:
    (out / "run.py").write_text((out / "run.py").read_text() + "# mine\n")


def add_process(out: Path) -> None:
    (out / "processes" / "mine.py").write_text("precious")


def link_arrays(out: Path) -> None:
    (out / "weights.npz").rename(out.parent / "elsewhere")
    (out / "weights.npz").symlink_to(out.parent / "elsewhere")


CHANGES = {
    "notes.txt is not of it": add_notes,
    "run.py was changed": edit_run,
    "processes/mine.py is not of it": add_process,
    "weights.npz is not of it": link_arrays,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_lava_folder_that_was_changed_is_kept(change, program, tmp_path):
    program.emit(tmp_path / "out")
    CHANGES[change](tmp_path / "out")
    before = content(tmp_path)
    with pytest.raises(InputError) as error:
        program.emit(tmp_path / "out")
    assert str(error.value) == (
        f"{tmp_path}/out: holds a Lava program, but {change}; move what you want to keep, delete"
        " the folder, or choose another"
    )
    assert content(tmp_path) == before


def test_a_lava_folder_that_ran_is_replaced(program, tmp_path):
    """Python leaves its caches there."""
    program.emit(tmp_path / "out")
    for folder in ("__pycache__", "processes/__pycache__"):
        (tmp_path / "out" / folder).mkdir()
        (tmp_path / "out" / folder / "network.cpython-310.pyc").write_bytes(b"cache")
    program.emit(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("__pycache__"))
    if sys.platform == "linux":
        done = subprocess.run(
            ["sha256sum", "--check", "--quiet", "sha256sums.txt"], cwd=tmp_path / "out", check=False
        )
        assert done.returncode == 0


def test_a_name_that_is_too_long_is_one_line(program, tmp_path):
    for name, write in ALL.items():
        with pytest.raises(InputError) as error:
            write(program, tmp_path / ("n" * 256))
        reason = "cannot be written (File name too long)"
        assert str(error.value) == f"{tmp_path}/{'n' * 256}: {reason}", name


def test_files_of_sanafe_are_kept_or_replaced(program, tmp_path):
    for _ in range(2):
        write_sanafe(tmp_path, program, X)
    (tmp_path / "network.yaml").write_text("network: mine")
    with pytest.raises(InputError) as error:
        write_sanafe(tmp_path, program, X)
    assert str(error.value) == f"{tmp_path}/network.yaml: {KEPT}"


FULL = """
import resource, sys
from pathlib import Path
from test_replace import ALL, made
from snncompile.errors import InputError
program, folder = made(), Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for kind, write in ALL.items():
    try:
        write(program, folder / kind)
        print(kind, "was written")
    except InputError as error:
        print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    """No file may have more than 100 bytes; h5py would end the interpreter."""
    places = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "helpers")]
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": ":".join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    wanted = [f"{tmp_path}/{kind}: cannot be written (File too large)" for kind in ALL]
    assert (done.stdout.splitlines(), done.returncode) == (wanted, 0), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ALL)
def test_a_read_only_folder_is_one_line(kind, program, tmp_path):
    tmp_path.chmod(0o500)
    with no_right_to_write_anywhere(), pytest.raises(InputError) as error:
        ALL[kind](program, tmp_path / "out")
    tmp_path.chmod(0o700)
    assert str(error.value) == f"{tmp_path}/out: cannot be written (Permission denied)"
