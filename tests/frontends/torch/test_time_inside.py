"""Modules that make the time steps themselves, take time on another axis, or more arguments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spiking import First, Two, leaky, linear, spikes
from torch import nn

from snncompile.errors import InputError, SnnCompileError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.time_layouts import check_layout, list_layouts, split_calls

snn = pytest.importorskip("snntorch")


class Lively(Two):
    """Both layers fire."""

    def __init__(self):
        super().__init__()
        self.fc2.bias.data.abs_()


class Loop(Lively):
    """Shows a sample 7 times."""

    def forward(self, x, steps=7):
        mem1, mem2 = self.start()
        record = []
        for _ in range(steps):
            out, mem1, mem2 = self.step(x, mem1, mem2)
            record.append(out)
        return torch.stack(record)


class Repeated(Lively):
    """Repeats a sample, with the first linear layer outside of the loop."""

    def forward(self, x):
        mem1, mem2 = self.start()
        total = 0
        for current in self.fc1(x).repeat(7, 1, 1):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            total += spk2
        return total / 7


@pytest.mark.parametrize("time", ["auto", "inside"])
@pytest.mark.parametrize("kind", [Loop, Repeated])
def test_forward_may_make_the_steps(kind, time, golden):
    module, x = kind(), spikes(6, 3)
    network = from_torch(module, x, time=time)
    shown = network.input.present(x)
    assert shown.shape == (6, 7, 3)
    module.lif2.register_forward_hook(lambda layer, args, out: record.append(out[0]))
    record: list[torch.Tensor] = []
    with torch.no_grad():
        result = module.eval()(torch.tensor(x).float())
    got = network.run(shown)
    np.testing.assert_array_equal(got.spikes, torch.stack(record, 1).numpy())
    if kind is Repeated:
        np.testing.assert_allclose(got.answer, result.numpy(), rtol=1e-6)  # float32
    if time == "auto":
        golden(str(network))


def test_a_repeated_image_is_shown_as_often_as_forward_does():
    x = spikes(6, 3)
    repeated = np.repeat(x[:, None], 7, 1)
    assert str(from_torch(Loop(), repeated)) == str(from_torch(Loop(), x))
    assert str(from_torch(Loop(), x[:, None])).startswith("input input 1x3")


def test_another_number_of_steps_is_refused():
    network, x = from_torch(Loop(), spikes(6, 3)), spikes(6, 8, 3)
    with pytest.raises(InputError) as error:
        network.run(x)
    assert str(error.value) == (
        "input has 8 time steps, the network has 7: forward makes them itself, so their number is"
        " part of it; change it there and import again"
    )


def test_values_of_any_kind_may_be_repeated_inside():
    x = np.random.default_rng(0).random((6, 3))
    network = from_torch(Loop(), x)
    assert (network.input.coding.kind, network.input.coding.steps) == ("analog", 7)
    shown = np.repeat(x[:, None], 7, 1)
    first = First()
    first.load_state_dict(Loop().state_dict())
    wanted = from_torch(first, shown)
    np.testing.assert_array_equal(network.run(shown).spikes, wanted.run(shown).spikes)


class Lost(Lively):
    """Makes its state anew in every call."""

    def forward(self, x):
        return self.step(x, *self.start())[0]


def test_state_made_anew_in_every_call_is_a_network_of_one_step():
    x = spikes(6, 1, 3)
    network = from_torch(Lost(), x)
    assert network.answer.steps == 1
    wanted = Lost()(torch.tensor(x[:, 0]).float()).detach().numpy()
    np.testing.assert_array_equal(network.run(x).spikes[:, 0], wanted)
    with pytest.raises(InputError, match="input has 20 time steps, the network has 1"):
        network.run(spikes(6, 20, 3))


@pytest.mark.parametrize("steps", [2, 20])
def test_state_made_anew_in_every_call_is_refused_for_several_steps(steps):
    with pytest.raises(InputError) as error:
        from_torch(Lost(), spikes(6, steps, 3))
    samples = 3 if steps == 2 else 2
    assert str(error.value) == (
        f"Lost does not run on {samples} samples of {steps} time steps; tried time='step': lif1 is"
        " not given the mem of the time step before; keep it in the module"
    )


class OnAxis(nn.Module):
    """Takes time on an axis of (samples, 2, 3) with it."""

    def __init__(self, axis):
        super().__init__()
        self.fc, self.lif, self.axis = linear(6, 4), leaky(), axis

    def forward(self, x):
        return torch.stack([self.lif(self.fc(one.flatten(1))) for one in x.unbind(self.axis)])


@pytest.mark.parametrize("axis, name", [(1, "second"), (2, 2), (3, "last"), (-1, "last"), (-2, 2)])
def test_time_may_be_on_any_axis(axis, name):
    module, x = OnAxis(axis), spikes(5, 6, 2, 3)
    network = from_torch(module, x)
    assert str(network) == str(from_torch(module, x, time=axis))
    assert str(network) == str(from_torch(module, x, time=name))
    wanted = module(torch.tensor(x).float().movedim(1, axis)).detach().numpy()
    np.testing.assert_array_equal(network.run(x).spikes, wanted.swapaxes(0, 1))


def test_axes_with_a_name_are_known_by_both():
    assert [check_layout(axis, 4) for axis in range(4)] == ["first", "second", 2, "last"]
    assert check_layout(-4, 4) == "first"
    assert list_layouts(4) == ["step", "first", "second", "folded", 2, "last"]
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert [one.shape for one in split_calls(x, 2)] == [(1, 3, 2, 4)]


@pytest.mark.parametrize("time", [4, -5])
def test_refuses_an_axis_that_is_not_there(time):
    with pytest.raises(InputError) as error:
        from_torch(OnAxis(1), spikes(5, 6, 2, 3), time=time)
    assert str(error.value) == (
        f"time={time}: the module's input has 4 axes with the time steps, the last is 3"
    )


# Further arguments.
@pytest.mark.parametrize("args", [(5,), [5], {"steps": 5}])
def test_forward_may_take_more_arguments(args):
    assert from_torch(Loop(), spikes(6, 3), args=args).answer.steps == 5


class Handed(Two):
    def forward(self, x, mem1, mem2):
        return self.step(x, *(self.start() if mem1 is None else (mem1, mem2)))


def test_states_that_forward_needs_start_as_none_and_are_handed_on():
    x = spikes(6, 9, 3)
    network = from_torch(Handed(), x, args=(None, None))
    assert str(network) == str(from_torch(First(), x))


@pytest.mark.parametrize(
    "args, message",
    [
        (5, "args has to be a tuple, or a dictionary of names, got int; for one argument give"),
        ({"stepz": 5}, "Loop.forward does not take args: got an unexpected keyword argument"),
        ((5, 6), "Loop.forward does not take args: too many positional arguments"),
    ],
)
def test_refuses_arguments_that_forward_does_not_take(args, message):
    with pytest.raises(SnnCompileError) as error:
        from_torch(Loop(), spikes(6, 3), args=args)
    assert str(error.value).startswith(message)
