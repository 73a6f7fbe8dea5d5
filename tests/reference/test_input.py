"""Input of any kind: taken as it is meant, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import (
    chain,
    changed,
    integer_chain,
    spikes,
)

from snncompile.errors import InputError
from snncompile.ir.graph import Input
from snncompile.reference.simulate import check_input, check_spikes

DTYPES = [bool, np.uint8, np.int8, np.int64, np.uint64, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [chain, integer_chain])
def test_input_of_any_dtype(make, dtype):
    network = make(3, 2, 1)
    x = spikes(network, 2, 5)
    found = network.run(x.astype(dtype)).spikes
    assert found.dtype == np.uint8
    assert (found == network.run(x).spikes).all()


def test_input_read_only_and_not_contiguous():
    network = changed(chain(6, 2), input=Input("input", (2, 3)))
    x = spikes(network, 2, 8)
    wide = np.zeros((2, 16, 3, 2), np.uint8)
    strided = wide[:, ::2].swapaxes(2, 3)
    strided[...] = x
    strided.flags.writeable = False
    before = strided.copy()
    assert (network.run(strided).spikes == network.run(x).spikes).all()
    assert (strided == before).all()
    assert (network.run(torch.tensor(x)).spikes == network.run(x).spikes).all()
    assert (network.run(x.tolist()).spikes == network.run(x).spikes).all()
    gradients = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    assert (network.run(gradients).spikes == network.run(x).spikes).all()
    assert (network.run(list(gradients)).spikes == network.run(x).spikes).all()
    assert (network.run(gradients.bfloat16()).spikes == network.run(x).spikes).all()


def test_the_result_owns_its_memory():
    network = integer_chain(2, 2)
    x = spikes(network, 1, 3)
    first = network.run(x).spikes
    first[...] = 7
    assert network.run(x).spikes.max() <= 1


# A new case is one more entry: input, the whole message.
REFUSED_INPUT = {
    "no time axis": (np.zeros((2, 3)), "input has shape (2, 3), expected (samples, steps, 3)"),
    "no samples": (np.zeros((0, 4, 3)), "input has shape (0, 4, 3), expected (samples, steps, 3)"),
    "no steps": (np.zeros((2, 0, 3)), "input has shape (2, 0, 3), expected (samples, steps, 3)"),
    "too wide": (np.zeros((2, 4, 5)), "input has shape (2, 4, 5), expected (samples, steps, 3)"),
    "one axis more": (
        np.zeros((2, 4, 3, 1)),
        "input has shape (2, 4, 3, 1), expected (samples, steps, 3)",
    ),
    "no array": (1, "input has shape (), expected (samples, steps, 3)"),
    "text": ([[["a", "b", "c"]]], "input has dtype <U1, expected numbers"),
    "objects": ([[[None, 1, 2]]], "input has dtype object, expected numbers"),
    "complex": (np.zeros((1, 1, 3)) * 1j, "input has dtype complex128, expected numbers"),
    "ragged": ([[[1, 0, 1]], [[1, 0]]], "input is not an array of numbers"),
}
NAN = np.full((1, 2, 3), np.nan)
INF = np.array([[[0, 1, -np.inf]]])


@pytest.mark.parametrize("case", REFUSED_INPUT)
@pytest.mark.parametrize("make", [chain, integer_chain])
def test_refuses_input(case, make):
    x, message = REFUSED_INPUT[case]
    with pytest.raises(InputError) as error:
        make(3, 1).run(x)
    assert str(error.value) == message


@pytest.mark.parametrize("x", [NAN, INF], ids=["nan", "inf"])
def test_a_float_network_refuses_what_is_not_finite(x):
    with pytest.raises(InputError) as error:
        chain(3, 1).run(x)
    assert str(error.value) == "input holds values that are not finite"


IMPORT = 'expected spikes: 0 or 1; a network for such values is imported with input="{}"'


@pytest.mark.parametrize(
    "x, message",
    [
        (np.array([[[0, 1, 2]]]), f"input holds values from 0 to 2, {IMPORT.format('counts')}"),
        (np.array([[[0, 1, -1]]]), f"input holds values from -1 to 1, {IMPORT.format('polarity')}"),
        (np.array([[[0, 0.5, 0]]]), f"input holds values from 0 to 0.5, {IMPORT.format('analog')}"),
        (
            np.array([[[0, 255, 0]]], np.uint8),
            f"input holds values from 0 to 255, {IMPORT.format('counts')}",
        ),
        (NAN, "input holds values that are not finite"),
        (INF, "input holds values that are not finite"),
    ],
)
def test_an_integer_network_refuses_what_is_no_spike(x, message):
    with pytest.raises(InputError) as error:
        integer_chain(3, 1).run(x)
    assert str(error.value) == message


def test_input_of_several_axes():
    network = changed(chain(6, 2), input=Input("input", (2, 3)))
    with pytest.raises(InputError) as error:
        network.run(np.zeros((1, 4, 3, 2)))
    assert str(error.value) == "input has shape (1, 4, 3, 2), expected (samples, steps, 2, 3)"


def test_checked_input_is_contiguous_and_typed():
    network = chain(3, 1)
    x = np.asfortranarray(np.ones((2, 4, 3), np.float32))
    assert check_input(network, x, np.float64).dtype == np.float64
    assert check_input(network, x, np.float64).flags.c_contiguous
    assert check_spikes(network, x).dtype == np.uint8
