"""Layers that stay on the host: their output is the network's input, and no code is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.errors import SnnCompileError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.host_part import hash_state
from snncompile.training import Lif


class Poisson(nn.Module):
    def forward(self, x):
        return (torch.rand_like(x) < x).to(x)


class Front(nn.Module):
    """Called once per time step: an ANN front end and an encoder, then the chip's layers."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Sigmoid())
        self.encoder = Poisson()
        self.fc = nn.Linear(72, 10)
        self.lif = Lif()

    def forward(self, x):
        return self.lif(self.fc(self.encoder(self.conv(x)).flatten(1)))


class Decoded(nn.Module):
    """Loops over time; a norm and an encoder in front, a decoder behind the mean."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.encoder = nn.LayerNorm(20), Poisson()
        self.fc, self.lif, self.decoder = nn.Linear(20, 10), Lif(), nn.Linear(10, 3)

    def forward(self, x):
        steps = [self.norm(x[:, t]) for t in range(x.shape[1])]
        spikes = [self.encoder(torch.sigmoid(step)) for step in steps]
        return self.decoder(torch.stack([self.lif(3 * self.fc(s)) for s in spikes]).mean(0))


CASES = {
    "front": (Front(), (1, 8, 8), ["conv", "encoder"], (72,), (2, 6, 6)),
    "decoded": (Decoded(), (20,), ["norm", "encoder", "decoder"], (20,), (20,)),
}


def values(shape, samples=3, steps=8):
    return np.random.default_rng(0).random((samples, steps, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_runs_verifies_and_estimates_with_the_module(name, tmp_path):
    module, shape, host, _, arriving = CASES[name]
    x = values(shape)
    network = from_torch(module, x, host=host)
    part = network.input.host_part
    assert network.input.shape == arriving
    assert [*part.before, *part.after] == host
    shown = part.run(x, module)
    assert shown.shape == (3, 8, *arriving)
    assert {*np.unique(shown)} == {0, 1}
    np.testing.assert_array_equal(network.run(x, host=module).spikes.shape, (3, 8, 10))
    snncompile.compile(network, chip="loihi1", calibration=shown).save(tmp_path / "build")
    program = snncompile.load(tmp_path / "build")
    assert program.network.input.host_part == part
    result = program.run(x, host=module)
    assert result.spikes.any()
    np.testing.assert_array_equal(result.spikes, program.run(x, host=module).spikes)
    verification = program.verify(x, model=module, host=module, lava=False)
    assert verification.comparison("library", "float").equal
    assert program.estimate(x, host=module).energy_j > 0


def test_keeps_names_shapes_and_a_hash_only(tmp_path):
    module, shape, host, *_ = CASES["front"]
    network = from_torch(module, values(shape), host=host)
    snncompile.compile(network, chip="loihi1").save(tmp_path / "build")
    record = json.loads((tmp_path / "build" / "program.json").read_text())
    assert record["network"]["input"]["host_part"] == {
        "before": ["conv", "encoder"],
        "after": [],
        "output": "encoder",
        "held": "step",
        "shape": [1, 8, 8],
        "time": "step",
        "steps": None,
        "sha256": hash_state(module),
    }


def test_the_emitted_folder_says_what_the_host_gives(tmp_path):
    module, shape, host, *_ = CASES["decoded"]
    network = from_torch(module, values(shape), host=host)
    snncompile.compile(network, chip="loihi1").emit(tmp_path / "lava")
    text = " ".join((tmp_path / "lava" / "README.md").read_text().split())
    assert (
        "The network is a part of a model whose layers norm, encoder the host computes; they are"
        " not here. `x` is what `encoder` gives, for a sample of shape (samples, steps, 20), and"
        " `spikes` goes to decoder." in text
    )


@pytest.mark.parametrize("backend", ["nir", "netx"])
def test_files_of_the_chips_layers_say_what_they_leave_out(backend, tmp_path, caplog):
    _, shape, host, *_ = CASES["decoded"]
    module = Decoded()
    module.lif = Lif(reset="hard")
    network = from_torch(module, values(shape), host=host)
    program = snncompile.compile(network, chip="loihi2", formats="netx")
    caplog.clear()
    program.emit(tmp_path / f"file.{backend}", backend)
    (record,) = caplog.records
    assert record.getMessage() == (
        "Decoded: not in the file, as the host runs it: norm, encoder in front of its input and"
        " decoder behind its output"
    )


class TwoReaders(Front):
    """The chip's layers read the encoder and what is in front of it."""

    def forward(self, x):
        x = self.conv(x)
        return self.lif(self.fc(self.encoder(x).flatten(1)) + self.fc(x.flatten(1)))


