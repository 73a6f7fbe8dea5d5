"""The rules of all neurons: a row per neuron, and what is known of the chip model of a process."""

from __future__ import annotations

from collections.abc import Callable

from snncompile.backends.lava.hardware import lif_rules, resonator_rules, value_rules
from snncompile.backends.lava.hardware.fit import Facts, Fit
from snncompile.neurons.base import Neuron

Rule = Callable[[Facts], Fit | str]

RULES: dict[str, Rule] = {
    "cuba_lif": lif_rules.fit_lif,
    "integrate_fire": lif_rules.fit_lif,
    "readout": lif_rules.fit_readout,
    "ternary_lif": lif_rules.fit_ternary_lif,
    "sigma": value_rules.fit_sigma,
    "delta": value_rules.fit_delta,
    "sigma_delta": value_rules.fit_sigma_delta,
    "graded": value_rules.fit_graded,
    "accumulate": value_rules.fit_graded,
    "product": value_rules.fit_product,
    "resonate_fire": resonator_rules.fit_resonate_fire,
    "resonate_fire_izhikevich": resonator_rules.fit_resonate_fire_izhikevich,
}
"""Neuron, by its row in the registry: how Lava's library computes it, or why it does not."""

NONE_FOUND = "no public source of a chip model found"
CHIP_MODELS = {
    "LIF": "lava-dl netx/oxford/run.ipynb, recorded on a Loihi 2 board",
    "LIFReset": "lava-dl netx/mnist/run.ipynb, recorded on a Loihi 2 board",
    "Dense": "lava-dl netx/mnist/run.ipynb, recorded on a Loihi 2 board",
    "Conv": "lava-dl netx/pilotnet_snn/benchmark.ipynb, recorded on a Loihi 2 board",
    "Sparse": "lava-optimization imports lava.proc.sparse.ncmodel",
    "DelayDense": "synaptic delays up to 62 measured on Loihi 2, arXiv 2510.13757",
    "SigmaDelta": "lava-dl tests/lava/lib/dl/netx/test_hdf5_nx.py, test_pilotnet_sdnn",
    "Sigma": "lava-dl netx builds it; " + NONE_FOUND,
    "Delta": "lava-dl netx builds it; " + NONE_FOUND,
    "RF": "lava-dl netx builds it; " + NONE_FOUND,
    "RF_IZ": "lava-dl netx builds it; " + NONE_FOUND,
}
"""Process of Lava's library to the public source that shows it on a chip, where one is known."""


def fit_neuron(facts: Facts) -> Fit | str:
    """Return how Lava's library computes a population, or why it does not."""
    rule = RULES.get(facts.neuron.name)
    if rule is None:
        return f"Lava's library has no {facts.neuron.kind}"
    return rule(facts)


def describe_chip_model(process: str) -> str:
    """Return the public source that shows a process of Lava's library on a chip."""
    return CHIP_MODELS.get(process, NONE_FOUND)


NEAREST = {
    "adaptive_lif": "cuba_lif/hard, whose threshold stays",
    "alpha_lif": "cuba_lif/hard with a delay of 1, whose reset keeps the current",
    "alpha_soft_lif": "cuba_lif/delayed_soft with a delay of 1, whose reset keeps the current",
    "refractory_lif": "cuba_lif/hard, which may fire in the next step",
    "multi_spike_lif": "cuba_lif/hard, one spike per step",
    "signed_integrate_fire": "ternary_lif, which resets to 0",
    "window_readout": "readout, read at the end of the window",
    "synapse_filter": "cuba_lif/hard with a memory of the current, in the layer that it feeds",
    "graded": "sigma_delta, which sends changes",
    "graded_delta": "sigma_delta, which keeps its unit: no factor and no table",
    "cuba_lif": "cuba_lif/hard that starts at 0 (`LIFReset`)",
    "integrate_fire": "integrate_fire/hard that starts at 0 (`LIFReset`)",
    "ternary_lif": "ternary_lif that starts at 0 (`TernaryLIF`)",
    "delta": "delta that starts at 0, with one threshold for all (`Delta`)",
    "sigma_delta": "sigma_delta that starts at 0, with one threshold for all (`SigmaDelta`)",
    "accumulate": "accumulate whose sums are never limited (`GradedVec`)",
    "product": "product without factor and biases, which is never limited (`ProdNeuron`)",
    "resonate_fire": "the same with one pair of factors for all (`RF`)",
    "resonate_fire_izhikevich": "the same with one pair of factors for all (`RF_IZ`)",
}
"""Neuron without a process in the library, by its row: the nearest one that has one."""
CHANGED = ("cuba_lif", "integrate_fire", "readout", "delta")
"""Neurons, by row, that `compile(processes="library")` changes to what the library holds."""


def find_nearest(neuron: Neuron, library: bool, answers: bool) -> str:
    """Return the nearest neuron with a process in the library, in words.

    Args:
        neuron: without such a process.
        library: whether it was made with `processes="library"`, which then is no advice.
        answers: whether it is the network's output.
    """
    advice = "" if library or neuron.name not in CHANGED else ', with `processes="library"`'
    reset = getattr(neuron, "reset", "hard")
    if neuron.name == "readout":
        if not answers:
            return "accumulate, which keeps nothing from step to step (`GradedVec`)"
        return f"readout that stays below the largest threshold (`LIFReset`, v is read){advice}"
    if neuron.name in ("cuba_lif", "integrate_fire") and reset != "hard":
        return f"{neuron.name}/hard, which forgets the excess (`LIFReset`){advice}"
    return NEAREST.get(neuron.name, "none") + advice
