"""Loss of a converted network, layer by layer: float activations against rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.conversion.ann import INPUT, Ann, Layer, activate, add_up
from snncompile.conversion.build import Conversion
from snncompile.conversion.convert import check_calibration
from snncompile.errors import InputError
from snncompile.ir.graph import Graph
from snncompile.neurons.base import FloatNeuron
from snncompile.reference.simulate import check_spikes, run_batches

SATURATED = 0.01
"""A channel with more than this share of outputs at the largest value is saturated."""


@dataclass(frozen=True)
class LayerDiagnosis:
    """One layer of a converted network against the model."""

    layer: str
    path: str
    """Path of its rectifier in the model."""
    cosine: float
    """Between activations and decoded spikes."""
    error: float
    """Root mean square of the difference, relative to that of the activations."""
    dead: int
    """Channels that never send although their activation is not always zero."""
    saturated: int
    """Channels that often send their largest value."""
    agreement: float
    """Share of answers equal to the model's, if only the layers up to this one spike."""
    cost: float
    """Decrease of the agreement by this layer."""

    def __str__(self) -> str:
        """One line: `conv1: cosine 0.9981, error 6.1%, 0 dead, 2 saturated, agreement 98.0%`."""
        return (
            f"{self.layer}: cosine {self.cosine:.4f}, error {self.error:.1%}, {self.dead} dead,"
            f" {self.saturated} saturated, agreement {self.agreement:.1%} ({0.0 - self.cost:+.1%})"
        )


def diagnose(
    conversion: Conversion, samples: NDArray[np.float64], network: Graph | None = None
) -> tuple[LayerDiagnosis, ...]:
    """Return the layers in order; the one with the largest `cost` loses most accuracy.

    Args:
        conversion: from `convert`.
        samples: input of the model, shape (samples, *shape).
        network: the network to diagnose, e.g. the integer network of a Program compiled with
            `prune=False`; the float network if not given.

    Raises:
        InputError: the network has other populations than the conversion.
    """
    x = check_calibration(samples)
    decoded = _decode_layers(conversion, network or conversion.network, x)
    wanted = conversion.ann.compute_activations(x)
    answers = wanted[conversion.ann.layers[-1].name].flatten(1).argmax(1)
    rows, before = [], 1.0
    for i, layer in enumerate(conversion.ann.rectified):
        known = {INPUT: torch.tensor(x).flatten(1)}
        known |= {earlier.name: decoded[earlier.name] for earlier in conversion.ann.layers[: i + 1]}
        agreement = float((_finish(conversion.ann, i + 1, known) == answers).double().mean())
        scale = torch.tensor(layer.spread_per_neuron(conversion.scales[layer.name]))
        neuron = conversion.network.population(layer.name).neuron
        assert isinstance(neuron, FloatNeuron)
        activation = wanted[layer.name].flatten(1).double()
        row = _compare(layer, activation, decoded[layer.name], scale, neuron.largest_share)
        rows.append(LayerDiagnosis(layer.name, layer.path, *row, agreement, before - agreement))
        before = agreement
    return tuple(rows)


def measure_errors(
    conversion: Conversion, samples: NDArray[np.float64], network: Graph | None = None
) -> dict[str, float]:
    """Return the error of each rectified layer as `LayerDiagnosis.error` has it, and nothing else.

    Without answers it is done in one run, however many layers there are.

    Args:
        conversion: from `convert`.
        samples: input of the model, shape (samples, *shape).
        network: as in `diagnose`.

    Raises:
        InputError: the network has other populations than the conversion.
    """
    x = check_calibration(samples)
    decoded = _decode_layers(conversion, network or conversion.network, x)
    wanted = conversion.ann.compute_activations(x)
    return {
        layer.name: _find_error(wanted[layer.name].flatten(1).double(), decoded[layer.name])
        for layer in conversion.ann.rectified
    }


def _decode_layers(
    conversion: Conversion, graph: Graph, x: NDArray[np.float64]
) -> dict[str, Tensor]:
    """Return the decoded spikes of each rectified layer, (samples, size)."""
    for population in conversion.network.populations:
        if graph.population(population.name).size != population.size:
            raise InputError(
                f"{population.name}: has fewer neurons than were converted; compile with"
                " prune=False"
            )
    source = conversion.network.input
    shown = check_spikes(graph, source.present(x[:, None] if source.analog else x))
    decoded: dict[str, list[Tensor]] = {}
    for spike_trains in run_batches(graph, shown):
        for layer in conversion.ann.rectified:
            neuron = conversion.network.population(layer.name).neuron
            assert isinstance(neuron, FloatNeuron)
            share = neuron.decode(spike_trains[layer.name].double())
            scale = torch.tensor(layer.spread_per_neuron(conversion.scales[layer.name]))
            decoded.setdefault(layer.name, []).append(share * scale)
    return {name: torch.cat(batches_of_layer) for name, batches_of_layer in decoded.items()}


def _finish(ann: Ann, done: int, values: dict[str, Tensor]) -> Tensor:
    """Return the answers with the model's own layers from `done` on."""
    for layer in ann.layers[done:-1]:
        z = add_up(layer.terms, layer.bias, values)
        values[layer.name] = activate(layer, z, values)
    last = ann.layers[-1]
    return add_up(last.terms, last.bias, values).argmax(1)


def _compare(
    layer: Layer, wanted: Tensor, decoded: Tensor, scale: Tensor, largest_share: float
) -> tuple[float, float, int, int]:
    size = float(wanted.norm() * decoded.norm())
    cosine = float((wanted * decoded).sum()) / size if size else 1.0
    error = _find_error(wanted, decoded)
    channels = layer.channels
    rows = [value.reshape(len(value), channels, -1) for value in (wanted, decoded, decoded / scale)]
    active, sends = rows[0].amax(dim=(0, 2)) > 0, rows[1].amax(dim=(0, 2)) > 0
    full = rows[2] >= largest_share * (1 - 1e-9)
    often = full.double().mean(dim=(0, 2)) > SATURATED
    return cosine, error, int((active & ~sends).sum()), int((often & sends).sum())


def _find_error(wanted: Tensor, decoded: Tensor) -> float:
    return float((decoded - wanted).norm()) / (float(wanted.norm()) or 1.0)
