"""snnTorch neurons, as `Dynamics`. Read in snntorch 1.0.0; nothing of it is imported.

The library fires when mem > threshold. By default a spike resets in the *next* time step, since
`reset` is computed from the potential that the last step left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine, Dynamics, describe_neuron
from snncompile.frontends.torch.libraries.base import Library, Shape, Translate
from snncompile.frontends.torch.linear_layers import LINEAR, refuse_own_padding
from snncompile.neurons.alpha_lif import AlphaLif
from snncompile.neurons.alpha_soft_lif import AlphaSoftLif
from snncompile.neurons.resets import Reset
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale

EARLY: dict[tuple[str, bool], Reset] = {
    # (reset_mechanism, reset_delay) -> ours; mem = beta * mem + input - reset * threshold.
    ("subtract", True): "delayed_soft",
    # It takes the late reset of the step before back, and off again only if there is a new spike.
    ("subtract", False): "strict_soft",
    # It clears mem before the leak and the input: as good as clearing it right after the spike.
    ("zero", True): "hard",
    ("zero", False): "hard",
    ("none", True): "none",
    ("none", False): "none",
}
LATE: dict[tuple[str, bool], Reset] = {
    **EARLY,
    # It clears mem *after* the leak and the input: the whole time step after a spike is lost.
    ("zero", True): "delayed_hard",
}
ALWAYS_LATE: dict[tuple[str, bool], Reset] = {
    (name, delay): LATE[name, True]
    for name in ("subtract", "zero", "none")
    for delay in (True, False)
}
RESETS: dict[str, dict[tuple[str, bool], Reset]] = {
    "Leaky": EARLY,
    "Synaptic": LATE,
    "RLeaky": LATE,
    # Its reset_delay=False changes numbers that nothing reads afterwards.
    "RSynaptic": ALWAYS_LATE,
    "Lapicque": ALWAYS_LATE,  # has no reset_delay
}

MECHANISMS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
"""Method a layer computes with -> its reset mechanism, in the order of `reset_mechanism_val`."""

STATES = ("spk", "syn", "syn_exc", "syn_inh", "mem")
"""Own spikes of a recurrent layer, current (two of Alpha) and potential."""


@dataclass(frozen=True, eq=False)
class SnnTorch(Library):
    """Its layers keep their state and return it; a state that is handed in replaces it."""

    def reset(self, module: Any) -> None:
        """Put the hidden state back to zero."""
        if hasattr(module, "reset_mem"):
            module.reset_mem()

    def read_states(self, module: Any) -> dict[str, Tensor]:
        """Return the state after the last call, by the name of the argument that hands it in."""
        return {name: getattr(module, name) for name in STATES if hasattr(module, name)}

    def keep_precision(self, module: Any) -> None:
        """Make the spikes as precise as the potential: the spike functions return float32.

        Otherwise `reset * threshold` is rounded to float32 in a float64 module.
        """
        fire = module.spike_grad
        module.spike_grad = lambda potential: fire(potential).to(potential.dtype)

    @contextmanager
    def isolate(self, runner: nn.Module) -> Iterator[None]:
        """Let functions on all layers of the process, such as `utils.reset`, act on a copy only."""
        layers = [layer for layer in runner.modules() if self.knows(layer)]
        owners = {
            cls for layer in layers for cls in type(layer).__mro__ if "instances" in vars(cls)
        }
        before = {owner: vars(owner)["instances"] for owner in owners}
        for owner in owners:
            owner.instances = layers  # type: ignore[attr-defined]
        try:
            yield
        finally:
            for owner, instances in before.items():
                owner.instances = instances  # type: ignore[attr-defined]


def _translate_leaky(module: Any, where: str, shape: Shape) -> Dynamics:
    decay = _read_decay(module, "beta", where, shape)
    return _make_dynamics(module, where, shape, potential_decay=decay)


def _translate_synaptic(module: Any, where: str, shape: Shape) -> Dynamics:
    decay, current = (_read_decay(module, name, where, shape) for name in ("beta", "alpha"))
    return _make_dynamics(module, where, shape, potential_decay=decay, current_decay=current)


def _translate_recurrent_leaky(module: Any, where: str, shape: Shape) -> Dynamics:
    decay, recurrent = (
        _read_decay(module, "beta", where, shape),
        _translate_recurrent(module, where, shape),
    )
    return _make_dynamics(module, where, shape, potential_decay=decay, recurrent=recurrent)


def _translate_recurrent_synaptic(module: Any, where: str, shape: Shape) -> Dynamics:
    decay, current = (_read_decay(module, name, where, shape) for name in ("beta", "alpha"))
    return _make_dynamics(
        module,
        where,
        shape,
        potential_decay=decay,
        current_decay=current,
        recurrent=_translate_recurrent(module, where, shape),
    )


def _translate_lapicque(module: Any, where: str, shape: Shape) -> Dynamics:
    """mem = (1 - dt / RC) mem + (dt / C) x, as the library computes it."""
    r, c, dt = (_read_parameter(module, name, where, shape) for name in ("R", "C", "time_step"))
    decay, gain = dt / (r * c), r * (1 / (r * c)) * dt
    if not ((decay >= 0) & (decay <= 1)).all():
        raise UnsupportedError(
            f"{where}: Lapicque loses {decay.max():g} times its potential in a time step; use a"
            " time_step of R * C or less"
        )
    return _make_dynamics(module, where, shape, potential_decay=decay, gain=gain)


def _translate_alpha(module: Any, where: str, shape: Shape) -> Dynamics:
    """exc = alpha exc + x, inh = beta inh - x, mem = tau (exc + inh); see `AlphaLif`.

    Without a reset that is a current with the decay beta, which gets the input one step late, and
    a potential with the decay alpha. A reset to zero clears both, and loses the step's input. One
    by subtraction takes the threshold off exc and clears inh; see `AlphaSoftLif`.
    """
    mechanism, threshold = _read_firing(module, where, shape)
    leak, current = (_read_decay(module, name, where, shape) for name in ("alpha", "beta"))
    if not (current > leak).all():
        raise UnsupportedError(
            f"{where}: Alpha with alpha={1 - leak.max():g} and beta={1 - current.min():g} has no"
            " positive response; alpha must be above beta"
        )
    with np.errstate(divide="ignore"):
        alpha, beta = np.log1p(-leak), np.log1p(-current)
    factor = np.asarray(alpha / (beta - alpha) + 1)
    gain = factor * (current - leak)
    if mechanism == "subtract":
        lost = np.asarray(1 - 1 / factor)
        return describe_neuron(
            AlphaSoftLif(current, leak, np.asarray(threshold / factor), lost, threshold)
        )
    if mechanism == "zero":
        return describe_neuron(AlphaLif(current, leak, np.asarray(threshold / gain)))
    return Dynamics(
        current_decay=current,
        potential_decay=leak,
        threshold=threshold,
        reset="none",
        gain=gain,
        delay=1,
    )


def _make_dynamics(module: Any, where: str, shape: Shape, **own: Any) -> Dynamics:
    mechanism, threshold = _read_firing(module, where, shape)
    name, delayed = LIBRARY.find_neuron(module), bool(getattr(module, "reset_delay", True))
    return Dynamics(threshold=threshold, reset=RESETS[str(name)][mechanism, delayed], **own)


def _read_firing(module: Any, where: str, shape: Shape) -> tuple[str, Floats]:
    """Return the reset mechanism and the threshold of a layer that fires as known."""
    _refuse_features(module, where)
    _check_spike_function(module, where, shape)
    mechanism = _find_mechanism(module, where)
    threshold = _read_parameter(module, "threshold", where, shape)
    if not (threshold > 0).all():
        raise UnsupportedError(f"{where}: threshold must be positive, got {threshold.min():g}")
    return mechanism, threshold


def _translate_recurrent(module: Any, where: str, shape: Shape) -> Affine:
    """Return the recurrent map: a linear layer, a convolution, or V per neuron."""
    inner = module.recurrent
    if row := LINEAR.get(type(inner)):
        refuse_own_padding(inner, f"{where}.recurrent")
        return row.translate(inner, f"{where}.recurrent", shape)
    weight = _read_parameter(inner, "V", where, shape)
    wiring = Scale(prod(shape), per_neuron=weight.ndim == 1)
    return Affine(Synapses(wiring, weight), np.zeros(1))


def _refuse_features(module: Any, where: str) -> None:
    name = type(module).__name__
    for feature in ("inhibition", "state_quant"):
        if getattr(module, feature, False):
            raise UnsupportedError(f"{where}: {name} with {feature} is not known; switch it off")
    factor = torch.as_tensor(getattr(module, "graded_spikes_factor", 1.0))
    if not bool((factor == 1).all()):
        raise UnsupportedError(
            f"{where}: {name} with graded_spikes_factor={_shorten(factor)} is not known; spikes are"
            " 0 or 1, move the factor into the weights of the next layer"
        )


def _check_spike_function(module: Any, where: str, shape: Shape) -> None:
    """Refuse spike functions that are no step: stochastic, leaky, `>=`."""
    near = torch.tensor([-1e-6, 1e-6])
    potential = torch.cat([torch.linspace(-3, 3, 65), near]).reshape(-1, *[1] * len(shape))
    potential = potential.expand(-1, *shape).contiguous()
    fired = module.spike_grad(potential)
    if not torch.equal(fired.to(potential.dtype), (potential > 0).to(potential.dtype)):
        wrong = fired.to(potential.dtype) != (potential > 0)
        index = int(wrong.reshape(-1).nonzero()[0])
        excess, spike = potential.reshape(-1)[index], fired.reshape(-1)[index]
        raise UnsupportedError(
            f"{where}: the spike function gives {spike:g} at threshold {excess:+g}; only a step"
            " that is 1 above the threshold and 0 at it and below is known"
        )


def _find_mechanism(module: Any, where: str) -> str:
    """Return the reset that the layer computes with.

    Assigning `reset_mechanism`, or loading it with a state dict, does not change the method the
    layer was made with.
    """
    named = list(MECHANISMS.values())[int(module.reset_mechanism_val)]
    used = MECHANISMS[module.state_function.__name__]
    if named != used:
        raise UnsupportedError(
            f"{where}: reset_mechanism was changed to {named!r} after the layer was made with"
            f" {used!r}, which it still computes with; make a new layer"
        )
    return used


def _read_decay(module: Any, name: str, where: str, shape: Shape) -> Floats:
    """Return 1 - beta (or alpha), which the library limits to 0..1 in every step."""
    return np.asarray(1 - np.clip(_read_parameter(module, name, where, shape), 0, 1))


def _read_parameter(module: Any, name: str, where: str, shape: Shape) -> Floats:
    """Return one number, shape (), or one per neuron, shape (n,)."""
    value = torch.as_tensor(getattr(module, name)).detach().cpu().double().numpy()
    if value.size == 1:
        return np.asarray(value.reshape(()))
    try:
        return np.broadcast_to(value, (1, *shape)).reshape(-1).copy()
    except ValueError:
        raise UnsupportedError(
            f"{where}: {name} has shape {value.shape} for neurons of shape {shape}; give one"
            " number or one per neuron"
        ) from None


def _shorten(value: Tensor) -> str:
    return f"{value.item():g}" if value.numel() == 1 else f"one of {value.numel()} values"


NEURONS: dict[str, Translate] = {
    "Leaky": _translate_leaky,
    "Synaptic": _translate_synaptic,
    "RLeaky": _translate_recurrent_leaky,
    "RSynaptic": _translate_recurrent_synaptic,
    "Lapicque": _translate_lapicque,
    "Alpha": _translate_alpha,
}

LIBRARY = SnnTorch(
    package="snntorch",
    neurons=NEURONS,
    instead={
        "SLSTM": "its gates multiply; use RSynaptic",
        "SConv2dLSTM": "its gates multiply; use RSynaptic",
    },
    potential="mem",
)
