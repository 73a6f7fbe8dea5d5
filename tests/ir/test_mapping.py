"""Slices and mappings: which neurons, in which order, on which core."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.ir.graph import Population
from snncompile.ir.mapping import Mapping, Site, Slice
from snncompile.neurons.cuba_lif import IntegerCubaLif

A = Population("a", (2, 3, 4), IntegerCubaLif(0, 0, 1))
BOX = Slice("a", (2, 3, 4), (1, 0, 2), (2, 2, 4), 5)
RANGE = Slice.from_range(A, 3, 7, 2)
LISTED = Slice.from_neurons("a", (1, 5, 6), 0)

# Slice; its flattened neurons, text.
SLICES = {
    "box": (BOX, [14, 15, 18, 19], "a[1:2, 0:2, 2:4] on core 5"),
    "range": (RANGE, [3, 4, 5, 6], "a[3:7] on core 2"),
    "listed": (LISTED, [1, 5, 6], "a[3 neurons] on core 0"),
}


@pytest.mark.parametrize("case", SLICES)
def test_neurons_in_order(case):
    part, neurons, text = SLICES[case]
    assert part.neurons().tolist() == neurons
    assert part.cut(np.arange(24)).tolist() == neurons
    assert part.size == len(neurons)
    assert str(part) == text


def test_cores_of_every_neuron():
    rest = Slice.from_neurons("a", (0, 2, 4, 5, 6), 1)
    mapping = Mapping((Slice.from_range(A, 7, 24, 3), Slice.from_neurons("a", (1, 3), 0), rest))
    cores = mapping.cores_of(A)
    assert cores.dtype == np.int32
    assert cores.tolist() == [1, 0, 1, 0, 1, 1, 1, *[3] * 17]
    assert mapping.cores == 3


def test_several_slices_share_a_core_and_chips_are_counted():
    slices = (
        Slice.from_range(A, 0, 12, 1),
        Slice.from_range(A, 12, 20, 0),
        Slice.from_range(A, 20, 24, 1),
    )
    mapping = Mapping(slices, (Site(0, 1, 0, 2), Site(1, 1, 0, 3)))
    assert mapping.by_core == {0: (slices[1],), 1: (slices[0], slices[2])}
    assert (mapping.cores, mapping.chips, mapping.tiles) == (2, 2, 2)
    assert str(mapping) == (
        "a[0:12] on core 1 at tile 1,0 of chip 3\n"
        "a[12:20] on core 0 at tile 1,0 of chip 2\n"
        "a[20:24] on core 1 at tile 1,0 of chip 3\n"
    )
