"""What may stand between the layers of a torch module, and what is refused."""

from __future__ import annotations

import pytest
import torch
from spiking import (
    Between,
    skip,
    spikes,
    views,
    with_forward,
)
from torch import nn

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")


def _dropout(m, x):
    x = nn.functional.dropout(torch.flatten(x, start_dim=1), 0.5, m.training)
    spk = m.lif1(m.fc1(x))
    return m.lif2(m.fc2(nn.functional.dropout(spk, training=False)))


def _columns(m, x):
    x = torch.cat([x[:, :1], torch.narrow(x, 1, 1, 1)], dim=1).permute(1, 0, 2).transpose(0, 1)
    return m.lif2(m.fc2(m.lif1(m.fc1(torch.cat(x.unbind(1), dim=-1)))))


def _linear_in_a_row(m, x):
    return m.lif1(m.fc2(m.fc1(x.flatten(1))))


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


class Remembers(Between):
    count = 0
    last = None

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.9)


def _half(m, x):
    return m.lif2(m.fc2(0.5 * m.lif1(m.fc1(x.flatten(1)))))


def _broadcast(m, x):
    current = m.fc1(x.flatten(1))
    return m.lif1(current + current[:, :1])


def _scaled_sum(m, x):
    current = m.fc1(x.flatten(1))
    return m.lif1(torch.add(current, m.fc2(current), alpha=2))


def _part(m, x):
    return m.lif1(m.fc2(m.fc1(x.flatten(1)))[:, :3])


def _reversed_input(m, x):
    return m.lif1(m.fc1(x.flip(2).flatten(1)))


