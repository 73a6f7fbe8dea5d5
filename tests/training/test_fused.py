"""Compiled neurons: spikes and gradients of the plain step, in every layout; what is kept."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from snncompile import training
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.training import fused
from snncompile.training.float_records import bind_record
from snncompile.training.fused import run_floats
from snncompile.training.layouts import LARGE, flatten, lay_out, make_like
from snncompile.training.surrogate import Surrogates

SIZE = 192
THRESHOLDS = {
    "even": np.full(SIZE, 0.9),
    "channels": np.repeat([0.7, 0.9], SIZE // 2),
    "uneven": np.linspace(0.5, 1.5, SIZE),
}
SURROGATES = {
    "known": partial(training.fast_sigmoid, slope=7.0),
    "given": lambda excess: training.fast_sigmoid(excess, 7.0),
}


def draw(samples=3, steps=5, size=SIZE, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(samples, steps, size, generator=generator, dtype=dtype)


def bind(neuron, dtype=torch.float64):
    """Return a record whose threshold and bias need gradients, and these."""
    trained = {
        "threshold": torch.tensor(neuron.threshold, dtype=dtype).requires_grad_(),
        "bias": torch.tensor(neuron.bias, dtype=dtype).requires_grad_(),
    }
    return bind_record(neuron, torch.device("cpu"), trained, dtype), trained.values()


def step_plainly(record, unit, surrogate, drive):
    state, outputs = record.begin(torch.zeros_like(drive[:, 0])), []
    with Surrogates(unit, surrogate):
        for x in drive.unbind(1):
            state, output = record.step(state, x)
            outputs.append(output.to(drive.dtype))
    return torch.stack(outputs, dim=1)


def differentiate(run, neuron, surrogate, steps_first=False):
    """Return output, gradient of the input, of the thresholds and of the bias."""
    record, trained = bind(neuron)
    x = draw().transpose(0, 1).contiguous() if steps_first else draw()
    x.requires_grad_()
    unit = torch.linspace(0.5, 2, SIZE, dtype=torch.float64) if neuron.threshold[0] < 0.9 else 0.9
    drive = x.transpose(0, 1) if steps_first else x
    output = run(record, torch.as_tensor(unit), surrogate, drive)
    weights = torch.linspace(-1, 2, output.numel(), dtype=torch.float64).reshape(output.shape)
    (output * weights).sum().backward()
    of_drive = x.grad.transpose(0, 1) if steps_first else x.grad
    return output.detach(), of_drive, *(each.grad for each in trained)


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize("kept", [0.0, 0.4])
@pytest.mark.parametrize("thresholds", THRESHOLDS)
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_spikes_and_gradients_are_those_of_the_plain_step(surrogate, thresholds, kept, reset):
    neuron = CubaLif(1 - kept, 0.2, THRESHOLDS[thresholds], np.full(SIZE, 0.1), reset)
    expected = differentiate(step_plainly, neuron, SURROGATES[surrogate])
    assert 0 < expected[0].mean() < 1
    assert all(each.abs().sum() > 0 for each in expected[1:])
    for steps_first in (False, True):
        found = differentiate(run_floats, neuron, SURROGATES[surrogate], steps_first)
        assert torch.equal(found[0], expected[0])
        for ours, theirs in zip(found[1:], expected[1:], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.fixture
def two_threads(monkeypatch):
    """Every layer is cut, however small."""
    before = torch.get_num_threads()
    monkeypatch.setattr(fused, "LEAST", 1)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("steps_first", [False, True])
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_threads_share_the_samples(surrogate, steps_first, two_threads):
    neuron = CubaLif(1.0, 0.2, THRESHOLDS["channels"], np.full(SIZE, 0.1), "soft")
    expected = differentiate(step_plainly, neuron, SURROGATES[surrogate])
    found = differentiate(run_floats, neuron, SURROGATES[surrogate], steps_first)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_samples_are_cut_evenly(two_threads):
    assert fused._cut(torch.zeros(5, 2, 3)) == [slice(0, 3), slice(3, 5)]
    assert fused._cut(torch.zeros(1, 2, 3)) == [slice(0, 1)]
    assert fused._cut(torch.zeros(0, 2, 3)) == []


def run_once(x, **more):
    record = bind_record(CubaLif(1.0, 0.2, 0.9, reset="hard"), x.device, {}, x.dtype)
    return run_floats(record, torch.ones(1), training.fast_sigmoid, x, **more)


def test_a_kept_graph_runs_again():
    """The backward pass writes over what was saved, unless it may run again."""
    x = draw(dtype=torch.float32).requires_grad_()
    loss = run_once(x).square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert first.abs().sum() > 0
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, x)


def test_a_gradient_of_gradients_is_refused():
    x = draw(dtype=torch.float32).requires_grad_()
    (gradient,) = torch.autograd.grad(run_once(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_gradients_of_sums_over_time_take_no_copy():
    """The same gradient in every step; strides of 0 in the axis of steps."""
    x = draw(dtype=torch.float32).requires_grad_()
    weights = torch.linspace(-1, 1, SIZE)
    gradients = []
    for scale in (lambda y: y.sum(1), lambda y: (y * torch.ones(5, 1)).sum(1)):
        (gradient,) = torch.autograd.grad((scale(run_once(x)) * weights).sum(), x)
        gradients.append(gradient)
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


def test_without_gradients_spikes_are_the_same():
    x = draw(dtype=torch.float32)
    with torch.no_grad():
        spikes = run_once(x.clone().requires_grad_())
    assert not spikes.requires_grad
    assert torch.equal(spikes, run_once(x.requires_grad_()))


def test_every_layer_is_computed_in_the_layout_it_comes_in():
    first, steps_first = draw(2, 3, 4), draw(3, 2, 4).transpose(0, 1)
    assert lay_out(first) is first
    assert lay_out(steps_first) is steps_first
    assert lay_out(draw(2, 3, 8)[..., ::2]).is_contiguous()
    repeated = draw(2, 1, 4).expand(2, 3, 4)
    assert lay_out(repeated).is_contiguous()
    assert lay_out(repeated, repeats=True) is repeated
    assert len(flatten(repeated)) == 8


@pytest.mark.parametrize("steps_first", [False, True])
@pytest.mark.parametrize("size", [3, LARGE // 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_arrays_have_the_layout_of_another_one(dtype, size, steps_first):
    x = torch.empty((3, 2, size)).transpose(0, 1) if steps_first else torch.empty((2, 3, size))
    found = make_like(x, dtype)
    assert (found.shape, found.stride(), found.dtype) == (x.shape, x.stride(), dtype)
    assert found.data_ptr() % 64 == 0
    assert np.shares_memory(flatten(found), found.numpy())


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize("size", [fused.NARROW - 1, fused.NARROW, 3 * fused.NARROW])
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_one_number_for_all_is_that_number_for_each(surrogate, size, reset):
    x, found = draw(size=size, dtype=torch.float32).requires_grad_(), []
    for shape in ((), (size,)):
        neuron = CubaLif(1.0, np.full(shape, 0.2), np.full(shape, 0.9), np.full(shape, 0.1), reset)
        record = bind_record(neuron, x.device, {}, x.dtype)
        output = run_floats(record, torch.full(shape, 0.7), SURROGATES[surrogate], x)
        found += [output, *torch.autograd.grad(output.square().sum(), x)]
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    assert found[1].abs().sum() > 0


def test_no_samples_give_no_numbers():
    x = draw(samples=0, dtype=torch.float32).requires_grad_()
    output = run_once(x)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert output.shape == gradient.shape == (0, 5, SIZE)


@pytest.mark.parametrize("reset", [0, 1, 2])
@pytest.mark.parametrize("kept", [0, 4095])
@pytest.mark.parametrize("sends", [False, True])
def test_whole_floats_are_the_integers(sends, kept, reset):
    """Bit for bit, for the largest input, the most steps and both ends of the current as well."""
    kernels = fused.load_kernels().integers
    size, steps = 6, kernels.MOST_STEPS
    rng = np.random.default_rng(0)
    drive = np.round(rng.standard_normal((2, steps, size)) * 10.0 ** np.arange(1, 7))
    drive[:, :, -1] = 2.0**24
    drive[:, ::7, 0] = -0.0
    drive[:, 1::7, 1], drive[:, 3::7, 1] = 2.0**17, -(2.0**17)
    q = np.array([np.full(size, kept), rng.integers(0, 4097, size), rng.integers(0, 9999, size)])
    q = np.concatenate([q, rng.integers(-(1 << 19), 1 << 19, (2, size))])
    p = np.concatenate([q[:2] / 4096, q[2:], np.ones((1, size))]).astype(np.float32)
    found = []
    for run, dtype in ((kernels.run_integers, np.int64), (kernels.run_whole_floats, np.float64)):
        out, reached = np.zeros((2, drive.size), np.float32)
        passes, flat = np.zeros(drive.size, np.uint8), drive.astype(np.float32).reshape(-1)
        options = drive.shape, (steps * size, size), reset, sends
        run(flat, p, q.astype(dtype), *options, out, reached, passes)
        found.append((out, reached, passes))
    for ours, theirs in zip(*found, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert len(np.unique(found[0][0])) > 1
    assert {0, 3} <= set(found[0][2].tolist())


def test_integers_are_whole_floats_where_these_are_exact():
    neuron = IntegerCubaLif(4095, 400, 90, reset="hard")
    bound = bind_record(neuron, torch.device("cpu"), {})
    most = fused.load_kernels().integers.MOST_STEPS
    kinds = {
        (torch.float32, most): np.float64,
        (torch.float32, most + 1): np.int64,
        (torch.float64, 1): np.int64,
    }
    for (dtype, steps), kind in kinds.items():
        rows = fused._list_integers(bound, torch.zeros((1, steps, 2), dtype=dtype))
        assert (rows.dtype, rows.shape) == (kind, (5, 2))
