"""Activity in pieces of some samples and steps: the same as all of it at once."""

from __future__ import annotations

import differential
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_integer_network, spikes
from priced import wide_chip

from snncompile.backends.energy import activity
from snncompile.backends.energy.activity import count_network_steps, record, record_sample
from snncompile.backends.energy.estimate import Ledger
from snncompile.reference.simulate import check_spikes

DRAWN = differential.Frame((2, 4, 6), 7)


def network_of(seed: int):
    """Return a network with delays and loops, or one of every wiring and neuron."""
    wired = differential.network(seed, 0, DRAWN)
    return random_integer_network(seed, wild=False) if seed % 2 else wired


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.sampled_from([1, 90, 400]), steps=st.integers(1, 9))
def test_pieces_of_one_sample_join(seed, most, steps):
    network = network_of(seed)
    x = check_spikes(network, spikes(network, 1, steps, seed))
    whole = record_sample(network, x, updates=True)
    assert whole.steps == count_network_steps(network, steps)
    pieces = []
    for piece in record(network, x, updates=True, limit=most):
        assert piece.first_step == sum(len(status) for _, _, status in pieces)
        pieces.append((np.diff(piece.step_start), piece.neuron, piece.status.copy()))
    counts, neuron, status = (np.concatenate(column) for column in zip(*pieces, strict=True))
    assert (counts == np.diff(whole.step_start)).all()
    assert (neuron == whole.neuron).all()
    assert (status == whole.status).all()


@pytest.mark.parametrize("model", ["fast", "cycle"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_an_estimate_adds_up_pieces(seed, model, monkeypatch):
    import snncompile

    network = random_integer_network(seed, wild=False)
    program = snncompile.compile(network, chip=wide_chip(4))
    x = spikes(program.network, 5, 6, seed)
    whole = program.estimate(x, timing=model)
    sizes = []
    for most in (1, 3 * 90):
        monkeypatch.setattr(activity, "MOST_EVENTS", most)
        monkeypatch.setattr(Ledger, "add", counting(Ledger.add, sizes))
        found = program.estimate(x, timing=model)
        monkeypatch.undo()
        assert (found.by_step.counts == whole.by_step.counts).all()
        assert (found.by_step.seconds == whole.by_step.seconds).all()
        assert (found.by_step.bound == whole.by_step.bound).all()
        assert found.rows == whole.rows
        assert found.range.latency_s == pytest.approx(whole.range.latency_s)
    assert len(sizes) > 5 * 6  # there were pieces


def counting(add, sizes):
    def wrapped(self, piece):
        sizes.append(piece.steps)
        return add(self, piece)

    return wrapped
