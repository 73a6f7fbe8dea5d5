"""Products by oneDNN: the same as torch's, in both directions."""

from __future__ import annotations

import pytest
import torch

from snncompile.reference import dense_products
from snncompile.reference.dense_products import multiply


@pytest.fixture(params=[True, False])
def onednn(request, monkeypatch):
    monkeypatch.setattr(dense_products, "has_faster_library", lambda: request.param)
    monkeypatch.setattr(dense_products, "LARGE", 1)
    return request.param


def test_products_and_gradients_are_those_of_torch(onednn):
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.rand(8, 9, 33, generator=generator), torch.randn(20, 33, generator=generator)
    gradients = []
    for product in (multiply, torch.nn.functional.linear):
        arguments = x.clone().requires_grad_(), weight.clone().requires_grad_()
        output = product(*arguments)
        assert ("Product" in type(output.grad_fn.next_functions[0][0]).__name__) == (
            onednn and product is multiply
        )
        output.square().sum().backward()
        gradients.append((output.detach(), *(each.grad for each in arguments)))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def test_whole_numbers_are_exact(onednn):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (70, 300), generator=generator)
    weight = torch.randint(-128, 128, (40, 300), generator=generator)
    found = multiply(x.float(), weight.float().requires_grad_())
    assert torch.equal(found.long(), x @ weight.T)


def test_a_gradient_of_gradients(onednn):
    x, weight = torch.rand(70, 5).requires_grad_(), torch.rand(3, 5).requires_grad_()
    (first,) = torch.autograd.grad(multiply(x, weight).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), weight)
    (expected,) = torch.autograd.grad((2 * (x @ weight.T) @ weight).sum(), weight)
    torch.testing.assert_close(second, expected, rtol=1e-4, atol=1e-3)


def test_gradients_that_repeat_and_inputs_that_need_none(onednn):
    x, weight = torch.rand(70, 5), torch.rand(3, 5).requires_grad_()
    multiply(x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand(3, 5))


def test_a_backward_pass_within_autocast(onednn):
    torch.manual_seed(0)
    weight = torch.randn(128, 512, requires_grad=True)
    x = torch.randn(256, 512, requires_grad=True)
    product = multiply(x, weight)
    wanted = torch.autograd.grad(product.square().sum(), [x, weight], retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(product.square().sum(), [x, weight])
    for a, b in zip(found, wanted, strict=True):
        assert (a - b).norm() < 0.02 * b.norm()  # torch's own products are narrow there
