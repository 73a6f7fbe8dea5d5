"""From a network to a Program, and back from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.checker.mapping import check
from snncompile.errors import InputError
from snncompile.files import folder
from snncompile.files import network as save
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, IntegerNetwork, Network
from snncompile.option_signature import takes_options
from snncompile.options import Options, collect
from snncompile.passes.advice.nearest_neuron import check_neurons
from snncompile.passes.analysis.bounds import bounds
from snncompile.passes.pipeline import pipeline
from snncompile.program import PROGRAM, Program, hash_network, read_program
from snncompile.reference.simulate import check_spikes


@takes_options()
def compile(
    network: Network | IntegerNetwork,
    *,
    chip: str | Path | Chip,
    calibration: ArrayLike | None = None,
    options: Options | None = None,
    **single: Any,
) -> Program:
    """Return the Program that computes a network on a chip.

    Args:
        network: from a frontend, or loaded from a folder.
        chip: name of a chip, path of a chip file, or a chip.
        calibration: spikes of shape (samples, steps, *input.shape); makes quantizing better.
        options: all options in one record, in place of the single ones below.
        **single: one entry per option, from `Options`.

    Raises:
        InputError: no such chip, or the calibration data has another shape.
        QuantizeError: a number does not fit the chip's integer formats.
        UnsupportedError: the chip lacks a neuron, or a loop is shorter than its projections.
        FitError: a limit of the chip is exceeded; the message says by how much and what would fit.
    """
    if not isinstance(network, Graph):
        raise InputError(f"compile takes a network, got {type(network).__name__}; import it first")
    data = None if calibration is None else check_spikes(network, calibration)
    chosen = collect(single, options)
    if data is not None and chosen.quantize.steps is None:
        chosen = chosen.change(steps=data.shape[1])
    design = Design(network, _chip(chip), data, log=network.notes)
    check_neurons(network, design.chip, data)
    for a_pass in pipeline(chosen):
        design = a_pass(design)
    assert isinstance(design.network, IntegerNetwork)
    check(design.network, design.chip, design.mapping)
    found = bounds(design.network, design.chip, chosen.quantize.steps)
    return Program(
        network=design.network,
        mapping=design.mapping,
        chip=design.chip,
        options=chosen,
        quantized=design.quantized,
        bounds=found,
        log=design.log,
        hashes=_hashes(network, data, design.network),
        source=network if isinstance(network, Network) else None,
        kept=design.kept,
    )


def load(path: str | Path) -> Program | Network | IntegerNetwork:
    """Return the Program or network that was saved to a folder.

    Raises:
        InputError: the folder holds neither.
    """
    path = Path(path)
    if (path / PROGRAM).is_file():
        return read_program(path)
    if (path / save.NETWORK).is_file():
        return save.read_network(path)
    raise InputError(f"{path}: no folder with {PROGRAM} or {save.NETWORK}")


def _chip(chip: str | Path | Chip) -> Chip:
    if isinstance(chip, Chip):
        return chip
    try:
        return chips.load_chip(chip)
    except chips.ChipError as error:
        raise InputError(str(error)) from None


def _hashes(
    source: Graph, calibration: NDArray[np.uint8] | None, network: IntegerNetwork
) -> dict[str, str]:
    hashes = {"source": hash_network(source), "network": hash_network(network)}
    if calibration is not None:
        hashes["calibration"] = folder.hash_content({}, {"x": calibration})
    return hashes
