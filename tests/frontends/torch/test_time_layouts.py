"""How modules take time: found out, or refused with what was tried."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spiking import (
    LAYOUTS,
    Carried,
    First,
    Folded,
    Step,
    Two,
    leaky,
    native,
    spikes,
)
from torch import nn

from snncompile.errors import InputError, SnnCompileError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.from_torch import from_torch

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("samples", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_finds_out_how_time_goes_and_spikes_the_same(kind, samples, steps, golden):
    module, x = kind(), spikes(samples, steps, 3)
    network = from_torch(module, x)
    np.testing.assert_array_equal(network.run(x).spikes, native(module, x, LAYOUTS[kind]))
    assert str(network) == str(from_torch(module, x, time=LAYOUTS[kind]))
    if (samples, steps, kind) == (3, 7, First):
        golden(str(network))


@pytest.mark.parametrize("kind", LAYOUTS)
def test_refuses_the_wrong_layout(kind):
    for time in {"step", "first", "second"} - {LAYOUTS[kind]}:
        with pytest.raises(SnnCompileError):
            from_torch(kind(), spikes(4, 5, 3), time=time)


def test_says_what_was_tried():
    class Fixed(Two):
        def forward(self, x):
            return self.step(x.view(32, 3), *self.start())

    with pytest.raises(InputError) as error:
        from_torch(Fixed(), spikes(4, 5, 3))
    assert str(error.value) == (
        "Fixed does not run on 2 samples of 5 time steps; tried"
        " time='step': RuntimeError: shape '[32, 3]' is invalid for input of size 6 and 1 more;"
        " if forward holds a number of samples, take it from the input: x.shape[0]"
    )


def test_says_that_there_are_no_neurons():
    class Net(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    with pytest.raises(InputError) as error:
        from_torch(Net(nn.Linear(3, 4)), spikes(4, 5, 3))
    known = known_layers.name_libraries()
    assert str(error.value) == (
        "Net does not run on 2 samples of 5 time steps; tried time='step', 'first', 'second',"
        " 'folded', 'inside':"
        f" it holds no neuron layer of a known library ({known});"
        " layers in a plain list are not seen, use nn.ModuleList"
    )
    with pytest.raises(InputError) as error:
        from_torch(Net(nn.Linear(3, 4), leaky()), spikes(4, 5, 3), time="step")
    assert str(error.value) == (
        "Net does not run on 2 samples of 5 time steps; tried time='step':"
        f" it holds no neuron layer of a known library ({known});"
        " layers in a plain list are not seen, use nn.ModuleList"
    )


def test_says_that_the_given_layout_is_wrong():
    with pytest.raises(InputError) as error:
        from_torch(First(), spikes(4, 5, 3), time="second")
    assert str(error.value) == (
        "First does not run on 2 samples of 5 time steps; tried time='second': lif1 gets input of"
        " shape (5, 4)"
    )
    with pytest.raises(InputError) as error:
        from_torch(First(), spikes(4, 5, 3), time="third")
    assert str(error.value) == (
        "no time layout 'third'; known: auto, step, first, second, folded, last, inside, or the"
        " number of an axis"
    )


@pytest.mark.parametrize("time", ["auto", "step"])
def test_states_may_be_handed_on_by_the_user(time):
    module, x = Carried(), spikes(4, 6, 3)
    network = from_torch(module, x, time=time)
    out, record = (), []
    with torch.no_grad():
        for one in torch.tensor(x).float().unbind(1):
            out = module(one, *out[1:])
            record.append(out[0])
    np.testing.assert_array_equal(network.run(x).spikes, torch.stack(record, 1).numpy())
    assert str(network) == str(from_torch(Step(), x))


@pytest.mark.parametrize("time", ["auto", "folded"])
def test_time_may_be_folded_into_the_samples(time):
    x = spikes(4, 5, 3)
    assert str(from_torch(Folded(), x, time=time)) == str(from_torch(Step(), x))
