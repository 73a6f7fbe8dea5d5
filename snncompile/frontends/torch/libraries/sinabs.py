"""sinabs neurons: what they do, in our words. Read in sinabs 3.1.3; nothing of it is imported.

Layers take (samples, steps, ...), the ones called Squeeze (samples * steps, ...).

    i = alpha_syn * (i + x)                      only with tau_syn
    v = alpha_mem * v + i                        times (1 - alpha_mem) with norm_input
    spikes = v >= spike_threshold                SingleSpike
    spikes = v / spike_threshold, rounded down   MultiSpike, the default; MaxSpike limits them
    v = v - spikes * spike_threshold, or 0       MembraneSubtract, MembraneReset
    v = max(v, min_v_mem)

alpha = exp(-1 / tau), tau in time steps; 1 in an IAF. ExpLeak sends its potential.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine, Dynamics
from snncompile.frontends.torch.libraries.base import Given, Library, Shape, Time, Translate
from snncompile.frontends.torch.linear_layers import LINEAR, Row
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution

MANY = 255
"""Most spikes of a MultiSpike layer in one time step: what 8 bits hold. More of them on the sample
are found when the import is verified."""
STATES = ("v_mem", "i_syn")


@dataclass(frozen=True, eq=False)
class Sinabs(Library):
    """Its layers keep their state as buffers, made for the batch of the first call."""

    def time(self, module: Any) -> Time:
        """Return how a layer takes its time axis."""
        return "folded" if type(module).__name__.endswith("Squeeze") else "second"

    def copy(self, module: Any, memo: dict[int, Any]) -> None:
        """Copy a layer as other modules are copied: its own way fails for recurrent layers."""
        if type(module).__name__ in self.neurons:
            memo[id(module)] = new = object.__new__(type(module))
            new.__dict__.update(copy.deepcopy(vars(module), memo))

    def reset(self, module: Any) -> None:
        """Forget the state; the next call makes it anew, for its own number of samples."""
        for name in STATES:
            if getattr(module, name, None) is not None:
                module.register_buffer(name, torch.zeros(0))

    def prepare(self, module: Any, samples: int, steps: int) -> None:
        """Tell layers with a folded time axis how many samples and time steps there are."""
        if hasattr(module, "batch_size"):
            module.batch_size = samples
        if hasattr(module, "num_timesteps"):
            module.num_timesteps = steps

    def given(self, module: Any, args: Any, kwargs: Any) -> Given:
        """Return what a layer is called with; states are never handed in."""
        return Given([*args, *kwargs.values()][0], {})

    def states(self, module: Any) -> dict[str, Tensor]:
        """Return the buffers, once there are any."""
        found = {name: getattr(module, name, None) for name in STATES}
        return {name: v for name, v in found.items() if isinstance(v, Tensor) and v.numel()}


def _leaky(module: Any, where: str, shape: Shape) -> Dynamics:
    alpha = _alpha(module, "mem", where, shape)
    return _dynamics(module, where, shape, alpha)


def _integrate_fire(module: Any, where: str, shape: Shape) -> Dynamics:
    return _dynamics(module, where, shape, np.asarray(1.0))


def _dynamics(module: Any, where: str, shape: Shape, alpha: Floats) -> Dynamics:
    gain = 1 - alpha if module.norm_input else np.asarray(1.0)
    current_decay = np.asarray(1.0)
    if module.tau_syn_calculated is not None:
        alpha_syn = _alpha(module, "syn", where, shape)
        current_decay, gain = 1 - alpha_syn, gain * alpha_syn
    if not (gain > 0).all():
        raise UnsupportedError(f"{where}: {_name(module)} adds nothing of its input to v_mem")
    common: dict[str, Any] = {
        "current_decay": current_decay,
        "potential_decay": 1 - alpha,
        "gain": gain,
        **_recurrent(module, where, shape),
    }
    if module.spike_fn is None:
        return _silent(module, where, common)
    threshold = _parameter(module.spike_threshold, "spike_threshold", where, shape)
    if not (threshold > 0).all():
        raise UnsupportedError(
            f"{where}: spike_threshold must be positive, got {threshold.min():g}"
        )
    return Dynamics(
        threshold=threshold,
        reset="soft" if _subtracts(module, where, threshold) else "hard",
        fires_at_threshold=True,
        most_spikes=_most(module, where),
        lowest=_lowest(module, where, shape),
        **common,
    )


def _silent(module: Any, where: str, common: dict[str, Any]) -> Dynamics:
    if module.min_v_mem is not None:
        raise UnsupportedError(
            f"{where}: {_name(module)} with min_v_mem is not known; a readout has no lowest"
            " potential, use min_v_mem=None"
        )
    return Dynamics(threshold=np.asarray(1.0), reset="none", spikes=False, **common)


def _name(module: Any) -> str:
    return type(module).__name__


def _alpha(module: Any, state: str, where: str, shape: Shape) -> Floats:
    """Return the share of a state that is left after one time step, computed as the library does.

    In float64: `module.double()` makes the time constants so.
    """
    if module.train_alphas:
        return _parameter(getattr(module, f"alpha_{state}"), f"alpha_{state}", where, shape)
    tau = torch.as_tensor(getattr(module, f"tau_{state}")).detach().double()
    return _parameter(torch.exp(-1.0 / tau), f"tau_{state}", where, shape)


def _most(module: Any, where: str) -> int:
    """Return the most spikes that a neuron sends in one time step."""
    function = module.spike_fn
    name = function.__name__ if isinstance(function, type) else type(function).__name__
    if name == "SingleSpike":
        return 1
    if name == "MaxSpike":
        return function.max_num_spikes_per_bin or MANY
    if name != "MultiSpike":
        raise UnsupportedError(
            f"{where}: {_name(module)} with spike_fn={name} is not known; known: SingleSpike,"
            " MultiSpike, MaxSpike"
        )
    return MANY


def _subtracts(module: Any, where: str, threshold: Floats) -> bool:
    function = module.reset_fn
    name = type(function).__name__
    if name == "MembraneSubtract":
        value = function.subtract_value
        if value is None or (threshold == float(value)).all():
            return True
        raise UnsupportedError(
            f"{where}: {_name(module)} with subtract_value={value:g} is not known; leave it out to"
            " subtract the threshold"
        )
    if name == "MembraneReset" and function.reset_value == 0:
        return False
    what = f"reset_value={function.reset_value:g}" if name == "MembraneReset" else name
    raise UnsupportedError(
        f"{where}: {_name(module)} with {what} is not known; known: MembraneSubtract() and"
        " MembraneReset()"
    )


def _lowest(module: Any, where: str, shape: Shape) -> Floats | None:
    if module.min_v_mem is None:
        return None
    lowest = _parameter(module.min_v_mem, "min_v_mem", where, shape)
    if not (lowest <= 0).all():
        raise UnsupportedError(f"{where}: min_v_mem must not be positive, got {lowest.max():g}")
    return lowest


def _recurrent(module: Any, where: str, shape: Shape) -> dict[str, Any]:
    """Return what a layer's own spikes bring: one linear layer, its values flattened or not.

    It is not called before the first time step, so its bias is missing there.
    """
    inner = getattr(module, "rec_connect", None)
    if inner is None:
        return {}
    layers = [m for m in inner.modules() if not isinstance(m, nn.Sequential | nn.Flatten)]
    layers = [m for m in layers if not isinstance(m, nn.Unflatten | nn.Identity)]
    if len(layers) != 1 or type(layers[0]) not in LINEAR:
        raise UnsupportedError(
            f"{where}: rec_connect holds {', '.join(map(_name, layers)) or 'no layer'}; one linear"
            " layer is known, with Flatten and Unflatten around it"
        )
    row = LINEAR[type(layers[0])]
    made = row.translate(layers[0], f"{where}.rec_connect", shape)
    return {
        "recurrent": Affine(made.synapses, np.zeros_like(made.bias)),
        "late_bias": made.bias if made.bias.any() else None,
    }


def _parameter(value: Any, name: str, where: str, shape: Shape) -> Floats:
    """Return one number, shape (), or one per neuron, shape (n,)."""
    numbers = torch.as_tensor(value).detach().cpu().double().numpy()
    if numbers.size == 1:
        return np.asarray(numbers.reshape(()))
    try:
        return np.broadcast_to(numbers, (1, *shape)).reshape(-1).copy()
    except ValueError:
        raise UnsupportedError(
            f"{where}: {name} has shape {numbers.shape} for neurons of shape {shape}; give one"
            " number or one per neuron"
        ) from None


def _sum_pool(module: Any, where: str, shape: Shape) -> Affine:
    """Return a depthwise convolution of ones; the layer is torch's LPPool2d of norm 1."""
    kernel = _pair(module.kernel_size)
    stride = kernel if module.stride is None else _pair(module.stride)
    if module.ceil_mode or module.norm_type != 1:
        raise UnsupportedError(f"{where}: SumPool2d with ceil_mode or another norm is not known")
    wiring = Convolution(shape, shape[0], kernel, stride, (0, 0), (1, 1), shape[0])
    return Affine(Synapses(wiring, np.ones(wiring.weight_shape)), np.zeros(wiring.targets))


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


NEURONS: dict[str, Translate] = {
    "LIF": _leaky,
    "LIFSqueeze": _leaky,
    "LIFRecurrent": _leaky,
    "IAF": _integrate_fire,
    "IAFSqueeze": _integrate_fire,
    "IAFRecurrent": _integrate_fire,
    "ExpLeak": _leaky,
    "ExpLeakSqueeze": _leaky,
}

ADAPTIVE = "its threshold follows the spikes as no neuron of ours does; use LIF"
LIBRARY = Sinabs(
    package="sinabs",
    neurons=NEURONS,
    linear={"SumPool2d": Row(3, _sum_pool)},
    same=frozenset({"FlattenTime", "UnflattenTime"}),
    containers=frozenset({"Repeat", "Merge"}),
    instead={
        "ALIF": ADAPTIVE,
        "ALIFRecurrent": ADAPTIVE,
        "NeuromorphicReLU": "it is no neuron with a state; use IAF",
        "QuantizeLayer": "leave it out",
    },
    potential="v_mem",
)
