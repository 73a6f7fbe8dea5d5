"""Relays of numbers, signed ones too: the same as with a longer delay, on Lava as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import LOIHI2, design, formatted
from torch import nn

import snncompile
from snncompile.conversion.convert import convert
from snncompile.errors import FitError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.coding import Coding
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.delta import Delta
from snncompile.neurons.graded import Graded
from snncompile.neurons.graded_delta import GradedDelta
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.product import Product
from snncompile.neurons.readout import Readout
from snncompile.neurons.sigma import Sigma
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire
from snncompile.neurons.synapse_filter import SynapseFilter
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import run_batches
from snncompile.synapses.base import Synapses
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale

FAR = 70
"""Own delay of the skip: Loihi 2 delays up to 64 steps."""
LONG = formatted(LOIHI2, delay=200)
SIGNED = Graded(factor=0.5, lowest=-255.0, highest=223.0)
ANSWER = Readout(np.asarray(1.0), np.asarray(1.0))
COUNTS = Input("input", (3,), Interval(-9, 9))
VALUES = Input("input", (3,), Interval(-200, 255), Coding("analog", 1 / 128, 1, 1))


def without(*kinds: str) -> Chip:
    data = LOIHI2.model_dump(mode="json")
    for kind in kinds:
        del data["neurons"][kind]
    return Chip.model_validate(data)


def skip(neuron, source: Input = COUNTS, last=ANSWER, start: str = "a") -> Network:
    """Return input -> a -> b, and a far projection a -> b, or input -> b."""
    rng = np.random.default_rng(5)
    near = [Projection("input", "a", dense(rng.normal(size=(3, 3)) * 9))]
    if neuron.ports:
        near = [
            Projection("input", "a", dense(rng.normal(size=(3, 3))), port=port)
            for port in neuron.ports
        ]
    return Network(
        source,
        (Population("a", (3,), neuron), Population("b", (2,), last)),
        (
            *near,
            Projection("a", "b", dense(rng.normal(size=(2, 3)))),
            Projection(start, "b", dense(rng.normal(size=(2, 3))), FAR),
        ),
        "b",
    )


# A network, the chip, the kind of neuron that is the relay, its smallest and largest number.
CASES = {
    "signed numbers": (skip(SIGNED), LOIHI2, "accumulate", (-255, 223)),
    "no accumulating neuron": (skip(SIGNED), without("accumulate"), "graded", (-255, 223)),
    "changes": (
        skip(GradedDelta(factor=0.5, lowest=-60.0, highest=100.0), last=Sigma()),
        LOIHI2,
        "graded_delta",
        (-160, 160),
    ),
    "products": (skip(Product(1.0, -100.0, 90.0)), LOIHI2, "accumulate", (-100, 90)),
    "counts of spikes": (skip(MultiSpikeLif(1.0, 0.5, 4.0, most=7)), LOIHI2, "accumulate", (0, 7)),
    "signed spikes": (
        skip(SignedIntegrateFire(2.0)),
        without("ternary_lif"),
        "accumulate",
        (-1, 1),
    ),
    "values": (
        skip(Graded(factor=0.5, lowest=-3.5, highest=9.0, whole=0.0, bias=3.0, values=1.0)),
        LOIHI2,
        "accumulate",
        None,
    ),
    "products of values": (skip(Product(1e-3, whole=0.0)), LOIHI2, "accumulate", None),
    "filtered spikes": (
        skip(SynapseFilter(0.1, 0.3), Input("input", (3,))),
        LOIHI2,
        "accumulate",
        (-131072, 131072),
    ),
    "signed input": (skip(SIGNED, start="input"), LOIHI2, "accumulate", (-9, 9)),
    "analog input": (
        skip(SIGNED, VALUES, start="input"),
        LOIHI2,
        "accumulate",
        (-200, 255),
    ),
}


def currents() -> Network:
    """Return input -> b, and input -> s -> b with a far skip: s sends rectified currents."""
    weight = np.random.default_rng(0).normal(size=(2, 3))
    rectifier = Graded(lowest=np.asarray(0.0), whole=np.asarray(0.0))
    return Network(
        COUNTS,
        (Population("s", (2,), rectifier), Population("b", (2,), ANSWER)),
        (
            Projection("input", "s", dense(weight)),
            Projection("input", "b", dense(-weight)),
            Projection("s", "b", Synapses(Scale(2), np.asarray(1.0)), FAR),
        ),
        "b",
    )


CASES["currents"] = (currents(), LOIHI2, "graded", (0, 3582))


def draw(network, steps: int = FAR + 8):
    low, high = (end * network.input.unit for end in network.input.payload)
    x = np.random.default_rng(2).uniform(low, high, (3, steps, *network.input.shape))
    return x if network.input.analog else np.rint(x)


@pytest.mark.parametrize("case", CASES)
def test_every_message_is_that_of_a_chip_with_a_longer_delay(case):
    network, chip, kind, payload = CASES[case]
    x = draw(network)
    program, longer = (snncompile.compile(network, chip=c, calibration=x) for c in (chip, LONG))
    relays = [p for p in program.network.populations if "relay" in p.name]
    assert [p.neuron.kind for p in relays] == [kind]
    low, high = relays[0].neuron.payload
    assert payload is None or (low, high) == payload
    sent = program.network.payload("a" if "a_relay" in relays[0].name else relays[0].name)
    assert low <= sent.low
    assert sent.high <= high
    assert all(p.delay <= 64 for p in program.network.projections)
    found, wanted = (
        next(iter(run_batches(made.network, made.network.input.send(x))))
        for made in (program, longer)
    )
    for name, train in wanted.items():
        assert (found[name] == train).all(), name
    assert not (wanted["b"][:, FAR + 1 :] == wanted["b"][:, :1]).all()


@pytest.mark.parametrize("case", CASES)
def test_floats_and_integers_get_relays_before_and_after_quantizing(case):
    network, chip, kind, _ = CASES[case]
    x = draw(network)
    floats = Retime()(design(network, chip)).network
    before, after = (next(iter(run_batches(made, x))) for made in (network, floats))
    for name, train in before.items():
        torch.testing.assert_close(after[name], train)
    integers = snncompile.compile(network, chip=LONG).network
    relayed = Retime()(design(integers, chip)).network
    assert isinstance(relayed, IntegerNetwork)
    kinds = [p.neuron.kind for p in relayed.populations if "relay" in p.name]
    assert kinds == ["accumulate" if case == "currents" else kind]  # integers have no currents
    sent = integers.input.send(x)
    before, after = (next(iter(run_batches(made, sent))) for made in (integers, relayed))
    assert all((after[name] == train).all() for name, train in before.items())
    snncompile.compile(relayed, chip=chip)  # every number is in range


def test_what_32_bits_hold_is_not_passed_on_by_24():
    with pytest.raises(FitError) as error:
        Retime()(design(skip(Delta(0.5)), LOIHI2))
    assert str(error.value) == (
        "projection a -> b: needs 70 steps of extra delay, the chip allows 63; loihi2 has no neuron"
        " that passes on values from -2147483648 to 2147483648; shorten the path it skips"
    )


class Deep(nn.Module):
    """Signed activations, some added again 66 layers later, and a maximum of the first two."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(3, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(65))
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        a = y = torch.tanh(self.first(x))
        for layer in self.layers:
            y = torch.tanh(1.5 * layer(y))
        return self.last(torch.cat([y + a, torch.maximum(a[:, :2], a[:, 2:])], 1))


def test_a_deep_network_skips_with_signed_activations():
    x = np.random.default_rng(0).normal(size=(64, 3))
    network = convert(Deep(), x, "graded").network
    x = network.input.present(x[:16])
    program, longer = (snncompile.compile(network, chip=c, calibration=x) for c in (LOIHI2, LONG))
    assert sum("relay" in p.name for p in program.network.populations) == 2
    assert (program.run(x).answer == longer.run(x).answer).all()


@pytest.mark.lava
@pytest.mark.parametrize("case", ["signed numbers", "changes"])
def test_on_lava(case, lava):
    network, chip, kind, _ = CASES[case]
    x = draw(network, FAR + 5)[:2]
    program = snncompile.compile(network, chip=chip, calibration=x)
    assert kind in [p.neuron.kind for p in program.network.populations if "relay" in p.name]
    found = program.verify(x)
    assert found.equal
    assert found.comparison("integer", "lava").equal
