"""Commands say whether the spikes of a chip are those computed here."""

from __future__ import annotations

import numpy as np
from networks import chain, spikes

from snncompile.hwmodels.chips import load_chip
from snncompile.neurons.integrate_fire import IntegrateFire

XYLO, TOY = (load_chip(name).describe_fidelity() for name in ("xylo-audio2", "toy"))


def test_commands_warn_where_the_chip_has_another_neuron(snncompile_command):
    network = chain(3, 4, 2, neuron=IntegrateFire(1.0, reset="soft"))
    network.save("network")
    np.savez("x.npz", x=spikes(network, 2, 4))
    warning = f"warning: fidelity: {XYLO}"
    made = snncompile_command("compile", "network", "--chip", "xylo-audio2", "-o", "build")
    assert made.code == 0
    for words in (
        ("show", "build"),
        ("run", "build", "--input", "x.npz"),
        ("verify", "build", "--input", "x.npz", "--no-lava"),
    ):
        done = snncompile_command(*words)
        assert warning in done.out.splitlines(), words
        assert snncompile_command(*words, "--json").json["fidelity"] == {
            "spikes": "other",
            "against": "xylosim 0.1.3, SynSense's simulator",
            "sentence": XYLO,
        }
    assert warning in made.out.splitlines()
    assert f"fidelity: {XYLO}" in snncompile_command("chips", "xylo-audio2").out


def test_commands_say_it_once_where_the_neuron_is_ours(snncompile_command):
    network = chain(3, 2)
    network.save("network")
    np.savez("x.npz", x=spikes(network, 2, 4))
    made = snncompile_command("compile", "network", "--chip", "toy", "-o", "build")
    assert made.out.splitlines()[-1] == f"fidelity: {TOY}"
    assert "fidelity" not in snncompile_command("run", "build", "--input", "x.npz").out


def test_the_list_has_it(snncompile_command):
    listed = snncompile_command("chips", "--json").json["chips"]
    assert {chip["name"]: chip["spikes"] for chip in listed} == {
        "loihi1": "exact",
        "loihi2": "unknown",
        "odin": "other",
        "paicore2": "unknown",
        "speck2": "other",
        "spinnaker1": "unknown",
        "spinnaker2": "unknown",
        "toy": "exact",
        "truenorth": "unknown",
        "xylo-audio2": "other",
    }
    assert "spikes" in snncompile_command("chips").out
