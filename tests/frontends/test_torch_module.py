"""Import of torch modules: time layouts, what is between layers, what is refused, verification."""

from __future__ import annotations

import copy
import itertools
import logging
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snncompile.errors import ImportMismatchError, InputError, SnnCompileError, UnsupportedError
from snncompile.frontends import torch_linear
from snncompile.frontends.torch_module import from_torch
from snncompile.synapses.dense import dense

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")

KNOWN = (
    "AdaptiveAvgPool1d, AdaptiveAvgPool2d, AlphaDropout, AvgPool1d, AvgPool2d, BatchNorm1d,"
    " BatchNorm2d, Conv1d, Conv2d, Dropout, Dropout1d, Dropout2d, Dropout3d, Flatten, Identity,"
    " Linear, Unflatten, Leaky, Synaptic"
)


def leaky(beta=0.75, **options):
    return snn.Leaky(beta=beta, init_hidden=True, **options)


def linear(sources, targets, seed=0, bias=True):
    """Return a linear layer with weights of a seed, large enough for spikes."""
    layer = nn.Linear(sources, targets, bias=bias)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def spikes(*shape, seed=0):
    """Return random spikes of shape (samples, steps, *shape)."""
    return (np.random.default_rng(seed).random(shape) < 0.5).astype(np.uint8)


class Two(nn.Module):
    """Two layers; the user keeps the states. Subclasses say how time goes."""

    def __init__(self, **options):
        super().__init__()
        self.fc1, self.lif1 = linear(3, 4), snn.Leaky(beta=0.5, **options)
        self.fc2, self.lif2 = linear(4, 2, seed=1), snn.Leaky(beta=0.25)

    def start(self):
        return self.lif1.init_leaky(), self.lif2.init_leaky()

    def step(self, x, mem1, mem2):
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class First(Two):
    def forward(self, x):
        mem1, mem2 = self.start()
        record = []
        for step in range(x.size(0)):
            out, mem1, mem2 = self.step(x[step], mem1, mem2)
            record.append(out)
        return torch.stack(record)


class Second(Two):
    def forward(self, x):
        mem1, mem2 = self.start()
        total = 0
        for one in x.unbind(1):
            out, mem1, mem2 = self.step(one.float(), mem1, mem2)
            total = total + out
        return total


class Filled(Two):
    """Fills a tensor made before the loop, from an iteration over x."""

    def forward(self, x):
        mem1, mem2 = self.start()
        record = torch.zeros(x.shape[0], x.shape[1], 2)
        for step, one in enumerate(x):
            record[step], mem1, mem2 = self.step(one, mem1.detach(), mem2)
        return record.mean(0), record


class AllAtOnce(Two):
    """The first linear layer takes all time steps in one call."""

    def forward(self, x):
        mem1, mem2 = self.start()
        current = self.fc1(x.transpose(0, 1).flatten(2))
        record = []
        for step in range(len(current)):
            spk1, mem1 = self.lif1(current[step], mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            record += [spk2]
        return torch.stack(record, dim=1)


class Step(Two):
    """Called once per time step; keeps its states in attributes."""

    mem1 = None
    mem2 = None

    def forward(self, x):
        if self.mem1 is None:
            self.mem1, self.mem2 = self.start()
        out, self.mem1, self.mem2 = self.step(x, self.mem1, self.mem2)
        return {"spikes": out, "states": [self.mem1, self.mem2]}


LAYOUTS = {First: "first", Second: "second", Filled: "first", AllAtOnce: "second", Step: "step"}


def native(module, x, time):
    """Run the user's module as its user would; return the spikes of lif2."""
    module, record = copy.deepcopy(module).eval(), []
    module.lif2.register_forward_hook(lambda layer, args, out: record.append(out[0]))
    x = torch.tensor(x).float()
    with torch.no_grad():
        if time == "step":
            for step in range(x.shape[1]):
                module(x[:, step])
        else:
            module(x.transpose(0, 1) if time == "first" else x)
    return torch.stack(record, dim=1).numpy()


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
        " time='step': RuntimeError: shape '[32, 3]' is invalid for input of size 6;"
        " 'first': RuntimeError: shape '[32, 3]' is invalid for input of size 30;"
        " 'second': RuntimeError: shape '[32, 3]' is invalid for input of size 30"
    )


