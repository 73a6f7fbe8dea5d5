"""Rules: when Lava's LIFReset, LIF and TernaryLIF compute a population bit for bit.

Read in lava-nc 0.10.0, `proc/lif/models.py`: PyLifResetModelBitAcc, PyLifModelBitAcc,
PyTernLifModelFixed. All have our equations of u and v; they differ in resets and starts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.backends.lava.hardware.fit import Facts, Fit, is_one_number, rests, take_one
from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.neurons.fixed import STATE_LIMIT, STATE_SHIFT, apply_decay

MODULE = "lava.proc.lif.process"
LIF_RESET = LavaProcess(name="LIFReset", library=MODULE)
LIF = LavaProcess(name="LIF", library=MODULE)
TERNARY_LIF = LavaProcess(name="TernaryLIF", library=MODULE)

NO_MEMORY = 4095
"""Lava's du with which nothing of a current is left in the next step."""
HIGHEST_THRESHOLD = 131071
"""Largest vth, 17 bits."""
BIAS_MANTISSA, BIAS_EXPONENT = 4095, 7
"""Largest magnitude of bias_mant and largest bias_exp that the docstring of Lava's model names."""


def fit_lif(facts: Facts) -> Fit | str:
    """Return LIFReset or LIF for a neuron with a hard reset, or why neither computes it."""
    neuron = facts.neuron
    if neuron.reset != "hard":
        return f"Lava's LIF sets v to 0 after a spike; the reset of this neuron is {neuron.reset}"
    return _start(facts, _list_arguments(neuron, take_one(neuron.threshold)))


def fit_readout(facts: Facts) -> Fit | str:
    """Return LIFReset with a threshold that is never reached, whose v is read, or why not."""
    neuron, v = facts.neuron, facts.states["v"]
    if not facts.read_out:
        return "it sends its potential to other populations; Lava's LIF sends spikes only"
    reached = int(min(np.max(v.high), STATE_LIMIT - 1))
    if reached > HIGHEST_THRESHOLD << STATE_SHIFT:
        return (
            f"its potential may reach {reached:,}, beyond the largest threshold of Lava's LIF,"
            f" {HIGHEST_THRESHOLD << STATE_SHIFT:,}, where it would be reset"
        )
    fitted = _start(facts, _list_arguments(neuron, np.asarray(HIGHEST_THRESHOLD)))
    return fitted if isinstance(fitted, str) else replace(fitted, read="v")


def fit_ternary_lif(facts: Facts) -> Fit | str:
    """Return TernaryLIF, which never starts anew, or why it does not compute the neuron."""
    neuron = facts.neuron
    if not rests(neuron, facts.idle, facts.population.size):
        return _moves(facts, "TernaryLIF")
    arguments = _list_arguments(neuron, take_one(neuron.threshold))
    arguments |= {"vth_hi": arguments.pop("vth"), "vth_lo": take_one(neuron.negative_threshold)}
    arguments |= {"v": take_one(neuron.initial)} if neuron.initial.any() else {}
    return Fit(TERNARY_LIF, arguments, "once", remarks=_remark(arguments))


def _list_arguments(neuron: Any, threshold: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the arguments of a LIF; integrate-and-fire has no decays."""
    none = {"current_decay": NO_MEMORY, "potential_decay": 0}
    decays = [np.asarray(getattr(neuron, name, value)) for name, value in none.items()]
    return {
        "du": take_one(decays[0]),
        "dv": take_one(decays[1]),
        "vth": threshold,
        "bias_mant": take_one(neuron.bias_mantissa),
        "bias_exp": take_one(neuron.bias_exponent),
    }


def _start(facts: Facts, arguments: dict[str, NDArray[Any]]) -> Fit | str:
    """Return the process that starts a sample as the neuron does, or why there is none."""
    remarks, initial = _remark(arguments), facts.neuron.initial
    if not initial.any():
        return Fit(LIF_RESET, arguments, "each sample", remarks=remarks)
    first = _find_first_step(facts, arguments)
    if first is not None:
        return Fit(LIF_RESET, arguments, "each sample", first, remarks=remarks)
    if rests(facts.neuron, facts.idle, facts.population.size):
        arguments |= {"v": take_one(initial)}
        return Fit(LIF, arguments, "once", remarks=remarks)
    return _moves(facts, "LIF")


def _find_first_step(facts: Facts, arguments: dict[str, NDArray[Any]]) -> NDArray[np.int64] | None:
    """Return what stands for the initial potential if it arrives in the first step, or None.

    LIFReset starts at v = 0. With x more in the first step u is x << 6 larger, and so is v; without
    memory nothing of it is left in the next u. So x << 6 must be what the decay leaves of the
    initial potential, and u must not wrap.
    """
    start = apply_decay(np.asarray(facts.neuron.initial), arguments["dv"])
    start = np.broadcast_to(start, facts.population.size)
    unit = 1 << STATE_SHIFT
    if (arguments["du"] != NO_MEMORY).any() or (start % unit).any():
        return None
    low = np.minimum(facts.sums.low, 0) * unit + np.minimum(start, 0)
    high = np.maximum(facts.sums.high, 0) * unit + np.maximum(start, 0)
    if (low <= -STATE_LIMIT).any() or (high >= STATE_LIMIT).any():
        return None
    return np.asarray(start // unit, np.int64)


def _moves(facts: Facts, process: str) -> str:
    """Return the reason of a start that does not last until the first own step."""
    return (
        f"{process} starts only once, {facts.idle} time steps before this population's first own"
        " step, and its start (initial potential and bias) does not last so long without input"
    )


def _remark(arguments: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    """Return what Lava's documentation does not say of these arguments."""
    names = [n for n in ("du", "dv", "vth", "vth_hi", "vth_lo") if n in arguments]
    differ = [name for name in names if not is_one_number(arguments[name])]
    remarks = []
    if differ:
        remarks.append(
            f"{', '.join(differ)}: one per neuron; Lava documents one for all (processes=library"
            " gives one threshold where neurons share no kernel)"
        )
    mantissa, exponent = arguments["bias_mant"], arguments["bias_exp"]
    if np.abs(mantissa).max() > BIAS_MANTISSA or exponent.max() > BIAS_EXPONENT:
        remarks.append(
            f"bias_mant up to {np.abs(mantissa).max():,} with bias_exp up to {exponent.max()}: Lava"
            " documents 13 and 3 bits, and its netx sends 16 and 6"
        )
    return tuple(remarks)
