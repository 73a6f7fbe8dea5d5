"""Systems that have no place for a learning rule refuse it, as files and as runs."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile
from snncompile.backends.sanafe.network import translate
from snncompile.errors import UnsupportedError
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.ir.plastic import freeze_learning
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

RULE = snncompile.LearningRule("2^-4*x0", limit=1.0)
FLOATS = Network(
    Input("input", (4,)),
    (Population("h", (3,), CubaLif(1.0, 0.2, 1.0)),),
    (Projection("input", "h", dense(np.full((3, 4), 0.5)), rule=RULE),),
    "h",
)
PLACES = [("nir", None, "NIR"), ("nir", "snntorch", "NIR"), ("netx", None, "a .net file")]


@pytest.fixture(scope="module")
def program():
    return snncompile.compile(FLOATS, chip="loihi2", steps=9)


@pytest.mark.parametrize("backend, reader, place", PLACES)
def test_a_file_without_rules_is_not_written(program, backend, reader, place, tmp_path):
    with pytest.raises(UnsupportedError) as error:
        program.emit(tmp_path / "file", backend, reader=reader)
    assert str(error.value) == (
        f"projection input -> h: it learns, and {place} has no place for a learning rule; take"
        " freeze_learning for weights that stay, or emit lava"
    )
    assert not list(tmp_path.iterdir())


def test_sanafe_does_not_run_it(program):
    with pytest.raises(UnsupportedError) as error:
        translate(program)
    assert str(error.value) == (
        "projection input -> h: it learns, and SANA-FE has no place for a learning rule; take"
        " freeze_learning for weights that stay, or emit lava"
    )


def test_the_same_network_without_its_rule_is_written(tmp_path):
    snncompile.to_nir(freeze_learning(FLOATS), tmp_path / "file.nir")
    again = snncompile.from_nir(tmp_path / "file.nir")
    assert (again.projections[0].synapses.weight == 0.5).all()
