"""A wiring that offers its matrix alone: composed with others, and refused if it is none."""

from __future__ import annotations

import re

import numpy as np
import pytest
from banded import Banded, banded, unroll_weights

from snncompile.errors import UnsupportedError
from snncompile.synapses.base import Synapses
from snncompile.synapses.compose import compose, merge
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import Sparse, unroll

BAND = banded(6, 8, 3)


def weighted(wiring, seed: int = 0) -> Synapses:
    return Synapses(wiring, np.random.default_rng(seed).integers(-8, 9, wiring.weight_shape))


OTHERS = {
    "dense before": (BAND, Dense(8, 4)),
    "dense behind": (Dense(4, 6), BAND),
    "bands before": (BAND, banded(8, 9, 2, 1)),
    "a convolution before": (BAND, Convolution((1, 10), 1, (3,), (1,), (0,), (1,))),
    "a convolution behind": (Convolution((2, 3), 1, (2,), (1,), (0,), (1,)), BAND),
    "places before": (BAND, Sparse(np.arange(5), np.arange(5), 8, 5)),
    "one scale before": (BAND, Scale(8)),
    "scales before": (BAND, Scale(8, per_neuron=True)),
    "one scale behind": (Scale(6), BAND),
    "scales behind": (Scale(6, per_neuron=True), BAND),
}


@pytest.mark.parametrize("case", OTHERS)
def test_in_a_row_with_others(case):
    outer, inner = (weighted(wiring, i) for i, wiring in enumerate(OTHERS[case]))
    assert (
        unroll_weights(compose(outer, inner)) == unroll_weights(outer) @ unroll_weights(inner)
    ).all()


def test_scaled_it_stays_what_it_is_where_shared_weights_are_scaled_alike():
    band = weighted(BAND)
    alike = Synapses(Scale(6, per_neuron=True), np.array([2.0, 3.0] * 3))
    apart = Synapses(Scale(6, per_neuron=True), np.arange(6.0))
    assert compose(alike, band).wiring is BAND
    assert compose(Synapses(Scale(6), np.asarray(2.0)), band).wiring is BAND
    assert compose(apart, band).wiring.kind == "sparse"


def test_side_by_side_with_others():
    band, other = weighted(BAND), dense(np.ones((6, 8)))
    for left, right in ((band, other), (other, band)):
        both = merge(left, right)
        assert both is not None
        assert (unroll_weights(both) == unroll_weights(left) + unroll_weights(right)).all()
    assert merge(band, weighted(BAND)) is None


class Doubled(Banded):
    def matrix(self, weight):
        return super().matrix(weight) * 2


class Turned(Banded):
    def matrix(self, weight):
        return super().matrix(weight).T.tocsr()


class Hollow(Banded):
    def matrix(self, weight):
        ours = super().matrix(weight)
        ours.eliminate_zeros()
        return ours


class Backwards(Banded):
    def matrix(self, weight):
        return super().matrix(weight)[:, ::-1]


WRONG = {
    Doubled: "has to hold the weights as they are, without a factor",
    Turned: "has shape (8, 6), expected (targets, sources) (6, 8)",
    Hollow: "leaves out a synapse of weight zero; keep it as an explicit zero",
    Backwards: "has to have rising columns in each row; call sort_indices",
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_matrix_that_is_none_of_its_weights_is_refused(kind):
    with pytest.raises(UnsupportedError, match=f"^{re.escape('wiring banded: its matrix ')}") as e:
        unroll(kind(BAND.size, BAND.width, BAND.first))
    assert str(e.value) == f"wiring banded: its matrix {WRONG[kind]}"