PROGRAM_CALLS = {
    "no module": (
        lambda n: n.run(values((1, 8, 8))),
        "conv, encoder of the model run on the host; give the torch module: host=module",
    ),
    "other weights": (
        lambda n: n.run(values((1, 8, 8)), host=Front(seed=1)),
        "host: this Front has other weights or buffers than the one that was compiled; give"
        " that one, or import and compile again",
    ),
    "no torch module": (
        lambda n: n.run(values((1, 8, 8)), host="front.pt"),
        "host must be the torch module, got a str",
    ),
    "other shape": (
        lambda n: n.run(values((72,)), host=CASES["front"][0]),
        "input has shape (3, 8, 72), the host takes (samples, steps, 1, 8, 8)",
    ),
    "no such part": (
        lambda n: from_torch(nn.Sequential(nn.Linear(20, 4), Lif()), values((20,))).run(
            values((20,)), host=nn.Linear(20, 4)
        ),
        "this network has no part on the host; leave host= away",
    ),
}


@pytest.mark.parametrize("name", PROGRAM_CALLS)
def test_refuses_another_module(name):
    module, shape, host, *_ = CASES["front"]
    call, message = PROGRAM_CALLS[name]
    with pytest.raises(SnnCompileError) as error:
        call(from_torch(module, values(shape), host=host))
    assert str(error.value) == message


