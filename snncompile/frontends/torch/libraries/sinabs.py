"""sinabs neurons, as `Dynamics`. Read in sinabs 3.1.3; nothing of it is imported.

Layers take (samples, steps, ...), the ones called Squeeze (samples * steps, ...).

    i = alpha_syn * (i + x)                      only with tau_syn
    v = alpha_mem * v + i                        times (1 - alpha_mem) with norm_input
    spikes = v >= spike_threshold                SingleSpike
    spikes = v / spike_threshold, rounded down   MultiSpike, the default; MaxSpike limits them
    v = v - spikes * spike_threshold, or 0       MembraneSubtract, MembraneReset
    v = max(v, min_v_mem)

alpha = exp(-1 / tau), tau in time steps; 1 in an IAF. ExpLeak sends its potential. The threshold of
an ALIF is spike_threshold + adapt_scale * b, where a spike is subtracted too, and then

    b = alpha_adapt * b + (1 - alpha_adapt) * spikes
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
from snncompile.frontends.torch.libraries.base import CallInput, Library, Shape, Time, Translate
from snncompile.frontends.torch.linear_layers import LINEAR, Row, refuse_own_padding
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution

MANY = 255
"""Most spikes of a MultiSpike layer in one time step: the range of 8 bits. More spikes on the
sample make the verification of the import fail."""
STATES = ("v_mem", "i_syn")
ADAPTIVE_STATES = ("b", "spike_threshold")
"""Further buffers of an ALIF."""


@dataclass(frozen=True, eq=False)
class Sinabs(Library):
    """Its layers keep their state as buffers, made for the batch of the first call."""

    def find_time(self, module: Any) -> Time:
        """Return how a layer takes its time axis."""
        return "folded" if str(self.find_neuron(module)).endswith("Squeeze") else "second"

    def copy(self, module: Any, memo: dict[int, Any]) -> None:
        """Copy a layer as other modules: the library's own copy fails for recurrent layers."""
        if self.knows(module):
            memo[id(module)] = new = object.__new__(type(module))
            new.__dict__.update(copy.deepcopy(vars(module), memo))

    def reset(self, module: Any) -> None:
        """Clear the state; the next call makes it anew, for its own number of samples."""
        for name in (*STATES, *ADAPTIVE_STATES):
            if isinstance(module._buffers.get(name), Tensor):
                module.register_buffer(name, torch.zeros(0))

    def prepare(self, module: Any, samples: int, steps: int) -> None:
        """Set the numbers of samples and time steps of layers with a folded time axis."""
        if hasattr(module, "batch_size"):
            module.batch_size = samples
        if hasattr(module, "num_timesteps"):
            module.num_timesteps = steps

    def read_input(self, module: Any, args: Any, kwargs: Any) -> CallInput:
        """Return the input of a call; states are never handed in."""
        return CallInput([*args, *kwargs.values()][0], {})

    def read_states(self, module: Any) -> dict[str, Tensor]:
        """Return the buffers that hold values."""
        states = {name: getattr(module, name, None) for name in STATES}
        return {name: v for name, v in states.items() if isinstance(v, Tensor) and v.numel()}


def _translate_leaky(module: Any, where: str, shape: Shape) -> Dynamics:
    alpha = _find_alpha(module, "mem", where, shape)
    return _make_dynamics(module, where, shape, alpha)


def _translate_integrate_fire(module: Any, where: str, shape: Shape) -> Dynamics:
    return _make_dynamics(module, where, shape, np.asarray(1.0))


