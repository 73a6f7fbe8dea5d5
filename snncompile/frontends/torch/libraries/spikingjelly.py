"""SpikingJelly neurons and layers, as `Dynamics`. Read in spikingjelly 2.0.0, 0.0.0.0.14 and .12.

Nothing of the library is imported. A neuron fires when v >= v_threshold; the reset acts at once. It
starts at v_reset (at 0 if that is None). Step mode 's' takes one time step, 'm' takes (steps,
samples, ...).

Our neurons reset to 0, so where v_reset is another number we use v - v_reset: threshold and start
are lower by v_reset, and so is the potential that the leak approaches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine, Dynamics, describe_neuron
from snncompile.frontends.torch.libraries.base import CallInput, Library, Shape, Time, Translate
from snncompile.frontends.torch.linear_layers import LINEAR, Row
from snncompile.neurons.synapse_filter import SynapseFilter
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.sparse import Sparse


@dataclass(frozen=True, eq=False)
class SpikingJelly(Library):
    """Its layers keep their state as memories, each with a start value."""

    def find_time(self, module: Any) -> Time:
        """Return how a layer takes its time axis, from its step mode."""
        return "first" if _takes_steps(module) else "step"

    def count_axes(self, module: Any, axes: int) -> int | None:
        """Return the axes of a sample behind (samples) or (steps, samples)."""
        return axes - 2 if _takes_steps(module) else axes - 1

    def reset(self, module: Any) -> None:
        """Reset all memories, also those of containers and delays."""
        if hasattr(module, "_memories"):
            module.reset()

    def read_input(self, module: Any, args: Any, kwargs: Any) -> CallInput:
        """Return the input of a call; states are never handed in."""
        return CallInput([*args, *kwargs.values()][0], {})

    def read_states(self, module: Any) -> dict[str, Tensor]:
        """Return memories and kept potentials, which are no tensors before the first call."""
        states = dict(module.named_memories())
        if _takes_steps(module):  # since 2.0 it is no memory
            states["v_seq"] = getattr(module, "v_seq", None)
        return {name: v for name, v in states.items() if isinstance(v, Tensor)}

    def find_start(self, module: Any, state: str) -> float:
        """Return the value of a memory at the start of a sample."""
        return _read_start(module, state)


def _takes_steps(module: Any) -> bool:
    """Return whether a layer takes several time steps; in `clock_driven` its name says it."""
    mode = getattr(module, "step_mode", None)
    return type(module).__name__.startswith("MultiStep") if mode is None else mode == "m"


def _read_start(module: Any, state: str) -> float:
    """Return the start value of a memory; releases before 1.0 have no method for it."""
    if hasattr(module, "get_reset_value"):
        return float(module.get_reset_value(state))
    return float(module._memories_rv[state])


def _translate_integrate_fire(module: Any, where: str, shape: Shape) -> Dynamics:
    """v = v + x."""
    return _make_dynamics(module, where, shape, decay=0.0)


def _translate_leaky(module: Any, where: str, shape: Shape) -> Dynamics:
    """v = v + (x - (v - v_reset)) / tau, or v - (v - v_reset) / tau + x."""
    decay = 1 / module.tau
    gain = decay if module.decay_input else 1.0
    return _make_dynamics(module, where, shape, decay=decay, gain=gain, rest=module.v_reset or 0.0)


def _translate_parametric_leaky(module: Any, where: str, shape: Shape) -> Dynamics:
    """As the leaky one with tau = 1 / sigmoid(w)."""
    decay = float(module.w.detach().double().sigmoid())
    gain = decay if module.decay_input else 1.0
    return _make_dynamics(module, where, shape, decay=decay, gain=gain, rest=module.v_reset or 0.0)


def _translate_current_based(module: Any, where: str, shape: Shape) -> Dynamics:
    """c = c_decay * c + x, then v = v_decay * v + c."""
    return _make_dynamics(
        module, where, shape, decay=1 - module.v_decay, current_decay=1 - module.c_decay
    )


def _translate_scaled(module: Any, where: str, shape: Shape) -> Dynamics:
    """v = relu(k * LIF(v, x)), so v never ends below 0; with scale_reset divided by k again.

    So with scale_reset it is a LIF with a threshold of v_threshold / k; without it its leak and its
    input are k times those of a LIF.
    """
    k, zero = float(module.k.detach().double()), module.v_reset or 0.0
    if k <= 0 or zero < 0:
        raise UnsupportedError(
            f"{where}: KLIFNode with k={k:g} and v_reset={zero:g} is not known; both have to be 0"
            " or more, k above 0"
        )
    plain = _translate_leaky(module, where, shape)
    lowest = np.asarray(-zero)
    if module.scale_reset:
        threshold = module.v_threshold / k - zero
        scaled = replace(plain, threshold=np.asarray(threshold), lowest=lowest)
    else:
        kept = k * (1 - 1 / module.tau)
        if kept > 1:
            raise UnsupportedError(
                f"{where}: KLIFNode with k={k:g} keeps {kept:g} of its potential in a time step;"
                " use scale_reset=True, or a k of 1 / (1 - 1 / tau) or less"
            )
        scaled = replace(
            plain,
            potential_decay=np.asarray(1 - kept),
            gain=k * plain.gain,
            constant=np.asarray((k - 1) * zero),
            lowest=lowest,
        )
    if not (scaled.threshold > 0).all():
        raise UnsupportedError(
            f"{where}: KLIFNode with v_threshold / k={module.v_threshold / k:g} and"
            f" v_reset={zero:g} fires without input; use a v_threshold above k * v_reset"
        )
    return scaled


def _translate_filter(module: Any, where: str, shape: Shape) -> Dynamics:
    """v = v - (1 - x) v / tau + x, with 1 / tau = sigmoid(w) if it is learnable; sends v."""
    learnt = module.w.detach().double().sigmoid() if module.learnable else 1.0 / module.tau
    return describe_neuron(SynapseFilter(np.asarray(float(learnt))))


def _make_dynamics(
    module: Any,
    where: str,
    shape: Shape,
    *,
    decay: float,
    gain: float = 1.0,
    rest: float = 0.0,
    current_decay: float = 1.0,
) -> Dynamics:
    """Return the dynamics of v - v_reset; `rest` is the potential that the leak approaches."""
    name, zero = type(module).__name__, module.v_reset or 0.0
    _check_spike_function(module, where, shape)
    threshold = module.v_threshold - zero
    if threshold <= 0:
        raise UnsupportedError(
            f"{where}: {name} with v_threshold={module.v_threshold:g} and v_reset={zero:g} fires"
            " without input; use a v_threshold above v_reset"
        )
    if not (0 <= decay <= 1 and 0 <= current_decay <= 1):
        raise UnsupportedError(
            f"{where}: {name} keeps {1 - decay:g} of its potential and {1 - current_decay:g} of its"
            " current in a time step; use decays between 0 and 1"
        )
    return Dynamics(
        current_decay=np.asarray(current_decay),
        potential_decay=np.asarray(decay),
        threshold=np.asarray(threshold),
        reset="soft" if module.v_reset is None else "hard",
        gain=np.asarray(gain),
        constant=np.asarray(decay * (rest - zero)),
        initial=np.asarray(_read_start(module, "v") - zero),
        fires_at_threshold=True,
    )


def _check_spike_function(module: Any, where: str, shape: Shape) -> None:
    """Refuse spike functions that are no step, e.g. surrogates in their smooth form."""
    potential = torch.cat([torch.linspace(-3, 3, 65), torch.tensor([-1e-6, 0.0, 1e-6])])
    fired = module.surrogate_function(potential.expand(2, -1).contiguous())[0]
    wrong = fired != (potential >= 0).to(fired.dtype)
    if wrong.any():
        index = int(wrong.nonzero()[0, 0])
        raise UnsupportedError(
            f"{where}: the spike function gives {fired[index]:g} at threshold"
            f" {potential[index]:+g}; only a step that is 1 at the threshold and above it and 0"
            " below it is known, use spiking=True"
        )


def _translate_standardized_linear(module: Any, where: str, shape: Shape) -> Affine:
    weight = _to_floats(module.get_weight())
    return Affine(dense(weight), _read_bias(module, len(weight)))


def _translate_standardized_convolution(module: Any, where: str, shape: Shape) -> Affine:
    layer = LINEAR[nn.Conv2d].translate(module, where, shape)
    assert isinstance(layer.synapses.wiring, Convolution)
    return Affine(Synapses(layer.synapses.wiring, _to_floats(module.get_weight())), layer.bias)


def _translate_voting(module: Any, where: str, shape: Shape) -> Affine:
    """Return the mean of each group of `voting_size` neurons; left-over neurons are ignored."""
    sources, size = prod(shape), module.voting_size
    targets = sources // size
    source = np.arange(targets * size)
    wiring = Sparse(source // size, source, targets, sources)
    return Affine(Synapses(wiring, np.full(len(source), 1 / size)), np.zeros(targets))


def _to_floats(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()


def _read_bias(module: Any, size: int) -> Floats:
    return np.zeros(size) if module.bias is None else _to_floats(module.bias)


NEURONS: dict[str, Translate] = {
    "IFNode": _translate_integrate_fire,
    "SimpleIFNode": _translate_integrate_fire,
    "HalfThresholdIFNode": _translate_integrate_fire,
    "LIFNode": _translate_leaky,
    "OTTTLIFNode": _translate_leaky,  # this and the next: LIFNode in eval mode, another training
    "SLTTLIFNode": _translate_leaky,
    "SimpleLIFNode": _translate_leaky,
    "ParametricLIFNode": _translate_parametric_leaky,
    "CUBALIFNode": _translate_current_based,
    "KLIFNode": _translate_scaled,
    "SynapseFilter": _translate_filter,
    "MultiStepIFNode": _translate_integrate_fire,  # this and the next two: `clock_driven`
    "MultiStepLIFNode": _translate_leaky,
    "MultiStepParametricLIFNode": _translate_parametric_leaky,
}

WRAPPED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.Upsample,
)
"""Classes of torch that the library wraps under the same name."""

LAYERS: dict[str, Row] = {
    **{cls.__name__: LINEAR[cls] for cls in WRAPPED},
    # tdBN: its factor alpha * v_th is in the weight it starts with.
    "ThresholdDependentBatchNorm1d": LINEAR[nn.BatchNorm1d],
    "ThresholdDependentBatchNorm2d": LINEAR[nn.BatchNorm2d],
    "MultiStepThresholdDependentBatchNorm1d": LINEAR[nn.BatchNorm1d],
    "MultiStepThresholdDependentBatchNorm2d": LINEAR[nn.BatchNorm2d],
    "WSLinear": Row(1, _translate_standardized_linear),
    "WSConv2d": Row(3, _translate_standardized_convolution),
    "VotingLayer": Row(1, _translate_voting),
}

SURROGATES = frozenset(
    {
        "SurrogateFunctionBase",
        "MultiArgsSurrogateFunctionBase",
        "PiecewiseQuadratic",
        "PiecewiseExp",
        "Sigmoid",
        "SoftSign",
        "SuperSpike",
        "ATan",
        "NonzeroSignLogAbs",
        "Erf",
        "PiecewiseLeakyReLU",
        "SquarewaveFourierSeries",
        "S2NN",
        "QPseudoSpike",
        "LeakyKReLU",
        "FakeNumericalGradient",
        "LogTailedReLU",
        "Rect",
    }
)
"""Spike functions, which a neuron written by hand may call."""

PARALLEL = "it weighs all time steps and has no reset; use LIFNode or ParametricLIFNode"
ATTENTIONS = (
    "TemporalWiseAttention",
    "MultiDimensionalAttention",
    "SpikingSelfAttention",
    "QKAttention",
    "TokenQKAttention",
    "ChannelQKAttention",
    "SpikeDrivenSelfAttention",
)
ATTENTION = "it multiplies values of two layers; use a convolution or a linear layer in its place"

LIBRARY = SpikingJelly(
    package="spikingjelly",
    sequence="v_seq",
    neurons=NEURONS,
    linear=LAYERS,
    same=frozenset(
        {
            *("Flatten", "Dropout", "Dropout2d", "PrintShapeModule"),
            *("MultiStepDropout", "MultiStepDropout2d"),
        }
    ),
    containers=SURROGATES
    | frozenset(
        {
            "MemoryModule",
            "StepModule",
            "SingleStepModule",
            "MultiStepModule",
            "MultiStepContainer",
            "SeqToANNContainer",
            "TLastMultiStepContainer",
            "TLastSeqToANNContainer",
            "StepModeContainer",
            "ElementWiseRecurrentContainer",
            "LinearRecurrentContainer",
            "Delay",
            "OTTTSequential",
            "Scale",  # a number times the spikes, in the OTTT networks
        }
    ),
    instead={
        **dict.fromkeys(("PSN", "MaskedPSN", "SlidingPSN"), PARALLEL),
        "GatedLIFNode": "its gates mix two resets and two leaks; use ParametricLIFNode",
        **dict.fromkeys(ATTENTIONS, ATTENTION),
        "NonSpikingIFNode": "end with a linear layer, its result is the answer of each time step",
        "NonSpikingLIFNode": "end with a linear layer, its result is the answer of each time step",
        "BatchNormThroughTime1d": "it differs between time steps; use BatchNorm1d",
        "BatchNormThroughTime2d": "it differs between time steps; use BatchNorm2d",
        "TemporalEffectiveBatchNorm1d": "it differs between time steps; use BatchNorm1d",
        "TemporalEffectiveBatchNorm2d": "it differs between time steps; use BatchNorm2d",
    },
)
