"""Sums of a Conv into neurons that add up changes: the reference wraps them at 24 bits, as Conv."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lava_folders import check_equal, run_folder

from snncompile.backends.lava.emit import emit as emit_for_cpu
from snncompile.backends.lava.hardware.emit import emit
from snncompile.backends.lava.hardware.plan import plan_network
from snncompile.files.network import read_network, write_network
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.fixed import wrap_bits
from snncompile.neurons.sigma import IntegerSigma
from snncompile.neurons.sigma_delta import IntegerSigmaDelta
from snncompile.passes.analysis.bounds import add_arriving, collect_arriving, find_wrap
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution

KERNEL = Convolution((2, 5, 5), 3, (3, 3), (2, 2), (0, 0), (1, 1))
SECOND = Convolution(KERNEL.target_shape, 2, (2, 2), (1, 1), (0, 0), (1, 1))
PAYLOAD = Interval(-30000, 30000)


def make_network(sum_bits: int | None = 24) -> IntegerNetwork:
    """Return two convolutions whose sums are beyond 24 bits: 18 weights of up to 254 each."""
    random = np.random.default_rng(3)

    def draw(wiring, size):
        weight = 2 * random.integers(-size, size, wiring.weight_shape)
        return IntegerSynapses(wiring, weight, 0, 8, sum_bits)

    return IntegerNetwork(
        Input("input", KERNEL.source_shape, payload=PAYLOAD),
        (
            Population("rectifier", KERNEL.target_shape, IntegerSigmaDelta(64, 6, 9000), phase=1),
            Population("sum", SECOND.target_shape, IntegerSigma(initial=-77), phase=2),
        ),
        (
            Projection("input", "rectifier", draw(KERNEL, 127), 1),
            Projection("rectifier", "sum", draw(SECOND, 127), 1),
        ),
        "sum",
    )


def draw_input() -> np.ndarray:
    return np.random.default_rng(4).integers(-30000, 30001, (2, 5, *KERNEL.source_shape))


@pytest.mark.parametrize("bits", [2, 8, 24])
def test_numbers_wrap_as_in_two_s_complement(bits):
    half = 2 ** (bits - 1)
    x = np.array([-half - 1, -half, -1, 0, half - 1, half, 3 * half + 1])
    assert wrap_bits(x, bits).tolist() == [half - 1, -half, -1, 0, half - 1, -half, -half + 1]


def test_the_sums_of_this_network_do_wrap():
    x = draw_input()
    assert (make_network().run(x).spikes != make_network(None).run(x).spikes).any()
    small = x // 1000
    np.testing.assert_array_equal(
        make_network().run(small).spikes[:, 0], make_network(None).run(small).spikes[:, 0]
    )


def test_bounds_are_those_of_what_wraps():
    network = make_network()
    into = network.into("rectifier")
    arriving = add_arriving(
        network.population("rectifier"), collect_arriving(network, "rectifier", into)
    )
    assert (arriving.low == -(2**23)).all()
    assert (arriving.high == 2**23 - 1).all()
    assert [find_wrap(network, p) for p in network.projections] == [24, 24]
    quiet = replace(network, input=replace(network.input, payload=Interval(-1, 1)))
    assert [find_wrap(quiet, p) for p in quiet.projections] == [None, 24]


def test_it_is_saved_and_read(tmp_path):
    network = make_network()
    write_network(network, tmp_path / "some")
    again = read_network(tmp_path / "some")
    assert [p.synapses.sum_bits for p in again.projections] == [24, 24]
    assert str(again) == str(network)
    assert "sum_bits=24" in str(again)


def test_a_conv_is_written_only_where_the_reference_wraps():
    def describe(network):
        return [(fit.process.name, fit.remark) for fit in plan_network(network, 5).synapses]

    assert describe(make_network()) == [("Conv", ""), ("Conv", "")]
    (first, why), (second, _) = describe(make_network(None))
    assert (first, second) == ("Sparse", "Sparse")
    assert why.startswith("convolution unrolled: its sums may reach ")
    assert why.endswith(", and Lava's Conv wraps them to 24 bits")


def test_other_synapses_for_sums_that_wrap_say_so():
    late = make_network()
    late = replace(late, projections=(replace(late.projections[0], delay=3), late.projections[1]))
    assert plan_network(late, 5).synapses[0].remark == (
        "convolution unrolled: Lava's Conv has no delays; equal while its sums stay within 24 bits"
        " in each step, which is not proved"
    )


@pytest.mark.lava
@pytest.mark.parametrize("emitted", [emit, emit_for_cpu])
def test_equal_on_lava(lava, tmp_path, emitted):
    network, x = make_network(), draw_input()
    folder = emit(network, x.shape[1], "made") if emitted is emit else emit_for_cpu(network, "made")
    text = folder.texts["network.py"]
    assert text.count("Wrap(") == (0 if emitted is emit else 2)
    check_equal(network, x, run_folder(folder, network, x, tmp_path))
