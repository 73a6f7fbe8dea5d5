"""The product neuron itself; modules and conversions use it: test_products.py there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2

from snncompile.hwmodels import chips
from snncompile.neurons.base import Interval
from snncompile.neurons.product import IntegerProduct, Product

TOP = 2**23 - 1


def send(neuron, *inputs):
    """Return what one neuron sends for each pair of inputs; torch must give the same."""
    sent = []
    bound = neuron.bind(torch.tensor)
    for pair in inputs:
        x = np.asarray([[pair[0]], [pair[1]]], neuron.lowest.dtype)
        (v,), output = neuron.step(neuron.begin(x[0] * 0), x)
        tensors, other = bound.step(bound.begin(torch.tensor(x[0] * 0)), torch.tensor(x))
        assert other.tolist() == output.tolist()
        assert tensors[0].tolist() == v.tolist()
        sent.append(output.item())
    return sent


# Neuron, pairs of inputs, what it sends.
SENT = {
    "the product itself": (IntegerProduct(), [(3, -7), (0, 9), (-2, -5)], [-21, 0, 10]),
    "full width": (IntegerProduct(), [(2**12, 2**12), (-(2**12), 2**12)], [TOP, -TOP]),
    "sums beyond 24 bits": (IntegerProduct(1, 23), [(2**30, TOP)], [8388606]),
    "half rounds up, on both sides": (IntegerProduct(1, 1), [(1, -3), (1, 3)], [-1, 2]),
    "factor and limits": (IntegerProduct(3, 2, -4, 5), [(-9, 1), (1, 3), (9, 9)], [-4, 2, 5]),
    "biases": (IntegerProduct(bias_a=2, bias_b=-1), [(0, 0), (1, 4)], [-2, 9]),
    "the widest product": (IntegerProduct(32767, 31), [(2**23, 2**23)], [TOP]),
    "spikes": (IntegerProduct(1, 0, 0, 1), [(1, 1), (1, 0), (-1, 1)], [True, False, False]),
    "float values": (Product(0.5, -1, 2, whole=0), [(-9.0, 1.0), (0.5, 0.5)], [-1.0, 0.125]),
    "float whole numbers": (Product(0.5, -9, 9), [(3.0, 1.0), (-3.0, 1.0)], [2.0, -1.0]),
    "float biases": (Product(bias_a=1, bias_b=-2, whole=0), [(0.5, 0.5)], [-2.25]),
}


@pytest.mark.parametrize("case", SENT)
def test_by_hand(case):
    neuron, inputs, wanted = SENT[case]
    assert send(neuron, *inputs) == wanted


REFUSED = [
    (lambda: Product(0.0), "factor must be positive, got 0"),
    (lambda: Product(1, 1), "lowest must not be positive, got 1"),
    (lambda: Product(1, 0, -1), "highest must not be negative, got -1"),
    (lambda: Product(1, -0.5), "lowest and highest must be whole numbers, as what is sent"),
    (lambda: Product(whole=2), "whole must be 0 or 1, one for all neurons"),
    (lambda: IntegerProduct(40000), "factor must be at most 32767, got 40000"),
    (lambda: IntegerProduct(1, 48), "shift must be between 0 and 47, got 48"),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message for _, message in REFUSED])
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_its_kind_says_whether_it_does_more_than_lavas():
    assert Product().kind == IntegerProduct(lowest=-5).kind == "product"
    for other in (Product(2), Product(whole=0), Product(bias_a=1), Product(bias_b=[0, 1])):
        assert other.kind == "product/scaled"
    for more in (IntegerProduct(2), IntegerProduct(1, 3), IntegerProduct(bias_b=1)):
        assert more.kind == "product/scaled"


def test_the_integers_of_it():
    """Scales of its inputs multiply; limits and messages have the unit of what is sent."""
    integer = Product(0.75, -3, 5, bias_a=0.5, bias_b=-0.25).quantize_ports(8.0, 4.0)
    assert integer.factor / 2.0**integer.shift == 0.75 / 32
    assert (integer.lowest, integer.highest) == (-3, 5)
    assert (integer.bias_a, integer.bias_b) == (4, -1)
    values = Product(1.0, -0.5, 2.25, whole=0).quantize(np.array([64.0, 128.0]), LOIHI2.formats)
    assert (values.factor / 2.0**values.shift).tolist() == [1.0, 0.5]
    assert (values.lowest, values.highest) == (-32, 144)
    assert Product(1.0, -0.5, 2.25, whole=0).payload == values.payload == (-32, 144)


@given(
    factor=st.integers(1, 32767),
    shift=st.integers(0, 47),
    ends=st.tuples(st.integers(-TOP, 0), st.integers(0, TOP)),
    pair=st.tuples(*[st.integers(-(2**24), 2**24)] * 2),
    bias=st.tuples(*[st.integers(-TOP, TOP)] * 2),
    room=st.integers(0, 1000),
)
def test_bounds_hold(factor, shift, ends, pair, bias, room):
    neuron = IntegerProduct(factor, shift, *ends, *bias)
    x = np.array(pair)[:, None]
    (v,), output = neuron.step((np.zeros(1, np.int64),), x)
    wide = Interval(np.minimum(x, 0) - room, np.maximum(x, 0) + room)
    found = neuron.bounds(wide, None)
    for i, port in enumerate(("a", "b")):
        assert found[port].low[0] <= pair[i] + bias[i] <= found[port].high[0]
    assert found["v"].low[0] <= v[0] <= found["v"].high[0]
    assert neuron.payload.low <= output[0] <= neuron.payload.high
    a, b = (min(max(p + c, -TOP), TOP) for p, c in zip(pair, bias, strict=True))
    exact = (a * b * factor + ((1 << shift) >> 1)) >> shift
    assert v[0] == min(max(exact, ends[0]), ends[1])


def test_the_chip_file_says_that_its_microcode_is_assumed():
    neurons = chips.load_chip("loihi2").neurons
    assert {neurons[kind].evidence for kind in ("product", "product/scaled")} == {"assumed"}
