"""Layers of `.net` files beyond a dense one of CUBA neurons: what they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from net_files import conv, dense, flat, other_neuron, write

import snncompile
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.netx.from_netx import from_netx, read_input_transform
from snncompile.neurons.delta import IntegerDelta
from snncompile.neurons.sigma import IntegerSigma
from snncompile.neurons.sigma_delta import IntegerSigmaDelta

RNG = np.random.default_rng(0)
SDNN = {"type": "SDNN", "vThMant": 3, "activation": "relu"}
LEAKY = {"iDecay": 4096, "vDecay": 500, "vThMant": 20}


@pytest.fixture
def net(tmp_path):
    return lambda *layers: write(tmp_path / "some.net", *layers)


def spikes(*shape: int, rate: float = 0.4):
    return (np.random.default_rng(1).random(shape) < rate).astype(np.uint8)


def lif(drive, bias=0):
    """Return the spikes of LEAKY neurons for accumulated weights (steps, n)."""
    v, out = np.zeros(drive.shape[1:], int), []
    for x in drive.astype(int):
        v = np.sign(v) * (np.abs(v) * (4096 - LEAKY["vDecay"]) >> 12) + x * 64 + bias * 64
        out.append(v > LEAKY["vThMant"] * 64)
        v[out[-1]] = 0
    return np.array(out)


def even(*shape: int):
    return RNG.integers(-20, 30, shape) * 2


GEOMETRY = {
    "plain": ({}, (4, 4, 5)),
    "strides, padding and dilation as (y, x)": (
        {"stride": [2, 1], "padding": [1, 2], "dilation": [1, 2]},
        (4, 3, 7),
    ),
    "one number for both axes": ({"stride": 2, "padding": 1, "dilation": 1}, (4, 3, 4)),
    "groups": ({"groups": 2}, (4, 4, 5)),
}


@pytest.mark.parametrize("case", GEOMETRY)
def test_a_convolution_is_that_of_torch(net, case):
    options, shape = GEOMETRY[case]
    groups = options.get("groups", 1)
    weight, bias = even(4, 2 // groups, 3, 3)[..., None], np.array([3, -2, 0, 5])
    options = {k: v if k == "groups" else np.array(v) for k, v in options.items()}
    layer = conv(weight, shape, bias=bias, neuron=LEAKY, **options)
    network = from_netx(net(flat("input", 2, 6, 7), layer))
    x = spikes(1, 9, 2, 6, 7)
    options = {k: v if k == "groups" else tuple(np.broadcast_to(v, 2)) for k, v in options.items()}
    drive = torch.nn.functional.conv2d(
        torch.tensor(x[0], dtype=torch.float64), torch.tensor(weight[..., 0] * 1.0), **options
    )
    assert drive.shape[1:] == shape
    wanted = lif(drive.numpy(), bias[:, None, None])
    assert (network.run(x).spikes[0] == wanted).all()
    assert wanted.any()


def test_dense_behind_convolution_reads_channels_first(net):
    weight = even(2, 24)
    network = from_netx(
        net(
            flat("input", 2, 6, 7),
            conv(even(2, 2, 3, 3), (2, 3, 4), stride=np.array([2, 2]), padding=np.array([1, 1]))
            | {"shape": np.array((2, 3, 4))},
            flat("flatten", 24),
            dense(weight, neuron=LEAKY),
        )
    )
    assert [p.shape for p in network.populations] == [(2, 3, 4), (2,)]
    assert network.run(spikes(2, 5, 2, 6, 7)).spikes.shape == (2, 5, 2)


def test_parameters_may_be_one_per_channel(net):
    layer = conv(even(2, 2, 1, 1), (2, 2, 2), neuron={"vThMant": np.array([5, 9])})
    network = from_netx(net(flat("input", 2, 2, 2), layer))
    assert network.populations[0].neuron.threshold.tolist() == [5] * 4 + [9] * 4


def test_a_recurrent_layer_hears_itself_one_step_later(net):
    weight, again = even(3, 4), even(3, 3)
    network = from_netx(net(dense(weight, weight_rec=again, neuron=LEAKY)))
    x, v, last = spikes(1, 12, 4), np.zeros(3, int), np.zeros(3, int)
    wanted = []
    for row in x[0].astype(int):
        v = np.sign(v) * (np.abs(v) * (4096 - LEAKY["vDecay"]) >> 12)
        v = v + (weight @ row + again @ last) * 64
        last = (v > LEAKY["vThMant"] * 64).astype(int)
        v[last > 0] = 0
        wanted.append(last)
    assert (network.run(x).spikes[0] == wanted).all()
    assert np.any(wanted)


def test_delays_of_a_layer_reach_the_next_one(net):
    first, second, delay = even(3, 4), even(2, 3), np.array([0, 2, 5])
    network = from_netx(net(dense(first, neuron=LEAKY, delay=delay), dense(second, neuron=LEAKY)))
    x = spikes(1, 15, 4)
    sent = lif(x[0] @ first.T)
    late = np.zeros_like(sent)
    for i, d in enumerate(delay):
        late[d:, i] = sent[: len(sent) - d, i]
    assert (network.run(x).spikes[0] == lif(late @ second.T)).all()
    assert late.any()


def test_delays_of_the_last_layer_reach_the_output(net):
    weight, delay = even(3, 4), np.array([1, 0, 3])
    network = from_netx(net(dense(weight, neuron=LEAKY, delay=delay)))
    x = spikes(1, 15, 4)
    sent, found = lif(x[0] @ weight.T), network.run(x).spikes[0]
    for i, d in enumerate(delay):
        assert (found[d:, i] == sent[: len(sent) - d, i]).all()
    assert network.output == "layer_0_late"


def test_delays_of_channels_spread_over_their_neurons(net):
    layer = conv(even(2, 1, 1, 1), (2, 2, 2), delay=np.array([0, 3]))
    network = from_netx(net(flat("input", 1, 2, 2), layer, dense(even(1, 8))))
    late = [p for p in network.projections if p.delay == 3]
    assert sorted(late[0].synapses.wiring.source.tolist()) == [4, 5, 6, 7]


def test_an_input_layer_takes_numbers(net):
    made = flat("input", 2, 1, 2, weight=36, bias=34)
    path = net(made | {f"neuron/{k}": v for k, v in {"type": "LOIHI", **LEAKY}.items()})
    network = from_netx(path)
    x = np.random.default_rng(2).integers(-9, 30, (1, 9, 2, 1, 2))
    assert (network.run(x).spikes[0] == lif(x[0])).all()
    transform = read_input_transform(path)
    assert (transform.weight, transform.bias) == (36, 34)


def test_the_current_of_an_input_layer_has_no_memory(net):
    made = flat("input", 3) | {f"neuron/{k}": v for k, v in ({**LEAKY, "type": "CUBA"}).items()}
    network = from_netx(net(made | {"neuron/iDecay": 7}))
    x = np.random.default_rng(2).integers(-9, 30, (1, 9, 3))
    assert (network.run(x).spikes[0] == lif(x[0])).all()


def test_input_transform_needs_an_input_layer_with_neurons(net):
    with pytest.raises(InputError) as error:
        read_input_transform(net(flat("input", 3), dense(even(2, 3))))
    assert str(error.value) == "some.net: layer 0: is no input layer with neurons"
    defaults = flat("input", 3) | {f"neuron/{k}": v for k, v in SDNN.items()}
    transform = read_input_transform(net(defaults))
    assert (transform.weight, transform.bias) == (64, 0)


def sigma_deltas(net):
    encoder = flat("input", 4) | {f"neuron/{k}": v for k, v in SDNN.items()}
    hidden = other_neuron(dense(even(5, 4), bias=np.array([1, -1, 0, 2, 3])), **SDNN)
    answer = other_neuron(dense(even(2, 5)), **SDNN, sigma_output=True)
    return from_netx(net(encoder, hidden, answer))


def test_a_sigma_delta_network(net):
    network = sigma_deltas(net)
    delta, hidden, answer = (p.neuron for p in network.populations)
    assert isinstance(delta, IntegerDelta)
    assert (delta.threshold_level, delta.state_exponent, delta.input_exponent) == (3 << 12, 6, 12)
    assert isinstance(hidden, IntegerSigmaDelta)
    assert hidden.bias_level.tolist() == [1 << 12, -1 << 12, 0, 2 << 12, 3 << 12]
    assert isinstance(answer, IntegerSigma)
    x = np.random.default_rng(4).integers(-30, 30, (2, 7, 4)).repeat(3, axis=1)
    first, second = (p.synapses.weight.astype(int) for p in network.projections[1:])
    sigma = (x[0] << 6) @ first.T  # what the deltas add up to, where nothing is held back
    wanted = (np.maximum(sigma + hidden.bias_level, 0) >> 6) @ second.T
    # A neuron holds back less than its threshold of 3 (in the unit of `sigma`: 3 << 6), and its
    # message loses less than 1 to the shift; what arrives is off by that times the weights.
    held_back = (3 << 6) + 1
    hidden_error = np.abs(first).sum(axis=1) * held_back / 2**6 + held_back
    most = np.abs(second) @ hidden_error
    assert (np.abs(network.run(x).spikes[0] - wanted) <= most).all()


def test_it_compiles_and_runs_on_lava(net, lava):
    program = snncompile.compile(sigma_deltas(net), chip="loihi2")
    x = np.random.default_rng(4).integers(-30, 30, (3, 8, 4))
    assert program.verify(x).equal
    assert np.count_nonzero(program.run(x).spikes)


test_it_compiles_and_runs_on_lava = pytest.mark.lava(test_it_compiles_and_runs_on_lava)


def test_a_layer_behind_a_sum_is_refused(net):
    answer = other_neuron(dense(even(2, 5)), **SDNN, sigma_output=True)
    with pytest.raises(UnsupportedError) as error:
        from_netx(net(answer, other_neuron(dense(even(3, 2)), **SDNN)))
    message = (
        "some.net: layer 1 (dense): a layer behind layer_0, which sends no spikes, is not known"
    )
    assert str(error.value) == message


def test_a_late_sum_is_refused(net):
    answer = other_neuron(dense(even(2, 5), delay=np.array([1, 0])), **SDNN)
    with pytest.raises(UnsupportedError) as error:
        from_netx(net(answer))
    message = "layer_0: a delay of graded spikes behind the last layer is not known"
    assert str(error.value) == message


def test_an_input_layer_behind_others_is_refused(net):
    made = flat("input", 2) | {f"neuron/{k}": v for k, v in SDNN.items()}
    with pytest.raises(UnsupportedError) as error:
        from_netx(net(dense(even(2, 5)), made))
    assert str(error.value) == (
        "some.net: layer 1 (input): an input layer behind others is not known"
    )


BROKEN = {
    "another shape": (
        conv(even(4, 2, 3, 3), (4, 4, 4)),
        "convolution 2x6x7 -> 4x4x5 kernel=3x3 with weight of shape (4, 2, 3, 3) does not give the"
        " layer's shape (4, 4, 4)",
    ),
    "channels": (
        conv(even(4, 3, 3, 3), (4, 4, 5)),
        "inChannels is 3, weight has 2",
    ),
    "a kernel that is too large": (
        conv(even(4, 2, 9, 9), (4, 1, 1)),
        "convolution: kernel (9, 9) is larger than source (2, 6, 7)",
    ),
    "a flat kernel": (
        conv(even(4, 2, 3, 3), (4, 4, 5)) | {"weight": even(4, 18)},
        "weight has shape (4, 18), expected (out, in, height, width)",
    ),
    "three strides": (
        conv(even(4, 2, 3, 3), (4, 4, 5), stride=np.array([1, 1, 1])),
        "stride has 3 values, expected one or (y, x)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_convolution_that_does_not_fit(net, case):
    layer, message = BROKEN[case]
    with pytest.raises(InputError) as error:
        from_netx(net(flat("input", 2, 6, 7), layer))
    assert str(error.value) == f"some.net: layer 1 (conv): {message}"
