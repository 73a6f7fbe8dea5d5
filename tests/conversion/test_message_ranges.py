"""Messages of as many bits as suit the sums of their readers, with room above what was seen."""

from __future__ import annotations

import conversion_graded as plain
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import LOIHI2, design
from torch import nn

import snncompile
from snncompile.conversion.convert import convert
from snncompile.conversion.diagnosis import measure_errors
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.graded_layers import MANY
from snncompile.conversion.message_ranges import (
    HARDLY,
    LEAST_TOP,
    ROOMS,
    TOPS,
    summarize_activations,
)
from snncompile.conversion.scales import LEAST
from snncompile.errors import UnsupportedError
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime

SUMS = GradedMessages(bits="sums")


def make_integers(network, x):
    """Return the network on Loihi 2's integers."""
    return Quantize()(Retime()(design(network, LOIHI2, network.input.present(x)))).network


def find_tops(network):
    """Return the largest message of each population but the answer."""
    return {
        p.name: max(-int(p.neuron.payload.low), int(p.neuron.payload.high))
        for p in network.populations[:-1]
    }


def compute(model, x):
    """Return the answers of a model, in float64."""
    with torch.no_grad():
        return model.double()(torch.tensor(x)).numpy()


def find_error(model, x, method, test):
    """Return the root mean square of what no one unit of the integers' answers explains."""
    wanted = compute(model, test).ravel()
    network = make_integers(snncompile.from_ann(model, x, method), x[:8])
    found = network.run(network.input.present(test)).answer.ravel().astype(np.float64)
    return float(np.sqrt(1 - (found @ wanted) ** 2 / (found @ found) / (wanted @ wanted)))


