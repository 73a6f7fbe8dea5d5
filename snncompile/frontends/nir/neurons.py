"""Neurons of a NIR graph, in discrete time, as ours.

Each of them, the time step put in, is v' = a v + b x + c with a current in front or without:

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
"""A decay is put back to a multiple of 1 / 4096 that is as near as float32 numbers can tell."""


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What a neuron does in one time step; each number is one, shape (), or one per neuron."""

    current_decay: Floats
    potential_decay: Floats
    gain: Floats
    """What one unit of input adds to the potential."""
    leak: Floats
    """What is added to the potential in each time step."""
    threshold: Floats | None
    """None: it does not fire."""
    v_reset: Floats
    v_leak: Floats

    @property
    def bias_on_potential(self) -> bool:
        """Whether a constant input acts like a bias, as the current has no memory."""
        return bool((self.current_decay == 1).all())


def shape_of(node: Node, shape: Shape) -> Shape:
    """Return the shape of a population whose drive has the given shape.

    Raises:
        MisfitError: a parameter has values for another number of neurons.
    """
    for name in node.values:
        check_broadcast(node, name, shape)
    return shape


def dynamics(node: Node, shape: Shape, reading: Reading) -> Dynamics:
    """Return what a neuron does in one time step.

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

    def decay(self, name: str) -> Floats:
        """Return the share of a state that is lost in one time step."""
        tau, assumed = self.get(name), self.assumptions
        if not (tau > 0).all():
            raise InputError(f"{self.node.where}: {name} must be positive, got {tau.min():g}")
        steps = tau * steps_per_unit(assumed)
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
        """Return values that float32 numbers in the file have moved as they were before."""
        with np.errstate(over="ignore"):
            near = np.rint(value * DECAY_STEPS) / DECAY_STEPS
        numbers = self.node.numbers(name)
        precision = np.finfo(np.float32 if numbers.dtype.itemsize < 8 else np.float64).eps
        near = np.where(np.isfinite(near), near, value)  # values this large have no such steps
        return np.where(np.abs(value - near) <= 4 * precision * np.abs(value), near, value)

    def per_step(self) -> Floats:
        """Return what r of a neuron without leak adds to the potential in one time step."""
        r = self.get("r")
        if self.assumptions.r == "one":
            return np.asarray(1.0)
        if self.assumptions.if_r == "per_step":
            return r
        return self.put_back(r * self.assumptions.dt, "r")


def steps_per_unit(assumed: Assumptions) -> float:
    """Return how many time steps one unit of the file's time constants is."""
    seconds = {
        "s": 1.0,
        "ms": 1e-3,
        "steps": assumed.dt,
        "s*dt": 1 / assumed.dt,
    }[assumed.tau_unit]
    return 1.0 if assumed.tau_unit == "steps" else seconds / assumed.dt


def _integrator(p: _Parameters) -> Dynamics:
    return Dynamics(
        current_decay=ALWAYS,
        potential_decay=NEVER,
        gain=p.per_step(),
        leak=NEVER,
        threshold=p.get("v_threshold") if "v_threshold" in p.node.values else None,
        v_reset=p.get("v_reset"),
        v_leak=NEVER,
    )


def _leaky(p: _Parameters) -> Dynamics:
    decay = p.decay("tau")
    return _with_leak(p, ALWAYS, decay, np.asarray(1.0), "tau")


def _current(p: _Parameters) -> Dynamics:
    current = p.decay("tau_syn")
    w_in = p.get("w_in", 1.0)
    jump = np.asarray(1.0)
    if p.assumptions.w_in == "file":
        jump = p.put_back(current * w_in, "tau_syn")
    return _with_leak(p, current, p.decay("tau_mem"), jump, "tau_mem")


def _with_leak(
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


def _comparison(p: _Parameters) -> Dynamics:
    return Dynamics(ALWAYS, ALWAYS, np.asarray(1.0), NEVER, p.get("threshold"), NEVER, NEVER)


KINDS: dict[str, Callable[[_Parameters], Dynamics]] = {
    "I": _integrator,
    "IF": _integrator,
    "LI": _leaky,
    "LIF": _leaky,
    "CubaLI": _current,
    "CubaLIF": _current,
    "Threshold": _comparison,
}
"""Kind of node -> its dynamics."""


def neuron(node: Node, made: Dynamics, bias: Floats, reading: Reading) -> FloatNeuron:
    """Return the neuron; `bias` is added to its potential on top of its own leak.

    Raises:
        UnsupportedError: its threshold is not above the potential that a spike leaves behind.
    """
    reset = "none" if node.kind == "Threshold" else reading.reset(node)
    assumed = reading.assumptions
    hard = reset in ("hard", "delayed_hard")
    shift = made.v_reset if hard and made.threshold is not None else NEVER
    start = {"zero": NEVER, "reset": made.v_reset, "leak": made.v_leak}[assumed.start]
    constant = _lean(bias + made.leak - made.potential_decay * shift)
    initial = _lean(start - shift)
    if made.threshold is None:
        return Readout(made.current_decay, made.potential_decay, constant, initial=initial)
    threshold = _lean(made.threshold - shift)
    if not (threshold > 0).all():
        raise UnsupportedError(
            f"{node.where}: its threshold is not above {'v_reset' if hard else '0'}, so it fires"
            " without input"
        )
    decays = made.current_decay, made.potential_decay
    if assumed.spikes_per_step == "many" and reset in ("hard", "soft"):
        return MultiSpikeLif(*decays, threshold, constant, reset=cast(Any, reset), initial=initial)
    if assumed.comparison == ">=":
        threshold = np.nextafter(threshold, 0)
    if node.kind == "IF" and reset in ("hard", "soft"):
        return IntegrateFire(threshold, constant, cast(Any, reset), initial=initial)
    return CubaLif(*decays, threshold, constant, cast(Reset, reset), initial=initial)


def _lean(value: Floats) -> Floats:
    """Return one number in the place of equal ones."""
    value = np.asarray(value)
    return value.flat[0:1].reshape(()) if value.size and (value == value.flat[0]).all() else value
