from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from snncompile import hwmodels
from snncompile.hwmodels.chips import ChipError, list_names, load_chip
from snncompile.hwmodels.schema import Chip, Number, list_numbers

FOLDER = Path(hwmodels.__path__[0])
KNOWN = (
    "loihi1, loihi2, odin, paicore2, speck2, spinnaker1, spinnaker2, toy, truenorth, xylo-audio2"
)


def number(chip: Chip, field: str) -> float | None:
    """Return the value of a field such as `core.compartments` or `costs.toy.static_w`."""
    part: Any = chip
    for key in field.split("."):
        if isinstance(part, BaseModel):
            part = getattr(part, key)
        else:
            part = part[key] if isinstance(part, dict) else part[int(key)]
    assert isinstance(part, Number)
    return part.value


# ---- every shipped chip --------------------------------------------------------------------------


def test_shipped_chips():
    assert list_names() == tuple(KNOWN.split(", "))


@pytest.mark.parametrize("name", list_names())
def test_is_named_like_its_file(name):
    assert load_chip(name).name == name


@pytest.mark.parametrize("name", list_names())
def test_a_path_works_like_a_name(name):
    path = FOLDER / f"{name}.yaml"
    assert load_chip(path) == load_chip(str(path)) == load_chip(name)


@pytest.mark.parametrize("name", list_names())
def test_survives_being_saved(name):
    chip = load_chip(name)
    assert Chip.model_validate_json(chip.model_dump_json()) == chip


@pytest.mark.parametrize("name", list_names())
def test_every_source_is_used(name):
    chip = load_chip(name)
    used = {part.source for part in list_numbers(chip)}
    used |= {chip.encoding_source, chip.formats.weight_exponent_source}
    used |= {chip.rows.kinds_source} if chip.rows else set()
    if chip.rows and chip.rows.learning:
        learning = chip.rows.learning
        used |= {learning.kinds_source, learning.cores_source, learning.third_factor_source}
    used |= {chip.fidelity.source, chip.zero_weights_source} - {None}
    assert set(chip.sources) == used


