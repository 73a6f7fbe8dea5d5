"""Random networks that went through the whole pipeline, and spikes for them.

Three origins in turn: integer networks of `differential` over everything there is, float networks
of every neuron that are quantized, and rectified networks that are converted by every method. The
chips have so few axons, compartments or delays per core that relays, sums of parts, ranges of
sources and slices are needed. Program i of seed s is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from math import prod

import differential
import drawn_neurons
import float_neurons
import numpy as np
import torch
from networks import LOIHI2, NAMES, formatted, limited
from numpy.typing import NDArray
from torch import nn

import snncompile
from snncompile import registry
from snncompile.errors import FitError, QuantizeError, UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.neurons.fixed import DECAY_ONE
from snncompile.program import Program
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution

TOGETHER = 5
"""Programs with one input and the same spikes, which share a start of Lava."""
ORIGINS = ("integers", "floats", "converted")
SMALL = limited(LOIHI2, compartments=7, cores=5000)
CHIPS: tuple[Chip, ...] = (
    LOIHI2,
    SMALL,
    limited(LOIHI2, axons_in=7, cores=5000),
    formatted(SMALL, delay=1),
    limited(LOIHI2, synapse_words=60, cores=5000),
)


@dataclass(frozen=True)
class Frame:
    """Input of the programs of one group."""

    shape: tuple[int, ...]
    steps: int
    samples: int
    share: float = 0.3
    """Of the spikes."""


FRAMES = (
    Frame((2, 4, 6), 6, 4),
    Frame((12,), 100, 2, 0.15),
    Frame((3, 8), 3, 130),
    Frame((1,), 16, 5, 0.6),
    Frame((4, 3, 3), 12, 101),
)
METHODS = tuple(registry.list_names("conversions"))
FLOAT_KINDS = [kind for kind in drawn_neurons.KINDS if kind in LOIHI2.neurons]


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its Program, and spikes for both."""

    source: Network | IntegerNetwork
    program: Program
    x: NDArray[np.integer]


def frame_of(group: int) -> Frame:
    """Return the frame of a group; origins and frames go round at different paces."""
    return FRAMES[group % len(FRAMES)]


def origin_of(group: int) -> str:
    """Return the origin of a group."""
    return ORIGINS[group % len(ORIGINS)]


@cache
def draw_case(seed: int, number: int) -> Case:
    """Return case `number` of a seed; one that the chip refuses is drawn again.

    So is one whose sums leave the integers of Lava, whose behaviour is then undefined.
    """
    group = number // TOGETHER
    x = draw_input(seed, group)
    for attempt in range(200):
        rng = np.random.default_rng([seed, number, attempt])
        source = DRAW[origin_of(group)](rng, seed, number, x)
        chip = CHIPS[rng.integers(len(CHIPS))]
        bits = int(rng.choice([2, 4, 8, 8, 8])) if isinstance(source, Network) else 8
        try:
            program = snncompile.compile(source, chip=chip, calibration=x[:8], bits=bits)
        except (FitError, QuantizeError, UnsupportedError):
            continue
        if differential.fits(program.network, x):
            return Case(source, program, x)
    raise AssertionError(f"no network {number} of seed {seed} compiles within Lava's integers")


def draw_input(seed: int, group: int) -> NDArray[np.integer]:
    """Return the spikes of a group, one sample full, one silent; for converted networks images."""
    frame, rng = frame_of(group), np.random.default_rng([seed, group])
    shape = (frame.samples, frame.steps, *frame.shape)
    if origin_of(group) == "converted":
        images = rng.integers(0, 256, (frame.samples, 1, *frame.shape), dtype=np.int32)
        x = np.broadcast_to(images, shape).copy()
        x[:, min(frame.steps, WINDOW) :] = 0
    else:
        x = (rng.random(shape) < frame.share).astype(np.uint8)
        x[0] = 1
    x[1] = 0
    return x


def join(cases: list[Case]) -> IntegerNetwork:
    """Return the compiled networks as one, of which only the input is shared."""
    parts = [prefix(case.program.network, f"n{i}_") for i, case in enumerate(cases)]
    populations = tuple(p for part in parts for p in part.populations)
    projections = tuple(p for part in parts for p in part.projections)
    first = parts[0]
    source = Input("input", first.input.shape, first.input.payload)
    return IntegerNetwork(source, populations, projections, first.output)


def prefix(network: IntegerNetwork, start: str) -> IntegerNetwork:
    """Return the network with other names of its populations."""
    name = {p.name: start + p.name for p in network.populations} | {network.input.name: "input"}
    return replace(
        network,
        populations=tuple(replace(p, name=name[p.name]) for p in network.populations),
        projections=tuple(
            replace(p, source=name[p.source], target=name[p.target]) for p in network.projections
        ),
        output=name[network.output],
    )


