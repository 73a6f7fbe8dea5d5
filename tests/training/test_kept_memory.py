"""Memory that is used again: by the next array of its size, and never while somebody holds it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import numpy as np
import pytest
import torch

from snncompile import training
from snncompile.training import kept_memory
from snncompile.training.kept_memory import FREE, give_back, take

SIZE = 1 << 18


@pytest.fixture(autouse=True)
def none_kept():
    give_back()
    yield
    give_back()


def read_address(array):
    return array.__array_interface__["data"][0]


HOLDERS = {
    "array": lambda array: array,
    "view of a view": lambda array: array[1:][1:].reshape(-1, 2),
    "tensor": torch.from_numpy,
    "view of a tensor": lambda array: torch.from_numpy(array)[3:].view(-1, 1),
    "array of a tensor": lambda array: torch.from_numpy(array).view(-1).numpy(),
    "detached tensor": lambda array: torch.from_numpy(array).requires_grad_().detach(),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_memory_is_used_again_when_nobody_holds_it(holder):
    array = take((SIZE,), np.float32)
    held, address = HOLDERS[holder](array), read_address(array)
    del array
    other = take((SIZE,), np.float32)
    assert read_address(other) != address
    del held
    assert len(FREE) == 1
    assert read_address(take((SIZE,), np.float32)) == address


def test_arrays_of_the_same_bytes_share_memory_one_after_the_other():
    address = read_address(take((SIZE,), np.float32))
    again = take((2, SIZE // 4), np.float64)
    assert (again.shape, again.dtype, read_address(again)) == ((2, SIZE // 4), np.float64, address)
    assert address % 64 == 0
    assert not FREE
    assert read_address(take((SIZE - 1,), np.float32)) != address


def test_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr(kept_memory, "LIMIT", 25)
    for size in (10, 11, 12):
        take((size,), np.uint8)
    assert [len(memory) for memory in FREE.values()] == [11, 12]
    take((26,), np.uint8)
    assert not FREE


def test_the_limit_itself_is_kept(monkeypatch):
    monkeypatch.setattr(kept_memory, "LIMIT", 25)
    held = take((10,), np.uint8), take((15,), np.uint8)
    del held
    assert sum(len(memory) for memory in FREE.values()) == 25


def test_threads_do_not_share_memory():
    def fill(number):
        held = []
        for _ in range(300):
            array = take((1000,), np.int64)
            array[:] = number
            held = [*held[-2:], array]
            assert all((each == number).all() for each in held)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(8)))
    assert len({read_address(memory) for memory in FREE.values()}) == len(FREE) <= 8 * 4


def test_collected_garbage_may_hold_memory():
    """Its finalizers run wherever Python makes an object: while free memory is listed, say."""
    code = """
        import gc
        from snncompile.training.kept_memory import FREE, take
        held = [take((1000 + i,), "u1") for i in range(200)]
        del held
        for turn in range(1000):
            gc.set_threshold(300 + turn % 700)
            circle = [take((100,), "u1"), take((101,), "u1")]
            circle.append(circle)
            del circle
            take((102,), "u1")
        gc.collect()
        assert sorted({len(memory) for memory in FREE.values()})[:4] == [100, 101, 102, 1000]
    """
    run = [sys.executable, "-c", dedent(code)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_arrays_that_are_left_at_the_end_say_nothing():
    code = "from snncompile.training.kept_memory import take; kept = take((9,), int)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_outputs_and_gradients_that_are_kept_stay():
    layer = training.MultiStepLif(0.2)
    x = torch.randn(4, 2, SIZE // 8).requires_grad_()
    kept = []
    for sign in (1, -1, 1):
        output = layer(sign * x)
        (gradient,) = torch.autograd.grad(output.square().sum(), x)
        kept.append((output.detach(), gradient, output.detach().clone(), gradient.clone()))
    for output, gradient, output_before, gradient_before in kept:
        assert torch.equal(output, output_before)
        assert torch.equal(gradient, gradient_before)
    assert torch.equal(kept[0][1], kept[2][1])
    assert not torch.equal(kept[0][0], kept[1][0])
    addresses = {each.data_ptr() for output, gradient, _, _ in kept for each in (output, gradient)}
    assert len(addresses) == 6
