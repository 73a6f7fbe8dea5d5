"""SANA-FE reads the files we write, and computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import sanafe
from networks import integer_chain

import snncompile
from snncompile.backends.sanafe import export
from snncompile.backends.sanafe.run import run
from snncompile.errors import UnsupportedError
from snncompile.neurons.cuba_lif import IntegerCubaLif

PROGRAM = snncompile.compile(
    integer_chain(6, 5, 4, neuron=IntegerCubaLif(4095, 100, 3)), chip="loihi1"
)
X = (np.random.default_rng(0).random((1, 6, 6)) < 0.5).astype(np.uint8)


def test_sanafe_runs_the_files(tmp_path):
    steps = export.write_sanafe(tmp_path, PROGRAM, X, costs="sanafe")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["architecture.yaml", "network.yaml"]
    arch = sanafe.load_arch(tmp_path / "architecture.yaml")
    chip = sanafe.SpikingChip(arch)
    chip.load(sanafe.load_net(tmp_path / "network.yaml", arch))
    found, wanted = chip.sim(steps, perf_trace=True), run(PROGRAM, X, costs="sanafe")
    assert found["perf_trace"]["fired"] == wanted.fired.tolist()
    assert found["perf_trace"]["updated"] == wanted.updated.tolist()
    assert found["energy"]["total"] == pytest.approx(wanted.energy_j.sum())
    assert wanted.fired.sum() > X.sum()


def test_a_network_in_text(tmp_path, golden):
    program = snncompile.compile(
        integer_chain(2, 1, neuron=IntegerCubaLif(4095, 0, 1)), chip="loihi1"
    )
    export.write_sanafe(tmp_path, program, [[[1, 0], [0, 1]]], costs="sanafe")
    golden((tmp_path / "network.yaml").read_text())


CANNOT = {
    "a current that decays": (IntegerCubaLif(5, 0, 1), "its neurons have no decaying current"),
    "a bias": (IntegerCubaLif(4095, 0, 1, 3), "its biases begin in the first step"),
}


@pytest.mark.parametrize("case", CANNOT)
def test_refuses_what_the_files_cannot_say(case, tmp_path):
    neuron, why = CANNOT[case]
    program = snncompile.compile(integer_chain(2, 2, 1, neuron=neuron), chip="loihi1", prune=False)
    with pytest.raises(UnsupportedError) as error:
        export.write_sanafe(tmp_path, program, np.ones((1, 2, 2)), costs="sanafe")
    assert str(error.value) == (
        f"population a: cannot be written as a file for SANA-FE: {why}; run it through"
        " backends.sanafe.run"
    )
    assert not list(tmp_path.iterdir())