class Thin(nn.Module):
    """Depthwise convolutions, a gate, a shortcut, maxima and a table, as of MobileNets."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = nn.Conv2d(1, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.narrow, self.wide = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.pool, self.last = nn.MaxPool2d(2), nn.Linear(24, 3)

    def forward(self, x):
        a = torch.relu(self.first(x))
        b = nn.functional.hardswish(self.deep(a))
        gate = torch.sigmoid(self.wide(torch.relu(self.narrow(b.mean((2, 3), keepdim=True)))))
        c = torch.relu(b * gate + a)
        return self.last(nn.functional.avg_pool2d(self.pool(c), 1).flatten(1))


def make_thin(seed=0, samples=40):
    torch.manual_seed(seed)
    return Thin().eval(), np.random.default_rng(seed).normal(size=(samples, 1, 4, 4))


@settings(max_examples=8)
@example(150)  # an answer that would saturate
@given(st.integers(0, 2**32 - 1))
def test_integers_of_random_networks_are_those_of_the_formula(seed):
    """Messages are within the limits, and no sum leaves 24 bits.

    The potential of the answer has twice the room of what calibration brings; what is beyond
    saturates, with 8 bits as well, as `Program.bounds` says.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 2**31)
    size, gain = int(rng.integers(2, 600)), float(rng.choice([0.01, 1.0, 50.0]))
    model = nn.Sequential(nn.Linear(6, size), nn.ReLU(), nn.Linear(size, 9), nn.SiLU())
    model.append(nn.Linear(9, 3))
    with torch.no_grad():
        model[0].weight.mul_(gain)
    x = rng.normal(size=(int(rng.integers(1, 10)), 6)) * rng.choice([0.01, 1.0, 300.0])
    network = snncompile.from_ann(model, x, SUMS)
    assert find_tops(network)[network.populations[0].name] >= LEAST_TOP
    assert all(0 < top <= TOPS[-1] for top in find_tops(network).values())
    integers = make_integers(network, x)
    assert plain.count_differences(integers, x)[0] == 0
    bounds = prove_bounds(integers, LOIHI2, None)
    answer = network.output, "v"
    assert all(b.holds for b in bounds if (b.population, b.quantity) != answer)
    assert {b.effect for b in bounds if (b.population, b.quantity) == answer} == {"saturates"}


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1))
def test_the_choice_has_the_least_error_of_the_readers_sums(seed):
    """Two dense layers: the errors of all choices by the formula, neuron by neuron."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 2**31)
    size = int(rng.integers(3, 3000))
    model = nn.Sequential(nn.Linear(4, size), nn.ReLU(), nn.Linear(size, 5), nn.ReLU())
    model.append(nn.Linear(5, 2))
    x = rng.normal(size=(20, 4))
    conversion = convert(model, x, SUMS)
    layer, reader, _ = conversion.ann.layers
    with torch.no_grad():
        a = model[:2].double()(torch.tensor(x)).numpy().astype(np.float32)
    scale, *halves = (LEAST.choose(layer, torch.tensor(b), 255) for b in (a, a[::2], a[1::2]))
    weight, bias = model[2].weight.detach().double().numpy() * scale, reader.bias
    power = ((a / scale.astype(np.float32)) ** 2).mean(axis=0)
    errors = {}
    for room in ROOMS:
        limited = zip((a[1::2], a[::2]), halves, strict=True)
        over = sum((np.maximum(b - half * room, 0) ** 2).sum() for b, half in limited)
        beyond = over / (a**2).sum()
        for top in TOPS:
            shares = []
            for w, b in zip(weight, bias, strict=True):
                reached = max(
                    sign * room * w[sign * w > 0].sum() + max(sign * b, 0) for sign in (1, -1)
                )
                step = max(np.abs(w).max() / 127, top / room * reached / (2**23 - 1))
                size = (w**2 * power).sum()
                square = power.sum() * step**2 / 12 + (w**2).sum() * (room / top) ** 2 / 12
                shares.append(min(1, (square + size * beyond) / size))
            errors[top, room] = np.mean(shares)
    top = layer.messages.top
    room = float(np.median(layer.messages.scale / scale))
    near = min(ROOMS, key=lambda r: abs(r - room))
    assert near == pytest.approx(room, rel=1e-6)
    least = min(errors.values())
    assert errors[top, near] <= least * HARDLY * (1 + 1e-6)
    assert all(r <= near for (_, r), e in errors.items() if e < least * HARDLY * (1 - 1e-6))


def test_few_inputs_are_read_in_finer_messages_than_many():
    tops = []
    for size in (9, 4000):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, size), nn.ReLU(), nn.Linear(size, 5), nn.ReLU())
        model.append(nn.Linear(5, 2))
        network = snncompile.from_ann(model, np.random.default_rng(0).normal(size=(200, 4)), SUMS)
        tops.append(find_tops(network)[network.populations[0].name])
    assert tops[0] > 2000
    assert tops[1] < 512


def test_thin_layers_are_nearer_the_model_on_other_inputs():
    model, x = make_thin()
    _, test = make_thin(1, 200)
    before, after = (find_error(model, x, method, test) for method in (GradedMessages(), SUMS))
    assert after < 0.75 * before  # 0.66


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from([20, 300, 2000]))
def test_layers_of_any_width_are_no_farther_than_with_8_bits(seed, size):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 2**31)
    model = nn.Sequential(nn.Linear(20, size), nn.ReLU(), nn.Linear(size, 30), nn.ReLU())
    model.append(nn.Linear(30, 5))
    x, test = rng.normal(size=(100, 20)), rng.normal(size=(300, 20))
    assert find_error(model, x, SUMS, test) < 1.1 * find_error(model, x, GradedMessages(), test)


def test_rare_large_activations_have_room():
    """A few inputs are much larger than most of calibration's, and larger ones come."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 3))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)) * rng.exponential(size=(60, 1)) ** 2
    first = convert(model, x, SUMS).ann.layers[0]
    usual = convert(model, x, GradedMessages()).scales[first.name]
    assert np.allclose(first.messages.scale, ROOMS[-1] * usual)


def test_a_maximum_compares_what_it_sends():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    model.append(nn.Linear(27, 4))
    x = np.random.default_rng(3).normal(size=(20, 1, 8, 8))
    conversion = convert(model, x, SUMS)
    first, *_, pool = conversion.ann.rectified
    assert first.messages is pool.messages
    assert first.messages.top > 1023
    assert (conversion.scales[first.name] == conversion.scales[pool.name]).all()
    assert plain.count_differences(make_integers(conversion.network, x), x)[0] == 0


