"""Parts of a `.net` file: some of its layers, an end without neurons, its size."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
from net_files import conv, dense, flat, other_neuron, write

from snncompile.errors import InputError
from snncompile.frontends.netx.from_netx import from_netx
from snncompile.neurons.readout import IntegerReadout

RNG = np.random.default_rng(3)


def even(*shape):
    return RNG.integers(-20, 40, shape) * 2


@pytest.fixture
def net(tmp_path):
    return lambda *layers: write(tmp_path / "some.net", *layers)


def spikes(steps, size):
    return (RNG.random((2, steps, size)) < 0.5).astype(np.uint8)


def test_the_threshold_of_the_training_is_accepted(net):
    layer = dense(even(4, 3), neuron={"theta": 1.25})
    assert from_netx(net(layer)).populations[0].neuron.threshold == 80


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_layers_can_be_left_out_at_both_ends(net, cut):
    """The first layers, then the others fed with what those send, are the whole."""
    path = net(dense(even(6, 5)), dense(even(5, 6), delay=np.arange(5)), dense(even(4, 5)),
               dense(even(3, 4)))  # fmt: skip
    x = spikes(30, 5)
    front, rest = from_netx(path, num_layers=cut), from_netx(path, skip_layers=cut)
    assert [p.name for p in rest.populations] == [f"layer_{i}" for i in range(cut, 4)]
    assert len(front.populations) == cut + (cut == 2)
    sent = from_netx(path, num_layers=cut).run(x).spikes
    if cut == 2:  # a delay behind the last layer is a population there, and kept in both parts
        sent = np.stack([np.roll(sent[:, :, i], -i, axis=1) for i in range(5)], axis=2)
        sent, steps = sent[:, :-5], 25
    else:
        steps = 30
    got = rest.run(sent).spikes
    np.testing.assert_array_equal(got, from_netx(path).run(x).spikes[:, :steps])
    assert got.any()


def test_a_skipped_layer_sets_the_range_of_the_input(net):
    sdnn = {"type": "SDNN", "vThMant": 3, "messageBits": 16}
    first = flat("input", 4) | {f"neuron/{key}": value for key, value in sdnn.items()}
    path = net(first, other_neuron(dense(even(5, 4)), **sdnn))
    assert tuple(from_netx(path, skip_layers=1).input.payload) == (-(2**15) + 1, 2**15 - 1)
    plain = net(dense(even(5, 4)), dense(even(3, 5)))
    assert tuple(from_netx(plain, skip_layers=1).input.payload) == (0, 1)


LIMITS = "num_layers must be 1 or more and skip_layers 0 or more, got "
REFUSED = {
    LIMITS + "0 and 0": {"num_layers": 0},
    LIMITS + "None and -1": {"skip_layers": -1},
    "some.net: holds no layer with neurons": {"skip_layers": 1},
}


@pytest.mark.parametrize("message", REFUSED)
def test_refuses_to_leave_out_everything(net, message):
    path = net(dense(even(5, 4)))
    with pytest.raises(InputError) as error:
        from_netx(path, **REFUSED[message])
    assert str(error.value) == message


def test_an_average_is_the_sum_of_groups(net):
    path = net(dense(even(6, 4)), flat("average", 2, 1, 1))
    network, x = from_netx(path), spikes(12, 4)
    assert isinstance(network.populations[-1].neuron, IntegerReadout)
    assert network.notes == (
        "netx: layer_1 is read out as sums of 3 neurons, times 64; lava-dl's average is that over"
        " 192",
    )
    sent = from_netx(path, num_layers=1).run(x).spikes.astype(int)
    expected = sent.reshape(2, 12, 2, 3).sum(axis=3)
    np.testing.assert_array_equal(network.run(x).spikes, expected * 64)
    assert expected.max() > 1
    with pytest.raises(InputError) as error:
        from_netx(net(dense(even(6, 4)), flat("average", 4)))
    assert str(error.value) == (
        "some.net: layer 1 (average): 6 values cannot be averaged in 4 groups"
    )


def test_a_final_affine_layer_adds_up_as_in_netx(net):
    last = {k: v for k, v in dense(even(3, 6)).items() if not k.startswith("neuron/")}
    path = net(dense(even(6, 4)), last)
    network, x = from_netx(path), spikes(12, 4)
    assert network.notes == (
        "netx: layer_1 has no neurons; its sums since the start are read out, as netx does; the"
        " file does not hold decays that lava-dl may have trained with",
    )
    sent = from_netx(path, num_layers=1).run(x).spikes.astype(int)
    expected = np.cumsum(sent @ last["weight"].astype(int).T, axis=1) * 64
    np.testing.assert_array_equal(network.run(x).spikes, expected)
    assert expected.any()


def test_memory_and_time_are_those_of_the_file(net):
    """A network of PilotNet's size: 158,509 neurons, 280,000 weights."""
    layers, shape = [flat("input", 3, 66, 200)], (3, 66, 200)
    layers[0] |= {k: v for k, v in dense(even(1, 1), neuron={"theta": 1}).items() if "neuron/" in k}
    for channels, kernel, stride in ((24, 3, 2), (36, 3, 2), (48, 3, 2), (64, 3, 2), (64, 3, 1)):
        weight = even(channels, shape[0], kernel, kernel)
        shape = (channels, *((n - kernel) // stride + 1 for n in shape[1:]))
        layers.append(conv(weight, shape, stride=np.array([stride, stride])))
    layers.append(flat("flatten", int(np.prod(shape))))
    size = int(np.prod(shape))
    for targets in (100, 50, 10, 1):
        layers.append(dense(even(targets, size)))
        size = targets
    path, start = net(*layers), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = from_netx(path)
    seconds = time.monotonic() - start
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    assert sum(p.size for p in network.populations) > 150_000
    assert (seconds < 20, more < 2) == (True, True), f"{seconds:.1f} s, {more:.1f} GiB more"