def _cat(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(torch.cat([m.fc2(spk), spk], dim=1))


def _cat_zeros(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(m.fc2(torch.cat([spk[:, :3], torch.zeros(len(x), 1)], dim=1)))


def _no_neuron_at_the_end(m, x):
    return m.fc2(m.lif1(m.fc1(x.flatten(1))))


def _delayed(m, x):
    last = torch.zeros_like(x) if m.last is None else m.last
    m.last = x
    return m.lif1(m.fc1(last.flatten(1)))


def _recurrent(m, x):
    last = torch.zeros(len(x), 4) if m.last is None else m.last
    m.last = m.lif1(m.fc1(x.flatten(1)) + m.fc2(last))
    return m.last


ACCEPTED = [
    _filled,
    views,
    _dropout,
    _columns,
    _linear_in_a_row,
    skip,
    _skip_in_place,
    _spikes_added,
    _same_weights_twice,
    _without_weights,
    _keywords,
    _half,
    _broadcast,
    _scaled_sum,
    _part,
    _reversed_input,
    _cat,
    _cat_zeros,
    _no_neuron_at_the_end,
    _delayed,
    _recurrent,
]


@pytest.mark.parametrize("forward", ACCEPTED)
def test_accepts_between_the_layers(forward, golden):
    golden(str(from_torch(with_forward(forward, Remembers), spikes(5, 9, 2, 3))))


# What is refused between the layers, with the whole message.
def _tanh(m, x):
    return m.lif2(m.fc2(m.lif1(torch.tanh(m.fc1(x.flatten(1))))))


def _mean_of_two(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(torch.maximum(m.fc2(spk), spk * 1))


def _functional(m, x):
    spk = m.lif1(m.fc1(x.flatten(1)))
    return m.lif2(nn.functional.linear(spk, m.fc2.weight))


def _mixed_samples(m, x):
    return m.lif1(m.fc1(x.transpose(0, 1).reshape(-1, 6)))


def _rows(m, x):
    return m.lif1(m.fc2(torch.cat([x, x], 2)[:, :, 1:5]))


def _constant(m, x):
    return m.lif2(m.fc2(m.lif1(m.fc1(torch.ones(len(x), 6)))))


def _bernoulli(m, x):
    return m.lif1(m.fc1(torch.bernoulli(x.flatten(1) / 2)))


def _cast(m, x):
    return m.lif2(m.fc2(m.lif1(m.fc1(x.flatten(1)).to(torch.int64).float())))


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


def _two_ends(m, x):
    current = m.fc1(x.flatten(1))
    return m.lif1(current), m.lif2(m.fc2(current))


def _factor(m, x):
    return 0.5 * m.lif1(m.fc1(x.flatten(1)))


def _one_of_two_ends(m, x):
    current = m.fc1(x.flatten(1))
    m.lif2(m.fc2(current))
    return m.lif1(current)


def _other_every_step(m, x):
    m.count += 1
    current = m.fc1(x.flatten(1))
    return m.lif1(current if m.count % 3 else m.fc2(current))


def _sum_over_time(m, x):
    current = m.fc1(x.flatten(1))
    m.last = current if m.last is None else m.last + current
    return m.lif1(m.last)


def _recurrent_late(m, x):
    m.count += 1
    last = m.last if m.count > 2 else torch.zeros(len(x), 4)
    m.last = m.lif1(m.fc1(x.flatten(1)) + m.fc2(last))
    return m.last


ONLY = (
    "; known are functions that only reshape or select, average pooling, sums of layers and factors"
)
IN_FRONT = (
    f"{ONLY}; or put what computes it into a module and leave that on the host, host=[its name], or"
    " give the spikes that come out"
)

BETWEEN = {
    _tanh: f"torch.tanh between fc1 and lif1 is not known{IN_FRONT}",
    _mean_of_two: f"torch.maximum between fc2 and lif1 and lif2 is not known{ONLY}",
    _bernoulli: f"torch.bernoulli between the input and fc1 is not known{IN_FRONT}",
    _cast: f"torch.Tensor.to between fc1 and lif1 is not known{IN_FRONT}",
    _switched_on: f"Dropout between fc1 and lif1 is not known{IN_FRONT}",
    _training: f"torch.nn.functional.dropout between lif1 and fc2 is not known{ONLY}",
    _mixed_samples: (
        "fc1 reads the values of the input mixed between samples, which is not known; keep the"
        " samples in an axis of their own, and take its length from the input"
    ),
    _rows: (
        "fc2 acts on 2 rows per sample and time step; a linear layer has to take all values of a"
        " sample as one row, use nn.Flatten before it"
    ),
    _constant: (
        "fc1 gets values that are made in forward and come neither from the input nor from a layer"
    ),
    _potential: ("fc2 reads the state 'mem' of lif1; only spikes can be sent from layer to layer"),
    _twice: (
        "lif1 is called 2 times in each time step; if forward makes the steps itself, give what it"
        " takes once, shape (samples, *shape), with time='inside'; otherwise give every place in"
        " the network a layer of its own"
    ),
    _two_ends: (
        "forward returns lif1 and lif2; a network has one output: give a module of two lines whose"
        " forward returns the output of one of them, then the others are left out"
    ),
    _factor: (
        "forward returns 0.5 times the spikes of lif1 in each time step, which a chip sends as 1;"
        " return the spikes, and multiply the answer"
    ),
    _sum_over_time: (
        "lif1 is fed by fc1(the input) in time step 0 and by fc1(the input of 4 steps ago) +"
        " fc1(the input of 3 steps ago) + fc1(the input of 2 steps ago) + fc1(the input of one"
        " step ago) + fc1(the input) in time step 4; a network is the same in every time step"
    ),
    _recurrent_late: (
        "lif1 is fed by fc1(the input) + fc2(zeros) in time step 1 and by fc1(the input) + fc2(lif1"
        " of one step ago) in time step 4; a network is the same in every time step"
    ),
    _other_every_step: (
        "lif1 is fed by fc2(fc1(the input)) in time step 2 and by fc1(the input) in time step 4; a"
        " network is the same in every time step"
    ),
}


@pytest.mark.parametrize("forward", BETWEEN)
def test_refuses_between_the_layers(forward):
    with pytest.raises(UnsupportedError) as error:
        from_torch(with_forward(forward, Remembers), spikes(4, 5, 2, 3))
    assert str(error.value) == BETWEEN[forward]


def test_a_linear_function_between_neurons_is_a_layer():
    network = from_torch(with_forward(_functional, Remembers), spikes(4, 5, 2, 3))
    assert [p.name for p in network.populations] == ["lif1", "lif2"]
    assert len(network.projections) == 2


def test_a_layer_that_forward_does_not_return_is_left_out():
    network = from_torch(with_forward(_one_of_two_ends, Remembers), spikes(4, 5, 2, 3))
    assert [p.name for p in network.populations] == ["lif1"]
    assert network.notes == ("lif2 is left out: no layer reads it and forward does not return it",)


def test_a_long_sum_over_time_is_refused_too():
    with pytest.raises(UnsupportedError, match="a sum of more than 100 terms"):
        from_torch(with_forward(_sum_over_time, Remembers), spikes(2, 2000, 2, 3))
