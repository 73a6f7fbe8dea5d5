"""snnTorch layers by name, and which resets there are."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.frontends.torch.libraries import snntorch

snn = pytest.importorskip("snntorch")

MECHANISMS = ("subtract", "zero", "none")


def neuron(kind, mechanism, delayed, **parameters):
    """Return a layer of snnTorch that keeps its own state."""
    options = {"reset_mechanism": mechanism, "reset_delay": delayed, "init_hidden": True}
    own = {"beta": 0.75, **({"alpha": 0.5} if "Synaptic" in kind else {})}
    if kind.startswith("R"):
        own |= {"all_to_all": False, "V": 0.5}
    if kind == "Lapicque":
        del options["reset_delay"], own["beta"]
        own |= {"R": 2.0, "C": 2.0}
        parameters.pop("beta", None)
    return getattr(snn, kind)(**{**own, **options, **parameters})


def drive(*shape, seed=0):
    """Return currents around the threshold."""
    return np.random.default_rng(seed).normal(0.4, 1.0, shape)


ROWS = [
    (kind, mechanism, delayed)
    for kind, resets in snntorch.RESETS.items()
    for mechanism, delayed in resets
    if delayed or kind not in ("Lapicque", "RSynaptic")  # the first has no such option
]