@pytest.mark.parametrize("curve", [nn.Sigmoid(), nn.Hardswish(), nn.LeakyReLU(0.1)], ids=str)
def test_a_table_has_more_entries_where_the_curve_changes(curve):
    """It follows the curve as far as its messages do, and no end is flat."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), curve, nn.Linear(7, 3))
    x = np.random.default_rng(1).normal(size=(200, 5)) * 30
    conversion = convert(model, x, SUMS)
    table, usual = (convert(model, x, m).ann.layers[0].operation for m in (SUMS, GradedMessages()))
    assert (len(table.entries), len(usual.entries)) == (MANY, 256)
    z = torch.arange(table.lowest, table.highest + 1).double() * table.step
    top = conversion.ann.layers[0].messages.top
    wanted = (curve(z).numpy() / table.unit).clip(-top, top)
    assert np.abs(table.entries - wanted).max() <= 0.5 + 1e-6
    for entries in (table.entries, table.entries[::-1]):
        assert int((entries != entries[0]).argmax()) < MANY // 100
    assert table.step * table.highest < 4.01 * usual.step * usual.highest
    assert plain.count_differences(make_integers(conversion.network, x[:50]), x[:50])[0] == 0


def test_a_product_sends_little_below_0_where_little_was_seen():
    model, x = make_thin()
    conversion = convert(model, x, SUMS)
    (gated,) = (layer for layer in conversion.ann.rectified if layer.kind == "product")
    neuron = conversion.network.population(gated.name).neuron
    assert -gated.messages.top < gated.messages.low < 0
    assert int(neuron.lowest) == gated.messages.low
    seen = conversion.ann.compute_activations(x)[gated.name].numpy()
    scale = conversion.scales[gated.name][:, None, None]
    assert (seen / scale * gated.messages.top >= gated.messages.low).all()


def test_losses_of_layers_are_measured_in_their_own_units():
    model, x = make_thin()
    conversion = convert(model, x, SUMS)
    assert max(measure_errors(conversion, x).values()) < 0.01


def test_a_single_sample_is_enough():
    model, x = make_thin(samples=1)
    assert find_error(model, x, SUMS, x) < 0.02


@pytest.mark.parametrize(
    "chip, known",
    [
        ("loihi1", "cuba_lif/delayed_soft, cuba_lif/hard, cuba_lif/soft and 5 more"),
        (
            "spinnaker1",
            "adaptive_lif/hard, adaptive_lif/soft, alpha_lif, alpha_soft_lif and 16 more",
        ),
    ],
)
def test_chips_without_numbers_in_messages_refuse_them(chip, known):
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), np.eye(4)
    network = snncompile.from_ann(model, x, SUMS)
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip=chip, calibration=network.input.present(x))
    assert str(error.value) == (
        f"population layer_1: {chip} has no neuron graded/scaled; it has {known}; its messages are"
        " numbers; if it was converted, take method='balance'; or choose loihi2"
    )


def test_wider_messages_cost_what_others_do():
    """A message of Loihi 2 carries up to 32 bits, so its price is that of any graded one."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), np.eye(4)
    costs = []
    for method in (GradedMessages(), SUMS):
        network = snncompile.from_ann(model, x, method)
        shown = network.input.present(x)
        estimate = snncompile.compile(network, chip="loihi2", calibration=shown).estimate(shown)
        costs.append((estimate.energy_j, estimate.latency_s, estimate.missing))
    assert costs[0] == costs[1]
    assert costs[0][0] > 0


@pytest.mark.lava
def test_lava_sends_the_same(lava):
    model, x = make_thin()
    network = snncompile.from_ann(model, x, SUMS)
    program = snncompile.compile(network, chip="loihi2", calibration=network.input.present(x[:8]))
    assert program.verify(network.input.present(x[:3]), lava=True).equal


@pytest.mark.parametrize("curve", [nn.Tanh, nn.Sigmoid, nn.Hardtanh])
def test_maxima_of_tables_are_in_units_of_the_tables(curve):
    """Curves with a limit fill no room above it: the largest entry is the largest message."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), curve(), nn.MaxPool2d(2), nn.Flatten())
    model.append(nn.Linear(16, 3)).eval()
    rng = np.random.default_rng(0)
    x, test = rng.normal(size=(40, 2, 6, 6)), rng.normal(size=(100, 2, 6, 6))
    assert find_error(model, x, SUMS, test) < 0.01


def test_two_samples_tell_what_one_has_not_seen():
    """The scale of either sample ends where the other goes on."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1))
    layer = convert(model, np.ones((2, 1)), SUMS).ann.layers[0]
    both, first = (
        summarize_activations(layer, torch.tensor(rows), LEAST)
        for rows in ([[1.0, 1.0], [4.0, 4.0]], [[1.0, 1.0]])
    )
    assert both.beyond[0] > 0.1
    assert (np.diff(both.beyond) <= 0).all()
    assert not first.beyond.any()
