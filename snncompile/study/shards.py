"""One large job in shards: `run`, `verify` and `estimate` of a big set by many processes.

A shard is a range of samples. Workers read the saved Program and the npz of the input, and leave
their results as npz files in the folder; so an interrupted job goes on where it was. The result is
that of one run: integers are the same whatever is run together, and an estimate adds its pieces in
the order of the samples.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile import __version__
from snncompile.backends.energy.activity import count_piece_samples
from snncompile.backends.energy.estimate import Estimate, Timing, fill_ledger, open_ledger
from snncompile.backends.energy.timing import Account
from snncompile.errors import BackendError, InputError
from snncompile.files.folder import read_seal
from snncompile.files.npz import read_npz, write_npz
from snncompile.ir.graph import Progress
from snncompile.ir.input import read_array
from snncompile.ir.result import Result
from snncompile.program import PROGRAM, Program
from snncompile.reference.simulate import check_spikes
from snncompile.study.engine import Engine, Failure
from snncompile.study.store import Store, dump, hash_file, hash_value, read_json, write_text
from snncompile.study.trial import check_worker
from snncompile.verification import Verification

EACH = 4
"""Shards for each job that runs at a time, so that a slow one does not hold up the end."""


@dataclass(frozen=True, eq=False)
class Shards:
    """A Program, workers, and a folder for shards that the workers see under the same path."""

    program: Program
    engine: Engine
    folder: Path
    samples: int | None = None
    """Samples of a shard; None: a quarter of what each worker has to do."""

    def run(self, x: ArrayLike, *, progress: Progress | None = None) -> Result:
        """Return what `Program.run` returns for x, the bounds for its steps included."""
        shown = check_spikes(self.program.network, x)
        shards = self._run_shards("run", shown, {}, 1, progress)
        spikes = np.concatenate([arrays["spikes"] for arrays in shards])
        proof = self.program.prove(shown.shape[1])
        return Result(spikes, proof, self.program.network.answer)

    def verify(
        self,
        x: ArrayLike,
        samples: int | None = None,
        *,
        lava: bool = True,
        progress: Progress | None = None,
    ) -> Verification:
        """Return what `Program.verify` returns for x, without the library of a model.

        The outputs of all populations come together here, as in one run.
        """
        shown = read_array(x)[:samples]
        missing = self.program.explain_missing(None, lava)
        shards = self._run_shards("verify", shown, {"missing": missing}, 1, progress)
        names = list(shards[0])
        whole = {name: np.concatenate([arrays[name] for arrays in shards]) for name in names}
        runs: dict[str, dict[str, NDArray[Any]]] = {}
        for name, train in whole.items():
            run, _, population = name.partition("/")
            runs.setdefault(run, {})[population] = train
        return self.program.compare_runs(runs, missing)

    def estimate(
        self,
        x: ArrayLike,
        costs: str | None = None,
        *,
        timing: Timing = "fast",
        account: Account = "chip",
        progress: Progress | None = None,
    ) -> Estimate:
        """Return what `Program.estimate` returns for x, to the last bit."""
        shown = check_spikes(self.program.network, x)
        ledger = open_ledger(self.program, shown.shape[1], timing, costs, account)
        piece = count_piece_samples(
            self.program.network, shown.shape[1], updates=ledger.counts_updates
        )
        options = {"timing": timing, "costs": costs, "account": account}
        for arrays in self._run_shards("estimate", shown, options, piece, progress):
            ledger.take(arrays)
        return replace(ledger.close(), proof=self.program.prove(shown.shape[1]))

    def _run_shards(
        self,
        kind: str,
        shown: NDArray[Any],
        options: Mapping[str, Any],
        piece: int,
        progress: Progress | None,
    ) -> list[dict[str, NDArray[Any]]]:
        """Return the arrays of every shard, in the order of the samples.

        Args:
            kind: a key of `KINDS`.
            shown: the input.
            options: of the kind.
            piece: samples that may not be divided.
            progress: called with (samples done, samples in all).
        """
        if not len(shown):
            raise InputError(f"{kind} of no samples; give at least 1")
        if self.program.network.plastic:
            raise InputError(
                "a network that learns takes its samples one after the other, so no shards; use the"
                f" Program's own {kind}"
            )
        store = Store(self.folder)
        store.create({"shards": kind})
        head = {
            "version": __version__, "kind": kind, "options": dict(options),
            "program": _add_program(store, self.program), "x": _add_shown(store, shown),
        }  # fmt: skip
        jobs: dict[str, dict[str, Any]] = {}
        for first, stop in self._cut(len(shown), piece):
            job = head | {"first": first, "stop": stop}
            jobs[hash_value(job)] = job
        path = str(self.folder.resolve())
        done, work = 0, ((key, (path, key, json.dumps(job))) for key, job in jobs.items())
        for key, text in self.engine.run(run_shard, work):
            if isinstance(text, Failure):
                first, stop = jobs[key]["first"], jobs[key]["stop"]
                raise BackendError(f"samples {first} to {stop - 1}: {text.reason}")
            done += jobs[key]["stop"] - jobs[key]["first"]
            if progress:
                progress(done, len(shown))
        return [read_npz(_locate(store, key)) for key in jobs]

    def _cut(self, count: int, piece: int) -> list[tuple[int, int]]:
        """Return the first sample of each shard, and the one behind its last."""
        if self.samples is not None and self.samples < 1:
            raise InputError(f"a shard has at least 1 sample, got {self.samples}")
        wanted = self.samples or -(-count // (EACH * self.engine.slots))
        size = -(-max(1, wanted) // piece) * piece
        return [(first, min(first + size, count)) for first in range(0, count, size)]


def _add_program(store: Store, program: Program) -> str:
    """Save a Program under the hash of its content, which is returned."""
    aside = store.folder / "builds" / f"new-{secrets.token_hex(4)}"
    program.save(aside)
    seal = read_seal(aside / PROGRAM)
    assert seal is not None
    key = seal[:32]
    with store.lock(key):
        target = store.folder / "builds" / key
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)
    return key


def _add_shown(store: Store, shown: NDArray[Any]) -> str:
    """Write the input under the hash of its file, which is returned."""
    aside = store.folder / "data" / f".shown-{secrets.token_hex(4)}.npz"
    write_npz(aside, {"x": shown})
    key = hash_file(aside)
    aside.replace(store.find_data(key))
    return key


def _locate(store: Store, key: str) -> Path:
    return store.folder / "results" / f"{key}.npz"


def run_shard(folder: str, key: str, text: str) -> str:
    """Compute a shard in a worker, unless it is there; leave it in the folder.

    Args:
        folder: of the shards.
        key: name of the shard.
        text: the job as JSON.
    """
    from snncompile.compiler import load

    store, job = Store(Path(folder)), json.loads(text)
    check_worker(job["version"], store)
    with store.lock(key):
        if read_json(store.folder / "results" / f"{key}.json") is None:
            program = load(store.folder / "builds" / job["program"])
            assert isinstance(program, Program)
            x = read_npz(store.find_data(job["x"]))["x"][job["first"] : job["stop"]]
            arrays = KINDS[job["kind"]](program, x, **job["options"])
            aside = store.folder / "results" / f".{key}.npz"
            write_npz(aside, arrays)
            aside.replace(_locate(store, key))
            write_text(store.folder / "results" / f"{key}.json", dump(job))
    return key


def _run(program: Program, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {"spikes": program.run(x).spikes}


def _verify(
    program: Program, x: NDArray[Any], missing: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    runs = program.record_runs(x, missing)
    return {
        f"{run}/{name}": np.asarray(train)
        for run, trains in runs.items()
        for name, train in trains.items()
    }


def _estimate(
    program: Program, x: NDArray[Any], timing: Timing, costs: str | None, account: Account
) -> dict[str, NDArray[Any]]:
    ledger = open_ledger(program, x.shape[1], timing, costs, account)
    fill_ledger(ledger, program, check_spikes(program.network, x))
    return ledger.export()


KINDS: dict[str, Callable[..., dict[str, NDArray[Any]]]] = {
    "run": _run,
    "verify": _verify,
    "estimate": _estimate,
}
"""What a shard computes."""
