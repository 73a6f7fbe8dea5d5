"""Every pass leaves the outputs of the calibration data as they are, or says what it changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from networks import (
    LOIHI2,
    TOY,
    chain,
    changed,
    design,
    integer_chain,
    limited,
    random_network,
    spikes,
)

from snncompile.errors import InputError, PassMismatchError
from snncompile.options import Options
from snncompile.passes.base import Pass
from snncompile.passes.pipeline import Pipeline
from snncompile.synapses.dense import dense, integer_dense
from snncompile.verify_passes import VerifyEach

DEFAULT = Pipeline.default(Options())


def verify(network, chip, x, pipeline=DEFAULT) -> list[str]:
    lines: list[str] = []
    pipeline.run(design(network, chip, x), hooks=[VerifyEach(lines.append)])
    return lines


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_are_equal_but_for_rounding(seed):
    network = random_network(seed)
    lines = verify(network, LOIHI2, spikes(network, 4, 8, seed))
    assert [line.split(": ")[1] for line in lines] == list(DEFAULT.names)
    assert all("equal" in line or "the same" in line for line in lines[:1] + lines[2:])
    assert "by rounding" in lines[1]


def test_what_is_said_of_each_pass():
    """Dead neurons go, relays come, populations start later."""
    network = chain(20, 4, 2, weight=0.3)
    network = changed(network, projection=0, synapses=dense([[0.3] * 20] * 3 + [[0.0] * 20]))
    lines = verify(network, limited(LOIHI2, axons_in=8), spikes(network, 3, 5, rate=0.2))
    assert lines == [
        "verify-each: retime: all 90 outputs of 2 populations are equal",
        "verify-each: quantize: 0.000% of outputs differ by rounding; rates differ by: a 0.00%,"
        " b 0.00%; 0 of 3 answers differ",
        "verify-each: measure: the network is the same",
        "verify-each: prune: all 75 outputs of 2 populations are equal",
        "verify-each: accumulate: all 75 outputs of 2 populations are equal",
        "verify-each: sparsify: the network is the same",
        "verify-each: partition: the network is the same",
        "verify-each: place: the network is the same",
        "verify-each: route: the network is the same",
    ]


def test_few_bits_lose_something():
    rng = np.random.default_rng(1)
    network = chain(6, 8, 3)
    network = changed(network, projection=0, synapses=dense(rng.normal(0.2, 0.5, (8, 6))))
    few = DEFAULT.change("quantize", bits=2)
    line = verify(network, LOIHI2, spikes(network, 16, 10), few)[1]
    share = float(line.removeprefix("verify-each: quantize: ").split("%")[0])
    assert 0 < share < 50


@dataclass(frozen=True)
class Change(Pass):
    """Change something that is no rounding."""

    what: str = "weight"
    name: ClassVar[str] = "change"

    def __call__(self, design):
        network = design.network
        if self.what == "weight":
            network = changed(network, projection=1, synapses=integer_dense([[0] * 2] * 2, 0, 8))
        elif self.what == "size":
            network = integer_chain(2, 1, 2)
        else:
            network = replace(network, output="a")
        return self.done(design, "changed something", network=network)


CHANGES = {
    "weight": "changed an output: sample 0, step 0, population b, neuron 0: the network before"
    " gives 1, the network after 0",
    "size": "gave population a 1 neurons instead of 2 and does not say which stay",
    "output": "made a the output instead of b",
}


@pytest.mark.parametrize("what, message", CHANGES.items())
def test_a_pass_that_changes_an_output_is_named(what, message):
    x = np.ones((2, 3, 2), np.uint8)
    network = integer_chain(2, 2, 2, weight=200)
    with pytest.raises(PassMismatchError) as error:
        verify(network, TOY, x, Pipeline((*DEFAULT.until("measure").passes, Change(what))))
    assert str(error.value) == f"pass change {message}; ran: retime, quantize"


def test_neurons_dropped_twice_are_still_known():
    """A second prune counts the neurons of the source."""

    @dataclass(frozen=True)
    class Cut(Pass):
        name: ClassVar[str] = "cut"

        def __call__(self, design):
            weight = design.network.projections[1].synapses.weight.copy()
            weight[:, 0] = 0
            network = changed(design.network, projection=1, synapses=integer_dense(weight, 6, 8))
            return self.done(design, "cut", network=network)

    network = changed(chain(2, 4, 2), projection=1, synapses=dense([[1.0, 1.0, 0.0, 1.0]] * 2))
    prune = Pipeline.parse("prune").passes
    pipeline = Pipeline((*DEFAULT.until("prune").passes, *prune, Cut(), *prune))
    done = pipeline.run(design(network, TOY))
    assert done.kept["a"].tolist() == [1, 3]


def test_without_calibration_data():
    with pytest.raises(InputError) as error:
        verify(chain(2, 1), TOY, None)
    assert str(error.value) == "verifying each pass takes calibration data; give calibration"
