"""One trial: a pure function of a job, computed in a worker."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile import __version__
from snncompile.errors import BackendError, BoundsWarning, SnnCompileError
from snncompile.files.npz import read_npz
from snncompile.study.job import Job, Outcome
from snncompile.study.store import Store

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph
    from snncompile.program import Program


def run_trial(folder: str, text: str) -> str:
    """Return the result of a job as JSON text; it is written to the study's folder, too.

    A result that is there is returned as it is. Another process that computes the same trial is
    waited for.

    Args:
        folder: of the study.
        text: the job as JSON.

    Raises:
        BackendError: this process has another version of snncompile, or does not see the folder.
        InputError: an input of the job cannot be read, or the Program cannot be written.
    """
    values, store = json.loads(text), Store(Path(folder))
    check_worker(values["version"], store)
    job = Job.model_validate(values)
    key = job.key
    with store.lock(key):
        result = store.read_result(key)
        if result is None:
            begun = time.perf_counter()
            store.log("begin", key)
            result = compute_outcome(store, job).write()
            store.write_result(key, result)
            store.log("end", key, seconds=round(time.perf_counter() - begun, 3))
    return result


def check_worker(version: str, store: Store) -> None:
    """Refuse a job of another version, or of a folder that this process does not see.

    Raises:
        BackendError: with what to do.
    """
    if version != __version__:
        raise BackendError(
            f"a worker has snncompile {__version__}, the driver {version}; install the same"
        )
    if not store.is_ours():
        raise BackendError(
            f"a worker does not see the folder {store.folder}; workers need it under the same path"
        )


def compute_outcome(store: Store, job: Job) -> Outcome:
    """Return the result of a job; what does not fit is a result with its reason."""
    with warnings.catch_warnings(record=True) as lapses:
        warnings.simplefilter("always", BoundsWarning)
        program = _build(store, job)
        if isinstance(program, str):
            return Outcome(fits=False, reason=program)
        values = _measure(store, job, program)
    notes = tuple(str(w.message) for w in lapses if w.category is BoundsWarning)
    loss = program.loss.answers
    return Outcome(
        fits=True,
        cores=program.mapping.cores,
        chips=program.mapping.chips,
        answer_loss=None if loss is None else loss.share,
        warnings=tuple(dict.fromkeys((*program.warnings, *notes))),
        build=job.build,
        **values,
    )


def describe_refusal(error: SnnCompileError) -> str:
    """Return the first obstacle in one line, and how many more there are."""
    first, *others = error.obstacles
    text = " ".join(first.message.split())
    return f"{text} (and {len(others)} more)" if others else " ".join(str(error).split())


def _build(store: Store, job: Job) -> Program | str:
    """Return the Program, compiled or from the folder of an earlier trial; or why it does not fit.

    Only what `compile` refuses is a misfit; a file that cannot be read or written is an error.
    """
    from snncompile.compiler import compile, load
    from snncompile.files.network import read_network
    from snncompile.hwmodels.schema import Chip
    from snncompile.program import PROGRAM, Program

    path = store.folder / "builds" / job.build
    with store.lock(job.build):
        if (path / PROGRAM).is_file():
            program = load(path)
            assert isinstance(program, Program)
            return program
        network = read_network(store.folder / "networks" / job.network)
        x = None
        if job.calibration is not None:
            x = read_shown(store.find_data(job.calibration), network, job.calibrated)[0]
        chip = Chip.model_validate(job.chip)
        try:
            program = compile(network, chip=chip, calibration=x, **job.options)
        except SnnCompileError as error:
            return describe_refusal(error)
        program.save(path)
        return program


def _measure(store: Store, job: Job, program: Program) -> dict[str, Any]:
    """Return accuracy, agreement, energy and latency, as far as they are asked for and known."""
    if job.data is None:
        return {}
    x, label = read_shown(store.find_data(job.data), program.network, job.samples)
    prediction = program.run(x).prediction
    values: dict[str, Any] = {"samples": len(x)}
    if label is not None:
        values["accuracy"] = _share(prediction == label)
    if job.answers is not None:
        answers = read_npz(store.find_data(job.answers))["answer"][: len(x)]
        values["agreement"] = _share(prediction == answers)
    if job.priced is not None:
        values |= _estimate(job, program, x[: job.priced])
    return values


def _estimate(job: Job, program: Program, x: NDArray[Any]) -> dict[str, Any]:
    try:
        estimate = program.estimate(x, job.costs, timing=job.timing)
    except SnnCompileError as error:
        return {"reason": f"energy and latency are not known: {error}"}
    return {
        "energy_j": estimate.energy_j,
        "latency_s": estimate.latency_s,
        "missing": estimate.missing,
    }


def _share(right: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(right) / len(right))


def read_shown(
    path: Path, network: Graph, samples: int | None
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Return what a network is shown, (samples, steps, *input.shape), and labels if there are any.

    An npz with x of shape (samples, *input.shape) holds values, which go through the coding of a
    converted network; one with (samples, steps, *input.shape) holds spikes.

    Raises:
        InputError: the file is not readable, or x has another shape.
    """
    from snncompile.files.spikes import read_label, read_spikes

    arrays = read_npz(path)
    x = arrays.get("x")
    if network.input.coding is not None and x is not None and x.shape[1:] == network.input.shape:
        label = read_label(path, arrays, len(x))
        shown = network.input.present(x[:samples])
    else:
        spikes = read_spikes(path, network)
        shown, label = spikes.x[:samples], spikes.label
    return shown, None if label is None else label[:samples]