def _make_dynamics(module: Any, where: str, shape: Shape, alpha: Floats) -> Dynamics:
    gain = 1 - alpha if module.norm_input else np.asarray(1.0)
    current_decay = np.asarray(1.0)
    if module.tau_syn_calculated is not None:
        alpha_syn = _find_alpha(module, "syn", where, shape)
        current_decay, gain = 1 - alpha_syn, gain * alpha_syn
    if not (gain > 0).all():
        raise UnsupportedError(f"{where}: {_get_name(module)} adds nothing of its input to v_mem")
    common: dict[str, Any] = {
        "current_decay": current_decay,
        "potential_decay": 1 - alpha,
        "gain": gain,
        **_translate_recurrent(module, where, shape),
    }
    if module.spike_fn is None:
        return _make_silent(module, where, common)
    threshold = _read_parameter(module.spike_threshold, "spike_threshold", where, shape)
    if not (threshold > 0).all():
        raise UnsupportedError(
            f"{where}: spike_threshold must be positive, got {threshold.min():g}"
        )
    return Dynamics(
        threshold=threshold,
        reset="soft" if _subtracts(module, where, threshold) else "hard",
        fires_at_threshold=True,
        most_spikes=_limit_spikes(module, where),
        lowest=_read_lowest(module, where, shape),
        **common,
    )


def _translate_adaptive(module: Any, where: str, shape: Shape) -> Dynamics:
    """Return the dynamics of an ALIF.

    Our rise of the threshold decays before it is compared, that of the library by a spike does not:
    in the next time step both are adapt_scale * (1 - alpha_adapt) higher.
    """
    _refuse_adaptive_features(module, where)
    alpha, adapt = (_find_alpha(module, name, where, shape) for name in ("mem", "adapt"))
    gain, current_decay = (1 - alpha if module.norm_input else np.asarray(1.0)), np.asarray(1.0)
    if module.alpha_syn_calculated is not None:
        alpha_syn = _find_alpha(module, "syn", where, shape)
        gain = gain * alpha_syn  # an ALIF keeps its current times 1 - alpha_mem
        current_decay = 1 - gain
    threshold = _read_parameter(module.b0, "spike_threshold", where, shape)
    rise = _read_parameter(module.adapt_scale, "adapt_scale", where, shape) * (1 - adapt) / adapt
    if not ((threshold > 0).all() and (gain > 0).all() and (rise >= 0).all()):
        raise UnsupportedError(
            f"{where}: {_get_name(module)} needs a positive spike_threshold, an adapt_scale of 0 or"
            " more, and a v_mem that its input reaches"
        )
    return Dynamics(
        current_decay=current_decay,
        potential_decay=1 - alpha,
        threshold=threshold,
        threshold_decay=1 - adapt,
        threshold_step=rise,
        reset="soft" if _subtracts_own(module, where) else "hard",
        gain=gain,
        fires_at_threshold=True,
        **_translate_recurrent(module, where, shape),
    )


def _refuse_adaptive_features(module: Any, where: str) -> None:
    if _limit_spikes(module, where) != 1:
        raise UnsupportedError(
            f"{where}: {_get_name(module)} with several spikes in a time step is not known; use"
            " spike_fn=SingleSpike"
        )
    if module.min_v_mem is not None:
        raise UnsupportedError(
            f"{where}: {_get_name(module)} with min_v_mem is not known; use min_v_mem=None, or LIF"
        )


def _subtracts_own(module: Any, where: str) -> bool:
    """Return whether a spike subtracts the threshold of its time step; else it resets to 0."""
    threshold = np.full(1, np.nan)  # no given value is the threshold, which changes
    return _subtracts(module, where, threshold)


def _make_silent(module: Any, where: str, common: dict[str, Any]) -> Dynamics:
    if module.min_v_mem is not None:
        raise UnsupportedError(
            f"{where}: {_get_name(module)} with min_v_mem is not known; a readout has no lowest"
            " potential, use min_v_mem=None"
        )
    return Dynamics(threshold=np.asarray(1.0), reset="none", spikes=False, **common)


def _get_name(module: Any) -> str:
    return type(module).__name__


def _find_alpha(module: Any, state: str, where: str, shape: Shape) -> Floats:
    """Return the share of a state that is left after one time step, computed as the library does.

    In float64: `module.double()` makes the time constants so.
    """
    if module.train_alphas:
        return _read_parameter(getattr(module, f"alpha_{state}"), f"alpha_{state}", where, shape)
    tau = torch.as_tensor(getattr(module, f"tau_{state}")).detach().double()
    return _read_parameter(torch.exp(-1.0 / tau), f"tau_{state}", where, shape)


