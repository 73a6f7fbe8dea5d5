"""Choose the Lava process of a population or wiring, and the values of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile import registry
from snncompile.backends.lava.lava_process import LavaParameter, LavaProcess
from snncompile.backends.lava.network_processes import SPARSE
from snncompile.errors import BackendError, InputError, UnsupportedError, list_briefly
from snncompile.ir.graph import IntegerNetwork, Population
from snncompile.synapses.base import Wiring


def load_processes() -> tuple[LavaProcess, ...]:
    """Return every record of the registry, in the order of its table.

    Raises:
        InputError: a row is called otherwise than the class of its record.
    """
    rows = registry.load_all("lava_processes")
    for name, process in rows.items():
        if not isinstance(process, LavaProcess) or process.name != name:
            raise InputError(
                f"lava_processes: the row {name!r} is no LavaProcess called {name}; name the row"
                " after the class of the process"
            )
    return tuple(rows.values())


def choose_neuron_process(
    network: IntegerNetwork, population: Population, processes: tuple[LavaProcess, ...]
) -> LavaProcess:
    """Return the process of a population: one of an installed library before a copied file.

    Args:
        network: gives what can arrive at the population.
        population: one of its populations.
        processes: see `load_processes`.

    Raises:
        UnsupportedError: there is no process for its neuron.
        BackendError: no process takes all of its parameters, or several do.
    """
    neuron = population.neuron
    reset = getattr(neuron, "reset", "")
    candidates = [
        p
        for p in processes
        if p.computes(neuron.name, reset) and (p.suits is None or p.suits(network, population))
    ]
    if not candidates:
        known = list_briefly(sorted({name for process in processes for name in process.neurons}))
        raise UnsupportedError(
            f"population {population.name}: the Lava backend has no process for {neuron.kind};"
            f" it knows {known}"
        )
    complete = [p for p in candidates if not p.lacks(neuron.parameters())]
    if not complete:
        process = candidates[-1]
        raise BackendError(
            f"population {population.name}: the Lava process {process.name} has no parameter for"
            f" {', '.join(process.lacks(neuron.parameters()))}; add it to its LavaProcess"
        )
    candidates = [p for p in complete if p.library] or complete
    if len(candidates) > 1:
        names = " and ".join(p.name for p in candidates)
        raise BackendError(
            f"population {population.name}: {names} are Lava processes for {neuron.kind};"
            " uninstall the package of either"
        )
    return candidates[0]


def choose_synapse_process(wiring: Wiring, processes: tuple[LavaProcess, ...]) -> LavaProcess:
    """Return the process that takes the weights of a wiring; Sparse, if none takes them as is."""
    candidates = (p for p in processes if wiring.kind in p.wirings)
    return next(candidates, SPARSE)


def read_parameters(population: Population, process: LavaProcess) -> dict[str, NDArray[Any]]:
    """Return keyword to value, an array of shape () or (n,), in the order of the record.

    Raises:
        BackendError: the process does not compute with such a value.
    """
    given = population.neuron.parameters()
    values = {}
    for parameter in process.parameters:
        if parameter.name in given:
            value = getattr(population.neuron, parameter.name)
        elif parameter.default is not None:
            value = np.asarray(parameter.default)
        elif hasattr(population.neuron, parameter.name):  # `initial`, which is 0
            continue
        else:
            raise BackendError(
                f"population {population.name}: the Lava process {process.name} needs"
                f" {parameter.name}, which {population.neuron.name} lacks; give its LavaParameter a"
                " default"
            )
        _check_value(f"population {population.name}", process, parameter, value)
        values[parameter.keyword] = value
    return values


def _check_value(
    where: str, process: LavaProcess, parameter: LavaParameter, value: NDArray[Any]
) -> None:
    low, high = value.min(), value.max()
    if low < parameter.low or high > parameter.high:
        worst = low if low < parameter.low else high
        raise BackendError(
            f"{where}: {parameter.name} {worst} is outside {parameter.low}..{parameter.high}, the"
            f" range of {parameter.keyword} in the Lava process {process.name}; compile for a"
            " chip with this range"
        )
    if not parameter.per_neuron and low != high:
        raise BackendError(
            f"{where}: {parameter.name} is {low}..{high}, but the Lava process {process.name} takes"
            f" one {parameter.keyword} for all neurons; split the population"
        )
