"""Bounds are proved for some time steps; for more they are proved anew, and say what lapses."""

from __future__ import annotations

import ast
import dataclasses
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI2, TOY, changed, integer_chain, random_integer_network

import snncompile
from snncompile.backends.lava import emit
from snncompile.errors import BoundsWarning
from snncompile.ir.reports import Proof
from snncompile.neurons.readout import IntegerReadout
from snncompile.passes.analysis.bounds import prove_bounds

HALF = 2**23 - 1
STEP = 120 << 5 << 6
"""What one spike adds to v of the readout: a mantissa, an exponent, the states' own shift."""


def summing():
    """Return one input that a readout sums up without a leak."""
    network = integer_chain(1, 1, weight=120, exponent=5)
    return changed(network, "a", neuron=IntegerReadout(4095, 0))


def compiled(steps: int | None):
    return snncompile.compile(summing(), chip=LOIHI2, steps=steps, prune=False)


def ones(steps: int):
    return np.ones((1, steps, 1), np.uint8)


LAPSED = (
    "bounds proved for 3 time steps lapse in 100: a: v can reach 24,576,000, the width holds"
    " 8,388,607: neuron 0 saturates if all its sources of one sign spike in every step; compile"
    " with steps=100"
)
# Steps of the Program, steps of the run, the whole line, the bounds that lapse.
PROOFS = {
    "as many": (3, 3, "bounds: proved for up to 3 time steps", []),
    "fewer": (3, 1, "bounds: proved for up to 3 time steps", []),
    "more, and they hold": (
        3,
        34,
        "bounds: proved anew for 34 time steps, as they were for 3",
        [],
    ),
    "more, and one lapses": (3, 100, LAPSED, ["v"]),
    "one never held": (
        100,
        200,
        "bounds: proved anew for 200 time steps, as they were for 100",
        [],
    ),
    "any number": (None, 10**6, "bounds: proved for any number of time steps", []),
}


@pytest.mark.parametrize("case", PROOFS)
def test_what_the_bounds_say_of_some_steps(case):
    steps, more, line, lapsed = PROOFS[case]
    proof = compiled(steps).prove(more)
    assert str(proof) == line
    assert [bound.quantity for bound in proof.lapsed] == lapsed
    assert (proof.compiled_steps, proof.steps) == (steps, more)


def test_several_bounds_that_lapse_are_one_line():
    bounds = compiled(100).bounds[-1:] * 3
    line = str(Proof(compiled_steps=3, steps=100, lapsed=bounds))
    assert "spike in every step (and 2 more); compile with steps=100" in line
    assert len(line) < 300


USES = {
    "run": lambda program, x: program.run(x),
    "verify": lambda program, x: program.verify(x, lava=False),
    "estimate": lambda program, x: program.estimate(x),
}


@pytest.mark.parametrize("use", USES)
def test_whatever_takes_more_steps_warns_and_keeps_the_proof(use):
    program = compiled(3)
    with pytest.warns(BoundsWarning) as seen:
        result = USES[use](program, ones(100))
    assert [str(warning.message) for warning in seen] == [LAPSED]
    assert seen[0].filename == __file__
    assert result.proof == program.prove(100)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("steps", [1, 3, 34])
def test_steps_for_which_all_bounds_hold_do_not_warn(use, steps):
    result = USES[use](compiled(3), ones(steps))
    assert result.proof.lapsed == ()


def test_what_the_warning_says_comes_to_pass():
    """The 34th spike still fits, the 35th saturates, here as in Lava."""
    with pytest.warns(BoundsWarning):
        v = compiled(3).run(ones(40)).spikes[0, :, 0]
    assert v[33] == 34 * STEP < HALF < 35 * STEP
    assert v[34:].tolist() == [HALF] * 6


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), few=st.integers(1, 20), more=st.integers(1, 400))
def test_a_proof_anew_is_that_of_a_program_compiled_for_it(seed, few, more):
    """Law: what lapses is what held for fewer steps and does not for more."""
    program = compiled(few)
    network = random_integer_network(seed)
    program = dataclasses.replace(
        program, network=network, chip=TOY, bounds=prove_bounds(network, TOY, few)
    )
    pairs = zip(program.bounds, prove_bounds(network, TOY, max(few, more)), strict=True)
    lapsed = [after for before, after in pairs if before.holds and not after.holds]
    assert list(program.prove(more).lapsed) == lapsed


def test_calibration_data_of_more_steps_are_named_in_the_log():
    x = np.ones((2, 5, 1), np.uint8)
    program = snncompile.compile(summing(), chip=LOIHI2, steps=3, calibration=x, prune=False)
    assert program.log[-1] == (
        "bounds: proved for 3 time steps, the calibration data have 5; without the option steps"
        " they are proved for as many"
    )
    for steps in (None, 5, 9):
        free = snncompile.compile(summing(), chip=LOIHI2, steps=steps, calibration=x, prune=False)
        assert not [line for line in free.log if line.startswith("bounds")]


def test_a_lava_folder_knows_the_steps_and_warns(tmp_path, capsys):
    compiled(3).emit(tmp_path / "lava")
    text = (tmp_path / "lava" / "network.py").read_text()
    assert "\nPROVED_STEPS = 3  # in more time steps a potential may leave its width" in text
    assert "PROVED_STEPS" not in emit.emit(summing()).texts["network.py"]
    read_input = _function(tmp_path / "lava" / "run.py", "read_input", PROVED_STEPS=3)
    for steps in (3, 4):
        np.savez(tmp_path / "x.npz", x=ones(steps))
        assert read_input(str(tmp_path / "x.npz")).shape == (1, steps, 1)
        warning = (
            f"warning: bounds were proved for 3 time steps, {tmp_path}/x.npz has 4: a"
            " potential may leave its width, and then wraps or saturates as Lava's does\n"
        )
        assert capsys.readouterr().err == ("" if steps == 3 else warning)


def _function(path: Path, name: str, **network: int):
    """Return one function of a file whose imports are not there."""
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    known = {"INPUT_SHAPE": (1,), "PAYLOAD": (0, 1), **network}
    names = {"np": np, "sys": sys, "network": types.SimpleNamespace(**known)}
    exec(compile(tree, str(path), "exec"), names)
    return names[name]
