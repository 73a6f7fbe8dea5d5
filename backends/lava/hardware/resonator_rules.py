"""Rules: when Lava's RF and RF_IZ compute a population bit for bit.

Read in lava-nc 0.10.0, `proc/rf/{process,models}.py` and `proc/rf_iz/models.py`: both keep decays
of 12 bits without a sign, shift the input by state_exp, and have no reset between samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncompile.backends.lava.hardware.fit import Facts, Fit, is_one_number
from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT

RF = LavaProcess(name="RF", library="lava.proc.rf.process")
RF_IZ = LavaProcess(name="RF_IZ", library="lava.proc.rf_iz.process")
PORTS = {"real": "a_real_in", "imag": "a_imag_in"}
DECAY_BITS = 12


def fit_resonate_fire(facts: Facts) -> Fit | str:
    """Return RF, or why it does not compute the neuron."""
    return _fit(facts, RF)


def fit_resonate_fire_izhikevich(facts: Facts) -> Fit | str:
    """Return RF_IZ, or why it does not compute the neuron."""
    return _fit(facts, RF_IZ)


def _fit(facts: Facts, process: LavaProcess) -> Fit | str:
    neuron: Any = facts.neuron
    if neuron.initial.any():
        return f"Lava's {process.name} starts at 0, this neuron does not"
    for name in ("sin_decay", "cos_decay", "threshold_level"):
        if not is_one_number(getattr(neuron, name)):
            return f"{name} differs between its neurons; Lava's {process.name} has one for all"
    sine, cosine = int(neuron.sin_decay.flat[0]), int(neuron.cos_decay.flat[0])
    if sine < 0 or cosine < 0:
        return f"Lava's {process.name} keeps decays without a sign: no period below 4 time steps"
    turn = find_turn(sine, cosine)
    if turn is None:
        return f"no period and decay give Lava's sin_decay {sine} and cos_decay {cosine}"
    values = {
        "period": turn[0],
        "alpha": turn[1],
        "state_exp": STATE_SHIFT,
        "decay_bits": DECAY_BITS,
        "vth": int(neuron.threshold_level.flat[0]) / (1 << STATE_SHIFT),
    }
    return Fit(process, {k: np.asarray(v) for k, v in values.items()}, "once", ports=PORTS)


def find_turn(sine: int, cosine: int) -> tuple[float, float] | None:
    """Return the period and alpha of which Lava makes these factors out of 4096, 0 or more.

    Lava cuts off what is beyond 12 bits, so they aim at the middle of one unit.
    """
    middle_sine, middle_cosine = (sine + 0.5) / DECAY_ONE, (cosine + 0.5) / DECAY_ONE
    period = float(2 * np.pi / np.arctan2(middle_sine, middle_cosine))
    alpha = float(1 - np.hypot(middle_sine, middle_cosine))
    angle = np.pi * 2 * 1 / period
    factors = ((1 - alpha) * np.array([np.sin(angle), np.cos(angle)]) * DECAY_ONE).astype(np.int32)
    return (period, alpha) if factors.tolist() == [sine, cosine] else None
