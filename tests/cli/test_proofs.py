"""Commands on more time steps than a Program was compiled for say whether its bounds still hold."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI2, changed, integer_chain

import snncompile
from snncompile.neurons.readout import IntegerReadout

COMMANDS = {
    "run": ("run", "build"),
    "verify": ("verify", "build", "--no-lava"),
    "estimate": ("estimate", "build"),
    "compare": ("compare", "build", "build"),
}
LAPSED = (
    "warning: bounds proved for 3 time steps lapse in 100: a: v can reach 24,576,000, the width"
    " holds 8,388,607: neuron 0 saturates if all its sources of one sign spike in every step;"
    " compile with steps=100\n"
)
# Steps of the input, the lines on standard error.
STEPS = {
    3: "",
    34: "bounds: proved anew for 34 time steps, as they were for 3\n",
    100: LAPSED,
}


@pytest.fixture
def readout(tmp_path):
    """A Program for 3 time steps that sums up its input without a leak."""
    network = integer_chain(1, 1, weight=120, exponent=5)
    network = changed(network, "a", neuron=IntegerReadout(4095, 0))
    snncompile.compile(network, chip=LOIHI2, steps=3, prune=False).save(tmp_path / "build")


@pytest.mark.usefixtures("readout")
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_lapses(command, steps, snncompile_command):
    np.savez("x.npz", x=np.ones((1, steps, 1), np.uint8))
    done = snncompile_command(*COMMANDS[command], "--input", "x.npz")
    assert done.err == STEPS[steps] * (2 if command == "compare" else 1)
    assert done.code == 0


@pytest.mark.usefixtures("readout")
@pytest.mark.parametrize("command", ["run", "verify", "estimate"])
def test_json_lists_what_lapses(command, snncompile_command):
    np.savez("x.npz", x=np.ones((1, 100, 1), np.uint8))
    values = snncompile_command(*COMMANDS[command], "--input", "x.npz", "--json").json
    assert values["proved_steps"] == 3
    assert values["lapsed"] == [
        {
            "population": "a",
            "quantity": "v",
            "low": 0.0,
            "high": 24576000.0,
            "limit": 8388607,
            "neuron": 0,
            "effect": "saturates",
            "holds": False,
        }
    ]


@pytest.mark.usefixtures("readout")
def test_json_of_compare_lists_both(snncompile_command):
    np.savez("x.npz", x=np.ones((1, 100, 1), np.uint8))
    values = snncompile_command(*COMMANDS["compare"], "--input", "x.npz", "--json").json
    assert list(values["proofs"]) == ["a", "b"]
    assert values["proofs"]["a"] == values["proofs"]["b"]
    assert values["proofs"]["b"]["lapsed"][0]["quantity"] == "v"


@pytest.mark.usefixtures("readout")
def test_show_and_emit_say_for_how_many_steps(snncompile_command):
    assert "bounds: proved for up to 3 time steps\n" in snncompile_command("show", "build").out
    assert snncompile_command("show", "build", "--json").json["proved_steps"] == 3
    done = snncompile_command("emit", "build", "-o", "lava")
    assert "proved_steps: 3\n" in done.out
