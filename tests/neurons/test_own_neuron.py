"""A neuron of another package goes through everything; no table of ours has a row for it."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import get_args

import numpy as np
import pytest
import torch
from drawn_neurons import neuron as drawn
from networks import TOY
from tiring_fire import IntegerTiringFire, TiringFire
from typer.testing import CliRunner

import snncompile
from snncompile import registry
from snncompile.cli.main import app
from snncompile.errors import InputError, QuantizeError, UnsupportedError
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.base import Effect, IntegerNeuron, Width
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.reference.fast.populations import bind_neuron
from snncompile.reference.simulate import run_batches
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense, integer_dense

CHIP = TOY.model_copy(update={"neurons": TOY.neurons | {"tiring_fire": TOY.neurons["readout"]}})


@pytest.fixture
def installed(monkeypatch):
    """Stand in for an installed package with an entry point."""
    point = EntryPoint("tiring_fire", "tiring_fire:TiringFire", "snncompile.neurons")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] if group == point.group else []
    )


def network() -> Network:
    """Return input -> a -> b; two neurons of a are too weak to fire."""
    rng = np.random.default_rng(4)
    weight = rng.uniform(-0.4, 1.0, (6, 5))
    weight[[1, 4]] = -np.abs(weight[[1, 4]])
    neuron = TiringFire(1.0, 0.25, 0.125)
    return Network(
        Input("input", (5,)),
        (Population("a", (6,), neuron), Population("b", (3,), neuron)),
        (
            Projection("input", "a", dense(weight)),
            Projection("a", "b", dense(rng.uniform(-0.2, 1.0, (3, 6)))),
        ),
        "b",
    )


X = (np.random.default_rng(5).random((6, 20, 5)) < 0.4).astype(np.uint8)


@pytest.fixture
def program(installed):
    return snncompile.compile(network(), chip=CHIP, calibration=X)


def outputs(network, fast: bool):
    parts = list(run_batches(network, X, fast=fast))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def test_is_quantized_and_reported(program):
    errors = {q.population: q.parameter_error for q in program.quantized}
    assert list(errors["a"]) == ["threshold", "effort", "recovery"]
    # A mantissa of 64, the least that is taken, rounds by up to 1/128; 8-bit weights by 1/254.
    assert max(max(e.values()) for e in errors.values()) < 1 / 128
    assert all(q.output_error is not None and q.output_error < 0.05 for q in program.quantized)


def test_is_pruned_where_it_is_dead(program):
    assert program.kept["a"].tolist() == [0, 2, 3, 5]
    assert "prune: dropped 2 of 6 neurons of a, 16 weights" in program.log


def test_is_bounded_by_its_own_states_and_widths(program):
    found = [(b.quantity, b.limit, b.effect) for b in program.bounds if b.population == "a"]
    assert found == [
        ("accumulator", 2**21 - 1, "overflows"),
        ("v", 2**23 - 1, "saturates"),
        ("tired", 2**20 - 1, "saturates"),
    ]


def test_no_state_leaves_its_bounds(program):
    seen: dict[tuple[str, str], float] = {}

    def watch(name, step, state) -> None:
        for quantity, values in zip(TiringFire.states, state, strict=True):
            key = name, quantity
            seen[key] = max(seen.get(key, 0), float(values.max()))

    list(run_batches(program.network, X, watch=watch))
    assert seen["a", "tired"] > 0
    for bound in program.bounds:
        if bound.quantity != "accumulator":
            assert seen[bound.population, bound.quantity] <= bound.high


def test_runs_equal_on_the_compiled_way_and_step_by_step(program):
    neuron = program.network.populations[0].neuron
    assert bind_neuron(neuron, 4) is None
    fast, plain = outputs(program.network, fast=True), outputs(program.network, fast=False)
    assert plain["b"].sum() > 0
    for name, train in plain.items():
        assert torch.equal(fast[name], train), name


def test_is_compared_with_its_float_network(program):
    """The float network starts with neurons that were pruned; outputs are compared without them."""
    rows = program.verify(X, lava=False).comparison("float", "integer").rows
    assert [(row.population, row.outputs) for row in rows] == [("a", 480), ("b", 360)]


def test_is_saved_loaded_shown_and_estimated(program, tmp_path):
    path = tmp_path / "build"
    program.save(path)
    loaded = snncompile.load(path)
    assert loaded.bounds == program.bounds
    assert (loaded.run(X).spikes == program.run(X).spikes).all()
    assert str(loaded.network) == str(program.network)
    for name in registry.list_names("estimators"):
        estimate = registry.load("estimators", name)
        found = estimate(loaded, X)
        assert found.rows == estimate(program, X).rows
        counts = {(row.layer, row.event): row.count for row in found.rows}
        active = [counts[p.name, "neuron_active"] for p in loaded.network.populations]
        silent = [counts[p.name, "neuron_inactive"] for p in loaded.network.populations]
        steps = X.shape[1] + loaded.network.phase(loaded.network.output)
        whole = [p.size * steps for p in loaded.network.populations]
        assert [a + b for a, b in zip(active, silent, strict=True)] == whole
    shown = CliRunner().invoke(app, ["show", str(path)], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "tiring_fire" in shown.output


def test_its_text_names_its_parameters():
    assert str(TiringFire(1.0, 0.25, 0.125)) == "tiring_fire threshold=1 effort=0.25 recovery=0.125"


def test_a_file_with_it_needs_its_package(program, tmp_path, monkeypatch):
    program.save(tmp_path / "build")
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    with pytest.raises(InputError, match="no neuron called 'tiring_fire'; known: accumulate, "):
        snncompile.load(tmp_path / "build")


def test_its_own_range_is_checked(installed):
    neuron = IntegerTiringFire(9, 300, 100)
    integers = IntegerNetwork(
        Input("input", (2,)),
        (Population("a", (2,), neuron, 1),),
        (Projection("input", "a", integer_dense(np.full((2, 2), 2), 0, 8), 1),),
        "a",
    )
    with pytest.raises(QuantizeError) as error:
        snncompile.compile(integers, chip=CHIP)
    assert str(error.value) == "population a: effort 300 is outside 0..255 of toy"


def test_a_chip_without_it_is_answered_with_its_alternative():
    before = network()
    others = tuple(replace(p, neuron=IntegrateFire(1.0, reset="hard")) for p in before.populations)
    after = replace(before, populations=others)
    differ = int((outputs(before, fast=False)["a"] != outputs(after, fast=False)["a"]).sum())
    assert differ > 0
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(before, chip=TOY, calibration=X)
    assert str(error.value).startswith("population a: toy has no neuron tiring_fire; it has adapt")
    assert str(error.value).endswith(
        "; train with the nearest, integrate_fire/hard, where a spike"
        f" clears the potential at once; in this network it would change {differ} of the 720"
        " outputs of a on 6 calibration samples"
    )


def test_channels_get_scales_of_their_own(installed):
    rng = np.random.default_rng(6)
    wiring = Convolution((1, 3, 3), 2, (2, 2), (1, 1), (0, 0), (1, 1))
    weight = rng.uniform(0, 1, wiring.weight_shape) * np.reshape([1.0, 0.1], (2, 1, 1, 1))
    neuron = TiringFire(1.0, 0.25, 0.125)
    image = Network(
        Input("input", (1, 3, 3)),
        (Population("a", (2, 2, 2), neuron),),
        (Projection("input", "a", Synapses(wiring, weight)),),
        "a",
    )
    built = snncompile.compile(image, chip=CHIP)
    assert built.quantized[0].scales == 2


def test_a_state_nobody_described_overflows_at_the_width_of_a_potential():
    assert IntegerNeuron.width("own") == Width(2**23 - 1, "overflows")
    assert set(get_args(Effect)) == {"wraps", "saturates", "overflows"}


def test_is_drawn_within_its_own_ranges(installed):
    rng = np.random.default_rng(7)
    for _ in range(20):
        neuron = drawn(rng, "tiring_fire/", 4, wild=True)
        assert neuron.effort.min() >= 0
        assert neuron.effort.max() <= 255