IMPORTS = {
    "unknown name": (
        Decoded(),
        (20,),
        ["nrm"],
        "host: the module has no layer 'nrm'; it has norm, encoder, fc, lif, decoder",
    ),
    "no list": (Decoded(), (20,), "norm", "host takes a list of layers: host=['norm']"),
    "two readers": (
        TwoReaders(),
        (1, 8, 8),
        ["conv", "encoder"],
        "the chip's layers read conv and encoder; a network has one input, so leave the layers"
        " that read the others on the host too: host=[...]",
    ),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_refuses_what_is_no_part(name):
    module, shape, host, message = IMPORTS[name]
    with pytest.raises(SnnCompileError) as error:
        from_torch(module, values(shape), host=host)
    assert str(error.value) == message


def test_a_refused_layer_in_front_is_proposed_for_the_host():
    module = nn.Sequential(nn.LayerNorm(20), nn.Linear(20, 4), Lif())
    with pytest.raises(SnnCompileError) as error:
        from_torch(module, values((20,)))
    assert str(error.value).startswith("0: LayerNorm is not known; known: ")
    assert str(error.value).endswith("; or leave it on the host: host=['0']")
    from_torch(module, values((20,)), host=["0"])


class Inside(nn.Module):
    """Makes its 6 steps itself: encoder, two layers, a norm and a decoder behind the mean."""

    steps = 6

    def __init__(self, encoder):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.fc, self.lif = encoder, nn.Linear(20, 10), Lif()
        self.norm, self.decoder = nn.LayerNorm(10), nn.Linear(10, 3)

    def encode(self, x):
        return [self.encoder(x) for _ in range(self.steps)]

    def forward(self, x):
        spikes = [self.lif(3 * self.fc(step.flatten(1))) for step in self.encode(x)]
        return self.decoder(self.norm(torch.stack(spikes).mean(0)))


class AllSteps(nn.Module):
    """An encoder that makes all steps at once, on its first or second axis."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        steps = x.unsqueeze(self.axis).repeat_interleave(Inside.steps, self.axis)
        return (torch.rand_like(steps) < steps).to(x)


class AtOnce(Inside):
    def encode(self, x):
        return self.encoder(x).unbind(self.encoder.axis)


class Image(Inside):
    """A front end that makes one image of as many channels as there are steps."""

    def __init__(self):
        super().__init__(nn.Sequential(nn.Conv2d(1, 6, (1, 2), (1, 2)), nn.ReLU()))
        self.fc = nn.Linear(60, 10)

    def encode(self, x):
        return [self.encoder(x[:, None, None])] * self.steps


INSIDE = {
    "each step": (Inside(Poisson()), "step", (20,)),
    "first axis": (AtOnce(AllSteps(0)), "first", (20,)),
    "second axis": (AtOnce(AllSteps(1)), "second", (20,)),
    "an image": (Image(), "static", (6, 1, 10)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_modules_that_make_the_steps(name):
    module, held, arriving = INSIDE[name]
    x = np.random.default_rng(0).random((4, 20)).astype(np.float32)
    network = from_torch(module, x, time="inside", host=["encoder", "norm", "decoder"])
    part = network.input.host_part
    assert (part.held, part.steps, part.after) == (held, 6, ("norm", "decoder"))
    assert network.input.shape == arriving
    assert str(network.answer) == "mean steps=6"
    assert network.input.analog == (held == "static")
    shown = part.run(x, module)
    assert shown.shape == (4, 6, *arriving)
    program = snncompile.compile(network, chip="loihi2", calibration=shown)
    assert program.run(x, host=module).spikes.any()
    verification = program.verify(x, model=module, host=module, lava=False)
    assert verification.comparison("library", "float").equal


def test_an_image_of_the_host_becomes_biases():
    module = Image()
    x = np.random.default_rng(0).random((4, 20)).astype(np.float32)
    network = from_torch(module, x, host=["encoder", "norm", "decoder"], input="biases")
    shown = network.input.host_part.run(x, module)
    program = snncompile.compile(network, chip="loihi1", calibration=shown)
    verification = program.verify(x, model=module, host=module, lava=False)
    assert verification.comparison("library", "float").equal


class Written(Inside):
    """Draws its spikes in forward."""

    def encode(self, x):
        return [(torch.rand_like(x) < x).float() for _ in range(self.steps)]


@pytest.mark.parametrize(
    "module, message",
    [
        (
            Written(nn.Identity()),
            "norm: LayerNorm is not known; known: ",
        ),
        (Inside(nn.Tanh()), "2 things stand in the way:\n  encoder: Tanh is not known; known: "),
    ],
)
def test_layers_in_front_and_behind_are_proposed_for_the_host(module, message):
    with pytest.raises(SnnCompileError) as error:
        from_torch(module, values((20,))[:, 0], time="inside")
    assert str(error.value).startswith(message)
    last = error.value.obstacles[-1].message
    assert last.endswith("; or leave it on the host: host=['norm']")


def test_an_encoder_without_a_name_is_refused_with_what_to_do():
    with pytest.raises(SnnCompileError) as error:
        from_torch(Written(nn.Identity()), values((20,))[:, 0], host=["norm", "decoder"])
    assert str(error.value) == (
        "torch.Tensor.lt between the input and fc is not known; known are functions that only"
        " reshape or select, average pooling, sums of layers and factors; or put what computes it"
        " into a module and leave that on the host, host=[its name], or give the spikes that come"
        " out"
    )


def test_refuses_further_arguments():
    with pytest.raises(SnnCompileError) as error:
        from_torch(Stated(Poisson()), values((20,)), host=["encoder"], args=(1.0,))
    assert str(error.value) == (
        "host= is given together with args=; give a module of two lines whose forward calls this"
        " one with those arguments"
    )


class Stated(Inside):
    def forward(self, x, gain):
        return super().forward(gain * x)


class ByHand(nn.Module):
    """Neurons written by hand; the decoder takes the mean of their potentials after the reset."""

    def __init__(self, last):
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.fc2, self.last = nn.Linear(12, 9), nn.Linear(9, 5), last
        self.decoder = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.LayerNorm(4))

    def forward(self, x):
        first, second, seen = torch.zeros(len(x), 9), torch.zeros(len(x), 5), []
        for t in range(x.shape[1]):
            first = 0.9 * first + 2 * self.fc1(x[:, t])
            spikes = (first > 0.5).to(x)
            first = first - 0.5 * spikes
            second = 0.8 * second + 2 * self.fc2(spikes)
            second = second - 0.5 * (second > 0.5).to(x)
            seen.append(second)
        return nn.functional.normalize(self.decoder(torch.stack(seen)[-self.last :].mean(0)), dim=1)


@pytest.mark.parametrize(
    "last, returned",
    [
        (10, "the mean of the state 'potential' of neurons_2, which no neuron of ours sends"),
        (4, "a mean over 4 of 10 time steps"),
    ],
)
def test_a_decoder_of_potentials_behind_neurons_written_by_hand(last, returned):
    module, x = ByHand(last), (values((12,), 4, 10) > 0.5).astype(np.float32)
    network = from_torch(module, x, host=["decoder"])
    note = f"answer: forward returns {returned}; the prediction is the sum of neurons_2 over time"
    assert network.notes == (note,)
    assert network.input.host_part.after == ("decoder",)
    snncompile.compile(network, chip="loihi2", calibration=x, max_answer_loss=1)
    with pytest.raises(SnnCompileError) as error:
        snncompile.compile(network, chip="loihi2", calibration=x, strict=True)
    remedy = "return a sum, mean, maximum or the last over all steps, or leave strict out"
    assert f"{note}; {remedy}" in str(error.value)
