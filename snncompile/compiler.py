"""From a network to a Program, and back from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.checker.mapping import check
from snncompile.errors import ContractError, InputError
from snncompile.files import folder
from snncompile.files.meaning import hash_network
from snncompile.files.network import NETWORK, read_network
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network
from snncompile.option_signature import takes_options
from snncompile.options import Options, collect
from snncompile.passes.advice.input_messages import check_input_messages
from snncompile.passes.advice.nearest_neuron import check_neurons
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.analysis.loss_warnings import (
    list_answer_notes,
    list_warnings,
    refuse_warnings,
)
from snncompile.passes.equal_neurons import begin_design
from snncompile.passes.learning_chip import check_learning_chip
from snncompile.passes.pipeline import Hook, PassProgress, Pipeline
from snncompile.program import PROGRAM, Program
from snncompile.program_file import read_program
from snncompile.reference.simulate import check_spikes


@takes_options()
def compile(
    network: Network | IntegerNetwork,
    *,
    chip: str | Path | Chip,
    calibration: ArrayLike | None = None,
    options: Options | None = None,
    passes: str | Pipeline | None = None,
    skip: Sequence[str] = (),
    hooks: Iterable[Hook] = (),
    progress: PassProgress | None = None,
    **single: Any,
) -> Program:
    """Return the Program that computes a network on a chip.

    Args:
        network: from a frontend, or loaded from a folder.
        chip: name of a chip, path of a chip file, or a chip.
        calibration: what the network is shown, shape (samples, steps, *input.shape): spikes, counts
            or analog values; makes quantizing better.
        options: all options in one record, in place of the single ones below.
        passes: the passes that run, as text (`retime,quantize{bits=6},...`) or as a pipeline; the
            default ones if not given. Options missing in the text are taken from `options`; the
            Program keeps the options that ran.
        skip: names of passes that are not run.
        hooks: called between passes, with the design before and after each.
        progress: called before each pass with (pass, share of the passes that are done).
        **single: one entry per option, from `Options`.

    Raises:
        InputError: no such chip, or the calibration data has another shape.
        QuantizeError: a number does not fit the chip's integer formats.
        UnsupportedError: the chip lacks a neuron, its messages carry no numbers and the input sends
            some, or a loop is shorter than its projections.
        FitError: a limit of the chip is exceeded; the message says by how much and what would fit.
        LossError: strict, and the integers lose more than the limits, the loss is unknown, or the
            answer is not what the module returns.
        ContractError: a pass lacks what it requires, as one that it needs was skipped.
    """
    if not isinstance(network, Graph):
        raise InputError(f"compile takes a network, got {type(network).__name__}; import it first")
    spikes = None if calibration is None else check_spikes(network, calibration)
    chosen = collect(single, options)
    if spikes is not None and chosen.quantize.steps is None:
        chosen = chosen.change(steps=spikes.shape[1])
    target = _load_chip(chip)
    lines = check_input_messages(network, target)
    design = begin_design(network, target, spikes)
    lines = (*lines, *_log_learning(network, chosen))
    design = replace(design, log=(*design.log, *lines))
    check_neurons(network, design.chip, spikes)
    check_learning_chip(network, design.chip)
    pipeline = _make_pipeline(chosen, passes, skip)
    chosen = pipeline.adopt_options(chosen)
    design = pipeline.run(design, progress, hooks)
    _check_complete(design, pipeline)
    assert isinstance(design.network, IntegerNetwork)
    check(design.network, design.chip, design.mapping)
    proved = prove_bounds(design.network, design.chip, chosen.quantize.steps)
    texts = list_warnings(design.network, design.loss, chosen)
    refuse_warnings((*list_answer_notes(network), *texts), design.loss, chosen.loss)
    return Program(
        network=design.network,
        mapping=design.mapping,
        chip=design.chip,
        options=chosen,
        quantized=design.quantized,
        bounds=proved,
        log=design.log + _log_steps(spikes, chosen.quantize.steps),
        hashes=_hash_inputs(network, spikes, design.network),
        source=network if isinstance(network, Network) else None,
        kept=design.kept,
        passes=str(pipeline),
        loss=design.loss,
        warnings=texts,
    )


def load(path: str | Path) -> Program | Network | IntegerNetwork:
    """Return the Program or network that was saved to a folder.

    Raises:
        InputError: the folder holds neither.
    """
    path = Path(path)
    if (path / PROGRAM).is_file():
        return read_program(path)
    if (path / NETWORK).is_file():
        return read_network(path)
    raise InputError(f"{path}: no folder with {PROGRAM} or {NETWORK}")


def _make_pipeline(
    options: Options, passes: str | Pipeline | None, skip: Sequence[str]
) -> Pipeline:
    default = Pipeline.default(options)
    skip = (skip,) if isinstance(skip, str) else skip
    if passes is not None and not isinstance(passes, str | Pipeline):
        raise InputError(f"passes: expected text or a Pipeline, got {type(passes).__name__}")
    if isinstance(passes, Pipeline):
        return passes.without(skip)
    return (Pipeline.parse(passes, default) if passes is not None else default).without(skip)


def _check_complete(design: Design, pipeline: Pipeline) -> None:
    """Refuse to make a Program of a design whose tables are not written."""
    if design.mapping.tables.routes is None:
        ran = ", ".join(pipeline.names) or "nothing"
        raise ContractError(f"a Program requires the tables of its cores: run route; ran: {ran}")


def _log_learning(network: Graph, chosen: Options) -> tuple[str, ...]:
    """Return a line where processes of Lava's library are asked of synapses that learn."""
    if chosen.quantize.processes != "library" or not network.plastic:
        return ()
    names = ", ".join(f"{p.source} -> {p.target}" for p in network.plastic)
    return (f"processes=library: {names} learns, so emit --for hardware will refuse this network",)


def _log_steps(spikes: NDArray[Any] | None, steps: int | None) -> tuple[str, ...]:
    """Return a line where the calibration data have more time steps than the bounds cover."""
    if spikes is None or steps is None or spikes.shape[1] <= steps:
        return ()
    return (
        f"bounds: proved for {steps:,} time steps, the calibration data have {spikes.shape[1]:,};"
        " without the option steps they are proved for as many",
    )


def _load_chip(chip: str | Path | Chip) -> Chip:
    if isinstance(chip, Chip):
        return chip
    try:
        return chips.load_chip(chip)
    except chips.ChipError as error:
        raise InputError(str(error)) from None


def _hash_inputs(
    source: Graph, calibration: NDArray[np.uint8] | None, network: IntegerNetwork
) -> dict[str, str]:
    hashes = {"source": hash_network(source), "network": hash_network(network)}
    if calibration is not None:
        hashes["calibration"] = folder.hash_content({}, {"x": calibration})
    return hashes
