"""What an activation of 1 stands for: the scale with the least error of what can be sent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conversion_models import MODELS, images

from snncompile.conversion.ann import Layer
from snncompile.conversion.capture import capture
from snncompile.conversion.convert import convert
from snncompile.conversion.scales import LeastError, Percentile


def layer(channels=1, cap=np.inf):
    return Layer("a", (channels, 1), (), np.zeros(channels), cap)


def column(values) -> torch.Tensor:
    """Return the activation of one channel, a sample per value."""
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)


def error(activation: torch.Tensor, scale: float, levels: int) -> float:
    a = activation.double().flatten()
    sent = (levels * a / scale).round().clamp(max=levels) * scale / levels
    return float((sent - a).square().mean())


@pytest.mark.parametrize("levels", [1, 4, 15, 128])
def test_no_other_scale_has_less_error(levels):
    a = column(np.random.default_rng(levels).exponential(size=4000))
    (scale,) = LeastError().choose(layer(), a, levels)
    others = [error(a, float(a.max()) * share, levels) for share in np.linspace(0.1, 1, 181)]
    assert error(a, scale, levels) <= 1.02 * min(others)  # twice as many; it counts in bins


def test_few_levels_cut_off_more():
    a = column(np.random.default_rng(0).exponential(size=4000))
    scales = [float(LeastError().choose(layer(), a, levels)[0]) for levels in (2, 8, 32, 1000)]
    assert scales == sorted(scales)
    assert scales[0] < 0.5 * float(a.max())
    assert scales[-1] > 0.95 * float(a.max())


def test_each_channel_has_its_own_and_silent_ones_that_of_all():
    a = torch.zeros(100, 3, 1)
    a[:, 0] = torch.linspace(0, 1, 100)[:, None]
    a[:, 1] = 8 * a[:, 0]
    first, second, silent = LeastError().choose(layer(3), a, 10)
    assert second == pytest.approx(8 * first, rel=1e-6)
    assert silent == pytest.approx(8)
    assert (LeastError().choose(layer(3), torch.zeros(5, 3, 1), 10) == 1).all()
    assert (LeastError().choose(layer(3, cap=0.5), a, 10) <= 0.5).all()


def test_method_says_how_many_levels_there_are():
    made, x = MODELS["chain"](), images("chain")
    ann = capture(made, x)
    for method, steps, levels in [("signed", 12, 12), ("bistable_phase", 4, 15)]:
        found = convert(made, x, method, steps).scales
        wanted = LeastError().choose_all(ann, ann.compute_activations(x), levels)
        assert all((found[name] == wanted[name]).all() for name in wanted)


def test_percentiles_do_not_depend_on_levels():
    a = column(np.arange(1000.0))
    assert Percentile(90).choose(layer(), a, 4) == Percentile(90).choose(layer(), a, 400) == 899


@pytest.mark.parametrize("levels", [32, 255])
def test_neuron_of_few_values_leaves_room_for_those_that_it_has_not_seen(levels):
    draw = np.random.default_rng(1)
    sizes = draw.uniform(0.1, 10, size=(1, 200, 1))
    a = torch.tensor(np.maximum(draw.normal(size=(4100, 200, 1)), 0) * sizes).float()
    seen, unseen = a[:100], a[100:]
    scales = LeastError().choose(layer(200), seen, levels)
    largest = seen.amax(dim=0).numpy()[:, 0]
    assert (scales > largest).mean() > 0.3
    own, new = (
        sum(
            error(unseen[:, i] / sizes[0, i, 0], s / sizes[0, i, 0], levels)
            for i, s in enumerate(tops)
        )
        for tops in (largest, scales)
    )
    assert new < 0.5 * own


@pytest.mark.parametrize("samples", [15, 100])  # 3,000 values, and 20,000
def test_channel_of_many_values_keeps_its_own_distribution(samples):
    draw, shape = np.random.default_rng(1), (samples, 1, 200)
    wide, narrow = draw.exponential(size=shape), draw.uniform(size=shape)
    both = torch.tensor(np.concatenate([wide, narrow], axis=1)).float()
    scales = LeastError().choose(layer(2), both, 255)
    alone = LeastError().choose(layer(1), torch.tensor(narrow).float(), 255)
    assert scales[1] == alone[0] <= both[:, 1].max()
