"""Models with every kind of input: imported exactly, compiled, run, verified, priced, refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from spiking import leaky, linear
from torch import nn

import snncompile
from snncompile.errors import InputError, UnsupportedError
from snncompile.fit import fit

rng = np.random.default_rng(0)
SHAPE = (4, 8, 2, 5, 5)
SAMPLES = {
    "counts": rng.poisson(0.6, SHAPE),
    "polarity": rng.integers(-1, 2, SHAPE),
    "analog": rng.standard_normal(SHAPE).astype(np.float32),
    "image": np.repeat(rng.random((4, 1, 2, 5, 5)), 8, axis=1).astype(np.float32),
}
KINDS = {
    "counts": "payload=0..7",
    "polarity": "payload=-1..1",
    "analog": "payload=-127..127 coding=analog unit=0.0256472 shown=1 steps=1",
    "image": "payload=0..255 coding=analog unit=0.00384074 shown=8 steps=8",
}


def build() -> nn.Module:
    """Return a convolution and a linear layer whose neurons fire."""
    convolution = nn.Conv2d(2, 4, 3)
    with torch.no_grad():
        weight = torch.randn(convolution.weight.shape, generator=torch.Generator().manual_seed(1))
        convolution.weight.copy_(weight * 0.5)
        convolution.bias.fill_(0.1)
    layers = (convolution, leaky(), nn.Flatten(), linear(36, 6))
    return nn.Sequential(*layers, leaky())


@pytest.fixture(scope="module")
def programs():
    """Return each kind's network and Program, compiled on its own sample."""
    compiled = {}
    for kind, x in SAMPLES.items():
        network = snncompile.from_torch(build(), x)
        compiled[kind] = snncompile.compile(network, chip="loihi2", calibration=x)
    return compiled


@pytest.mark.parametrize("kind", SAMPLES)
def test_is_imported_exactly_compiled_verified_and_priced(kind, programs, tmp_path):
    program, x = programs[kind], SAMPLES[kind]
    assert str(program.source).splitlines()[0].startswith(f"input input 2x5x5 {KINDS[kind]}")
    found = program.verify(x, 3, model=build(), lava=False)
    assert found.comparison("library", "float").equal
    assert all(activity.outputs > 0 for activity in found.activity)
    rows = found.comparison("float", "integer").rows
    assert sum(row.differences for row in rows) <= 0.02 * sum(row.outputs for row in rows)
    assert program.loss.status == "measured"
    assert program.source.notes[-1] == program.log[0]
    estimate = program.estimate(x)
    (row,) = [r for r in estimate.rows if r.event == "host_input"] or [None]
    cores = len({s.core for s in program.mapping.slices if s.population == "layer_1"})
    sent = np.count_nonzero(program.network.input.send(x.astype(np.float64)))
    assert row is None or row.count == sent * cores / len(x)
    program.save(tmp_path / "build")
    again = snncompile.load(tmp_path / "build")
    assert (again.run(x).spikes == program.run(x).spikes).all()
    assert again.meaning == program.meaning


@pytest.mark.parametrize("kind", SAMPLES)
def test_what_is_presented_is_what_runs(kind, programs):
    program, x = programs[kind], SAMPLES[kind]
    shown = program.network.input.present(x)
    assert (program.run(shown).spikes == program.run(x).spikes).all()
    sent = program.network.input.send(np.asarray(x, np.float64))
    assert (sent * program.network.input.unit == shown).all()


def test_integers_are_those_of_a_network_of_the_rounded_values(programs):
    """The rounding of the input is part of the loss: floats on rounded values lose less."""
    program, x = programs["analog"], SAMPLES["analog"]
    rounded = program.network.input.present(x)
    exact = program.source.run(x).spikes
    assert not np.array_equal(rounded, x)
    integers = program.run(x).spikes
    assert (integers == program.run(rounded).spikes).all()
    near = np.count_nonzero(program.source.run(rounded).spikes != integers)
    assert near <= np.count_nonzero(exact != integers)


def test_one_image_for_all_steps_is_shown_in_each(programs):
    image = SAMPLES["image"][:, 0]
    program = programs["image"]
    assert (
        program.network.input.present(image)[:, 3] == program.network.input.present(image)[:, 0]
    ).all()
    found = program.run(program.network.input.present(image)).spikes
    assert (found == program.run(SAMPLES["image"]).spikes).all()


