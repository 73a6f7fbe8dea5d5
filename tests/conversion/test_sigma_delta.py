"""Changes of graded messages: frame for frame what graded messages send, and no drift."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.sigma_delta import SigmaDeltaMessages
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import check_spikes, run_batches


def make_integers(model, x, method):
    """Return the network of frames on Loihi 2's integers."""
    network = snncompile.from_ann(model, x, method, coding="analog")
    shown = network.input.present(x[:6, None])
    return Quantize()(Retime()(design(network, LOIHI2, shown))).network


def run(network, frames):
    """Return what every population sends for frames (samples, frames, ...)."""
    parts = list(run_batches(network, check_spikes(network, network.input.present(frames))))
    return {name: np.concatenate([p[name].numpy() for p in parts]) for name in parts[0]}


def walk(rng, shape, frames):
    """Return frames of which a few values change from one to the next."""
    steps = rng.normal(size=(2, frames, *shape)) * (rng.random((2, frames, *shape)) < 0.3)
    return steps.cumsum(axis=1).clip(-3, 3)


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8) | st.just("sums"))
def test_sums_of_changes_are_graded_messages(seed, bits):
    rng, model = np.random.default_rng(seed), build()
    x, frames = rng.normal(size=(9, 1, 8, 8)).clip(-3, 3), walk(rng, (1, 8, 8), 7)
    x[0, 0, 0, :2] = -3, 3  # the range of the frames
    whole = make_integers(model, x, GradedMessages(bits=bits))
    changes = make_integers(model, x, SigmaDeltaMessages(bits=bits))
    wanted, sent = run(whole, frames), run(changes, frames)
    for population in whole.populations[:-1]:
        total = sent[population.name].astype(np.int64).cumsum(axis=1)
        assert (total == wanted[population.name]).all(), population.name
    assert all(bound.holds for bound in prove_bounds(changes, LOIHI2, None))


def test_standing_frames_cost_nothing():
    rng, model = np.random.default_rng(1), build()
    x = rng.normal(size=(9, 1, 8, 8))
    frames = np.repeat(x[:2, None], 5, axis=1)
    sent = run(make_integers(model, x, "sigma_delta"), frames)
    answer = sent.pop("layer_6")
    assert (answer == answer[:, :1]).all()
    assert answer.any()
    assert all((train[:, 1:] == 0).all() for name, train in sent.items() if name != "input")
    assert sent["changes"][:, 0].any()


@pytest.mark.parametrize("least", [1, 4])
def test_the_answer_is_as_near_after_10000_frames_as_after_100(least):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU())
    model.append(nn.Linear(9, 2))
    rng = np.random.default_rng(2)
    x, frames = rng.normal(size=(200, 3)), walk(rng, (3,), 10_000)
    network = make_integers(model, x, SigmaDeltaMessages(least=least))
    whole = make_integers(model, x, GradedMessages())
    got, wanted = run(network, frames), run(whole, frames)
    for population in whole.populations[:-1]:
        name = population.name
        errors = np.abs(got[name].astype(np.int64).cumsum(axis=1) - wanted[name]).max(axis=(0, 2))
        early, late = errors[:100].max(), errors[-100:].max()
        assert late <= max(2 * early, least), name
        assert errors.max() <= 255
    answers = (got[network.output].argmax(axis=2) == wanted[whole.output].argmax(axis=2)).mean()
    assert answers > (0.99 if least == 1 else 0.95)


def test_a_larger_least_sends_fewer_messages():
    rng, model = np.random.default_rng(3), build()
    x, frames = rng.normal(size=(9, 1, 8, 8)).clip(-3, 3), walk(rng, (1, 8, 8), 20)
    counts = []
    for method in (SigmaDeltaMessages(), SigmaDeltaMessages(least=8), SigmaDeltaMessages(4)):
        sent = run(make_integers(model, x, method), frames)
        counts.append(sum(np.count_nonzero(sent[n]) for n in ("layer_1", "layer_2", "layer_4")))
    assert counts[1] < counts[0]
    assert counts[2] < counts[0]


@pytest.mark.parametrize("name", ["least", "least_input"])
def test_changes_are_of_1_or_more(name):
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, got 0"):
        SigmaDeltaMessages(**{name: 0})