@pytest.mark.parametrize("name", list_names())
def test_no_source_is_a_place_on_our_machines(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    assert "/work" not in text
    assert "HARDWARE.md" not in text


@pytest.mark.parametrize("name", list_names())
def test_a_source_in_a_repository_or_an_index_names_its_edition(name):
    """A commit or a release; issues have their numbers."""
    for key, text in load_chip(name).sources.items():
        if re.search(r"github\.com|gitlab\.com|PyPI", text):
            edition = r"commits? [0-9a-f]{7}|\b\d+\.\d+\.\d+\b|issues \d+"
            assert re.search(edition, text), (key, text)


@pytest.mark.parametrize("name", list_names())
def test_weight_exponents_have_evidence(name):
    formats = load_chip(name).formats
    assert formats.weight_exponent_unit == "1"
    assert formats.weight_exponent_evidence is not None


@pytest.mark.parametrize("name", list_names())
def test_no_limit_is_zero(name):
    chip = load_chip(name)
    limits = [*list_numbers(chip.mesh), *list_numbers(chip.core), *chip.neurons.values()]
    values = [limit.value for limit in limits if isinstance(limit, Number)]
    assert len(values) >= 4 + 7 + len(chip.neurons)
    assert all(value is None or value >= 1 for value in values)


# Of the other chips no or few prices are public.
@pytest.mark.parametrize("name", ["loihi1", "loihi2", "toy"])
def test_prices_are_known(name):
    for costs in load_chip(name).costs.values():
        prices = {e: p for e, p in costs.prices.items() if e != "chip_crossing"}
        parts = [price for each in prices.values() for price in list_numbers(each)]
        parts += [entry.time_ns for entry in costs.barrier]
        for part in parts:
            assert isinstance(part, Number)
            assert part.value is not None
            assert part.value >= 0


@pytest.mark.parametrize("name", list_names())
def test_a_chip_without_prices_says_so(name):
    chip = load_chip(name)
    prices = [price for costs in chip.costs.values() for price in costs.prices.values()]
    values = [part.value for price in prices for part in list_numbers(price)]  # type: ignore[union-attr]
    assert (set(values) == {None}) == (chip.default_costs == "unpublished")


@pytest.mark.parametrize("name", list_names())
def test_barrier_never_gets_faster_with_more_tiles(name):
    for costs in load_chip(name).costs.values():
        times = [entry.time_ns.value or 0 for entry in costs.barrier]
        assert times == sorted(times)


@pytest.mark.parametrize("name", list_names())
def test_only_toy_is_made_up(name):
    chip = load_chip(name)
    kinds = {part.evidence for part in list_numbers(chip)}
    kinds |= {chip.formats.weight_exponent_evidence}
    assert (kinds == {"made up"}) == (name == "toy")
    assert ("made up" in kinds) == (name == "toy")


@pytest.mark.parametrize("name", list_names())
def test_is_immutable(name):
    with pytest.raises(ValueError, match="frozen"):
        load_chip(name).core.compartments.value = 5.0  # type: ignore[misc]


def test_limits_of_a_core_of_loihi1_name_who_says_so():
    """Profiles are nengo-loihi's, and the 7 formats those of NxTF's encoder, not of the chip."""
    chip = load_chip("loihi1")
    assert chip.core.compartment_profiles.source == "nengo_loihi"
    assert chip.core.threshold_profiles.source == "nengo_loihi"
    assert chip.rows is not None
    assert "a limit of its encoder" in chip.sources[chip.rows.formats.source]


# ---- facts ---------------------------------------------------------------------------------------

# A new fact is one more entry: chip, field, value.
FACTS = [
    ("loihi1", "mesh.tile_columns", 8),
    ("loihi1", "mesh.tile_rows", 4),
    ("loihi1", "mesh.cores_per_tile", 4),
    ("loihi1", "mesh.cores", 128),
    ("loihi1", "core.compartments", 1024),
    ("loihi1", "core.synapse_words", 16384),
    ("loihi1", "core.synapse_word_bits", 64),
    ("loihi1", "core.axons_in", 4096),
    ("loihi1", "core.axons_out", 4096),
    ("loihi1", "core.compartment_profiles", 31),
    ("loihi1", "core.threshold_profiles", 7),
    ("loihi1", "formats.decay_bits", 12),
    ("loihi1", "formats.threshold_mantissa", 2**17 - 1),
    ("loihi1", "formats.bias_mantissa", 4095),
    ("loihi1", "formats.bias_exponent", 7),
    ("loihi1", "formats.delay", 62),
    ("loihi1", "formats.state_bits", 24),
    ("loihi1", "formats.accumulator_bits", 16),
    ("loihi1", "neurons.cuba_lif/hard", 1),
    ("loihi1", "neurons.cuba_lif/soft", 2),
    ("loihi1", "costs.davies2018.prices.synaptic_op.energy_pj", 23.6),
    ("loihi1", "costs.davies2018.prices.synaptic_op.time_ns", 3.5),
    ("loihi1", "costs.davies2018.prices.neuron_active.energy_pj", 81),
    ("loihi1", "costs.davies2018.prices.neuron_active.time_ns", 8.4),
    ("loihi1", "costs.davies2018.prices.neuron_inactive.energy_pj", 52),
    ("loihi1", "costs.davies2018.prices.neuron_inactive.time_ns", 5.3),
    ("loihi1", "costs.davies2018.prices.message_within_tile.energy_pj", 1.7),
    ("loihi1", "costs.davies2018.prices.message_within_tile.time_ns", 2.1),
    ("loihi1", "costs.davies2018.prices.hop_east_west.energy_pj", 3.0),
    ("loihi1", "costs.davies2018.prices.hop_east_west.time_ns", 4.1),
    ("loihi1", "costs.davies2018.prices.hop_north_south.energy_pj", 4.0),
    ("loihi1", "costs.davies2018.prices.hop_north_south.time_ns", 6.5),
    ("loihi1", "costs.davies2018.barrier.0.time_ns", 113),
    ("loihi1", "costs.davies2018.barrier.1.time_ns", 465),
    ("loihi1", "costs.davies2018.static_w", 0.104),
    ("loihi1", "costs.sanafe.prices.synaptic_op_dense.energy_pj", 35.5),
    ("loihi1", "costs.sanafe.prices.synaptic_op_dense.time_ns", 3.8),
    ("loihi1", "costs.sanafe.prices.synaptic_op_convolution.energy_pj", 24.0),
    ("loihi1", "costs.sanafe.prices.synaptic_op_convolution.time_ns", 3.1),
    ("loihi1", "costs.sanafe.prices.synaptic_op_sparse.energy_pj", 33.6),
    ("loihi1", "costs.sanafe.prices.synaptic_op_sparse.time_ns", 4.7),
    ("loihi1", "costs.sanafe.link_buffer", 16),
    ("loihi1", "costs.sanafe.energy_error", 0.12),
    ("loihi1", "costs.sanafe.latency_error", 0.25),
    ("loihi1", "rows.learning.synapse_bits", 18),
    ("loihi1", "rows.learning.axon_entries", 2),
    ("loihi1", "costs.davies2018.prices.learning_update.energy_pj", 120),
    ("loihi1", "costs.davies2018.prices.learning_update.time_ns", 6.1),
    ("loihi1", "costs.davies2018.barrier_chips.0.time_ns", 14300),
    ("loihi1", "costs.davies2018.barrier_chips.1.time_ns", 16200),
    ("loihi1", "costs.sanafe.prices.neuron_mapped.energy_pj", 51.2),
    ("loihi1", "costs.sanafe.prices.neuron_mapped.time_ns", 6.0),
    ("loihi1", "costs.sanafe.prices.neuron_updated.energy_pj", 21.6),
    ("loihi1", "costs.sanafe.prices.neuron_updated.time_ns", 3.7),
    ("loihi1", "costs.sanafe.prices.spike.energy_pj", 69.3),
    ("loihi1", "costs.sanafe.prices.spike.time_ns", 30),
    ("loihi1", "costs.sanafe.prices.message_out.energy_pj", 111),
    ("loihi1", "costs.sanafe.prices.message_out.time_ns", 5.1),
    ("loihi1", "costs.sanafe.prices.message_in.energy_pj", 0),
    ("loihi1", "costs.sanafe.prices.message_in.time_ns", 16),
    ("loihi1", "costs.sanafe.prices.hop_east_west.energy_pj", 3.0),
    ("loihi1", "costs.sanafe.prices.hop_east_west.time_ns", 4.1),
    ("loihi1", "costs.sanafe.prices.hop_north_south.energy_pj", 4.2),
    ("loihi1", "costs.sanafe.prices.hop_north_south.time_ns", 6.5),
    ("loihi2", "mesh.cores_per_tile", 4),
    ("loihi2", "mesh.cores", 120),
    ("loihi2", "core.compartments", 4095),
    ("loihi2", "core.synapse_words", 16000),
    ("loihi2", "core.synapse_word_bits", 64),
    ("loihi2", "core.axons_in", 16000),
    ("loihi2", "core.axons_out", 16000),
    ("loihi2", "core.compartment_profiles", None),
    ("loihi2", "core.threshold_profiles", None),
    ("loihi2", "formats.decay_bits", 12),
    ("loihi2", "formats.threshold_mantissa", 2**17 - 1),
    ("loihi2", "formats.bias_mantissa", 4095),
    ("loihi2", "formats.bias_exponent", 7),
    ("loihi2", "formats.delay", 63),
    ("loihi2", "formats.state_bits", 24),
    ("loihi2", "formats.accumulator_bits", None),
    ("loihi2", "costs.loihi1_scaled.step_floor_ns", 200),
    ("loihi2", "costs.loihi1_scaled.static_w", 0.33),
    ("loihi1", "rows.entry_synapses", 60),
    ("loihi1", "rows.row_words", 256),
    ("loihi1", "rows.formats", 7),
    ("loihi1", "rows.destination_groups", 16),
    ("loihi1", "axon_entries.discrete", 1),
    ("loihi1", "axon_entries.population", 2),
    ("loihi1", "axon_entries.other_chip", 1),
    ("loihi2", "core.neuron_groups", 8),
    ("truenorth", "mesh.cores", 64 * 64),
    ("truenorth", "crossbar.axons", 256),
    ("truenorth", "crossbar.neurons", 256),
    ("truenorth", "crossbar.axon_types", 4),
    ("truenorth", "crossbar.type_weight_bits", 9),
    ("truenorth", "crossbar.destinations", 1),
    ("truenorth", "formats.state_bits", 20),
    ("truenorth", "formats.delay", 14),
    ("truenorth", "costs.quoted.static_w", 0.0644),
    ("truenorth", "costs.quoted.prices.hop_east_west.energy_pj", 2.3),
    ("odin", "crossbar.neurons", 256),
    ("odin", "crossbar.synapse_bits", 3),
    ("odin", "costs.quoted.prices.synaptic_op.energy_pj", 8.43),
    ("odin", "costs.quoted.static_w", 27.3e-6),
    ("spinnaker1", "mesh.cores_per_tile", 18),
    ("spinnaker1", "memory.data_bytes", 64 * 1024),
    ("spinnaker1", "memory.router_entries", 1023),
    ("spinnaker1", "memory.shared_bytes", 123_469_792),
    ("spinnaker1", "costs.quoted.prices.synaptic_op.energy_pj", 13300),
    ("spinnaker1", "costs.quoted.prices.neuron_mapped.energy_pj", 26000),
    ("spinnaker2", "mesh.cores", 152),
    ("spinnaker2", "memory.router_entries", 16384),
    ("speck2", "mesh.cores", 9),
    ("speck2", "kernels.kernel", 16),
    ("speck2", "kernels.destinations", 2),
    ("speck2", "formats.state_bits", 16),
    ("xylo-audio2", "layers.inputs", 16),
    ("xylo-audio2", "layers.hidden", 1000),
    ("xylo-audio2", "layers.outputs", 8),
    ("xylo-audio2", "layers.fan_out", 64),
    ("xylo-audio2", "layers.input_spikes", 15),
    ("xylo-audio2", "layers.hidden_spikes", 31),
    ("xylo-audio2", "layers.output_spikes", 1),
    ("paicore2", "mesh.cores", 1008),
    ("paicore2", "weight_ram.lines", 512),
    ("paicore2", "weight_ram.line_bits", 1152),
    ("paicore2", "weight_ram.extension", 64),
    ("toy", "mesh.cores", 4),
    ("toy", "core.compartments", 4),
    ("toy", "core.synapse_words", 64),
    ("toy", "core.axons_in", 8),
    ("toy", "core.axons_out", 16),
    ("toy", "core.compartment_profiles", 2),
    ("toy", "core.threshold_profiles", 2),
]


@pytest.mark.parametrize("name, field, value", FACTS)
def test_fact(name, field, value):
    assert number(load_chip(name), field) == value


def test_weight_bits():
    assert load_chip("loihi1").formats.weight_bits.values == (1, 2, 3, 4, 5, 6, 8)
    assert load_chip("loihi2").formats.weight_bits.values == (1, 2, 3, 4, 5, 6, 7, 8)


def test_memory_of_specks_cores():
    kernels = load_chip("speck2").kernels
    assert kernels is not None
    assert [words // 1024 for words in kernels.kernel_words.values] == [16] * 3 + [32] * 2 + [
        *(64, 64, 16, 16)
    ]
    assert [words // 1024 for words in kernels.neuron_words.values] == [64] * 3 + [32] * 2 + [
        16
    ] * 4
    assert kernels.strides.values == (1, 2, 4, 8)
    assert kernels.pools.values == (1, 2, 4)


def test_specks_memories_belong_together(tmp_path):
    text = (FOLDER / "speck2.yaml").read_text()
    path = tmp_path / "my.yaml"
    path.write_text(text.replace("65536, 65536, 65536, 32768", "65536, 65536, 32768"))
    with pytest.raises(ChipError) as error:
        load_chip(path)
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "[65536, 65536, 65536" in row)
    assert str(error.value) == (
        f"{path} line {line}: kernels.neuron_words.values: 8 values, but 9 cores have kernels"
    )