def test_says_that_there_are_no_neurons():
    class Net(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    with pytest.raises(InputError) as error:
        from_torch(Net(nn.Linear(3, 4)), spikes(4, 5, 3))
    assert str(error.value) == (
        "Net does not run on 2 samples of 5 time steps; tried time='step', 'first', 'second': it"
        " holds no neuron layer (known: snntorch.Leaky, snntorch.Synaptic); layers in a plain list"
        " are not seen, use nn.ModuleList"
    )
    with pytest.raises(InputError) as error:
        from_torch(Net(nn.Linear(3, 4), leaky()), spikes(4, 5, 3), time="step")
    assert str(error.value) == (
        "Net does not run on 2 samples of 5 time steps; tried time='step': no neuron layer was"
        " called"
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
    assert str(error.value) == "no time layout 'third'; known: auto, step, first, second"


# What is accepted between the layers. Each takes x of shape (samples, 2, 3).
class Between(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = linear(6, 4), leaky()
        self.fc2, self.lif2 = linear(4, 4, seed=1), leaky()


def _views(m, x):
    x = x.view(-1, 6).unsqueeze(1).contiguous().reshape(len(x), 1, 2, 3).squeeze(1).flatten(1)
    spk = m.lif1(m.fc1(x.to(torch.float32)).clone())
    return m.lif2(m.fc2(spk.view(x.size(0), -1).double().detach()))


def _dropout(m, x):
    x = nn.functional.dropout(torch.flatten(x, start_dim=1), 0.5, m.training)
    spk = m.lif1(m.fc1(x))
    return m.lif2(m.fc2(nn.functional.dropout(spk, training=False)))


def _columns(m, x):
    x = torch.cat([x[:, :1], torch.narrow(x, 1, 1, 1)], dim=1).permute(1, 0, 2).transpose(0, 1)
    return m.lif2(m.fc2(m.lif1(m.fc1(torch.cat(x.unbind(1), dim=-1)))))


def _linear_in_a_row(m, x):
    return m.lif1(m.fc2(m.fc1(x.flatten(1))))


def _skip(m, x):
    current = m.fc1(x.flatten(1))
    spk = m.lif1(current)
    current = torch.add(m.fc2(spk), current)
    return m.lif2(current)


def _skip_in_place(m, x):
    current = m.fc1(x.flatten(1))
    drive = m.fc2(m.lif1(current))
    drive += current
    return m.lif2(drive)


def _spikes_added(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(m.fc2(spk + spk) + spk)


def _same_weights_twice(m, x):
    spk = m.lif1(m.fc2(m.fc1(x.flatten(1))))
    return m.lif2(m.fc2(spk))


def _without_weights(m, x):
    return m.lif2(m.lif1(m.fc1(x.flatten(1))))


def _keywords(m, x):
    return m.lif2(input_=m.fc2(input=m.lif1(m.fc1(x.flatten(1)))))


def _filled(m, x):
    flat = torch.zeros(len(x), 6)
    flat[:, :3] = x[:, 0]
    flat[:, 3:] = x[:, 1]
    other = flat.float()
    other = other.view(-1, 6).type_as(flat).contiguous()
    noise = other.double()
    noise[:, 0] = 0
    return m.lif2(m.fc2(m.lif1(m.fc1(other))))


ACCEPTED = [
    _filled,
    _views,
    _dropout,
    _columns,
    _linear_in_a_row,
    _skip,
    _skip_in_place,
    _spikes_added,
    _same_weights_twice,
    _without_weights,
    _keywords,
]


def with_forward(forward, base=Between):
    return type("Net", (base,), {"forward": forward})()


@pytest.mark.parametrize("forward", ACCEPTED)
def test_accepts_between_the_layers(forward, golden):
    golden(str(from_torch(with_forward(forward), spikes(5, 9, 2, 3))))


# What is refused between the layers, with the whole message.
def _relu(m, x):
    return m.lif2(m.fc2(m.lif1(torch.relu(m.fc1(x.flatten(1))))))


def _half(m, x):
    return m.lif2(m.fc2(0.5 * m.lif1(m.fc1(x.flatten(1)))))


def _mean_of_two(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(torch.maximum(m.fc2(spk), spk * 1))


def _functional(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(nn.functional.linear(spk, m.fc2.weight))


def _part(m, x):
    return m.lif1(m.fc2(m.fc1(x.flatten(1)))[:, :3])


def _reversed_input(m, x):
    return m.lif1(m.fc1(x.flip(2).flatten(1)))


def _mixed_samples(m, x):
    return m.lif1(m.fc1(x.transpose(0, 1).reshape(-1, 6)))


def _rows(m, x):
    return m.lif1(m.fc2(torch.cat([x, x], 2)[:, :, 1:5]))


def _cat(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(torch.cat([m.fc2(spk), spk], dim=1))


def _cat_zeros(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(m.fc2(torch.cat([spk[:, :3], torch.zeros(len(x), 1)], dim=1)))


def _constant(m, x):
    return m.lif2(m.fc2(m.lif1(m.fc1(torch.ones(len(x), 6)))))


def _bernoulli(m, x):
    return m.lif1(m.fc1(torch.bernoulli(x.flatten(1) / 2)))


def _cast(m, x):
    return m.lif2(m.fc2(m.lif1(m.fc1(x.flatten(1)).to(torch.int64).float())))


def _broadcast(m, x):
    current = m.fc1(x.flatten(1))
    return m.lif1(current + current[:, :1])


def _scaled_sum(m, x):
    current = m.fc1(x.flatten(1))
    return m.lif1(torch.add(current, m.fc2(current), alpha=2))


def _switched_on(m, x):
    return m.lif1(m.drop.train()(m.fc1(x.flatten(1))))


def _training(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(m.fc2(nn.functional.dropout(spk, 0.5)))


def _potential(m, x):
    m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(m.fc2(m.lif1.mem))


def _twice(m, x):
    return m.lif1(m.fc2(m.lif1(m.fc1(x.flatten(1)))))


def _no_neuron_at_the_end(m, x):
    return m.fc2(m.lif1(m.fc1(x.flatten(1))))


def _two_ends(m, x):
    current = m.fc1(x.flatten(1))
    return m.lif1(current), m.lif2(m.fc2(current))


class Remembers(Between):
    count = 0
    last = None

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.9)


def _delayed(m, x):
    last = torch.zeros_like(x) if m.last is None else m.last
    m.last = x
    return m.lif1(m.fc1(last.flatten(1)))


def _recurrent(m, x):
    last = torch.zeros(len(x), 4) if m.last is None else m.last
    m.last = m.lif1(m.fc1(x.flatten(1)) + m.fc2(last))
    return m.last


def _other_every_step(m, x):
    m.count += 1
    current = m.fc1(x.flatten(1))
    return m.lif1(current if m.count % 3 else m.fc2(current))


def _sum_over_time(m, x):
    current = m.fc1(x.flatten(1))
    m.last = current if m.last is None else m.last + current
    return m.lif1(m.last)


ONLY = "; known are functions that only reshape or select, average pooling, and + of two layers"

BETWEEN = {
    _relu: f"torch.relu between fc1 and lif1 is not known{ONLY}",
    _half: f"torch.Tensor.mul between lif1 and fc2 is not known{ONLY}",
    _mean_of_two: f"torch.maximum between fc2 and lif1 and lif2 is not known{ONLY}",
    _functional: f"torch.nn.functional.linear between lif1 and lif2 is not known{ONLY}",
    _bernoulli: f"torch.bernoulli between the input and fc1 is not known{ONLY}",
    _cast: f"torch.Tensor.to between fc1 and lif1 is not known{ONLY}",
    _broadcast: f"torch.Tensor.add between fc1 and lif1 is not known{ONLY}",
    _scaled_sum: f"torch.add between fc1 and fc2 and lif1 is not known{ONLY}",
    _switched_on: f"Dropout between fc1 and lif1 is not known{ONLY}",
    _training: f"torch.nn.functional.dropout between lif1 and fc2 is not known{ONLY}",
    _part: "lif1 reads the values of fc2 only in part, which is not known",
    _reversed_input: "fc1 reads the values of the input in another order, which is not known",
    _mixed_samples: "fc1 reads the values of the input mixed between samples, which is not known",
    _rows: (
        "fc2 acts on 2 rows per sample and time step; a linear layer has to take all values of a"
        " sample as one row, use nn.Flatten before it"
    ),
    _cat: "lif2 gets values of fc2 and lif1 side by side, which is not known",
    _cat_zeros: (
        "fc2 gets values of lif1 and values made in forward side by side, which is not known"
    ),
    _constant: (
        "fc1 gets values that are made in forward and come neither from the input nor from a layer"
    ),
    _potential: ("fc2 reads the state 'mem' of lif1; only spikes can be sent from layer to layer"),
    _twice: (
        "lif1 is called 2 times in each time step; give every place in the network a layer of its"
        " own, and let a module that repeats its input take the time axis from the sample"
    ),
    _no_neuron_at_the_end: (
        "fc2 is not followed by a neuron layer; end with one, for example snntorch.Leaky with"
        " reset_mechanism='none' and its potential as the result"
    ),
    _two_ends: "no layer reads lif1 and lif2; a network has one output, leave one out",
    _delayed: "fc1 reads the input of time step 3 in time step 4; delays are not known",
    _recurrent: (
        "fc2 reads lif1 of time step 3 in time step 4; recurrent and delayed connections are not"
        " known"
    ),
    _sum_over_time: "fc1 reads the input of time step 3 in time step 4; delays are not known",
    _other_every_step: (
        "lif1 is fed by fc1(the input) in time step 0 and by fc2(fc1(the input)) in time step 2; a"
        " network is the same in every time step"
    ),
}


@pytest.mark.parametrize("forward", BETWEEN)
def test_refuses_between_the_layers(forward):
    with pytest.raises(UnsupportedError) as error:
        from_torch(with_forward(forward, Remembers), spikes(4, 5, 2, 3))
    assert str(error.value) == BETWEEN[forward]


def test_a_long_sum_over_time_is_refused_too():
    with pytest.raises(UnsupportedError, match="delays are not known"):
        from_torch(with_forward(_sum_over_time, Remembers), spikes(2, 2000, 2, 3))


# Layers that are not known, with the whole message.
class Swish(nn.Linear):
    def forward(self, x):
        return super().forward(x) * torch.sigmoid(x)


class Louder(snn.Leaky):
    pass


def named(**layers):
    net = nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net


def scripted(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(layer)


UNKNOWN = {
    "layer1.up: Upsample": named(layer1=named(up=nn.Upsample(2)), lif=leaky()),
    "0: Conv3d": nn.Sequential(nn.Conv3d(3, 2, 1), leaky()),
    "1: LayerNorm": nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), leaky()),
    "1: ReLU": nn.Sequential(nn.Linear(3, 3), nn.ReLU(), leaky()),
    "0: Swish": nn.Sequential(Swish(3, 3), leaky()),
    "0: Louder": nn.Sequential(Louder(0.5, init_hidden=True), leaky()),
    "0: RLeaky": nn.Sequential(snn.RLeaky(0.5, linear_features=3, init_hidden=True)),
    "0: Lapicque": nn.Sequential(snn.Lapicque(0.5, init_hidden=True)),
    "ConvTranspose1d: ConvTranspose1d": nn.ConvTranspose1d(3, 3, 2),
    "1: RecursiveScriptModule": nn.Sequential(leaky(), scripted(nn.Linear(3, 3))),
    "0: ParametrizedLinear": nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), leaky()
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_refuses_unknown_layers_by_name(name):
    with pytest.raises(UnsupportedError) as error:
        from_torch(UNKNOWN[name], spikes(2, 3, 3))
    assert str(error.value) == f"{name} is not known; known: {KNOWN}"


def test_a_layer_may_have_two_names():
    net = with_forward(_views)
    net.also = nn.ModuleList([net.fc1, net.lif2])
    assert str(from_torch(net, spikes(5, 9, 2, 3))) == str(
        from_torch(with_forward(_views), spikes(5, 9, 2, 3))
    )


def test_unknown_layers_that_are_not_used_do_not_matter():
    net = with_forward(_views)
    net.spare = nn.Conv3d(1, 1, 1)
    from_torch(net, spikes(2, 5, 2, 3))


def test_a_tuple_between_layers_is_explained():
    net = nn.Sequential(nn.Linear(3, 3), snn.Leaky(0.5), nn.Linear(3, 3), leaky())
    with pytest.raises(UnsupportedError) as error:
        from_torch(net, spikes(2, 3, 3))
    assert str(error.value) == (
        "2: gets a tuple where one tensor is expected; in nn.Sequential, give the neuron layer"
        " before it init_hidden=True and output=False"
    )


def test_state_from_outside_is_refused():
    class Net(Two):
        def forward(self, x, mem1, mem2):
            return self.step(x, mem1, mem2)

    with pytest.raises(UnsupportedError) as error:
        from_torch(Net(), spikes(2, 3, 3))
    assert str(error.value) == (
        "Net.forward needs mem1 and mem2 besides the input; from_torch hands in the input only:"
        " wrap the module in one that keeps its state"
    )


def test_state_that_is_lost_between_steps_is_refused():
    class Net(Two):
        def forward(self, x):
            return self.step(x, *self.start())

    with pytest.raises(InputError) as error:
        from_torch(Net(), spikes(2, 3, 3), time="step")
    assert str(error.value) == (
        "Net does not run on 2 samples of 3 time steps; tried time='step': lif1 is not given the"
        " mem of the time step before; keep it in the module"
    )


def test_state_that_is_reset_between_steps_is_refused():
    class Net(nn.Sequential):
        def forward(self, x):
            utils.reset(self)
            return super().forward(x)

    with pytest.raises(InputError) as error:
        from_torch(Net(linear(3, 4), leaky()), spikes(2, 3, 3), time="step")
    assert str(error.value) == (
        "Net does not run on 2 samples of 3 time steps; tried time='step': 1 is not given the mem"
        " of the time step before; keep it in the module"
    )


def test_a_reset_of_all_layers_does_not_reach_those_of_the_user():
    class Net(nn.Sequential):
        def forward(self, x):
            utils.reset(self)
            return torch.stack([super(Net, self).forward(one) for one in x])

    net = Net(linear(3, 4), leaky())
    other = leaky()
    for layer in (net[1], other):
        layer(torch.ones(2, 4))
    from_torch(net, spikes(2, 5, 3))
    assert net[1].mem.abs().sum() > 0
    assert other.mem.abs().sum() > 0


def test_state_that_does_not_start_at_zero_is_refused():
    class Net(First):
        def start(self):
            return torch.full((2, 4), 0.5), self.lif2.init_leaky()

    with pytest.raises(InputError) as error:
        from_torch(Net(), spikes(2, 3, 3), time="first")
    assert str(error.value) == (
        "Net does not run on 2 samples of 3 time steps; tried time='first': lif1 starts with mem"
        " other than zero"
    )


def test_a_static_input_repeated_inside_is_refused():
    class Net(Two):
        def forward(self, x):
            mem1, mem2 = self.start()
            for _ in range(25):
                out, mem1, mem2 = self.step(x, mem1, mem2)
            return out

    with pytest.raises(UnsupportedError) as error:
        from_torch(Net(), spikes(2, 3, 3))
    assert str(error.value) == (
        "lif1 is called 25 times in each time step; give every place in the network a layer of its"
        " own, and let a module that repeats its input take the time axis from the sample"
    )


# Arguments that are not what they should be, with the whole message.
ARGUMENTS = {
    "state dict": (
        lambda: (First().state_dict(), spikes(2, 3, 3)),
        "from_torch needs the torch module itself, got a state dict, which holds weights but not"
        " how the layers are joined; build the module, load its weights into it, and give it",
    ),
    "path": (
        lambda: ("model.pt", spikes(2, 3, 3)),
        "from_torch needs the torch module itself, got a str; build the module, load its weights"
        " into it, and give it",
    ),
    "class": (
        lambda: (First, spikes(2, 3, 3)),
        "from_torch needs the torch module itself, got the class First; build the module, load its"
        " weights into it, and give it",
    ),
    "two dimensions": (
        lambda: (First(), spikes(2, 3)),
        "sample has shape (2, 3), expected (samples, steps, *shape)",
    ),
    "no steps": (
        lambda: (First(), spikes(2, 0, 3)),
        "sample has shape (2, 0, 3), expected (samples, steps, *shape)",
    ),
    "text": (lambda: (First(), [[["a"]]]), "sample has dtype <U1, expected numbers"),
    "nan": (
        lambda: (First(), np.full((2, 3, 3), np.nan)),
        "sample holds values that are not finite",
    ),
    "nan weights": (
        lambda: (_spoilt(First(), "fc1.weight"), spikes(2, 3, 3)),
        "fc1.weight: 12 of 12 values are not finite",
    ),
    "lazy": (
        lambda: (nn.Sequential(nn.LazyLinear(3), leaky()), spikes(2, 3, 3)),
        "0.weight has no shape yet; run the module once before importing it",
    ),
    "cannot be copied": (
        lambda: (_uncopyable(), spikes(2, 3, 3)),
        "First cannot be copied, TypeError: cannot pickle 'generator' object",
    ),
}


def _spoilt(module, name):
    with torch.no_grad():
        module.get_parameter(name).fill_(float("inf"))
    return module


def _uncopyable():
    module = First()
    module.log = (i for i in range(3))
    return module


@pytest.mark.parametrize("name", ARGUMENTS)
def test_refuses_arguments(name):
    make, message = ARGUMENTS[name]
    with pytest.raises(InputError) as error:
        from_torch(*make())
    assert str(error.value) == message


def test_takes_lists_and_tensors_as_sample():
    x = spikes(2, 4, 3)
    texts = {str(from_torch(First(), s)) for s in (x, x.tolist(), torch.tensor(x), x == 1)}
    assert len(texts) == 1


# What is left behind.
def snapshot(module):
    """Return everything that can be seen of a module and its layers."""
    return {
        name: (
            layer.training,
            sorted(vars(layer)),
            [len(hooks) for key, hooks in sorted(vars(layer).items()) if "hooks" in key],
            {k: (id(v), v.dtype, v.clone()) for k, v in layer.named_parameters(recurse=False)},
            {k: (id(v), v.dtype, v.clone()) for k, v in layer.named_buffers(recurse=False)},
        )
        for name, layer in module.named_modules()
    }


def _random(m, x):
    torch.rand(3)
    return _skip(m, x)


@pytest.mark.parametrize(
    "net", [First, Step, lambda: with_forward(_random), lambda: with_forward(_skip)]
)
@pytest.mark.parametrize("training", [True, False])
def test_leaves_the_module_and_the_random_numbers_as_they_were(net, training):
    module = net().train(training)
    x = torch.tensor(spikes(2, 5, *((3,) if isinstance(module, Two) else (2, 3)))).float()
    if not isinstance(module, Step):  # leaves states that hang on a graph
        module(x.transpose(0, 1) if isinstance(module, First) else x[:, 0])
    neurons = len(snn.SpikingNeuron.instances)
    before, numbers = snapshot(module), torch.get_rng_state()
    from_torch(module, x)
    assert repr(snapshot(module)) == repr(before)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert len(snn.SpikingNeuron.instances) == neurons


def test_a_sequence_of_imports_gives_the_same_network():
    module, x = with_forward(_skip), spikes(2, 5, 2, 3)
    assert str(from_torch(module, x)) == str(from_torch(module, x))


def test_half_trained_states_do_not_matter():
    """Hidden states from training, on a graph and of another batch size, are started afresh."""
    module = nn.Sequential(linear(3, 4), leaky(learn_beta=True), linear(4, 2), leaky())
    x = spikes(3, 6, 3)
    clean = str(from_torch(module, x))
    for step in range(6):
        module(torch.tensor(x[:, step]).float())
    assert not module[1].mem.is_leaf
    assert str(from_torch(module, x)) == clean
    assert not module[1].mem.is_leaf


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_module_on_a_gpu_is_run_on_the_cpu():
    module, x = First(), spikes(2, 5, 3)
    expected = str(from_torch(module, x))
    assert str(from_torch(module.cuda(), torch.tensor(x).cuda())) == expected
    assert module.fc1.weight.is_cuda


# Names and shapes.
def test_a_hook_that_changes_a_layer_is_noticed():
    module = First()
    module.fc1.register_forward_hook(lambda layer, args, out: out.relu())
    with pytest.raises(ImportMismatchError, match=r"^lif1: "):
        from_torch(module, spikes(4, 20, 3))


def test_names_come_from_paths(golden):
    net = named(
        **{
            "0": named(fc=linear(4, 4), lif=leaky()),
            "input": leaky(),
            "_x": leaky(),
            "a_b": leaky(),
            "a": named(b=snn.Synaptic(0.5, 0.5, init_hidden=True)),
            "fc": linear(4, 3),
            "lif": snn.Synaptic(0.5, 0.5, init_hidden=True),
            "lif_bias": leaky(),
        }
    )
    network = from_torch(net, spikes(3, 9, 4) * 3)
    golden(str(network))
    assert network.title == "Sequential"
    assert from_torch(net, spikes(3, 9, 4), title="mine").title == "mine"


def test_a_single_neuron_layer_is_a_network(golden):
    golden(str(from_torch(leaky(), spikes(3, 9, 4))))


def test_shapes_of_more_dimensions_stay(golden):
    net = nn.Sequential(
        nn.Flatten(), linear(6, 6), nn.Unflatten(1, (2, 3)), nn.Dropout(), nn.Identity(), leaky()
    )
    network = from_torch(net, spikes(3, 9, 2, 3))
    golden(str(network))
    assert network.output_shape == (2, 3)


def test_neurons_fed_one_to_one_take_one_synapse_each():
    network = from_torch(leaky(), spikes(2, 3, 10_000))
    assert str(network.projections[0].synapses.wiring) == "scale 10000x10000"
    assert network.projections[0].synapses.weight.tolist() == 1


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
        np.testing.assert_allclose(
            network.run(x).spikes, expected.transpose(1, 0, 2), rtol=1e-5, atol=1e-6
        )


# Verification.
def _affine(weight, bias):
    return torch_linear.Affine(dense(weight), np.asarray(bias))


def _other_bias(layer, where, shape):
    return _affine(layer.weight.detach().double().numpy(), np.zeros(layer.out_features))


def _other_order(layer, where, shape):
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    return _affine(weight[::-1], bias[::-1])


def _always(weight, bias):
    """Return a row of the table that translates every linear layer alike."""
    return torch_linear.Row(1, lambda *_: _affine(weight, bias))


@pytest.mark.parametrize("wrong", [_other_bias, _other_order])
@pytest.mark.parametrize("module", [First(), Answer(lambda spk, mem: mem)])
def test_a_wrong_translation_is_caught(monkeypatch, module, wrong):
    monkeypatch.setitem(torch_linear.LINEAR, nn.Linear, torch_linear.Row(1, wrong))
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
    monkeypatch.setitem(torch_linear.LINEAR, nn.Linear, _always([[1]], [0]))
    with pytest.raises(ImportMismatchError) as error:
        from_torch(module, x)
    assert str(error.value) == (
        "layer_1: sample 1, time step 1, neuron 0: the module's output is 1, the imported"
        " network's is 0; 1 of 4 differ"
    )


def test_samples_are_counted_through_all_batches(monkeypatch):
    monkeypatch.setattr("snncompile.frontends.torch_verify.MEMORY_BYTES", 1)
    monkeypatch.setitem(torch_linear.LINEAR, nn.Linear, _always([[1]], [0]))
    with pytest.raises(ImportMismatchError, match="layer_1: sample 2, time step 0, neuron 0:"):
        from_torch(_twofold(), np.array([[[0]], [[0]], [[1]]]))


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
    monkeypatch.setitem(torch_linear.LINEAR, nn.Linear, wrong)
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
    assert caplog.messages[-2:] == [
        "layer_1: 2 of 3 outputs differ between the module in torch.float32 and in float64: its"
        " rounding",
        "Sequential: imported with time='step'",
    ]


def test_the_sample_is_what_the_module_makes_of_it(caplog):
    """In float32 this input is the threshold, in float64 a little more."""
    caplog.set_level(logging.INFO, "snncompile")
    from_torch(leaky(threshold=0.1), np.full((1, 1, 1), 0.1000000016))
    assert caplog.messages == [
        "Leaky: no spike on the sample, so nothing was verified; give a livelier sample",
        "Leaky: imported with time='step'",
    ]


def test_potentials_are_not_counted_as_rounded(caplog):
    caplog.set_level(logging.INFO, "snncompile")
    from_torch(Answer(lambda spk, mem: mem), spikes(4, 20, 3) * 0.1)
    assert caplog.messages == ["Answer: imported with time='first'"]


def test_potentials_that_overflow_are_no_match():
    module = Answer(lambda spk, mem: mem).double()
    with torch.no_grad():
        module.fc2.weight.fill_(1e308)
        module.fc1.bias.fill_(1e3)
    with pytest.raises(ImportMismatchError, match=r"the module's potential is inf"):
        from_torch(module, spikes(4, 20, 3))


def test_a_silent_sample_is_mentioned(caplog):
    from_torch(nn.Sequential(linear(3, 1, bias=False), leaky()), np.zeros((2, 3, 3)))
    assert caplog.messages == [
        "layer_1: no spike on the sample, so nothing was verified; give a livelier sample"
    ]


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
