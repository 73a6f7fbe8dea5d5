"""SANA-FE's architecture files as chips."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import sanafe
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
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
    "a price that is NaN": (
        lambda top: top["tile"][0]["core"][0]["soma"][0]["attributes"].update(
            energy_spike_out=float("nan")
        ),
        "soma: energy_spike_out must be a number from 0 to 1e+15, got nan",
    ),
    "a time without end": (
        lambda top: top["tile"][0]["attributes"].update(latency_east_hop=float("inf")),
        "tile: latency_east_hop must be a number from 0 to 1e+15, got inf",
    ),
    "a price below 0": (
        lambda top: top["tile"][0]["attributes"].update(energy_east_hop=-1),
        "tile: energy_east_hop must be a number from 0 to 1e+15, got -1",
    ),
    "a flag": (
        lambda top: top["attributes"].update(width=True),
        "architecture: width must be a number from 0 to 1e+15, got True",
    ),
    "a wide half": (
        lambda top: top["attributes"].update(width=2.5),
        "architecture: width must be a whole number of 1 or more, got 2.5",
    ),
    "neurons in words": (
        lambda top: top["tile"][0]["core"][0]["attributes"].update(max_neurons_supported="many"),
        "core: max_neurons_supported is missing or no number",
    ),
    "buffers in words": (
        lambda top: top["attributes"].update(link_buffer_size="many"),
        "architecture: link_buffer_size is missing or no number",
    ),
    "a barrier in words": (
        lambda top: top["attributes"].update(latency_sync={"one": 1.0}),
        "architecture: latency_sync is missing or no number",
    ),
    "a barrier that is NaN": (
        lambda top: top["attributes"].update(latency_sync={1: float("nan")}),
        "architecture: latency_sync must be a number from 0 to 1e+15, got nan",
    ),
    "attributes in words": (
        lambda top: top["tile"][0]["core"][0].update(attributes="none"),
        "core: attributes is no mapping",
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


JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["nan", "inf", "1e999", "tile[0..99999999999999999999]", "[9..1]"])
    | st.lists(st.integers(), max_size=2) | st.dictionaries(st.text(max_size=2), st.floats())
)  # fmt: skip


def places(value, path=()):
    """Yield the path of every value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


ARCHITECTURE = yaml.safe_load(architecture.make_architecture(find_costs(LOIHI1, "sanafe"), 4))


@settings(max_examples=150, deadline=None)
@given(where=st.sampled_from(list(places(ARCHITECTURE))), junk=JUNK)
def test_any_value_in_any_place_is_read_or_refused_in_one_line(where, junk, tmp_path_factory):
    data = copy.deepcopy(ARCHITECTURE)
    place = data
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = junk
    path = tmp_path_factory.mktemp("junk") / "chip.yaml"
    path.write_text(yaml.safe_dump(data))
    try:
        load_chip(path)
    except ChipError as error:
        message = str(error).replace(str(path), "chip.yaml")
    else:
        message = ""
    assert len(message.splitlines()) <= 1
    assert len(message) < 300