def test_barrier_tables_of_loihi1():
    costs = load_chip("loihi1").costs
    table = {name: {b.tiles: b.time_ns.value for b in costs[name].barrier} for name in costs}
    assert table == {
        "davies2018": {1: 113, 32: 465},
        "sanafe": {1: 600, 2: 1000, 4: 1400, 29: 1800, 32: 1800},
    }


def test_neurons_loihi1_cannot_build():
    missing = set(load_chip("loihi2").neurons) - set(load_chip("loihi1").neurons)
    assert missing == {
        "accumulate",
        "graded",
        "graded/scaled",
        "graded_delta",
        "cuba_lif/delayed_hard",
        "cuba_lif/strict_soft",
        "cuba_lif/none",
        "adaptive_lif/hard",
        "adaptive_lif/soft",
        "alpha_lif",
        "alpha_soft_lif",
        "bistable_fire",
        "multi_spike_lif/hard",
        "multi_spike_lif/soft",
        "phase_fire",
        "phase_maximum",
        "product",
        "product/scaled",
        "signed_integrate_fire",
        "synapse_filter",
        "ternary_lif",
        "resonate_fire",
        "resonate_fire_izhikevich",
        "delta",
        "sigma_delta",
        "sigma",
    }


# Published ratios, Loihi 2 against Loihi 1; 1 where Loihi 1's number stands in.
@pytest.mark.parametrize(
    "event, faster",
    [
        ("synaptic_op", 5),
        ("neuron_active", 2),
        ("neuron_inactive", 2),
        ("message_within_tile", 10),
        ("hop_east_west", 1),
        ("hop_north_south", 1),
    ],
)
def test_loihi2_prices_are_scaled_from_loihi1(event, faster):
    old = load_chip("loihi1").costs["davies2018"].prices[event]
    new = load_chip("loihi2").costs["loihi1_scaled"].prices[event]
    assert new.energy_pj.value == old.energy_pj.value
    assert new.energy_pj.evidence == "assumed"
    assert new.time_ns.value == pytest.approx(old.time_ns.value / faster, rel=1e-12)


