"""Real Lava processes that fail, hang or are interrupted: one message, and nothing is left."""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import lava_networks
import pytest
from lava_networks import small, spikes

from snncompile.backends.lava import emit
from snncompile.backends.lava.run import run
from snncompile.errors import BackendError


class Watch:
    """Sees what a run uses while it runs, to look afterwards whether it is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.groups: list[int] = []
        self.memory: set[Path] = set()

    def processes(self) -> list[Path]:
        """Return the /proc folders of the processes that run; the dead do not count."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                status = (process / "stat").read_text().rpartition(")")[2].split()
                if int(status[2]) in self.groups and status[0] != "Z":
                    found.append(process)
        return found

    def look(self, done: int, total: int) -> None:
        assert self.processes()
        assert any(self.folder.iterdir())
        for process in self.processes():
            with contextlib.suppress(OSError):
                files = re.findall(r"/\S+/shm/\S+", (process / "maps").read_text())
                self.memory |= set(map(Path, files))

    def nothing_is_left(self) -> bool:
        files = [*self.folder.iterdir(), *(file for file in self.memory if file.exists())]
        return bool(self.groups) and not self.processes() and not files


@pytest.fixture
def watch(monkeypatch):
    """Watch the runs of a test; their temporary folder has a short name, for it holds sockets."""
    with tempfile.TemporaryDirectory(prefix="w-") as folder:
        watch, start = Watch(Path(folder)), subprocess.Popen

        def popen(*args, **kwargs):
            process = start(*args, **kwargs)
            watch.groups.append(process.pid)
            return process

        monkeypatch.setattr(subprocess, "Popen", popen)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield watch


@pytest.fixture
def sabotage(monkeypatch):
    """Put a line into a file of the emitted program."""
    original = emit.emit

    def put(file: str, before: str, line: str) -> None:
        def emit_with_line(*args, **kwargs) -> emit.LavaFolder:
            folder = original(*args, **kwargs)
            assert before in folder.texts[file]
            folder.texts[file] = folder.texts[file].replace(before, line + before, 1)
            return folder

        monkeypatch.setattr(emit, "emit", emit_with_line)

    return put


STEP_14 = "        if self.time_step == 14:\n            {line}\n"
SEND = "        self.s_out.send(spikes * "
FAILURES = [
    ("raise ValueError('too\\nbad')", "Lava failed: ValueError: too"),
    (
        "import os; os.kill(os.getpid(), 9)",
        "Lava failed: a process of the network ended early (out of memory?)",
    ),
]


@pytest.mark.lava
@pytest.mark.parametrize("line, message", FAILURES)
def test_a_process_that_fails_is_one_message(lava, watch, sabotage, line, message):
    sabotage("processes/delay.py", SEND, STEP_14.format(line=line))
    with pytest.raises(BackendError) as error:
        run(SimpleNamespace(network=small()), spikes(5, samples=4, steps=5))
    assert str(error.value) == message
    assert watch.nothing_is_left()


@pytest.mark.lava
def test_a_process_that_hangs_is_one_message(lava, watch, sabotage):
    sabotage("processes/delay.py", SEND, STEP_14.format(line="import time; time.sleep(1000)"))
    with pytest.raises(BackendError) as error:
        run(
            SimpleNamespace(network=small()),
            spikes(5, samples=4, steps=5),
            progress=watch.look,
            timeout_s=6,
        )
    assert str(error.value) == (
        "Lava did not finish within 6 s, it reached time step 10 of 20; allow more time or run"
        " fewer samples"
    )
    assert watch.memory
    assert watch.nothing_is_left()


CRASHES = [
    ("import os; os.kill(os.getpid(), 11)", "Lava failed: it was ended by SIGSEGV"),
    (
        "import no_such_module",
        "Lava failed: ModuleNotFoundError: No module named 'no_such_module'; run `snncompile lava"
        " install`, which mends an environment that is broken",
    ),
    ("raise SystemExit(3)", "Lava failed: exit status 3"),
    (
        "import time; time.sleep(1000)",
        "Lava did not finish within 1 s, it reached no step; allow more time or run fewer samples",
    ),
]


@pytest.mark.lava
@pytest.mark.parametrize("line, message", CRASHES)
def test_a_program_that_fails_is_one_message(lava, watch, sabotage, line, message):
    sabotage("run.py", "def main():", f"{line}\n\n\n")
    limit = 1 if "sleep" in line else None
    with pytest.raises(BackendError) as error:
        run(SimpleNamespace(network=small()), spikes(5, samples=2, steps=5), timeout_s=limit)
    assert str(error.value) == message
    assert watch.nothing_is_left()


@pytest.mark.lava
def test_an_interrupt_ends_every_process(lava, watch):
    def interrupt(done: int, total: int) -> None:
        watch.look(done, total)
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SimpleNamespace(network=small()), spikes(5, samples=400, steps=50), progress=interrupt)
    assert watch.memory
    assert watch.nothing_is_left()


ABANDON = """
import os, runpy, signal, subprocess, sys
from types import SimpleNamespace
from snncompile.backends.lava.run import run

names = runpy.run_path(sys.argv[1])
start = subprocess.Popen

def popen(*args, **kwargs):
    process = start(*args, **kwargs)
    print(process.pid, flush=True)
    return process

subprocess.Popen = popen
x = names["spikes"](5, samples=4000, steps=50)
die = lambda done, total: done and os.kill(os.getpid(), signal.SIGKILL)
run(SimpleNamespace(network=names["small"]()), x, progress=die)
"""


@pytest.mark.lava
def test_lava_ends_when_nobody_waits_for_it(lava, watch):
    command = [sys.executable, "-c", ABANDON, lava_networks.__file__]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    watch.groups = [int(pid) for pid in done.stdout.split()]  # Lava, and the guard of its folder
    end = time.monotonic() + 10
    while watch.processes() and time.monotonic() < end:
        time.sleep(0.05)
    assert not watch.processes()
    assert not list(watch.folder.rglob("out.npz"))
