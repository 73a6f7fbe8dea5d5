"""Units of master parameters: those of the float network that a Program was compiled from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snncompile.arrays import Floats
from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.passes.analysis.loss import output_scales
from snncompile.synapses.scale import Scale
from snncompile.training.float_records import restate

if TYPE_CHECKING:
    from snncompile.program import Program


def find_scale(program: Program, population: Population) -> Floats:
    """Return integer potential per float potential, one per neuron; 1 threshold without floats."""
    name, size = population.name, population.size
    integer = np.asarray(restate(population).floats.__dict__.get("threshold", 0.0))
    layer = next((q for q in program.quantized if q.population == name), None)
    if program.source is None or layer is None:
        largest = _find_largest_arriving(program.network, name)
        return np.broadcast_to(np.where(integer > 0, integer, largest), (size,))
    if name not in list_original(program):  # a relay, which `compile` put in before it quantized
        return np.broadcast_to(layer.scale, (size,))
    neuron = program.source.population(name).neuron
    floats = np.asarray(getattr(neuron, "threshold", 0.0))
    floats = floats[program.kept[name]] if floats.ndim and name in program.kept else floats
    known = (floats > 0) & (integer > 0) & (neuron.message_unit == 1)  # type: ignore[attr-defined]
    ratio = np.divide(
        integer, floats, out=np.ones(np.broadcast(integer, floats).shape), where=known
    )
    return np.broadcast_to(np.where(known, ratio, layer.scale), (size,))


def _find_largest_arriving(network: IntegerNetwork, name: str) -> float:
    """Return the largest potential that one message of weight brings, or 1."""
    population = network.population(name)
    sizes = (
        float(np.abs(p.synapses.weight).max(initial=0)) * 2.0**p.synapses.exponent  # type: ignore[union-attr]
        for p in network.into(name)
    )
    return max(max(sizes, default=0.0) * restate(population).input_factor, 1.0)


def find_output_scale(program: Program, population: Population, scale: Floats) -> float:
    """Return integer per float output; 1 of spikes."""
    if program.source is not None and population.name in list_original(program):
        neuron = program.source.population(population.name).neuron
        if neuron.sends_currents:  # type: ignore[attr-defined]
            return float(np.median(scale))
        scales = output_scales(program.source, program.quantized)
        return scales.get(population.name, 1.0)
    return 1.0 if population.neuron.spikes else float(np.median(scale))


def find_floats(program: Program, projection: Projection) -> Floats | None:
    """Return the float weights that the integers were made of; None where there are none."""
    source, ends = program.source, (projection.source, projection.target)
    if source is None:
        return None
    same = [p for p in program.network.projections if (p.source, p.target) == ends]
    floats = [p for p in source.projections if (p.source, p.target) == ends]
    if len(same) != len(floats):
        return None
    match = floats[[p is projection for p in same].index(True)].synapses
    kept = [program.kept.get(name, np.arange(source.end(name).size)) for name in ends]
    rest = match.wiring.keep(match.weight, *kept)
    fits = rest is not None and rest[1].shape == projection.synapses.weight.shape
    fits = fits and rest is not None and type(rest[0]) is type(projection.synapses.wiring)
    return np.asarray(rest[1], np.float64) if fits and rest is not None else None


def list_original(program: Program) -> set[str]:
    """Return the populations that the compiler did not insert; all if the source is unknown."""
    network = program.network if program.source is None else program.source
    return {p.name for p in network.populations} | {network.input.name}


def is_original(projection: Projection, names: set[str]) -> bool:
    """Whether weights come from the user: inserted populations pass on with one-to-one weights."""
    ends = {projection.source, projection.target}
    return ends <= names or not isinstance(projection.synapses.wiring.plain, Scale)
