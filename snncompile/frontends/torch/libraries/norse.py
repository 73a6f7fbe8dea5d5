"""norse neurons, as `Dynamics`. Read in norse 1.1.0; nothing of it is imported.

A neuron fires when v > v_th; the reset acts at once. Cells take one time step and are handed their
state; layers of the same name without "Cell" take (steps, samples, ...).

    LIFBox       v = v + dt / tau_mem * (v_leak - v + x)
    LIF          j = i + x;  v = v + dt / tau_mem * (v_leak - v + j);  i = j * (1 - dt / tau_syn)
    IAF          v = v + x
    LI, LIBox    as LIF and LIFBox, and their output is v

Our neurons reset to 0, so where v_reset is another number we use v - v_reset, as in
spikingjelly.py. With `reset_subtract` nothing is shifted, and v_th is subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.dynamics import Affine, Dynamics
from snncompile.frontends.torch.libraries.base import (
    CallInput,
    CallResult,
    Library,
    Shape,
    Time,
    Translate,
)
from snncompile.synapses.dense import dense


@dataclass(frozen=True, eq=False)
class Norse(Library):
    """Its layers keep no state: it is handed in and returned, as a named tuple."""

    def find_time(self, module: Any) -> Time:
        """Return how a layer takes its time axis: only cells take a single step."""
        return "step" if str(self.find_neuron(module)).endswith("Cell") else "first"

    def keep_precision(self, module: Any) -> None:
        """Make the parameters float64; they are no `nn.Parameter`s, so `double()` leaves them."""
        fields = module.p._asdict()
        double = {n: v.detach().double() for n, v in fields.items() if isinstance(v, Tensor)}
        module.p = module.p._replace(**double)

    def read_input(self, module: Any, args: Any, kwargs: Any) -> CallInput:
        """Return the input and the state, if one is handed in."""
        drive, state = (*args, *kwargs.values(), None)[:2]
        return CallInput(drive, dict(state._asdict()) if state is not None else {})

    def read_result(self, module: Any, out: Any) -> CallResult:
        """Return the output and the state."""
        output, state = out
        return CallResult(output, dict(state._asdict()))

    def find_start(self, module: Any, state: str) -> float:
        """Return the value of a state at the start of a sample."""
        return float(_read_start(module).reshape(-1)[0]) if state == "v" else 0.0


def _read_start(module: Any) -> Floats:
    """Return the potential that a layer starts with when no state is handed in."""
    return _to_floats(getattr(module.p, _name_start(module)))


def _name_start(module: Any) -> str:
    return "v_reset" if str(LIBRARY.find_neuron(module)).startswith("IAF") else "v_leak"


def _translate_box(module: Any, where: str, shape: Shape) -> Dynamics:
    return _make_leaky(module, where, shape, current_decay=1.0)


def _translate_current_based(module: Any, where: str, shape: Shape) -> Dynamics:
    share = module.dt * _read_parameter(module, "tau_syn_inv", where, shape)
    return _make_leaky(module, where, shape, current_decay=share)


def _translate_integrate_fire(module: Any, where: str, shape: Shape) -> Dynamics:
    zero = np.asarray(0.0)
    return _make_firing(module, where, shape, decay=zero, gain=np.asarray(1.0), leak=zero)


def _make_leaky(module: Any, where: str, shape: Shape, current_decay: Any) -> Dynamics:
    decay = module.dt * _read_parameter(module, "tau_mem_inv", where, shape)
    leak = _read_parameter(module, "v_leak", where, shape)
    return _make_firing(
        module, where, shape, decay=decay, gain=decay, leak=leak, current_decay=current_decay
    )


def _make_firing(
    module: Any,
    where: str,
    shape: Shape,
    *,
    decay: Floats,
    gain: Floats,
    leak: Floats,
    current_decay: Any = 1.0,
) -> Dynamics:
    _check_decays(module, where, decay, current_decay)
    soft = _subtracts(module, where)
    threshold = _read_parameter(module, "v_th", where, shape)
    zero = np.asarray(0.0) if soft else _read_parameter(module, "v_reset", where, shape)
    if not (threshold > zero).all():
        raise UnsupportedError(
            f"{where}: {type(module).__name__} with v_th={threshold.min():g} and"
            f" v_reset={zero.max():g} fires without input; use a v_th above v_reset"
        )
    return Dynamics(
        current_decay=np.asarray(current_decay),
        potential_decay=decay,
        threshold=threshold - zero,
        reset="soft" if soft else "hard",
        gain=gain,
        constant=decay * (leak - zero),
        initial=_read_parameter(module, _name_start(module), where, shape) - zero,
        input=_read_weights(module, "input_weights"),
        recurrent=_read_weights(module, "recurrent_weights"),
    )


def _translate_silent_box(module: Any, where: str, shape: Shape) -> Dynamics:
    return _make_silent(module, where, shape, current_decay=1.0)


def _translate_silent_current_based(module: Any, where: str, shape: Shape) -> Dynamics:
    share = module.dt * _read_parameter(module, "tau_syn_inv", where, shape)
    return _make_silent(module, where, shape, current_decay=share)


def _make_silent(module: Any, where: str, shape: Shape, current_decay: Any) -> Dynamics:
    decay = module.dt * _read_parameter(module, "tau_mem_inv", where, shape)
    _check_decays(module, where, decay, current_decay)
    return Dynamics(
        current_decay=np.asarray(current_decay),
        potential_decay=decay,
        threshold=np.asarray(1.0),
        reset="none",
        gain=decay,
        constant=decay * _read_parameter(module, "v_leak", where, shape),
        initial=_read_parameter(module, _name_start(module), where, shape),
        spikes=False,
        input=_read_weights(module, "input_weights"),
        recurrent=_read_weights(module, "recurrent_weights"),
    )


def _read_weights(module: Any, name: str) -> Affine | None:
    """Return weights that recurrent layers and LILinearCell hold themselves."""
    if not hasattr(module, name):
        return None
    weight = _to_floats(getattr(module, name))
    return Affine(dense(weight), np.zeros(len(weight)))


def _check_decays(module: Any, where: str, *decays: Any) -> None:
    worst = max(float(np.max(decay)) for decay in decays)
    if worst > 1 or min(float(np.min(decay)) for decay in decays) < 0:
        raise UnsupportedError(
            f"{where}: {type(module).__name__} loses {worst:g} times a state in a time step; use"
            " time constants of dt or more"
        )


def _subtracts(module: Any, where: str) -> bool:
    """Return whether a spike subtracts the threshold."""
    method = getattr(module.p, "reset_method", None)
    name = getattr(method, "__name__", "reset_value")
    if name not in ("reset_value", "reset_subtract"):
        raise UnsupportedError(
            f"{where}: {type(module).__name__} with reset_method={name} is not known; use"
            " reset_value or reset_subtract"
        )
    return name == "reset_subtract"


def _to_floats(value: Any) -> Floats:
    return torch.as_tensor(value).detach().cpu().double().numpy()


def _read_parameter(module: Any, name: str, where: str, shape: Shape) -> Floats:
    """Return one number, shape (), or one per neuron, shape (n,)."""
    value = _to_floats(getattr(module.p, name))
    if value.size == 1:
        return np.asarray(value.reshape(()))
    if hasattr(module, "input_weights"):
        shape = (len(module.input_weights),)
    try:
        return np.broadcast_to(value, (1, *shape)).reshape(-1).copy()
    except ValueError:
        raise UnsupportedError(
            f"{where}: {name} has shape {value.shape} for neurons of shape {shape}; give one"
            " number or one per neuron"
        ) from None


NEURONS: dict[str, Translate] = {
    "LIFBoxCell": _translate_box,
    "LIFCell": _translate_current_based,
    "LIF": _translate_current_based,
    "LIFRecurrentCell": _translate_current_based,
    "LIFRecurrent": _translate_current_based,
    "IAFCell": _translate_integrate_fire,
    "IAF": _translate_integrate_fire,
    "LICell": _translate_silent_current_based,
    "LI": _translate_silent_current_based,
    "LILinearCell": _translate_silent_current_based,
    "LIBoxCell": _translate_silent_box,
}

USE = "use LIF, LIFBoxCell or IAF"
LIBRARY = Norse(
    package="norse",
    neurons=NEURONS,
    containers=frozenset({"SequentialState", "Lift", "RecurrentSequential"}),
    instead={
        **dict.fromkeys(
            [
                *("LSNN", "LSNNCell", "LSNNRecurrent", "LSNNRecurrentCell"),
                *("LIFAdEx", "LIFAdExCell", "LIFAdExRecurrent", "LIFAdExRecurrentCell"),
                *("LIFEx", "LIFExCell", "LIFExRecurrent", "LIFExRecurrentCell"),
                *("Izhikevich", "IzhikevichCell", "IzhikevichRecurrent", "CobaLIFCell"),
                *("LIFMCRecurrentCell", "LIFCorrelation"),
            ],
            f"no chip neuron has its equations; {USE}",
        ),
        **dict.fromkeys(
            ["LIFRefracCell", "LIFRefracRecurrentCell"],
            f"its refractory period does not stop the leak; {USE}",
        ),
    },
)
