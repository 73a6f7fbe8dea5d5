"""`lava install` that is killed, twice at once, without room or rights; broken environments.

The install itself is ours, with all its processes, locks and renaming; where a test is not marked
`lava`, a script stands for uv and writes files as uv does.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kills import kill_one, measure_one, wait_for_the_guard
from lava_machine import quiet, script, uv_that_makes
from networks import LOIHI2, chain
from rights import no_right_to_write_anywhere

import snncompile
from snncompile.backends.lava import environment
from snncompile.backends.lava.run import run
from snncompile.errors import BackendError

FILES = 40
# The fifth word is the environment's Python.
SLOW_PIP = f"""
    for i in $(seq {FILES}); do echo $i > "${{5%/bin/python}}/file$i"; sleep 0.003; done"""
# Written by printf: two % are one.
WHOLE = f'set -- "${{0%%/bin/python}}"/file*; [ $# = {FILES} ] && echo 3.10.13 0.10.0'
OTHERS = ["log", "one", "uv"]


def install_anew(place: Path) -> None:
    """Install, then make the environment look like that of an older version."""
    environment.install(quiet)
    (place / environment.MARK).write_text("lava-nc==0.9.0\n")


def test_a_killed_install_leaves_the_old_or_the_new(machine):
    uv_that_makes(machine, python=WHOLE, pip=SLOW_PIP)
    place, rng, ended = machine / "lava", random.Random(0), set()
    longest = 2 * measure_one(lambda: environment.install(quiet))
    shutil.rmtree(place)
    for _ in range(10):
        done = kill_one(lambda: install_anew(place), rng.uniform(0.01, longest))
        assert done == -signal.SIGKILL
        names = wait_for_the_guard(machine)
        assert names in (OTHERS, ["lava", *OTHERS])
        assert environment.check().installed == ("lava" in names)
        ended.add(place.stat().st_ino if place.exists() else None)
    assert len(ended) > 1  # it was not always killed before its first result
    environment.install(quiet)
    assert environment.check().installed


@pytest.mark.lava
@pytest.mark.very_slow
@pytest.mark.slow
def test_a_real_install_killed_ten_times(lava, tmp_path):
    """Real uv, packages and Python; where the first are not in uv's cache they are downloaded."""
    command = [str(Path(sys.executable).with_name("snncompile")), "lava", "install"]
    values = os.environ | {"SNNCOMPILE_LAVA_ENV": str(tmp_path / "lava")}
    rng = random.Random(0)
    for _ in range(10):
        child = subprocess.Popen(command, env=values, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(rng.uniform(1, 6))
        child.kill()
        child.wait()
        assert wait_for_the_guard(tmp_path) in ([], ["lava"])
        for mark in tmp_path.glob(f"lava/{environment.MARK}"):
            mark.write_text("lava-nc==0.9.0\n")  # so that the next one builds again
    done = subprocess.run(command, env=values, capture_output=True, text=True, check=True)
    assert "lava-nc 0.10.0 on Python 3.10" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["lava"]


def refuse(message: str) -> None:
    with pytest.raises(BackendError) as error:
        environment.install(quiet)
    assert str(error.value) == message


def test_a_read_only_folder_is_one_line(machine, monkeypatch):
    uv_that_makes(machine)
    place = machine / "closed" / "lava"
    place.parent.mkdir(mode=0o500)
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", str(place))
    monkeypatch.setattr("snncompile.files.replace.secrets.token_hex", lambda bytes: "00")
    with no_right_to_write_anywhere():
        refuse(f"cannot install Lava in {place}: {place.parent}/.lava-00: Permission denied")
    assert list(place.parent.iterdir()) == []


def test_a_home_that_cannot_be_written_is_one_line(machine, monkeypatch):
    uv_that_makes(machine)
    home = machine / "home"
    home.mkdir(mode=0o500)
    monkeypatch.delenv("SNNCOMPILE_LAVA_ENV")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    place = environment.locate_folder()
    assert place.is_relative_to(home)
    with no_right_to_write_anywhere():
        refuse(
            f"cannot install Lava in {place}: {home}/{place.relative_to(home).parts[0]}: "
            "Permission denied"
        )


def test_a_full_disk_is_one_line(machine):
    """Files may have 100 bytes: uv, too, ends at that, by a signal or with a line of its own."""
    uv_that_makes(machine, pip='head -c 5000 /dev/zero > "${5%/bin/python}/large"')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(BackendError) as error:
            environment.install(quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    start, reason = str(error.value).split(f"{machine}/lava: ")
    assert start == "cannot install Lava in "
    assert "SIGXFSZ" in reason or "File too large" in reason or reason == "exit status 153"
    assert wait_for_the_guard(machine) == OTHERS


def test_a_file_system_without_locks_installs_too(machine, monkeypatch):
    def flock(handle: int, how: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    uv_that_makes(machine)
    monkeypatch.setattr(environment.fcntl, "flock", flock)
    environment.install(quiet)
    assert wait_for_the_guard(machine) == ["lava", *OTHERS]


def test_an_environment_that_breaks_where_it_is_put_is_no_success(machine):
    uv_that_makes(machine, python='case "$0" in */new/*) echo 3.10.13 0.10.0 ;; *) exit 3 ;; esac')
    refuse(f"Lava does not start in {machine}/lava: exit status 3; run `snncompile lava install`")


@pytest.fixture(scope="module")
def small():
    return snncompile.compile(chain(2, 3), chip=LOIHI2, prune=False)


X = np.ones((1, 4, 2), np.uint8)
REPAIR = "run `snncompile lava install`, which mends an environment that is broken"
# What is wrong with the environment's Python, the message.
PYTHONS = {
    "not executable": (0o644, "", "Lava does not start: {python}: Permission denied; " + REPAIR),
    "no program": (0o755, "x", "Lava does not start: {python}: Exec format error; " + REPAIR),
    "fails": (0o755, "#!/bin/sh\necho no >&2; exit 1", "Lava failed: no"),
    "lacks its library": (
        0o755,
        "#!/bin/sh\necho 'Fatal Python error: no encodings' >&2; exit 1",
        "Lava failed: Fatal Python error: no encodings; " + REPAIR,
    ),
    "is killed": (0o755, "#!/bin/sh\nkill -9 $$", "Lava failed: it was ended by SIGKILL"),
}


@pytest.mark.parametrize("case", PYTHONS)
def test_a_broken_python_is_one_line(case, machine, small):
    mode, text, message = PYTHONS[case]
    python = script(machine / "lava" / "bin" / "python", "")
    python.write_text(text)
    python.chmod(mode)
    with pytest.raises(BackendError) as error:
        run(small, X)
    assert str(error.value) == message.format(python=python)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


MISSING = {
    "lava/magma/compiler/compiler.py": "lava-nc",
    "numpy/core/numeric.py": "numpy",
    "scipy/sparse/_csr.py": "scipy",
}


@pytest.mark.lava
def test_a_missing_file_is_one_line_and_mended(lava, small, tmp_path, monkeypatch):
    place = tmp_path / "lava"
    shutil.copytree(lava.path, place, symlinks=True, copy_function=link_or_copy)
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", str(place))
    for name, package in MISSING.items():
        (file,) = place.glob(f"lib/python3.10/site-packages/{name}")
        file.rename(tmp_path / "aside")
        with pytest.raises(BackendError) as error:
            run(small, X)
        assert str(error.value).startswith(("Lava failed: Module", "Lava failed: ImportError: "))
        assert str(error.value).endswith(f"; {REPAIR}")
        assert environment.check().message == (
            f"Lava does not start in {place}: {name} of {package} is missing;"
            " run `snncompile lava install`"
        )
        (tmp_path / "aside").rename(file)
    assert run(small, X).spikes.shape == (1, 4, 3)
