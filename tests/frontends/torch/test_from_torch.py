"""Import of torch modules: unknown layers, states, arguments, names, what is left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spiking import (
    First,
    Step,
    Two,
    leaky,
    linear,
    skip,
    spikes,
    views,
    with_forward,
)
from torch import nn

from snncompile.errors import ImportMismatchError, InputError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")


# Layers that are not known: the start of the message, with the known names most like theirs.
class Swish(nn.Linear):
    def forward(self, x):
        return super().forward(x) * torch.sigmoid(x)


def named(**layers):
    net = nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net


UNKNOWN = {
    "layer1.up: LPPool1d": named(layer1=named(up=nn.LPPool1d(2, 2)), lif=leaky()),
    "0: ConvTranspose3d": nn.Sequential(nn.ConvTranspose3d(3, 2, 1), leaky()),
    "1: LayerNorm": nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), leaky()),
    "1: GELU": nn.Sequential(nn.Linear(3, 3), nn.GELU(), leaky()),
    "0: Swish": nn.Sequential(Swish(3, 3), leaky()),
    "Softshrink: Softshrink": nn.Softshrink(),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_refuses_unknown_layers_by_name(name):
    with pytest.raises(UnsupportedError) as error:
        from_torch(UNKNOWN[name], spikes(2, 3, 3))
    path, _, kind = name.partition(": ")
    hint = f"; or leave it on the host: host=[{path!r}]"
    if kind == "Softshrink":  # the whole module
        hint = ""
    message = str(error.value)
    assert message.startswith(f"{name} is not known; known: ")
    assert message.endswith(hint)
    near = {"LPPool1d": "AvgPool1d/2d", "ConvTranspose3d": "ConvTranspose1d/2d"}
    assert near.get(kind, "Linear") in message


def test_a_subclass_with_the_same_equations_is_its_library_neuron():
    class Louder(snn.Leaky):
        pass

    own, known = (kind(0.5, init_hidden=True) for kind in (Louder, snn.Leaky))
    x = spikes(2, 3, 3)
    assert str(from_torch(nn.Sequential(own, leaky()), x)) == str(
        from_torch(nn.Sequential(known, leaky()), x)
    )


def test_a_layer_may_have_two_names():
    net = with_forward(views)
    net.also = nn.ModuleList([net.fc1, net.lif2])
    assert str(from_torch(net, spikes(5, 9, 2, 3))) == str(
        from_torch(with_forward(views), spikes(5, 9, 2, 3))
    )


def test_unknown_layers_that_are_not_used_do_not_matter():
    net = with_forward(views)
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
        "Net.forward needs mem1 and mem2 besides the input; give them as args=(...), None for a"
        " state that forward returns for the next step, or wrap the module in one that keeps its"
        " state"
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


def test_a_sample_for_steps_that_forward_makes_itself_is_explained():
    class Net(Two):
        def forward(self, x):
            mem1, mem2 = self.start()
            for _ in range(25):
                out, mem1, mem2 = self.step(x, mem1, mem2)
            return out

    with pytest.raises(UnsupportedError) as error:
        from_torch(Net(), spikes(2, 3, 3))
    assert str(error.value) == (
        "lif1 is called 25 times in each time step; if forward makes the steps itself, give what it"
        " takes once, shape (samples, *shape), with time='inside'; otherwise give every place in"
        " the network a layer of its own"
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
        "sample has shape (2, 3), expected (samples, steps, *shape), or (samples, *shape) where"
        " forward makes the steps itself; First does not run on 2 samples; tried time='inside':"
        " lif1 gets input of shape (4,)",
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
    return skip(m, x)


@pytest.mark.parametrize(
    "net", [First, Step, lambda: with_forward(_random), lambda: with_forward(skip)]
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
    module, x = with_forward(skip), spikes(2, 5, 2, 3)
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
