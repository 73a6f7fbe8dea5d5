import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snncompile.frontends.torch.build_network import Origin
from snncompile.frontends.torch.output_record import OutputRecord

SAMPLES, SIZE = 2, 3
VALUES = {
    "spikes": st.sampled_from([0.0, 1.0]),
    "counts": st.integers(-200, 200).map(float),
    "numbers": st.floats(-1e9, 1e9),
}


def outputs(values):
    return st.integers(2, 4).flatmap(
        lambda steps: arrays(np.float64, (steps, SAMPLES, SIZE), elements=values)
    )


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_all_outputs_are_read_as_they_were(kind, data):
    native = torch.tensor(data.draw(outputs(VALUES[kind])))
    record = OutputRecord(Origin("lif", "output"), SAMPLES, len(native))
    for step in native:
        record.append(step)
    assert torch.equal(record.read(), native.transpose(0, 1))
    assert torch.equal(record.read(1, 2), native.transpose(0, 1)[:, 1:2])
    assert record.find_largest() == float(native.abs().max())


@pytest.mark.parametrize("order", ["steps", "samples"])
def test_rows_of_a_linear_layer_are_put_in_order(order):
    native = torch.randn(SAMPLES, 4, SIZE, dtype=torch.float64)
    record = OutputRecord(Origin("fc", order), SAMPLES, 4)
    record.append(native if order == "samples" else native.transpose(0, 1))
    assert torch.equal(record.read(), native)
    assert record.shape == (SAMPLES, 4, SIZE)


def test_code_that_is_late_begins_with_silence():
    record = OutputRecord(Origin("lif", "output"), SAMPLES, 3)
    for _ in range(2):
        record.append(torch.ones(SAMPLES, SIZE))
    assert record.read()[0, :, 0].tolist() == [0, 1, 1]


def test_only_chosen_neurons_are_kept():
    record = OutputRecord(Origin("lif", "output"), SAMPLES, 1, torch.tensor([2, 0]))
    record.append(torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    assert record.read()[:, 0].tolist() == [[3, 1], [6, 4]]


def test_spikes_take_a_bit_each():
    record = OutputRecord(Origin("lif", "output"), 1, 1)
    record.append(torch.ones(1, 8000))
    assert record.bytes == 1000
