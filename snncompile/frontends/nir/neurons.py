"""Neurons of a NIR graph, in discrete time, as ours.

Each is v' = a v + b x + c in one time step, with a current in front or without:

    u = (1 - current_decay) u + x,  v = (1 - potential_decay) v + gain u + bias

The gain goes into the weights; a reset to v_reset shifts the potential by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from snncompile.arrays import Floats
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.assumptions import Assumptions, Reading
from snncompile.frontends.nir.file import Node
from snncompile.frontends.nir.stateless_nodes import broadcast, check_broadcast
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.readout import Readout
from snncompile.neurons.resets import Reset
from snncompile.synapses.base import Shape

ALWAYS, NEVER = np.asarray(1.0), np.asarray(0.0)
DECAY_STEPS = 4096
"""A decay within float32 rounding of a multiple of 1 / 4096 becomes that multiple."""


@dataclass(frozen=True, eq=False)
class Dynamics:
    """One time step of a neuron; each parameter has shape (), or one value per neuron."""

    current_decay: Floats
    potential_decay: Floats
    gain: Floats
    """Added to the potential per unit of input."""
    leak: Floats
    """Added to the potential in each time step."""
    threshold: Floats | None
    """None: it does not fire."""
    v_reset: Floats
    v_leak: Floats

    @property
    def bias_on_potential(self) -> bool:
        """Whether a constant input acts like a bias, as the current has no memory."""
        return bool((self.current_decay == 1).all())


def check_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape of a population whose drive has the given shape.

    Raises:
        MisfitError: a parameter has values for another number of neurons.
    """
    for name in node.values:
        check_broadcast(node, name, shape)
    return shape


def read_dynamics(node: Node, shape: Shape, reading: Reading) -> Dynamics:
    """Return the dynamics of a neuron node.

    Raises:
        InputError: a time constant is not positive, or shorter than Euler's method can take.
        UnsupportedError: a spike function of several spikes.
    """
    return KINDS[node.kind](_Parameters(node, shape, reading.assumptions))


@dataclass(frozen=True)
class _Parameters:
    """The numbers of one node."""

    node: Node
    shape: Shape
    assumptions: Assumptions

    def get(self, name: str, default: float = 0.0) -> Floats:
        if name not in self.node.values:
            return np.asarray(default)
        return broadcast(self.node, name, self.shape)

    def find_decay(self, name: str) -> Floats:
        """Return the share of a state that is lost in one time step."""
        tau, assumed = self.get(name), self.assumptions
        if not (tau > 0).all():
            raise InputError(f"{self.node.where}: {name} must be positive, got {tau.min():g}")
        steps = tau * count_steps_per_unit(assumed.dt, assumed.tau_unit)
        with np.errstate(over="ignore"):
            share = 1 / steps if assumed.method == "euler" else -np.expm1(-1 / steps)
        share = self.put_back(share, name)
        if not (share <= 1).all():
            raise InputError(
                f"{self.node.where}: {name} of {tau.min():g} is {steps.min():g} time steps, with"
                " Euler's method it must be 1 or more; give dt, tau_unit or"
                " method='exponential'"
            )
        return share

    def put_back(self, value: Floats, name: str) -> Floats:
        """Return values with the rounding by float32 numbers of the file undone."""
        with np.errstate(over="ignore"):
            near = np.rint(value * DECAY_STEPS) / DECAY_STEPS
        numbers = self.node.read_numbers(name)
        precision = np.finfo(np.float32 if numbers.dtype.itemsize < 8 else np.float64).eps
        near = np.where(np.isfinite(near), near, value)  # values this large have no such steps
        return np.where(np.abs(value - near) <= 4 * precision * np.abs(value), near, value)

    def find_gain_per_step(self) -> Floats:
        """Return r of a neuron without leak, per time step."""
        r = self.get("r")
        if self.assumptions.r == "one":
            return np.asarray(1.0)
        if self.assumptions.if_r == "per_step":
            return r
        assert self.assumptions.dt is not None, "asked for where it is needed"
        return self.put_back(r * self.assumptions.dt, "r")


def count_steps_per_unit(dt: float | None, unit: str) -> float:
    """Return the number of time steps in a unit of time constants or delays."""
    if unit == "steps":
        return 1.0
    assert dt is not None, "asked for where it is needed"
    return {"s": 1.0, "ms": 1e-3, "s*dt": 1 / dt}[unit] / dt


def _read_integrator(p: _Parameters) -> Dynamics:
    return Dynamics(
        current_decay=ALWAYS,
        potential_decay=NEVER,
        gain=p.find_gain_per_step(),
        leak=NEVER,
        threshold=p.get("v_threshold") if "v_threshold" in p.node.values else None,
        v_reset=p.get("v_reset"),
        v_leak=NEVER,
    )


