"""snnTorch neurons: what they do, in our words. Read in snntorch 1.0.0; nothing of it is imported.

The library fires when mem > threshold. By default a spike resets in the *next* time step, since
`reset` is computed from the potential that the last step left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.errors import UnsupportedError
from snncompile.frontends.dynamics import ALWAYS, Dynamics
from snncompile.neurons.base import Floats
from snncompile.neurons.cuba_lif import Reset

Shape = tuple[int, ...]

RESETS: dict[tuple[str, str, bool], Reset] = {
    # (class, reset_mechanism, reset_delay) -> ours.
    # Leaky computes mem = beta * mem + input - reset * threshold.
    ("Leaky", "subtract", True): "delayed_soft",
    # It clears mem before the leak and the input: as good as clearing it right after the spike.
    ("Leaky", "zero", True): "hard",
    ("Leaky", "zero", False): "hard",
    ("Leaky", "none", True): "none",
    ("Leaky", "none", False): "none",
    ("Synaptic", "subtract", True): "delayed_soft",
    # It clears mem *after* the leak and the current: the whole time step after a spike is lost.
    ("Synaptic", "zero", True): "delayed_hard",
    ("Synaptic", "zero", False): "hard",
    ("Synaptic", "none", True): "none",
    ("Synaptic", "none", False): "none",
}

MECHANISMS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
"""Method a layer computes with -> its reset mechanism, in the order of `reset_mechanism_val`."""


def knows(module: nn.Module) -> bool:
    """Return whether the module is a neuron layer of snnTorch that can be translated."""
    return type(module).__module__.split(".")[0] == "snntorch" and type(module).__name__ in NEURONS


def reset(module: Any) -> None:
    """Put the hidden state back to zero."""
    module.reset_mem()


@contextmanager
def isolated(runner: nn.Module) -> Iterator[None]:
    """Let what acts on all layers of the process, such as `utils.reset`, act on a copy's only."""
    layers = [layer for layer in runner.modules() if knows(layer)]
    owners = {cls for layer in layers for cls in type(layer).__mro__ if "instances" in vars(cls)}
    before = {owner: vars(owner)["instances"] for owner in owners}
    for owner in owners:
        owner.instances = layers  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for owner, instances in before.items():
            owner.instances = instances  # type: ignore[attr-defined]


def states(module: Any) -> dict[str, Tensor]:
    """Return the state after the last call, by the name of the argument that hands it in."""
    return {name: getattr(module, name) for name in ("syn", "mem") if hasattr(module, name)}


def keep_precision(module: Any) -> None:
    """Make the spikes as precise as the potential: the library's spike functions return float32.

    Otherwise `reset * threshold` is rounded to float32 in a float64 module.
    """
    fire = module.spike_grad
    module.spike_grad = lambda potential: fire(potential).to(potential.dtype)


def translate(module: Any, where: str, shape: Shape) -> Dynamics:
    """Return the dynamics of a layer whose neurons have the given shape.

    Raises:
        UnsupportedError: a feature has no counterpart; the message names layer and feature.
    """
    _refuse_features(module, where)
    _check_spike_function(module, where, shape)
    name = type(module).__name__
    mechanism, delayed = _mechanism(module, where), bool(getattr(module, "reset_delay", True))
    if (name, mechanism, delayed) not in RESETS:
        raise UnsupportedError(
            f"{where}: {name} with reset_mechanism={mechanism!r} and reset_delay={delayed} is not"
            f" known; use reset_delay={not delayed}"
        )
    threshold = _parameter(module, "threshold", where, shape)
    if not (threshold > 0).all():
        raise UnsupportedError(f"{where}: threshold must be positive, got {threshold.min():g}")
    return Dynamics(
        current_decay=NEURONS[name](module, where, shape),
        potential_decay=_decay(module, "beta", where, shape),
        threshold=threshold,
        reset=RESETS[name, mechanism, delayed],
    )


def _leaky(module: Any, where: str, shape: Shape) -> Floats:
    return ALWAYS


def _synaptic(module: Any, where: str, shape: Shape) -> Floats:
    return _decay(module, "alpha", where, shape)


NEURONS: dict[str, Callable[[Any, str, Shape], Floats]] = {"Leaky": _leaky, "Synaptic": _synaptic}
"""Name of the class -> its current decay."""


def _refuse_features(module: Any, where: str) -> None:
    name = type(module).__name__
    for feature in ("inhibition", "state_quant"):
        if getattr(module, feature, False):
            raise UnsupportedError(f"{where}: {name} with {feature} is not known; switch it off")
    factor = torch.as_tensor(getattr(module, "graded_spikes_factor", 1.0))
    if not bool((factor == 1).all()):
        raise UnsupportedError(
            f"{where}: {name} with graded_spikes_factor={_short(factor)} is not known; spikes are"
            " 0 or 1, move the factor into the weights of the next layer"
        )


def _check_spike_function(module: Any, where: str, shape: Shape) -> None:
    """Refuse spike functions that are not a step: stochastic ones, leaky ones, `>=`."""
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


def _mechanism(module: Any, where: str) -> str:
    """Return the reset the layer really computes with.

    Assigning `reset_mechanism`, or loading it with a state dict, does not change the method the
    layer was made with.
    """
    said = list(MECHANISMS.values())[int(module.reset_mechanism_val)]
    made = MECHANISMS[module.state_function.__name__]
    if said != made:
        raise UnsupportedError(
            f"{where}: reset_mechanism was changed to {said!r} after the layer was made with"
            f" {made!r}, which it still computes with; make a new layer"
        )
    return made


def _decay(module: Any, name: str, where: str, shape: Shape) -> Floats:
    """Return 1 - beta (or alpha), which the library limits to 0..1 in every step."""
    return np.asarray(1 - np.clip(_parameter(module, name, where, shape), 0, 1))


def _parameter(module: Any, name: str, where: str, shape: Shape) -> Floats:
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


def _short(value: Tensor) -> str:
    return f"{value.item():g}" if value.numel() == 1 else f"one of {value.numel()} values"
