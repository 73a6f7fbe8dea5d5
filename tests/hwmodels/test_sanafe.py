"""SANA-FE's architecture files as chips."""

from __future__ import annotations

from pathlib import Path

import pytest
import sanafe
import yaml
from networks import LOIHI1, integer_chain, spikes

import snncompile
from snncompile.backends.energy.costs import find_costs
from snncompile.backends.sanafe import architecture
from snncompile.hwmodels.chips import ChipError, load_chip
from snncompile.neurons.integrate_fire import IntegerIntegrateFire

EXAMPLES = Path(sanafe.__file__).parent / "examples"


def test_sanafes_loihi_has_the_prices_of_ours():
    chip = load_chip(EXAMPLES / "loihi.yaml")
    ours, theirs = LOIHI1.costs["sanafe"], chip.costs["sanafe"]
    assert set(ours.prices) | {"synaptic_op"} == set(theirs.prices) | {"synaptic_op"}
    for event, price in ours.prices.items():
        for what in ("energy_pj", "time_ns"):
            assert getattr(theirs.prices[event], what).value == getattr(price, what).value, event
    assert [(b.tiles, b.time_ns.value) for b in theirs.barrier] == [
        (b.tiles, b.time_ns.value) for b in ours.barrier
    ]
    assert theirs.link_buffer.whole == 16
    assert chip.mesh.model_dump(include={"cores"})["cores"]["value"] == 128
    assert (chip.mesh.tile_columns.whole, chip.mesh.tile_rows.whole) == (8, 4)
    assert chip.core.compartments.whole == 1024
    assert chip.name == "loihi_chip"


# The file of TrueNorth has no time but 0, and nobody knows that of the host.
@pytest.mark.parametrize("name, latency", [("truenorth", None), ("tutorial_arch", ...)])
def test_reads_sanafes_other_examples(name, latency):
    chip = load_chip(EXAMPLES / f"{name}.yaml")
    program = snncompile.compile(integer_chain(2, 3, 1, neuron=IntegerIntegrateFire(1)), chip=chip)
    found = program.estimate(spikes(program.network, 1, 4))
    assert found.latency_s is latency or found.latency_s > 0


def test_our_chip_comes_back(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(architecture.make_architecture(find_costs(LOIHI1, "sanafe"), 4))
    back = load_chip(path)
    program, again = (
        snncompile.compile(integer_chain(4, 5, 3), chip=chip) for chip in (LOIHI1, back)
    )
    x = spikes(program.network, 2, 4)
    wanted, found = program.estimate(x, "sanafe"), again.estimate(x)
    assert found.dynamic_j == pytest.approx(wanted.dynamic_j)
    assert found.latency_s == pytest.approx(wanted.latency_s)
    assert "energy of static power" in found.missing


# Changes of our Loihi 1 as an architecture; the message.
WRONG = {
    "no tiles": (
        lambda top: top.pop("tile"),
        "architecture: tile is missing or no list of units",
    ),
    "two kinds of tiles": (
        lambda top: top["tile"].append({"name": "other"}),
        "architecture: has 2 kinds of tile, we can read one that all are alike",
    ),
    "too many tiles": (
        lambda top: top["tile"][0].update(name="tile[0..32]"),
        "33 tiles do not fit 8 x 4 places",
    ),
    "no width": (
        lambda top: top["attributes"].pop("width"),
        "architecture: width is missing or no number",
    ),
    "one-way hops": (
        lambda top: top["tile"][0]["attributes"].update(energy_west_hop=1.0),
        "tile: hops east and west differ in price; we have one price",
    ),
    "a price that is none": (
        lambda top: top["tile"][0]["core"][0]["soma"][0]["attributes"].update(
            energy_spike_out="much"
        ),
        "soma: energy_spike_out is missing or no number",
    ),
    "inputs only": (
        lambda top: top["tile"][0]["core"][0]["soma"].pop(0),
        "core: has no soma but inputs",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_refuses_other_architectures(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, message = WRONG[case]
    data = yaml.safe_load(architecture.make_architecture(find_costs(LOIHI1, "sanafe"), 4))
    change(data["architecture"])
    Path("chip.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(ChipError) as error:
        load_chip("chip.yaml")
    assert str(error.value) == f"chip.yaml (SANA-FE): {message}"
