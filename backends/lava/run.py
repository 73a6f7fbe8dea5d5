"""Run a network on real Lava processes: in another Python, in a process group that can be ended.

Lava hangs or crashes in ways no exception shows; every one of them ends here as one message.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.backends.lava import emit, environment
from snncompile.errors import BackendError
from snncompile.ir.graph import IntegerNetwork, Progress
from snncompile.ir.learning_state import name_weights
from snncompile.ir.result import Result
from snncompile.reference.simulate import check_spikes
from snncompile.renamed import make_getattr
from snncompile.synapses.sparse import Sparse

PROGRESS = re.compile(rb"samples (\d+) of (\d+)")
PYTHON_OPTIONS = ("-E", "-s", "-W", "ignore::UserWarning:multiprocessing.resource_tracker")
"""Nothing of the user's Python leaks in; shared memory that is freed late is no complaint."""
REPAIR = "run `snncompile lava install`, which mends an environment that is broken"
END_S = 5.0
"""How long processes may take to end before they are killed."""


class HasNetwork(Protocol):
    """A Program: only its network is used here."""

    @property
    def network(self) -> IntegerNetwork:
        """The compiled network: every delay is 1 or more."""


def run(
    program: HasNetwork,
    x: ArrayLike,
    *,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> Result:
    """Run a Program on Lava; x holds 0 and 1, shape (samples, steps, *input.shape).

    Raises:
        InputError: x has another shape or other values.
        BackendError: Lava is not installed, crashed, or took longer than `timeout_s`; without a
            `timeout_s` the limit is far above what the network should take.
    """
    outputs = run_folder(program.network, x, [], progress=progress, timeout_s=timeout_s)
    return Result(outputs["spikes"], readout=program.network.answer)


def spike_trains(
    network: IntegerNetwork,
    x: ArrayLike,
    *,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the output of every population, each (samples, steps, size); see `run`.

    Of a network that learns also the weights at the end, called as `name_weights` says.
    """
    outputs = run_folder(network, x, ["--all"], progress=progress, timeout_s=timeout_s)
    trains = {
        p.name: outputs[f"spikes.{p.name}"].reshape(*outputs["spikes"].shape[:2], p.size)
        for p in network.populations
    }
    for p in network.plastic:
        number = network.number(p)
        weight, wiring = outputs[f"learned.{number}.weights"], p.synapses.wiring
        if isinstance(wiring, Sparse):
            weight = weight[wiring.target, wiring.source]
        trains[name_weights(number)] = weight
    return trains


if not TYPE_CHECKING:
    __getattr__ = make_getattr(__name__, trains="spike_trains")


def run_folder(
    network: IntegerNetwork,
    x: ArrayLike,
    options: list[str],
    *,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> dict[str, NDArray[Any]]:
    """Return every array that `run.py` of the written folder saves; see `run`.

    Args:
        network: the network to write and run.
        x: input, shape (samples, steps, *input.shape).
        options: of run.py: `--all`, `--states`.
        progress: receives samples done and samples in all.
        timeout_s: seconds until Lava is ended.
    """
    spikes = check_spikes(network, x)
    limit_s = _estimate_limit(network, *spikes.shape[:2]) if timeout_s is None else timeout_s
    # Short: Lava makes sockets below it, whose paths may have 104 letters on some systems.
    with tempfile.TemporaryDirectory(prefix="snnc-") as folder:
        emit.write_folder(network, folder, states="--states" in options)
        np.savez(Path(folder, "x.npz"), x=spikes)
        files = ["--guarded", "--input", "x.npz", "--output", "out.npz"]
        command = [str(environment.locate_python()), *PYTHON_OPTIONS, "run.py", *files, *options]
        with _Lava(command, folder, progress) as lava:
            lava.wait(limit_s, steps=spikes.shape[1])
        with np.load(Path(folder, "out.npz"), allow_pickle=False) as saved:
            return {name: _widen(saved[name]) for name in saved.files}


def _widen(output: NDArray[Any]) -> NDArray[Any]:
    """Return potentials in 64 bits, as the reference has them."""
    return output if output.dtype == np.uint8 else output.astype(np.int64)


def _estimate_limit(network: IntegerNetwork, samples: int, steps: int) -> float:
    """Return seconds: a minute and ten times the time of Lava on a slow machine.

    It takes 0.1 to 0.4 ms per time step and process (benchmarks/reference_vs_lava.py), up to
    8 ns more per synapse, and up to half a minute to start 500 processes.
    """
    processes = 2 + 2 * len(network.populations) + 2 * len(network.projections)
    synapses = sum(p.synapses.wiring.synapses for p in network.projections)
    last = max(p.phase for p in network.populations)
    return 60 + processes + (samples * steps + last) * (4e-3 * processes + 1e-7 * synapses)


class _Lava:
    """The running program: its output is read as it comes; leaving the block ends all of it."""

    def __init__(self, command: list[str], folder: str, progress: Progress | None) -> None:
        self.progress = progress
        self.samples = (0, 0)
        """Samples done and samples in all, as last reported."""
        self.errors = b""
        self._line = b""
        try:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | {"TMPDIR": folder},
                stdin=subprocess.PIPE,  # its end tells the program that we are gone
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            reason = f"{command[0]}: {error.strerror}"
            raise BackendError(f"Lava does not start: {reason}; {REPAIR}") from None
        self._open = selectors.DefaultSelector()
        for pipe in self._list_pipes()[1:]:
            self._open.register(pipe, selectors.EVENT_READ)

    def _list_pipes(self) -> list[IO[bytes]]:
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        return [pipe for pipe in pipes if pipe is not None]

    def __enter__(self) -> _Lava:
        return self

    def __exit__(self, *error: object) -> None:
        """End every process: politely first, so that it frees its shared memory."""
        self.progress = None  # its call may be what was interrupted
        for last_word in (signal.SIGTERM, signal.SIGKILL):
            if self._open.get_map():
                self._send(last_word)
                self._read(time.monotonic() + END_S)
        self.process.wait()
        for pipe in self._list_pipes():
            pipe.close()
        self._open.close()

    def wait(self, limit_s: float, steps: int) -> None:
        """Wait for the end.

        Raises:
            BackendError: it hangs, or it did not end well.
        """
        deadline = time.monotonic() + limit_s
        while self._open.get_map():
            if time.monotonic() > deadline:
                done, samples = self.samples
                reached = f"time step {done * steps} of {samples * steps}" if samples else "no step"
                raise BackendError(
                    f"Lava did not finish within {limit_s:g} s, it reached {reached};"
                    " allow more time or run fewer samples"
                )
            if self.process.poll() is not None:  # its children may live on
                self._read(time.monotonic() + END_S)
                break
            self._read(min(deadline, time.monotonic() + 0.2))
        code = self.process.wait()
        if code:
            cause = self._explain(code)
            broken = cause.startswith(("ImportError", "ModuleNotFoundError", "Fatal Python error"))
            raise BackendError(f"Lava failed: {cause}" + (f"; {REPAIR}" if broken else ""))

    def _read(self, deadline: float) -> None:
        """Read until both pipes are closed, which is when the last process has ended."""
        while self._open.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._open.select(left):
                data = os.read(key.fd, 65536)
                if not data:
                    self._open.unregister(key.fileobj)
                elif key.fileobj is self.process.stdout:
                    self._read_progress(data)
                else:
                    self.errors += data

    def _read_progress(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            match = PROGRESS.fullmatch(line)
            if match:
                self.samples = (int(match[1]), int(match[2]))
                if self.progress:
                    self.progress(*self.samples)

    def _send(self, last_word: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, last_word)

    def _explain(self, code: int) -> str:
        """Return the line below the last traceback, or the signal that ended the program."""
        text = self.errors.decode(errors="replace")
        _, heading, traceback = text.rpartition("Traceback (most recent call last):\n")
        causes = [line for line in traceback.splitlines() if line and not line.startswith(" ")]
        if heading and causes:
            return causes[0]
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {code}"
