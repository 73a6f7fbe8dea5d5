"""Filters that learn without labels: rules, winners, and the layer on a chip."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import snncompile
from snncompile import training
from snncompile.errors import InputError
from snncompile.training.filters import Winner, choose_winners

RULES = [training.BoundedStdp(0.5, 0.5), training.BinaryStdp(0.9, 0.9, 1.0)]


def draw_bars(samples=40, steps=4, side=10, seed=0):
    """Return spikes of horizontal and vertical bars in every step, on a silent ground."""
    rng = np.random.default_rng(seed)
    x = np.zeros((samples, steps, 1, side, side), np.uint8)
    for image in x:
        lines = rng.integers(0, side, 2)
        if rng.random() < 0.5:
            image[:, 0, lines] = 1
        else:
            image[:, 0, :, lines] = 1
    return x


def draw_patch(inputs, steps, seed):
    return (np.random.default_rng(seed).random((steps, inputs)) < 0.4).astype(np.float32)


@given(seed=st.integers(0, 1000), steps=st.integers(1, 6), number=st.sampled_from([0, 1]))
def test_weights_stay_within_their_bounds_and_binary_ones_binary(seed, steps, number):
    rule, generator = RULES[number], torch.Generator().manual_seed(seed)
    weight = rule.start((1, 12), generator)[0]
    for turn in range(20):
        spikes = torch.from_numpy(draw_patch(12, steps, seed + turn))
        changed = rule.update(weight, spikes, generator)
        spiked = spikes.any(0)
        assert bool((changed >= weight)[spiked].all())
        assert bool((changed <= weight)[~spiked].all())
        weight = changed
    assert bool(((weight >= 0) & (weight <= 1)).all())
    if isinstance(rule, training.BinaryStdp):
        assert bool(((weight == 0) | (weight == 1)).all())


def test_bounded_weights_change_by_the_formula():
    weight = torch.tensor([0.5, 0.5, 0.9, 0.0])
    spikes = torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 0]])
    changed = training.BoundedStdp(0.4, 0.2).update(weight, spikes, torch.Generator())
    assert changed.tolist() == pytest.approx([0.6, 0.45, 0.9 - 0.2 * 0.09, 0.0])


def test_binary_weights_switch_as_often_as_the_formula_says():
    spikes = torch.zeros(3, 40_000)
    spikes[0, :20_000] = 1  # its trace is 1, 1 - 1/4, (1 - 1/4)^2
    rule, generator = training.BinaryStdp(0.8, 0.3, 4.0), torch.Generator().manual_seed(0)
    on = rule.update(torch.zeros(40_000), spikes, generator)
    off = rule.update(torch.ones(40_000), spikes, generator)
    bound = 4 * np.sqrt(0.25 / 20_000)  # four standard errors
    assert float(on[:20_000].mean()) == pytest.approx(0.8 * 0.75**2 / 4, abs=bound)
    assert float(1 - off[20_000:].mean()) == pytest.approx(0.3, abs=bound)
    assert not on[20_000:].any()
    assert off[:20_000].all()


@given(seed=st.integers(0, 1000))
def test_bounded_stdp_is_that_of_spikingjelly_where_inputs_spike_once(seed):
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    rng = np.random.default_rng(seed)
    steps, inputs, fires = 7, 9, 3
    times = rng.choice([0, 1, 2, 4, 5, 6], inputs)  # not in the step in which the neuron fires
    spikes = torch.from_numpy((np.arange(steps)[:, None] == times).astype(np.float32))
    rule = training.BoundedStdp(0.3, 0.1)
    weight = torch.from_numpy(rng.random((1, inputs)).astype(np.float32))
    total, traces = torch.zeros(1, inputs), (torch.zeros(1, inputs), torch.zeros(1, 1))
    for step in range(steps):
        change, traces = functional.stdp_linear_step(
            spikes[step : step + 1],
            torch.tensor([[float(step == fires)]]),
            traces,
            weight,
            tau_pre=1e12,
            tau_post=1e12,
            f_pre=lambda w: rule.fall * w * (1 - w),
            f_post=lambda w: rule.rise * w * (1 - w),
        )
        total += change
    ours = rule.update(weight[0], spikes[: fires + 1], torch.Generator())
    torch.testing.assert_close(ours, (weight + total)[0], rtol=0, atol=1e-6)


def fire(steps=3, filters=2, side=5, **potentials):
    """Return potentials of 0 with some others: sfrc=2.0 is step s, filter f, row r, column c."""
    potential = np.zeros((steps, filters, side, side))
    for name, value in potentials.items():
        step, number, row, column = (int(digit) for digit in name[1:])
        potential[step:, number, row, column] = value
    return potential


# A new case: potentials from a step on, the winners in order. Thresholds are 1 and 2, radius 1.
WINNERS = [
    ({"p1000": 1.5, "p0144": 2.1}, [(0, 1, 4, 4), (1, 0, 0, 0)]),  # the earlier before the larger
    ({"p0000": 1.5, "p0144": 2.6}, [(0, 1, 4, 4), (0, 0, 0, 0)]),  # the larger excess, not sum
    ({"p0000": 1.5, "p0144": 2.5}, [(0, 0, 0, 0), (0, 1, 4, 4)]),  # equal: the lower filter
    ({"p0031": 1.5, "p0013": 1.5}, [(0, 0, 1, 3)]),  # equal: the lower row; a filter wins once
    ({"p0013": 1.5, "p0011": 1.5}, [(0, 0, 1, 1)]),  # equal: the lower column
    ({"p0011": 1.5, "p0122": 2.1}, [(0, 0, 1, 1)]),  # none within the radius of a winner
    ({"p0011": 1.5, "p0123": 2.1}, [(0, 0, 1, 1), (0, 1, 2, 3)]),  # beyond it
    ({"p0011": 1.0, "p0133": 2.0}, []),  # a potential at the threshold does not fire
]


@pytest.mark.parametrize("potentials, winners", WINNERS)
def test_winners_are_chosen_by_time_then_excess_then_order(potentials, winners):
    potential = fire(**potentials)
    chosen = choose_winners(potential, np.array([1.0, 2.0]), count=4, radius=1)
    assert chosen == [Winner(*winner) for winner in winners]
    assert choose_winners(potential, np.array([1.0, 2.0]), 1, 1) == chosen[:1]


@given(seed=st.integers(0, 500), count=st.integers(1, 5), radius=st.integers(0, 3))
def test_winners_are_unique_apart_and_as_many_as_allowed(seed, count, radius):
    rng = np.random.default_rng(seed)
    potential = rng.integers(0, 4, (3, 4, 6, 6)).cumsum(0).astype(float)
    threshold = rng.integers(1, 6, 4).astype(float)
    chosen = choose_winners(potential, threshold, count, radius)
    assert len(chosen) <= count
    assert len({winner.filter for winner in chosen}) == len(chosen)
    for number, (step, f, row, column) in enumerate(chosen):
        fired = potential[:, f, row, column] > threshold[f]
        assert fired.argmax() == step
        assert fired[step]
        for other in chosen[:number]:
            assert other.step <= step
            assert max(abs(other.row - row), abs(other.column - column)) > radius


def test_filters_learn_bars_and_the_seed_decides_them():
    x = draw_bars(200)
    weight = training.learn_filters(x, 4, 5, winners=2, seed=3)
    assert weight.shape == (4, 1, 5, 5)
    again = training.learn_filters(torch.from_numpy(x), 4, 5, winners=2, seed=3)
    assert torch.equal(weight, again)
    assert not torch.equal(weight, training.learn_filters(x, 4, 5, winners=2, seed=4))
    lines = weight[:, 0] > 0.9
    whole = lines.all(1).any(1) | lines.all(2).any(1)
    assert whole.all()  # a whole row or column of strong weights
    assert ((weight < 0.1) | (weight > 0.9)).float().mean() > 0.8


class Counted(training.BoundedStdp):
    """A rule that leaves weights as they are, and counts which filter fired."""

    def update(self, weight, spikes, generator):
        counts[float(weight.sum())] += 1
        return weight


counts = Counter()


def test_thresholds_let_all_filters_win_equally_often():
    counts.clear()
    training.learn_filters(draw_bars(200), 5, 4, rule=Counted(), winners=2)
    wins = sorted(counts.values())
    assert len(wins) == 5
    assert sum(wins) > 350  # of 400
    assert wins[-1] <= 1.2 * wins[0]
    counts.clear()
    training.learn_filters(draw_bars(200), 5, 4, rule=Counted(), winners=2, pace=1e-9)
    assert max(counts.values()) > 1.5 * min(counts.values())


def test_numbers_drawn_by_others_change_nothing():
    x, rule = draw_bars(20), training.BinaryStdp()
    torch.manual_seed(1)
    weight = training.learn_filters(x, 4, 5, rule=rule)
    torch.manual_seed(2)
    assert torch.equal(weight, training.learn_filters(x, 4, 5, rule=rule))


def test_the_stochastic_rule_leaves_binary_filters():
    weight = training.learn_filters(draw_bars(), 4, 5, rule=training.BinaryStdp(), winners=2)
    assert set(weight.unique().tolist()) == {0.0, 1.0}


def test_a_layer_fires_at_its_rate():
    x = draw_bars()
    weight = training.learn_filters(x, 4, 5, winners=2)
    layer = training.build_filter_layer(weight, x, rate=0.05, padding=1)
    with torch.no_grad():
        spikes = training.unroll(layer, torch.from_numpy(x).float())
    assert spikes.shape == (40, 4, 4, 8, 8)
    rate = spikes.mean((0, 1, 3, 4))
    assert bool((rate <= 0.05).all())
    assert bool((rate > 0.03).all())  # many neurons begin to fire at the same number
    kernel = layer[0].weight.detach()
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    scale = (kernel / centred).flatten(1)
    torch.testing.assert_close(scale, scale[:, :1].expand_as(scale), rtol=1e-4, atol=0)
    torch.testing.assert_close(kernel.mean((1, 2, 3)), torch.zeros(4), rtol=0, atol=1e-6)


def test_a_filter_of_equal_weights_stays_silent():
    layer = training.build_filter_layer(torch.ones(2, 1, 3, 3), draw_bars())
    assert not layer[0].weight.any()


def learn_two_layers(x, rule):
    """Return two layers that learned one after the other, and a readout, as one module."""
    first = training.learn_filters(x, 4, 3, rule=rule, winners=2)
    layer = training.build_filter_layer(first, x, 0.1, padding=1)
    with torch.no_grad():
        spikes = training.unroll(layer, torch.from_numpy(x).float())
    second = training.learn_filters(spikes, 6, 3, rule=rule, winners=2)
    assert second.shape == (6, 4, 3, 3)
    torch.manual_seed(0)
    return nn.Sequential(
        layer,
        training.build_filter_layer(second, spikes, 0.1),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(24, 2),
        training.Readout(),
    )


@pytest.mark.parametrize("rule", [training.BoundedStdp(), training.BinaryStdp()])
@pytest.mark.parametrize("chip", ["loihi2", "loihi1"])
def test_learned_layers_are_an_ordinary_network(rule, chip):
    x = draw_bars()
    module = learn_two_layers(x, rule)
    network = snncompile.from_torch(module, x[:8].astype(np.float32))
    with torch.no_grad():
        expected = training.unroll(module, torch.from_numpy(x).float()).numpy()
    np.testing.assert_allclose(network.run(x).spikes, expected, rtol=0, atol=1e-5)
    program = snncompile.compile(network, chip=chip, calibration=x)
    assert network.run(x).spikes.any()
    agreement = (program.run(x).prediction == network.run(x).prediction).mean()
    assert agreement >= 0.9  # 8-bit weights; 1.0 when this was written
    trained = training.from_network(network)
    np.testing.assert_allclose(trained(x).detach().numpy(), expected, rtol=0, atol=1e-4)


@pytest.mark.lava
def test_learned_layers_run_on_lava(lava):
    x = draw_bars()
    module = learn_two_layers(x, training.BinaryStdp())
    network = snncompile.from_torch(module, x[:8].astype(np.float32))
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.verify(x[:4], lava=True).equal


SPIKES = np.ones((2, 3, 1, 6, 6), np.uint8)
# A new case: what is called, its whole message.
REFUSALS = [
    (
        lambda: training.learn_filters(SPIKES[0], 4, 3),
        "x must have shape (samples, steps, channels, rows, columns), got (3, 1, 6, 6)",
    ),
    (
        lambda: training.learn_filters(SPIKES * 0.5, 4, 3),
        "x must be spikes, 0 and 1; encode_images makes some of images",
    ),
    (
        lambda: training.learn_filters(SPIKES * 2, 4, 3),
        "x must be spikes, 0 and 1; encode_images makes some of images",
    ),
    (
        lambda: training.learn_filters(SPIKES * 0, 4, 3),
        "x has no spikes, so there is nothing to learn from",
    ),
    (lambda: training.learn_filters(SPIKES, 0, 3), "count must be positive, got 0"),
    (lambda: training.learn_filters(SPIKES, 4, 0), "size must be positive, got 0"),
    (
        lambda: training.learn_filters(SPIKES, 4, 3, winners=0),
        "winners must be positive, got 0",
    ),
    (
        lambda: training.learn_filters(SPIKES, 4, 7),
        "a filter of 7 x 7 is larger than the images, 6 x 6",
    ),
    (lambda: training.learn_filters(SPIKES, 4, 3, pace=0), "pace must be positive, got 0"),
    (
        lambda: training.learn_filters(SPIKES, 4, 3, radius=-1),
        "radius must be 0 or more, got -1",
    ),
    (
        lambda: training.build_filter_layer(torch.ones(4, 2, 3, 3), SPIKES),
        "weight must have shape (filters, 1, size, size) for these spikes, got (4, 2, 3, 3)",
    ),
    (
        lambda: training.build_filter_layer(torch.ones(4, 1, 3, 3), SPIKES, 1.0),
        "rate must be above 0 and below 1, got 1.0",
    ),
    (
        lambda: training.BoundedStdp(rise=1.5),
        "BoundedStdp: rise must be between 0 and 1, got 1.5",
    ),
    (
        lambda: training.BinaryStdp(fall=-0.1),
        "BinaryStdp: fall must be between 0 and 1, got -0.1",
    ),
    (
        lambda: training.BinaryStdp(tau=0.5),
        "BinaryStdp: tau must be at least 1 time step, got 0.5",
    ),
]


@pytest.mark.parametrize("call, message", REFUSALS)
def test_refusals(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(
    "options, message",
    [
        ({"count": 2.5}, "count must be a whole number below 2^31, got 2.5"),
        ({"seed": 2**70}, f"seed must be a whole number below 2^31, got {2**70}"),
        ({"radius": 1.5}, "radius must be a whole number below 2^31, got 1.5"),
        ({"pace": float("inf")}, "pace must be positive, got inf"),
        ({"rule": "binary"}, "rule must be an object like BoundedStdp(), got 'binary'"),
        ({"x": [[1], [1, 0]]}, "x must be an array of spikes: "),
        ({"x": np.full((1, 1, 1, 4, 4), "a")}, "x must be spikes, 0 and 1, got <U1"),
    ],
)
def test_odd_arguments_are_one_line(options, message):
    given = {"x": np.ones((2, 3, 1, 4, 4)), "count": 2, "size": 3} | options
    with pytest.raises(InputError) as error:
        training.learn_filters(given.pop("x"), given.pop("count"), given.pop("size"), **given)
    assert str(error.value).startswith(message)
    assert message.endswith(": ") or str(error.value) == message


@pytest.mark.parametrize(
    "weight, padding, message",
    [
        (
            torch.ones(2, 1, 9, 9),
            0,
            "filters of 9 x 9 do not fit images of 4 x 4 with a padding of 0",
        ),
        (
            torch.ones(2, 1, 3, 3),
            -1,
            "filters of 3 x 3 do not fit images of 4 x 4 with a padding of -1",
        ),
        (
            torch.ones(2, 1, 3, 3).int(),
            0,
            "weight must be a tensor of floats, as learn_filters returns it",
        ),
        (torch.full((2, 1, 3, 3), np.nan), 0, "weight holds values that are not finite"),
    ],
)
def test_odd_filters_are_one_line(weight, padding, message):
    with pytest.raises(InputError) as error:
        training.build_filter_layer(weight, np.ones((2, 3, 1, 4, 4)), padding=padding)
    assert str(error.value) == message


def test_spikes_of_half_floats_are_read():
    x = np.random.default_rng(0).random((4, 3, 1, 6, 6)) < 0.3
    half = torch.from_numpy(x).to(torch.bfloat16)
    assert torch.equal(training.learn_filters(half, 2, 3), training.learn_filters(x, 2, 3))
