"""Masters rounded by the compiled loop and by torch: the same numbers and gradients."""

from __future__ import annotations

import pytest
import torch

from snncompile.training import rounding
from snncompile.training.rounding import is_small, pass_rounded, round_small, round_within


def round_both(monkeypatch, x, factor, unit, gradient, **more):
    """Return values and gradients by the compiled loop, and by torch's operators."""
    results = []
    for large in (1, 1 << 62):
        monkeypatch.setattr(rounding, "LARGE", large)
        start = x.clone().requires_grad_()
        rounded = round_within(start, factor, -3, 5, unit=unit, **more)
        rounded.backward(gradient)
        results.append((rounded.detach(), start.grad))
    return results


def test_by_hand(monkeypatch):
    """2.5 rounds to 2, 9 is cut to 5; the gradient of 9 stops if a step would lead further up."""
    x = torch.tensor([1.25, 4.5, 4.5, -4.0, -4.0])
    gradient = torch.tensor([1.0, 1, -1, 1, -1])
    unit = torch.tensor(4.0)
    for rounded, of_x in round_both(monkeypatch, x, torch.tensor(2.0), unit, gradient):
        assert rounded.tolist() == [8, 20, 20, -12, -12]
        assert of_x.tolist() == [8, 8, 0, 0, -8]


@pytest.mark.parametrize("shape", [(6,), (6, 6), (6, 2, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0, 1])
def test_the_compiled_loop_is_torch(shape, dtype, offset, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(shape, generator=generator, dtype=dtype)
    gradient = torch.randn(shape, generator=generator, dtype=dtype)
    rows = torch.linspace(0.5, 3, 6, dtype=dtype).reshape(-1, *(1 for _ in shape[1:]))
    for factor in (torch.tensor(1.5), rows, rows.reshape(-1)[: shape[-1]]):
        ours, theirs = round_both(monkeypatch, x, factor, rows * 2, gradient, offset=offset)
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
        assert 0 < (theirs[1] == 0).sum() < x.numel()


def test_no_weights():
    x = torch.zeros(0, 3).requires_grad_()
    assert round_within(x, 2.0, -1, 1).shape == (0, 3)


@pytest.mark.parametrize("rows", [16, 4096])
def test_gradients_that_are_no_finite_numbers_are_passed_on(rows):
    """Else clipping would take a network that has diverged for one that stands still."""
    weight = torch.nn.Parameter(torch.full((rows, 1), 0.5))
    rounded = round_within(weight, torch.full((1, 1), 10.0), -127, 127)
    gradient = torch.zeros(rows, 1)
    gradient[:3, 0] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    rounded.backward(gradient)
    assert weight.grad is not None
    assert weight.grad[0].isnan()
    assert weight.grad[1:3].flatten().tolist() == [torch.inf, -torch.inf]
    assert not weight.grad[3:].any()


@pytest.mark.parametrize("shape", [(), (6,)])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_few_numbers_by_numpy_are_torch(scale, offset, shape):
    generator = torch.Generator().manual_seed(0)
    x = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    factor, unit = torch.rand((2, *shape), generator=generator, dtype=torch.float64) + 0.5
    ends, found = (-3, 5, offset, 0), []
    for sign in (1, -1):
        for together in (False, True):
            start = x.clone().requires_grad_()
            if together:
                each = round_small(x.numpy(), (factor * unit).numpy(), unit.numpy(), ends)
                (reals,) = pass_rounded([each], [start])
            else:
                reals = round_within(start, factor * unit / unit, -3, 5, offset=offset, unit=unit)
                reals = reals.float()
            (gradient,) = torch.autograd.grad(reals, start, torch.full_like(reals, 0.3 * sign))
            found += [reals.detach(), gradient]
    for torchs, numpys in zip(found[0::4] + found[1::4], found[2::4] + found[3::4], strict=True):
        assert torchs.dtype == numpys.dtype
        assert torch.equal(torchs, numpys)
    assert (scale == 1.0) == bool((found[1] != 0).all() and (found[5] != 0).all())


def test_few_numbers_that_are_none_are_passed_on():
    x = torch.tensor([torch.nan, torch.inf, -torch.inf], dtype=torch.float64).requires_grad_()
    each = round_small(x.detach().numpy(), 1.0, 1.0, (-3, 5, 0, 0))
    (reals,) = pass_rounded([each], [x])
    assert reals.isnan().tolist() == [True, False, False]
    assert reals[1:].tolist() == [5, -3]
    (gradient,) = torch.autograd.grad(reals, x, torch.tensor([1.0, -1.0, -1.0]))
    assert gradient.tolist() == [1, 0, -1]


def test_only_few_numbers_in_float64_are_rounded_together():
    small = torch.zeros(rounding.FEW - 1, dtype=torch.float64)
    assert is_small(small)
    assert not is_small(small.float())
    assert not is_small(torch.zeros(rounding.FEW, dtype=torch.float64))
    assert pass_rounded([], []) == ()


def test_units_of_few_numbers_follow_them():
    generator = torch.Generator().manual_seed(0)
    x = 30 * torch.randn(50, generator=generator, dtype=torch.float64)
    exponent = torch.frexp(3 * x / 5.5).exponent.clamp(0, 4)
    unit = 2.0 ** exponent.double()
    reals = round_within(x, 3 / unit, -5, 5, unit=unit)
    each = round_small(x.numpy(), 3.0, 1.0, (-5, 5, 0, 4))
    assert each.exponent.tolist() == exponent.tolist()
    assert set(each.exponent) == {0, 1, 2, 3, 4}
    assert each.whole.tolist() == (reals / unit).long().tolist()
    assert each.reals.tolist() == reals.float().tolist()
    assert each.beyond is not None
    assert 0 < (each.beyond != 0).sum() < 50