def test_loihi2s_fitted_numbers_say_what_they_were_fitted_to():
    """One factor on all energies of Loihi 1, and one time; the rest is published or said."""
    chip = load_chip("loihi2")
    old, measured = load_chip("loihi1").costs["davies2018"], chip.costs["measured"]
    assert chip.default_costs == "measured"
    for event, price in measured.prices.items():
        if event == "chip_crossing":
            assert price.energy_pj.value is None
            continue
        energy = price.energy_pj
        before = old.prices[event].energy_pj.value
        # The file has four digits, three of the lower and upper end.
        assert energy.value == pytest.approx(before * 1.14, rel=1e-3)
        assert energy.low == pytest.approx(energy.value * 0.5625 / 1.0815, rel=2e-3)
        assert energy.high == pytest.approx(energy.value * 1.386 / 1.0815, rel=2e-3)
        assert energy.evidence == "fitted"
        assert "six runs" in chip.sources[energy.source]
    fitted = [
        event for event, price in measured.prices.items() if price.time_ns.evidence == "fitted"
    ]
    assert fitted == ["synaptic_op"]


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ({"low": 1.0}, "low and high come together"),
        ({"low": 3.0, "high": 4.0}, "the value must lie between low and high"),
        ({"low": 0.5, "high": 1.5}, "the value must lie between low and high"),
    ],
)
def test_the_value_of_a_number_lies_in_its_spread(ends, message):
    with pytest.raises(ValueError, match=message):
        Number(value=2.0, unit="ns", evidence="primary", source="x", **ends)


def test_ends_of_a_cost_set():
    costs = load_chip("loihi2").costs["measured"]
    low, high = costs.at_end("low"), costs.at_end("high")
    times = [c.prices["synaptic_op"].time_ns.value for c in (low, costs, high)]
    assert times == [0.66, 1.02, 1.03]
    assert [c.static_w.value for c in (low, costs, high)] == [0.178, 0.33, 0.382]
    assert not low.has_ends
    assert low.prices["hop_east_west"].time_ns == costs.prices["hop_east_west"].time_ns
