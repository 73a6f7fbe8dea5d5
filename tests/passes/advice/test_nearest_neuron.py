"""What is said about a neuron that the chip lacks."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile
from snncompile.errors import UnsupportedError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

KNOWN = "cuba_lif/delayed_soft, cuba_lif/hard, cuba_lif/soft and 5 more"


def network(reset):
    """Return one neuron that fires in every second time step, more often with a hard reset."""
    neuron = CubaLif(1.0, 0.0, 1.0, reset=reset)
    projection = Projection("input", "lif", dense(np.array([[0.8]])))
    return Network(Input("input", (1,)), (Population("lif", (1,), neuron),), (projection,), "lif")


def message(reset, **options):
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network(reset), chip="loihi1", **options)
    start = f"population lif: loihi1 has no neuron cuba_lif/{reset}; it has {KNOWN}"
    assert str(error.value).startswith(start)
    return str(error.value).removeprefix(start)


def test_the_nearest_and_its_cost():
    """Potentials 0.8, 1.6 (fires), 0 (lost), 0.8, ...; hard: 0.8, 1.6 (fires), 0.8, 1.6 (fires)."""
    x = np.ones((20, 6, 1), np.uint8)
    assert message("delayed_hard", calibration=x) == (
        "; train with the nearest, cuba_lif/hard, where a spike clears the potential at once; in"
        " this network it would change 48 of the 96 outputs of lif on 16 calibration samples"
    )
    assert message("delayed_hard") == (
        "; train with the nearest, cuba_lif/hard, where a spike clears the potential at once; give"
        " calibration data to see the effect on this network"
    )


def test_nothing_is_near_to_no_reset():
    assert message("none") == ""