def _read_leaky(p: _Parameters) -> Dynamics:
    decay = p.find_decay("tau")
    decayed = p.assumptions.w_in == "decayed" and p.node.kind == "LI"
    return _make_leaky(p, ALWAYS, decay, 1 - decay if decayed else np.asarray(1.0), "tau")


def _read_current_based(p: _Parameters) -> Dynamics:
    current = p.find_decay("tau_syn")
    w_in = p.get("w_in", 1.0)
    jump = np.asarray(1.0)
    if p.assumptions.w_in == "file":
        jump = p.put_back(current * w_in, "tau_syn")
    elif p.assumptions.w_in == "decayed":
        jump = 1 - current
    return _make_leaky(p, current, p.find_decay("tau_mem"), jump, "tau_mem")


def _make_leaky(
    p: _Parameters, current_decay: Floats, decay: Floats, jump: Floats, tau: str
) -> Dynamics:
    gain = np.asarray(1.0)
    if p.assumptions.r == "file":
        gain = p.put_back(decay * p.get("r"), tau)
    return Dynamics(
        current_decay=current_decay,
        potential_decay=decay,
        gain=jump * gain,
        leak=decay * p.get("v_leak"),
        threshold=p.get("v_threshold") if "v_threshold" in p.node.values else None,
        v_reset=p.get("v_reset"),
        v_leak=p.get("v_leak"),
    )


def _read_threshold(p: _Parameters) -> Dynamics:
    return Dynamics(ALWAYS, ALWAYS, np.asarray(1.0), NEVER, p.get("threshold"), NEVER, NEVER)


KINDS: dict[str, Callable[[_Parameters], Dynamics]] = {
    "I": _read_integrator,
    "IF": _read_integrator,
    "LI": _read_leaky,
    "LIF": _read_leaky,
    "CubaLI": _read_current_based,
    "CubaLIF": _read_current_based,
    "Threshold": _read_threshold,
}
"""Kind of node -> its dynamics."""


def make_neuron(node: Node, dynamics: Dynamics, bias: Floats, reading: Reading) -> FloatNeuron:
    """Return the neuron; `bias` is added to its potential on top of its own leak.

    Raises:
        UnsupportedError: its threshold is not above the potential after a spike.
    """
    reset = "none" if node.kind == "Threshold" else reading.find_reset(node)
    assumed = reading.assumptions
    hard = reset in ("hard", "delayed_hard")
    shift = dynamics.v_reset if hard and dynamics.threshold is not None else NEVER
    start = {"zero": NEVER, "reset": dynamics.v_reset, "leak": dynamics.v_leak}[assumed.start]
    constant = _collapse(bias + dynamics.leak - dynamics.potential_decay * shift)
    initial = _collapse(start - shift)
    if dynamics.threshold is None:
        return Readout(dynamics.current_decay, dynamics.potential_decay, constant, initial=initial)
    threshold = _collapse(dynamics.threshold - shift)
    if not (threshold > 0).all():
        raise UnsupportedError(
            f"{node.where}: its threshold is not above {'v_reset' if hard else '0'}, so it fires"
            " without input"
        )
    decays = dynamics.current_decay, dynamics.potential_decay
    if assumed.spikes_per_step == "many" or assumed.min_v is not None:
        if reset in ("hard", "soft"):
            more = {"reset": reset, "initial": initial}
            return _make_multi_spike(node, decays, threshold, constant, shift, assumed, more)
        if assumed.min_v is not None:
            raise UnsupportedError(
                f"{node.where}: min_v is known with reset hard or soft only, not {reset}"
            )
    if assumed.comparison == ">=":
        threshold = np.nextafter(threshold, 0)
    if node.kind == "IF" and reset in ("hard", "soft"):
        return IntegrateFire(threshold, constant, cast(Any, reset), initial=initial)
    return CubaLif(*decays, threshold, constant, cast(Reset, reset), initial=initial)


def _make_multi_spike(
    node: Node,
    decays: tuple[Floats, Floats],
    threshold: Floats,
    constant: Floats,
    shift: Floats,
    assumed: Assumptions,
    more: dict[str, Any],
) -> FloatNeuron:
    """Return a neuron that fires at its threshold, with a lowest potential where one is given."""
    if assumed.min_v is not None:
        lowest = _collapse(assumed.min_v - shift)
        if (lowest > 0).any():
            raise UnsupportedError(f"{node.where}: min_v is above v_reset")
        more["lowest"] = lowest
    if assumed.comparison == ">":
        threshold = np.nextafter(threshold, np.inf)
    most_spikes = np.asarray(255.0 if assumed.spikes_per_step == "many" else 1.0)
    return MultiSpikeLif(*decays, threshold, constant, most_spikes, **more)


def _collapse(value: Floats) -> Floats:
    """Return one number, shape (), if all are equal."""
    value = np.asarray(value)
    return value.flat[0:1].reshape(()) if value.size and (value == value.flat[0]).all() else value