@pytest.mark.lava
@pytest.mark.parametrize("kind", SAMPLES)
def test_lava_sends_the_same(kind, programs, lava):
    found = programs[kind].verify(SAMPLES[kind], 2, model=build())
    assert found.comparison("integer", "lava").equal


def test_says_what_it_takes_the_sample_for(caplog):
    with caplog.at_level(logging.INFO, "snncompile"):
        snncompile.from_torch(build(), SAMPLES["counts"])
    assert "Sequential: input: whole numbers from 0 to 4, sent as 0 to 7" in caplog.messages


def test_a_tensor_with_gradients_is_taken():
    x = torch.tensor(SAMPLES["analog"], requires_grad=True)
    network = snncompile.from_torch(build(), x)
    assert (network.run(x).spikes == network.run(SAMPLES["analog"]).spikes).all()
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert program.verify(x, 2, model=build(), lava=False).equal
    assert program.estimate(x).energy_j == program.estimate(SAMPLES["analog"]).energy_j


OTHERS = "loihi2, spinnaker1, spinnaker2"
ALONE = (
    "input: sends numbers from {} to {}, and messages of {} are spikes alone; make spikes (0 or 1)"
    f" of the values and train with them, or take a chip whose messages carry numbers: {OTHERS}"
)


@pytest.mark.parametrize("chip", ["loihi1", "speck2", "truenorth", "odin", "xylo-audio2"])
@pytest.mark.parametrize("kind, ends", [("counts", (0, 7)), ("polarity", (-1, 1))])
def test_a_chip_whose_messages_are_spikes_alone_refuses_first(kind, ends, chip, programs):
    network = programs[kind].source
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip=chip, calibration=SAMPLES[kind])
    assert str(error.value) == ALONE.format(*ends, chip)
    (trial,) = fit(network, chip=chip, alone=True)
    assert trial.why == ALONE.format(*ends, chip)


def test_one_image_has_another_way_onto_such_a_chip(programs):
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(programs["image"].source, chip="loihi1")
    message = ALONE.format(0, 255, "loihi1")
    way = 'alone; import it with input="biases", make'
    assert str(error.value) == message.replace("alone; make", way)


RUN_REFUSED = {
    "counts": (
        [[[[[9] * 5] * 5] * 2]],
        "input holds values from 9 to 9, expected whole numbers from 0 to 7; import the network"
        " with input_range=(0, 9)",
    ),
    "polarity": (
        [[[[[-2] * 5] * 5] * 2]],
        "input holds values from -2 to -2, expected whole numbers from -1 to 1; import the network"
        " with input_range=(-2, 1)",
    ),
    "analog": (
        [[[[[9.0] * 5] * 5] * 2]],
        "input holds values from 9 to 9, expected -3.2572 to 3.2572; import the network with"
        " input_range=(-3.2572, 9), or clip the values",
    ),
}


@pytest.mark.parametrize("kind", RUN_REFUSED)
def test_values_out_of_range_are_refused_everywhere(kind, programs):
    x, message = RUN_REFUSED[kind]
    program = programs[kind]
    network = program.source
    for call in (
        program.run,
        program.estimate,
        lambda x: program.verify(x, lava=False),
        program.network.input.present,
        network.input.present,
        lambda x: snncompile.compile(network, chip="loihi2", calibration=x),
        lambda x: fit(network, chip="loihi2", x=x),
    ):
        with pytest.raises(InputError) as error:
            call(x)
        assert str(error.value) == message


def test_a_range_wider_than_the_sample():
    x = SAMPLES["counts"]
    network = snncompile.from_torch(build(), x, input_range=(0, 40))
    program = snncompile.compile(network, chip="loihi2", calibration=x)
    assert network.input.payload == (0, 63)
    assert program.run(np.minimum(x * 12, 40)).spikes.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    x = SAMPLES["analog"].copy()
    x[1, 2, 0, 0, 0] = value
    with pytest.raises(InputError) as error:
        snncompile.from_torch(build(), x)
    assert str(error.value) == "sample holds values that are not finite"
