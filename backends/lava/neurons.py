"""Which Lava process computes which neuron, and under which names its parameters go there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import BackendError, UnsupportedError
from snncompile.ir.graph import Population
from snncompile.neurons.base import Neuron
from snncompile.neurons.fixed import STATE_LIMIT

PROCESSES = {
    "accumulate": "Accumulate",
    "adaptive_lif/hard": "AdaptiveLif",
    "adaptive_lif/soft": "AdaptiveLif",
    "bistable_fire": "BistableFire",
    "cuba_lif/hard": "LIFReset",
    "cuba_lif/soft": "CubaLif",
    "cuba_lif/delayed_soft": "CubaLif",
    "cuba_lif/delayed_hard": "CubaLif",
    "cuba_lif/strict_soft": "CubaLif",
    "cuba_lif/none": "CubaLif",
    "integrate_fire/hard": "LIFReset",
    "integrate_fire/soft": "CubaLif",
    "multi_spike_lif/hard": "MultiSpikeLif",
    "multi_spike_lif/soft": "MultiSpikeLif",
    "phase_fire": "PhaseFire",
    "readout": "Readout",
    "refractory_lif": "RefractoryLif",
    "resonate_fire": "ResonateFire",
    "resonate_fire_izhikevich": "ResonateFireIzhikevich",
    "delta": "DeltaReset",
    "sigma_delta": "SigmaDeltaReset",
    "sigma": "SigmaReset",
    "signed_integrate_fire": "SignedIntegrateFire",
    "ternary_lif": "TernaryLif",
    "window_readout": "WindowReadout",
}
"""Neuron kind to process: LIFReset is Lava's own, the others are in `processes/`."""

NO_INITIAL = {"LIFReset": "CubaLif"}
"""Processes of Lava's that start at v = 0 only, and ours that compute the same from elsewhere."""

WITH_RESET = ("AdaptiveLif", "CubaLif", "MultiSpikeLif")
"""Processes that take the reset as a parameter."""

NAMES = {
    "current_decay": "du",
    "potential_decay": "dv",
    "threshold": "vth",
    "negative_threshold": "vth_lo",
    "threshold_decay": "dt",
    "threshold_step": "step",
    "refractory": "refractory",
    "window": "window",
    "start": "onset",  # a Lava model has a method called start
    "doubling": "doubling",
    "once": "once",
    "most": "most",
    "lowest": "lowest",
    "bias_mantissa": "bias_mant",
    "bias_exponent": "bias_exp",
    "initial": "initial",
    "sin_decay": "sin_decay",
    "cos_decay": "cos_decay",
    "threshold_level": "vth_level",
    "bias_level": "bias_level",
    "state_exponent": "state_exp",
    "input_exponent": "input_exp",
}
"""Our parameter to the process's."""

LIMITS = {
    "du": (0, 4095),
    "dv": (0, 4095),
    "vth": (0, 131071),
    "vth_lo": (-131071, 0),
    "dt": (0, 4095),
    "step": (0, 131071),
    "refractory": (0, 2**31 - 1),
    "window": (1, 2**31 - 1),
    "onset": (0, 2**31 - 1),
    "doubling": (0, 1),
    "once": (0, 1),
    "most": (1, 2**23 - 1),
    "lowest": (1 - STATE_LIMIT, 0),
    "bias_mant": (-32768, 32767),
    "bias_exp": (0, 14),
    "initial": (1 - STATE_LIMIT, STATE_LIMIT - 1),
    "sin_decay": (-4096, 4096),
    "cos_decay": (-4096, 4096),
    "vth_level": (0, STATE_LIMIT),
    "bias_level": (-STATE_LIMIT, STATE_LIMIT),
    "state_exp": (0, 31),
    "input_exp": (0, 31),
}
"""Lava checks no range; beyond these its integers overflow without a word (proc/lif/models.py)."""

NO_CURRENT = {"du": np.asarray(4095), "dv": np.asarray(0)}
"""Integrate-and-fire as a current-based LIF: nothing of the current stays, the potential does."""


@dataclass(frozen=True)
class Process:
    """A process that is not written down yet: its class and its parameters."""

    kind: str
    parameters: Mapping[str, NDArray[Any]]
    reset: str = ""


def process_of(population: Population) -> Process:
    """Return the process of a population.

    Raises:
        UnsupportedError: there is no process for its neuron.
        BackendError: a parameter is larger than what the process computes with.
    """
    neuron = population.neuron
    kind = PROCESSES.get(neuron.kind)
    if kind is None:
        known = ", ".join(sorted({known.partition("/")[0] for known in PROCESSES}))
        raise UnsupportedError(
            f"population {population.name}: the Lava backend has no process for {neuron.kind};"
            f" it knows {known}"
        )
    if neuron.initial.any():
        kind = NO_INITIAL.get(kind, kind)
    parameters = _parameters(neuron)
    for name, value in parameters.items():
        low, high = LIMITS[name]
        if value.min() < low or value.max() > high:
            worst = value.min() if value.min() < low else value.max()
            raise BackendError(
                f"population {population.name}: {name} {worst} is outside {low}..{high}, which is"
                " what Lava's LIF computes with"
            )
    return Process(kind, parameters, getattr(neuron, "reset", "") if kind in WITH_RESET else "")


def _parameters(neuron: Neuron) -> dict[str, NDArray[Any]]:
    named = {NAMES[name]: getattr(neuron, name) for name in neuron.parameters()}
    return NO_CURRENT | named if neuron.name == "integrate_fire" else named