def _limit_spikes(module: Any, where: str) -> int:
    """Return the most spikes that a neuron sends in one time step."""
    function = module.spike_fn
    name = function.__name__ if isinstance(function, type) else type(function).__name__
    if name == "SingleSpike":
        return 1
    if name == "MaxSpike":
        return function.max_num_spikes_per_bin or MANY
    if name != "MultiSpike":
        raise UnsupportedError(
            f"{where}: {_get_name(module)} with spike_fn={name} is not known; known: SingleSpike,"
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
            f"{where}: {_get_name(module)} with subtract_value={value:g} is not known; leave it out"
            " to subtract the threshold"
        )
    if name == "MembraneReset" and function.reset_value == 0:
        return False
    reset = f"reset_value={function.reset_value:g}" if name == "MembraneReset" else name
    raise UnsupportedError(
        f"{where}: {_get_name(module)} with {reset} is not known; known: MembraneSubtract() and"
        " MembraneReset()"
    )


def _read_lowest(module: Any, where: str, shape: Shape) -> Floats | None:
    if module.min_v_mem is None:
        return None
    lowest = _read_parameter(module.min_v_mem, "min_v_mem", where, shape)
    if not (lowest <= 0).all():
        raise UnsupportedError(f"{where}: min_v_mem must not be positive, got {lowest.max():g}")
    return lowest


def _translate_recurrent(module: Any, where: str, shape: Shape) -> dict[str, Any]:
    """Return the recurrent map of a layer: one linear layer, its values flattened or not.

    It is not called before the first time step, so its bias is missing there.
    """
    inner = getattr(module, "rec_connect", None)
    if inner is None:
        return {}
    layers = [m for m in inner.modules() if not isinstance(m, nn.Sequential | nn.Flatten)]
    layers = [m for m in layers if not isinstance(m, nn.Unflatten | nn.Identity)]
    if len(layers) != 1 or type(layers[0]) not in LINEAR:
        raise UnsupportedError(
            f"{where}: rec_connect holds {', '.join(map(_get_name, layers)) or 'no layer'}; one"
            " linear layer is known, with Flatten and Unflatten around it"
        )
    row = LINEAR[type(layers[0])]
    refuse_own_padding(layers[0], f"{where}.rec_connect")
    layer = row.translate(layers[0], f"{where}.rec_connect", shape)
    return {
        "recurrent": Affine(layer.synapses, np.zeros_like(layer.bias)),
        "late_bias": layer.bias if layer.bias.any() else None,
    }


def _read_parameter(value: Any, name: str, where: str, shape: Shape) -> Floats:
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


def _translate_sum_pool(module: Any, where: str, shape: Shape) -> Affine:
    """Return a depthwise convolution of ones; the layer is torch's LPPool2d of norm 1."""
    kernel = _make_pair(module.kernel_size)
    stride = kernel if module.stride is None else _make_pair(module.stride)
    if module.ceil_mode or module.norm_type != 1:
        raise UnsupportedError(f"{where}: SumPool2d with ceil_mode or another norm is not known")
    wiring = Convolution(shape, shape[0], kernel, stride, (0, 0), (1, 1), shape[0])
    return Affine(Synapses(wiring, np.ones(wiring.weight_shape)), np.zeros(wiring.targets))


def _make_pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


NEURONS: dict[str, Translate] = {
    "LIF": _translate_leaky,
    "LIFSqueeze": _translate_leaky,
    "LIFRecurrent": _translate_leaky,
    "IAF": _translate_integrate_fire,
    "IAFSqueeze": _translate_integrate_fire,
    "IAFRecurrent": _translate_integrate_fire,
    "ALIF": _translate_adaptive,
    "ALIFRecurrent": _translate_adaptive,
    "ExpLeak": _translate_leaky,
    "ExpLeakSqueeze": _translate_leaky,
}

LIBRARY = Sinabs(
    package="sinabs",
    neurons=NEURONS,
    linear={"SumPool2d": Row(3, _translate_sum_pool)},
    same=frozenset({"FlattenTime", "UnflattenTime"}),
    containers=frozenset({"Repeat", "Merge"}),
    instead={
        "NeuromorphicReLU": "it is no neuron with a state; use IAF",
        "QuantizeLayer": "leave it out",
    },
    potential="v_mem",
)
