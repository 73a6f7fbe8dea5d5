"""Rules: when Lava's Sigma, Delta, SigmaDelta, ProdNeuron and graded vectors compute a population.

Read in lava-nc 0.10.0, `proc/sdn/{process,models}.py`, `proc/prodneuron/{process,models}.py` and
`proc/graded/{process,models}.py`. The first three start once, with 0: they have no reset between
samples. The others keep nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.lava.hardware.fit import Facts, Fit, is_one_number
from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.backends.lava.neuron_processes import PROD_NEURON
from snncompile.backends.lava.proofs import stays_within
from snncompile.neurons.accumulate import IntegerAccumulate

SIGMA = LavaProcess(name="Sigma", library="lava.proc.sdn.process")
DELTA = LavaProcess(name="Delta", library="lava.proc.sdn.process")
SIGMA_DELTA = LavaProcess(name="SigmaDelta", library="lava.proc.sdn.process")
GRADED_VEC = LavaProcess(name="GradedVec", library="lava.proc.graded.process")
GRADED_RELU_VEC = LavaProcess(name="GradedReluVec", library="lava.proc.graded.process")

HIGHEST_EXPONENT = 7
"""Of spike_exp and state_exp, which Lava declares with 3 bits; its CPU models hold more."""
SPIKE_EXPONENT = 6
"""spike_exp that lava-dl's netx gives, where the threshold can be written with it."""


def fit_sigma(facts: Facts) -> Fit:
    """Return Sigma; where it does not start at 0, its start arrives in its first own step."""
    start = np.broadcast_to(facts.neuron.initial, facts.population.size)
    return Fit(SIGMA, {}, "once", np.asarray(start, np.int64) if start.any() else None)


def fit_delta(facts: Facts) -> Fit | str:
    """Return Delta, or why it does not compute the neuron.

    Lava shifts its input by spike_exp + state_exp, the sum of which is our `input_exponent`.
    """
    neuron = facts.neuron
    if neuron.initial.any():
        return "Lava's Delta starts at 0, this neuron does not"
    shared = _list_shared(neuron, "threshold_level", "state_exponent", "input_exponent")
    if isinstance(shared, str):
        return shared
    level, state, both = shared
    if both < state:
        return f"its input is shifted by {both} bits, fewer than the {state} that it does not send"
    if level % (1 << both):
        return f"its threshold {level} is no multiple of 2^{both}, the unit of Lava's vth"
    arguments = _write(level >> both, both - state, state)
    return Fit(DELTA, arguments, "once", remarks=_remark(arguments))


def fit_sigma_delta(facts: Facts) -> Fit | str:
    """Return SigmaDelta, or why it does not compute the neuron.

    Lava's process would send its bias in time step 1, before the population's own first step.
    Sigma keeps what arrives, so the bias arrives once, in the first own step; both wrap at 32 bits,
    so it does not matter when it is added.
    """
    neuron = facts.neuron
    if neuron.initial.any():
        return "Lava's SigmaDelta starts at 0, this neuron does not"
    shared = _list_shared(neuron, "threshold_level", "state_exponent")
    if isinstance(shared, str):
        return shared
    level, state = shared
    if level % (1 << state):
        return f"its threshold {level} is no multiple of 2^{state}, the unit of Lava's vth"
    bias = np.broadcast_to(neuron.bias_level, facts.population.size)
    spike = min(SPIKE_EXPONENT, _count_zeros(level) - state) if level else SPIKE_EXPONENT
    first = np.asarray(bias, np.int64) if bias.any() else None
    arguments = _write(level >> (spike + state), spike, state)
    return Fit(SIGMA_DELTA, arguments, "once", first, remarks=_remark(arguments))


def fit_graded(facts: Facts) -> Fit | str:
    """Return GradedVec or GradedReluVec for a sum that is never limited, or why neither is equal.

    With vth = 0 the first sends the sum of a time step as it is, the second what is above 0.
    """
    neuron = facts.neuron
    if not isinstance(neuron, IntegerAccumulate):
        plain = [n for n in neuron.equals() if isinstance(n, IntegerAccumulate)]
        if not plain:
            return "Lava's GradedVec neither multiplies, shifts, adds a bias nor looks up a table"
        neuron = plain[0]
    if (facts.sums.high > neuron.most).any():
        return f"its sum may exceed {int(neuron.most.min()):,}, where it is limited"
    arguments = {"vth": np.asarray(0)}
    if (facts.sums.low >= neuron.lowest).all():
        return Fit(GRADED_VEC, arguments, "always")
    if not neuron.lowest.any():
        return Fit(GRADED_RELU_VEC, arguments, "always")
    return f"its sum may fall below {int(neuron.lowest.max()):,}, where it is limited"


def fit_product(facts: Facts) -> Fit | str:
    """Return ProdNeuron for a product that is never limited, or why it is not equal."""
    neuron = facts.neuron
    if neuron.kind != "product" or neuron.bias_a.any() or neuron.bias_b.any():
        return "Lava's ProdNeuron neither multiplies by a factor, shifts nor adds biases"
    if not stays_within(facts.population, facts.sums):
        return "its product may exceed its limits, and Lava's ProdNeuron has none"
    arguments = {"vth": np.asarray(0), "exp": np.asarray(0)}
    ports = dict(zip(neuron.ports, PROD_NEURON.ports, strict=True))
    return Fit(PROD_NEURON, arguments, "always", ports=ports)


def _list_shared(neuron: Any, *names: str) -> list[int] | str:
    """Return parameters that all neurons share, or which one they do not."""
    for name in names:
        if not is_one_number(getattr(neuron, name)):
            return f"{name} differs between its neurons; Lava's process has one for all"
    return [int(getattr(neuron, name).flat[0]) for name in names]


def _write(threshold: int, spike: int, state: int) -> dict[str, NDArray[Any]]:
    values = {"vth": threshold, "spike_exp": spike, "state_exp": state}
    return {name: np.asarray(value) for name, value in values.items()}


def _remark(arguments: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    """Return what Lava's declaration does not hold of these arguments."""
    above = [name for name in ("spike_exp", "state_exp") if arguments[name] > HIGHEST_EXPONENT]
    return tuple(f"{name} {arguments[name]}: Lava declares 3 bits" for name in above)


def _count_zeros(number: int) -> int:
    """Return how often a number above 0 can be halved."""
    return (number & -number).bit_length() - 1
