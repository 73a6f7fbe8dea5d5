"""The graded neuron itself; pooling of currents uses it: tests/passes and tests/frontends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import LOIHI2

from snncompile.errors import QuantizeError
from snncompile.hwmodels import chips
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import Interval
from snncompile.neurons.graded import Graded, IntegerGraded, round_factor
from snncompile.passes.equal_neurons import find_equal_neuron

TOP = 2**23 - 1


def send(neuron, *inputs):
    """Return what one neuron sends for each input; torch must give the same."""
    sent = []
    bound = neuron.bind(torch.tensor)
    for x in inputs:
        array = np.asarray([x], neuron.lowest.dtype)
        (v,), output = neuron.step(neuron.begin(array * 0), array)
        tensors, other = bound.step(bound.begin(torch.tensor(array * 0)), torch.tensor(array))
        assert other.tolist() == output.tolist()
        assert tensors[0].tolist() == v.tolist()
        sent.append(output.item())
    return sent


# Neuron, inputs, what it sends.
SENT = {
    "the input itself": (IntegerGraded(), [-7, 0, 9], [-7, 0, 9]),
    "full width": (IntegerGraded(), [-(2**23), 2**23], [-TOP, TOP]),
    "a rectifier": (IntegerGraded(lowest=0), [-7, 0, 9], [0, 0, 9]),
    "half rounds up, on both sides": (IntegerGraded(1, 1), [-3, -1, 1, 3, 4], [-1, 0, 1, 2, 2]),
    "factor and shift": (IntegerGraded(3, 2, -4, 5), [-9, 1, 2, 3, 99], [-4, 1, 2, 2, 5]),
    "a product beyond 32 bits": (IntegerGraded(32767, 15), [2**22], [2**22 - 128]),
    "a table": (
        IntegerGraded(1, 0, -1, 2, [10, 0, -3, 7]),
        [-5, -1, 0, 1, 2, 9],
        [10, 10, 0, -3, 7, 7],
    ),
    "a table of spikes": (
        IntegerGraded(1, 0, 0, 2, [0, 1, 0]),
        [-1, 0, 1, 2],
        [False, False, True, False],
    ),
    "spikes": (IntegerGraded(1, 0, 0, 1), [-1, 0, 1, 2], [False, False, True, True]),
    "nothing": (IntegerGraded(1, 0, 0, 0), [-1, 0, 1], [0, 0, 0]),
    "float currents": (Graded(0.5, -1, 2, whole=0), [-9.0, 0.25, 9.0], [-1.0, 0.125, 2.0]),
    "float whole numbers": (Graded(0.5, -1, 2), [-9.0, -1.0, 1.0, 3.0], [-1.0, 0.0, 1.0, 2.0]),
    "float table": (Graded(1.0, 0, 2, table=[5, 6, 9]), [-1.0, 1.0, 7.0], [5.0, 6.0, 9.0]),
}


@pytest.mark.parametrize("case", SENT)
def test_by_hand(case):
    neuron, inputs, wanted = SENT[case]
    assert send(neuron, *inputs) == wanted


REFUSED = [
    (lambda: Graded(0.0), "factor must be positive, got 0"),
    (lambda: Graded(1, 1), "lowest must not be positive, got 1"),
    (lambda: Graded(1, 0, -1), "highest must not be negative, got -1"),
    (lambda: Graded(1, -0.5), "lowest must be whole numbers, as what is sent"),
    (lambda: Graded(whole=2), "whole must be 0 or 1, one for all neurons"),
    (lambda: Graded(1, 0, 1, 0, [0, 1]), "a table needs whole = 1: its entries are numbered"),
    (lambda: IntegerGraded(1, 32), "shift must be between 0 and 31, got 32"),
    (lambda: IntegerGraded(1, 0, 0, 3, [1, 2]), "table has 2 entries for 4 numbers"),
    (
        lambda: IntegerGraded(1, 0, [0, 0], 1, [1, 2]),
        "a table needs one lowest and one highest for all neurons",
    ),
    (
        lambda: IntegerGraded(1, 0, 0, 1, [1, 2**23]),
        "table must hold whole numbers within +-8388607",
    ),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message for _, message in REFUSED])
def test_refuses_nonsense(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message follows)
        make()
    assert str(error.value) == message


def test_payload_holds_zero_and_every_output():
    assert IntegerGraded(lowest=0, highest=[3, 9]).payload == (0, 9)
    assert Graded(whole=0, lowest=-1.5, highest=2.5).payload == (-2, 3)
    assert IntegerGraded(1, 0, 0, 2, [4, 5, 6]).payload == (0, 6)
    assert IntegerGraded(1, 0, 0, 2, [-4, -5, -6]).payload == (-6, 0)


def test_currents_take_the_scale_that_they_get_and_whole_numbers_none():
    currents = Graded(0.25, [-0.5, 0], [1.0, TOP], whole=0)
    assert currents.fixed_scale is None
    integer = currents.quantize(np.array([100.0, 10.0]), LOIHI2.formats)
    assert integer.lowest.tolist() == [-50, 0]
    assert integer.highest.tolist() == [100, TOP]
    assert (integer.factor.item(), integer.shift.item()) == (1, 2)
    assert Graded(1.0).fixed_scale == 1.0
    assert Graded(1.0, 0, 2, table=[1, 2, 3]).quantize(1.0, LOIHI2.formats).table.tolist() == [
        1,
        2,
        3,
    ]


@given(st.floats(2.0**-16, 32767))
def test_a_factor_has_15_bits(factor):
    whole, shift = round_factor(np.asarray(factor))
    assert whole <= 32767
    assert abs(whole / 2.0**shift / factor - 1) <= 2.0**-14 if shift < 31 else True


@pytest.mark.parametrize("factor", [40000.0, 2.0**-32])
def test_a_factor_beyond_that_is_refused(factor):
    with pytest.raises(QuantizeError, match=r"factor .* is outside 2\^-31\.\.32767"):
        round_factor(np.asarray(factor))


@given(
    factor=st.integers(1, 32767),
    shift=st.integers(0, 31),
    ends=st.tuples(st.integers(-TOP, 0), st.integers(0, TOP)),
    x=st.integers(-(2**24), 2**24),
    room=st.integers(0, 1000),
)
def test_bounds_hold(factor, shift, ends, x, room):
    neuron = IntegerGraded(factor, shift, *ends)
    (v,), output = neuron.step((np.zeros(1, np.int64),), np.array([x]))
    wide = Interval(np.array([min(x, 0) - room]), np.array([max(x, 0) + room]))
    found = neuron.bounds(wide, None)["v"]
    assert found.low[0] <= min(x, v[0])
    assert max(x, v[0]) <= found.high[0]
    assert neuron.payload.low <= output[0] <= neuron.payload.high
    assert v[0] == min(max((x * factor + ((1 << shift) >> 1)) >> shift, ends[0]), ends[1])


def test_the_identity_is_the_accumulating_neuron():
    chip = LOIHI2.model_copy(update={"neurons": {"accumulate": LOIHI2.neurons["accumulate"]}})
    equal = find_equal_neuron(IntegerGraded(lowest=0, highest=[5, 6]), chip)
    assert isinstance(equal, IntegerAccumulate)
    assert (equal.lowest.item(), equal.most.tolist()) == (0, [5, 6])
    for other in (IntegerGraded(2), IntegerGraded(1, 1), IntegerGraded(highest=0)):
        assert find_equal_neuron(other, chip) is None
    assert find_equal_neuron(IntegerGraded(1, 0, 0, 1, [0, 5]), chip) is None


@pytest.mark.parametrize(("highest", "equal"), [(0, 0), (1, 1), (2, 1)])
def test_the_identity_up_to_one_is_an_accumulating_neuron_too(highest, equal):
    """One that sends nothing above 0 is none: an accumulating neuron sends up to 1 at least."""
    assert len(IntegerGraded(lowest=-3, highest=highest).equals()) == equal


def test_the_chip_file_says_that_its_microcode_is_assumed():
    assert chips.load_chip("loihi2").neurons["graded"].evidence == "assumed"
