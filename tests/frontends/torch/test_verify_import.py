"""Every import is verified: readouts, wrong translations, and what is said about rounding."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spiking import (
    First,
    Two,
    leaky,
    linear,
    spikes,
)
from torch import nn

from snncompile.errors import ImportMismatchError
from snncompile.frontends.torch import linear_layers, verify_import
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.synapses.dense import dense

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")


# Readouts.
class Answer(Two):
    """Ends with a layer that never resets; `result` says what forward returns."""

    def __init__(self, result, mechanism="none"):
        super().__init__()
        self.lif2 = snn.Leaky(beta=0.25, reset_mechanism=mechanism)
        self.result = result

    def forward(self, x):
        mem1, mem2 = self.start()
        spk_record, mem_record = [], []
        for one in x:
            spk, mem1, mem2 = self.step(one, mem1, mem2)
            spk_record.append(spk)
            mem_record.append(mem2)
        return self.result(torch.stack(spk_record), torch.stack(mem_record))


@pytest.mark.parametrize(
    "kind, result, mechanism",
    [
        ("readout", lambda spk, mem: mem, "none"),
        ("readout", lambda spk, mem: mem.mean(0).softmax(-1), "none"),
        ("cuba_lif", lambda spk, mem: (spk, mem), "none"),
        ("cuba_lif", lambda spk, mem: spk.sum(0), "none"),
        ("cuba_lif", lambda spk, mem: mem, "subtract"),
        ("cuba_lif", lambda spk, mem: None, "none"),
    ],
)
def test_a_potential_that_is_returned_and_not_its_spikes_is_a_readout(kind, result, mechanism):
    x = spikes(3, 8, 3)
    module = Answer(result, mechanism)
    network = from_torch(module, x)
    assert network.populations[-1].neuron.name == kind
    if kind == "readout":
        module.result = lambda spk, mem: mem
        expected = module(torch.tensor(x).float().transpose(0, 1)).detach().numpy()
        # The module computes in float32.
        np.testing.assert_allclose(
            network.run(x).spikes, expected.transpose(1, 0, 2), rtol=1e-5, atol=1e-6
        )


# Verification.
def _affine(weight, bias):
    return linear_layers.Affine(dense(weight), np.asarray(bias))


def _other_bias(layer, where, shape):
    return _affine(layer.weight.detach().double().numpy(), np.zeros(layer.out_features))


def _other_order(layer, where, shape):
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    return _affine(weight[::-1], bias[::-1])


def _always(weight, bias):
    """Return a row of the table that translates every linear layer alike."""
    return linear_layers.Row(1, lambda *_: _affine(weight, bias))


@pytest.mark.parametrize("wrong", [_other_bias, _other_order])
@pytest.mark.parametrize("module", [First(), Answer(lambda spk, mem: mem)])
def test_a_wrong_translation_is_caught(monkeypatch, module, wrong):
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, linear_layers.Row(1, wrong))
    with pytest.raises(ImportMismatchError, match=r"^lif1: sample \d+, time step \d+, neuron \d+"):
        from_torch(module, spikes(4, 20, 3))


def _twofold():
    """Return a module with one synapse of weight 2."""
    module = nn.Sequential(nn.Linear(1, 1, bias=False), leaky(0.0))
    nn.init.constant_(module[0].weight, 2.0)
    return module


def test_says_where_the_first_difference_is(monkeypatch):
    module = _twofold()
    x = np.array([[[0], [0]], [[0], [1]]])
    assert from_torch(module, x).run(x).spikes.tolist() == x.tolist()
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, _always([[0.5]], [0]))
    with pytest.raises(ImportMismatchError) as error:
        from_torch(module, x)
    assert str(error.value) == (
        "layer_1: sample 1, time step 1, neuron 0: the module's output is 1, the imported"
        " network's is 0; 1 of 4 differ"
    )


def test_samples_are_counted_through_all_batches(monkeypatch):
    monkeypatch.setattr("snncompile.frontends.torch.verify_import.MEMORY_BYTES", 1)
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, _always([[0.5]], [0]))
    with pytest.raises(ImportMismatchError, match="layer_1: sample 2, time step 0, neuron 0:"):
        from_torch(_twofold(), np.array([[[0]], [[0]], [[1]]]))


def test_time_steps_are_compared_block_after_block(monkeypatch):
    """Whatever the length of a block, the first difference and their number are the same."""
    monkeypatch.setattr("snncompile.reference.simulate.MEMORY_BYTES", 1)
    module = _twofold()
    x = np.array([[[0], [0], [1]], [[0], [1], [0]]])
    assert from_torch(module, x).run(x).spikes.tolist() == x.tolist()
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, _always([[0.5]], [0]))
    with pytest.raises(ImportMismatchError) as error:
        from_torch(module, x)
    assert str(error.value) == (
        "layer_1: sample 0, time step 2, neuron 0: the module's output is 1, the imported"
        " network's is 0; 2 of 6 differ"
    )


def _chain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 30), leaky(0.5), nn.Linear(30, 2), leaky(0.5))


def test_of_too_many_neurons_some_are_drawn(monkeypatch):
    monkeypatch.setattr(verify_import, "LARGEST_RECORD", 100)
    monkeypatch.setattr(verify_import, "DRAWN", 20)
    x = np.ones((1, 4, 3))
    note = (
        "verified on the answer and 20 neurons of each layer, drawn with seed 0: all 32 neurons"
        " would be more than 100 outputs per sample"
    )
    assert note in from_torch(_chain(), x).notes
    assert note not in from_torch(_chain(), x[:, :3]).notes
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, linear_layers.Row(1, _other_order))
    with pytest.raises(ImportMismatchError, match=r"^layer_1: .* of 80 differ$"):
        from_torch(_chain(), x)


def test_a_readout_is_compared_by_its_potential(monkeypatch):
    class Net(Two):
        def __init__(self):
            super().__init__()
            self.lif1 = snn.Leaky(beta=0.0, reset_mechanism="none")

        def forward(self, x):
            _, mem = self.lif1(self.fc1(x))
            return mem

    module, x = Net(), np.zeros((1, 1, 3))
    with torch.no_grad():
        module.fc1.bias.fill_(0.5)
    assert from_torch(module, x).run(x).spikes.tolist() == [[[0.5, 0.5, 0.5, 0.5]]]
    wrong = _always(np.ones((4, 3)), [0.5, 0.5 + 1e-9, 0.5 + 1e-11, 0.5])
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, wrong)
    with pytest.raises(ImportMismatchError) as error:
        from_torch(module, x)
    assert str(error.value) == (
        "lif1: sample 0, time step 0, neuron 1: the module's potential is 0.5, the imported"
        " network's is 0.500000001; 1 of 4 differ"
    )


def test_rounding_of_the_module_is_mentioned(caplog):
    caplog.set_level(logging.INFO, "snncompile")
    module = nn.Sequential(nn.Linear(1, 1, bias=False), leaky(0.9)).double()
    module[1].threshold = torch.tensor(1.0).double()
    with torch.no_grad():
        module[0].weight.fill_(0.1)
    x = np.ones((1, 3, 1))
    from_torch(module.float(), x)
    assert "its rounding" not in caplog.text
    # In float32 0.1 * 10 rounds to 1, in float64 it is a little more, so it fires a step earlier.
    from_torch(module.float(), np.full((1, 3, 1), 10.0))
    assert caplog.messages[-3:] == [
        "layer_1: 2 of 3 outputs differ between the module in torch.float32 and in float64: its"
        " rounding",
        "Sequential: input: whole numbers from 10 to 10, sent as 0 to 15",
        "Sequential: imported with time='step'",
    ]


def test_the_sample_is_what_the_module_makes_of_it(caplog):
    """In float32 this input is the threshold, in float64 a little more."""
    caplog.set_level(logging.INFO, "snncompile")
    from_torch(leaky(threshold=0.1), np.full((1, 1, 1), 0.1000000016))
    assert caplog.messages == [
        "Leaky: no spike on the sample, verified on the sample times 4",
        "Leaky: input: analog values from 0.1 to 0.1 are rounded to 8 bits, a payload of 1 is"
        " 0.000392157; rounding changes the values by 0 on average",
        "Leaky: imported with time='step'",
    ]


def test_potentials_are_not_counted_as_rounded(caplog):
    caplog.set_level(logging.INFO, "snncompile")
    from_torch(Answer(lambda spk, mem: mem), spikes(4, 20, 3) * 0.1)
    assert caplog.messages == [
        "Answer: input: analog values from 0 to 0.1 are rounded to 8 bits, a payload of 1 is"
        " 0.000392157; rounding changes the values by 0.00% of their spread on average",
        "Answer: imported with time='first'",
    ]


def test_potentials_that_overflow_are_no_match():
    module = Answer(lambda spk, mem: mem).double()
    with torch.no_grad():
        module.fc2.weight.fill_(1e308)
        module.fc1.bias.fill_(1e3)
    with pytest.raises(ImportMismatchError, match=r"the module's potential is inf"):
        from_torch(module, spikes(4, 20, 3))


def test_a_silent_layer_is_verified_on_louder_input(caplog):
    caplog.set_level(logging.INFO, "snncompile")
    net = nn.Sequential(linear(3, 1, bias=False), leaky())
    assert from_torch(net, np.zeros((2, 3, 3))).notes == ()
    assert caplog.messages == [
        "layer_1: no spike on the sample, verified on drawn values of deviation 1",
        "Sequential: imported with time='step'",
    ]


def _silent(layer, bias=-1.0):
    """Return a linear layer that keeps the next neurons below their threshold."""
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


def test_a_layer_that_never_fires_is_named_in_a_note(caplog):
    net = nn.Sequential(linear(3, 4), leaky(), _silent(linear(4, 2)), leaky(), linear(2, 2))
    network = from_torch(net, spikes(4, 9, 3))
    note = "not verified: layer_3: no spike on the sample, nor on louder input"
    assert network.notes == (note,)
    assert caplog.messages == [f"{note}; give a livelier sample"]


def test_a_wrong_layer_is_found_though_the_sample_is_silent(monkeypatch):
    monkeypatch.setitem(linear_layers.LINEAR, nn.Linear, _always([[-1]], [0]))
    with pytest.raises(ImportMismatchError) as error:
        from_torch(_twofold(), np.zeros((2, 3, 1)))
    assert str(error.value).startswith(
        "on drawn values of deviation 1, as it is silent: layer_1: sample 0, time step 2, neuron 0:"
    )


def test_constants_in_the_users_code_may_be_float32():
    class Net(Two):
        def forward(self, x):
            mem1, mem2 = torch.zeros(x.shape[1], 4), torch.zeros(x.shape[1], 2)
            for one in x:
                out, mem1, mem2 = self.step(one.to(torch.float32), mem1, mem2)
            return out

    from_torch(Net(), spikes(4, 5, 3))
    from_torch(Net().double(), spikes(4, 5, 3), time="first")


@settings(max_examples=25)
@given(data=st.data())
def test_modules_of_any_depth_spike_the_same(data):
    widths = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=5), "widths")
    layers = []
    for i, (sources, targets) in enumerate(itertools.pairwise(widths)):
        layers.append(linear(sources, targets, i, data.draw(st.booleans(), "bias")))
        if data.draw(st.booleans(), "neuron") or i == len(widths) - 2:
            beta = data.draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]), "beta")
            layers.append(leaky(beta))
    time = data.draw(st.sampled_from(["step", "first", "second"]), "time")
    scale = data.draw(st.sampled_from([1, 0.37]), "scale")

    class Net(nn.Sequential):
        def forward(self, x):
            if time == "step":
                return super().forward(x)
            axis = 0 if time == "first" else 1
            return torch.stack([super(Net, self).forward(one) for one in x.unbind(axis)], axis)

    x = spikes(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9)), widths[0]) * scale
    network = from_torch(Net(*layers), x)
    assert network.output_shape == (widths[-1],)
