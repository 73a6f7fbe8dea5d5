"""One image in every step, of which the host computes the first layer: biases per sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spiking import leaky, linear, snn
from torch import nn

import snncompile
from snncompile.backends.energy.events import COLUMN
from snncompile.errors import BackendError, InputError, UnsupportedError
from snncompile.passes.quantize.quantize import _run_calibration
from snncompile.reference.simulate import check_spikes, run_batches

SAMPLES, STEPS = 5, 8
rng = np.random.default_rng(0)
IMAGE = rng.random((SAMPLES, 1, 6, 6)).astype(np.float32)
X = np.repeat(IMAGE[:, None], STEPS, axis=1)
NOTE = (
    "input: one image in every step; the host computes layer_1 without its neurons, and writes 144"
    " biases per sample"
)


def build() -> nn.Module:
    """Return a padded convolution and a linear layer whose neurons fire."""
    convolution = nn.Conv2d(1, 4, 3, padding=1)
    with torch.no_grad():
        weight = torch.randn(convolution.weight.shape, generator=torch.Generator().manual_seed(1))
        convolution.weight.copy_(weight * 0.5)
        convolution.bias.fill_(0.1)
    return nn.Sequential(convolution, leaky(), nn.Flatten(), linear(144, 6), leaky())


@pytest.fixture(scope="module")
def network():
    return snncompile.from_torch(build(), X, input="biases")


@pytest.fixture(scope="module")
def programs(network):
    return {
        chip: snncompile.compile(network, chip=chip, calibration=X) for chip in ("loihi1", "loihi2")
    }


def test_the_import_spikes_as_without_the_host(network):
    plain = snncompile.from_torch(build(), X)
    assert str(network).startswith(
        "input input 1x6x6 coding=biases unit=1 shown=8 steps=8 host=layer_1\n"
    )
    assert network.notes == (NOTE,)
    assert (network.run(X).spikes == plain.run(X).spikes).all()
    assert network.run(X).spikes.any()


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_is_compiled_verified_and_priced(chip, programs, tmp_path):
    program = programs[chip]
    assert program.log[0] == NOTE
    found = program.verify(X, model=build(), lava=False)
    assert found.comparison("library", "float").equal
    assert all(activity.outputs > 0 for activity in found.activity)
    rows = found.comparison("float", "integer").rows
    assert sum(row.differences for row in rows) <= 0.01 * sum(row.outputs for row in rows)
    assert all(bound.holds for bound in program.bounds)
    (layer,) = program.network.input.host
    assert layer.limit == 4095
    assert layer.limit * layer.unit == pytest.approx(2 * layer.largest, rel=1e-12)
    estimate = program.estimate(X)
    (row,) = [r for r in estimate.rows if r.event == "host_bias"]
    assert (row.layer, row.count, row.energy_j) == ("input", 144, None)
    assert {"energy of host_bias", "time of host_bias"} <= set(estimate.missing)
    assert not estimate.by_step.counts[..., COLUMN["host_input"]].any()
    program.save(tmp_path / "build")
    again = snncompile.load(tmp_path / "build")
    assert (again.run(X).spikes == program.run(X).spikes).all()
    assert again.meaning == program.meaning
    assert str(again) == str(program)


def test_integers_are_the_rounded_biases_of_the_host(programs):
    """By torch's own convolution: rounding differs from it at ties only."""
    program = programs["loihi1"]
    (layer,) = program.network.input.host
    with torch.no_grad():
        drive = build()[0].double()(torch.tensor(IMAGE).double()).flatten(1).numpy()
    assert np.abs(layer.compute(IMAGE.reshape(SAMPLES, -1)) - drive / layer.unit).max() < 0.5 + 1e-6
    population = program.network.population("layer_1")
    assert not population.neuron.bias_mantissa.any()
    assert not program.network.out_of("input")


def test_the_compiled_way_computes_the_same(programs):
    network = programs["loihi2"].network
    x = check_spikes(network, X)
    slow, fast = (next(iter(run_batches(network, x, fast=way))) for way in (False, True))
    for name in slow:
        assert (slow[name] == fast[name]).all(), name


def test_quantize_calibrates_on_the_images(network):
    trains = _run_calibration(network, X.astype(np.float64))
    assert trains["layer_1"].any()
    assert (trains["layer_4"].numpy() == network.run(X).spikes).all()


def test_images_are_presented_in_every_step(programs, network):
    for shown in (network.input.present(IMAGE), programs["loihi1"].network.input.present(X)):
        assert (shown == X).all()
    assert programs["loihi1"].run(network.input.present(IMAGE)).spikes.shape[:2] == (SAMPLES, STEPS)


@pytest.mark.lava
def test_lava_sends_the_same(programs, lava):
    for program in programs.values():
        assert program.verify(X, 3).comparison("integer", "lava").equal


CHANGING = (
    "input changes from step to step, expected one image in every step: the host writes its biases"
    " once per sample"
)


def test_what_changes_or_is_too_bright_is_refused(programs, network):
    moving = X.copy()
    moving[1, 3] += 0.5
    program = programs["loihi1"]
    for call in (
        network.run,
        program.run,
        program.estimate,
        network.input.present,
        lambda x: snncompile.compile(network, chip="loihi1", calibration=x),
    ):
        with pytest.raises(InputError) as error:
            call(moving)
        assert str(error.value) == CHANGING
    with pytest.raises(InputError) as error:
        program.run(X * 100)
    assert str(error.value).startswith("layer_1: the host's biases reach 3")
    assert str(error.value).endswith(
        "twice those of the sample; import the network with a sample of such images"
    )
    with pytest.raises(InputError) as error:
        program.run(np.where(X.max() == X, np.nan, X))
    assert str(error.value) == "input holds values that are not finite"


def test_a_current_with_memory_is_refused():
    synaptic = snn.Synaptic(alpha=0.5, beta=0.5, init_hidden=True)
    module = nn.Sequential(nn.Flatten(), linear(36, 5), synaptic)
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_torch(module, X, input="biases")
    assert str(error.value) == (
        "layer_2: cuba_lif/delayed_soft keeps its input in a current, or has no bias; biases per"
        ' sample need neurons whose potential takes the input at once; give input="analog"'
    )


def test_a_chip_whose_biases_are_coarse_is_refused(network):
    for chip, steps in (("odin", 0), ("truenorth", 3)):
        with pytest.raises(UnsupportedError) as error:
            snncompile.compile(network, chip=chip, calibration=X)
        assert str(error.value) == (
            f"input: biases of {chip} hold {steps} steps of the host's values, fewer than 31; take"
            " another chip, or make spikes of the values"
        )


def test_writers_that_have_no_place_for_it_refuse(programs, tmp_path):
    for backend in ("nir", "netx"):
        with pytest.raises((BackendError, UnsupportedError)) as error:
            programs["loihi2"].emit(tmp_path / f"x.{backend}", backend)
        assert "input" in str(error.value)