def _draw_integers(rng, seed: int, number: int, x) -> IntegerNetwork:
    frame = frame_of(number // TOGETHER)
    source = Input("input", frame.shape)
    return differential._Draft(rng, number, source, frame.steps).network()


def _draw_floats(rng, seed: int, number: int, x) -> Network:
    """Return layers of every neuron, with loops, second projections and delays."""
    frame = frame_of(number // TOGETHER)
    ends: list[Input | Population] = [Input("input", frame.shape)]
    projections: list[Projection] = []
    for name in NAMES[: rng.integers(1, 4)]:
        wiring = differential._wiring(rng, ends[-1].size)
        shape = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
        kind = str(rng.choice(FLOAT_KINDS))
        made = Population(name, shape, float_neurons.neuron(rng, kind, prod(shape)))
        wirings = [(wiring, port) for port in made.neuron.ports or (None,)]
        if rng.random() < 0.4:
            wirings.append(
                (differential._between(rng, wiring.sources, wiring.targets), wirings[0][1])
            )
        delay = int(rng.choice([0, 0, 0, 1, 4]))
        projections += [
            Projection(ends[-1].name, name, _weigh(rng, w), delay, port=port) for w, port in wirings
        ]
        if rng.random() < 0.3 and made.neuron.spikes:
            loop = _weigh(rng, differential._between(rng, made.size, made.size))
            projections.append(Projection(name, name, loop, 1 + delay, port=wirings[0][1]))
        ends.append(made)
        if not made.neuron.spikes:
            break
    populations = tuple(ends[1:])
    return Network(ends[0], populations, tuple(projections), populations[-1].name)


def _weigh(rng: np.random.Generator, wiring) -> Synapses:
    fan_in = max(1.0, wiring.synapses / max(1, wiring.targets))
    return Synapses(wiring, rng.normal(0.4, 0.8, wiring.weight_shape) * 2 / np.sqrt(fan_in))


WINDOW = 4
"""Time steps of a layer's window in converted networks."""


def _draw_converted(rng, seed: int, number: int, x) -> Network:
    """Return a converted perceptron or convolutional network, by the methods in turn."""
    shape = frame_of(number // TOGETHER).shape
    torch.manual_seed(int(rng.integers(2**31)))
    layers: list[nn.Module] = []
    if len(shape) == 3 and rng.random() < 0.7:
        layers += [nn.Conv2d(shape[0], 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
    layers.append(nn.Flatten())
    with torch.no_grad():
        size = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    for width in rng.integers(1, 12, rng.integers(1, 3)).tolist():
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    model = nn.Sequential(*layers, nn.Linear(size, 3)).eval()
    method = snncompile.registry.load(
        "conversions", METHODS[(number // 15 + number % 5) % len(METHODS)]
    )()
    if any(f.name == "calibrate_bias" for f in fields(method)) and rng.random() < 0.5:
        method = replace(method, calibrate_bias=True)
    steps = min(WINDOW, method.longest_window or WINDOW)
    return snncompile.from_ann(model, x[:, 0], method, steps, coding="constant")


DRAW = {"integers": _draw_integers, "floats": _draw_floats, "converted": _draw_converted}


def restate_as_floats(network: IntegerNetwork) -> Network | None:
    """Return the float records with the very numbers of an integer network, where that is exact.

    It is where nothing rounds, wraps or saturates: no weight is shifted right, a state is kept or
    lost whole. The unit of the float potential is 64 of the integer one. None elsewhere.
    """
    if any(p.synapses.exponent < 0 for p in network.projections):
        return None
    neurons = [_restate(p.neuron) for p in network.populations]
    if None in neurons:
        return None
    return Network(
        network.input,
        tuple(replace(p, neuron=n) for p, n in zip(network.populations, neurons, strict=True)),
        tuple(
            replace(p, synapses=Synapses(p.synapses.wiring, p.synapses.weight * 2.0**e))
            for p in network.projections
            for e in [p.synapses.exponent]
        ),
        network.output,
    )


RESTATED = ("cuba_lif", "integrate_fire", "signed_integrate_fire", "ternary_lif")
RESTATED += ("refractory_lif", "multi_spike_lif", "bistable_fire")


def _restate(neuron: IntegerNeuron) -> FloatNeuron | None:
    """Return the float record of one of RESTATED whose decays are none or all."""
    if neuron.name not in RESTATED:
        return None
    values = {}
    for name in registry.load("neurons", neuron.name)._arrays():
        value = np.asarray(getattr(neuron, name, 0)).astype(np.float64)
        if name == "bias":
            value = neuron.bias_mantissa * 2.0**neuron.bias_exponent / 64
        elif name in ("initial", "lowest"):
            value = value / 64
        elif name.endswith("decay"):
            value = (value + (name == "current_decay")) / DECAY_ONE
            if not np.isin(value, (0, 1)).all():
                return None
        values[name] = value
    if hasattr(neuron, "reset"):
        values["reset"] = neuron.reset
    return registry.load("neurons", neuron.name)(**values)
