"""Rules for every pass of the registry, and for the pipeline. A new pass needs no new test code."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, chain, integer_chain, random_network, spikes
from stages import before_pass

import snncompile
import snncompile.passes
from snncompile import registry
from snncompile.errors import InputError
from snncompile.files import folder
from snncompile.files import network as save
from snncompile.options import Options
from snncompile.passes.base import Pass
from snncompile.passes.pipeline import Pipeline

PASSES = registry.list_names("passes")


def content(state) -> str:
    """Return everything a design holds, as one hash."""
    record, arrays = save.to_record(state.network)
    if state.calibration is not None:
        arrays = arrays | {"calibration": state.calibration}
    whole = {
        "network": record,
        "chip": state.chip.model_dump(mode="json"),
        "mapping": str(state.mapping),
        "quantized": [q.model_dump(mode="json") for q in state.quantized],
        "log": state.log,
    }
    return folder.hash_content(whole, arrays)


def any_network(seed: int):
    network = random_network(seed)
    return network, spikes(network, 4, 6, seed)


def before_any_pass(name: str, seed: int):
    """Return the design that a pass gets; the rules of NxTF know chains on Loihi 1 only."""
    if name == "partition_nxtf":
        network = chain(3, 4 + seed, 2, weight=0.5)
        return before_pass(name, network, LOIHI1, spikes(network, 4, 6, seed))
    return before_pass(name, any_network(seed)[0], LOIHI2, any_network(seed)[1])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", PASSES)
def test_a_pass_leaves_its_input_alone_and_repeats_itself(name, seed):
    before = before_any_pass(name, seed)
    known = content(before)
    one, other = (registry.load("passes", name)()(before) for _ in range(2))
    assert content(before) == known
    assert content(one) == content(other) != known
    assert one.log[: len(before.log)] == before.log
    assert len(one.log) == len(before.log) + 1
    assert one.log[-1].startswith(f"{name}: ")
    assert one.chip is before.chip


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_is_a_frozen_record_that_says_its_options(name):
    a_pass = registry.load("passes", name)()
    assert isinstance(a_pass, Pass)
    assert a_pass.name == name
    assert type(a_pass).__doc__.count("Requires:") == type(a_pass).__doc__.count("Ensures:") == 1
    for field in dataclasses.fields(a_pass):
        assert f"{field.name}=" in repr(a_pass)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(a_pass, field.name, 1)
    assert eval(repr(a_pass), {type(a_pass).__name__: type(a_pass)}) == a_pass


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_has_a_contract_that_holds(name):
    kind = registry.load("passes", name)
    assert kind.requires is not Pass.requires
    assert kind.ensures is not Pass.ensures
    before = before_any_pass(name, 1)
    assert kind().requires(before) == ""
    assert kind().ensures(before, kind()(before)) == ""


def test_every_pass_is_in_the_pipeline_once():
    pipelines = [
        Pipeline.default(Options(partitioner=partitioner)).names
        for partitioner in ("free", "nxtf", "intel")
    ]
    assert sorted({name for names in pipelines for name in names}) == list(PASSES)
    assert {(len(names), len(set(names))) for names in pipelines} == {(9, 9)}
    assert [repr(a_pass) for a_pass in Pipeline.default(Options(bits=5, steps=7)).passes] == [
        "Retime()",
        "Quantize(bits=5, steps=7, formats='chip', scales='neuron', processes='any')",
        "Measure()",
        "Prune(on=True)",
        "Accumulate()",
        "Sparsify(sparse='auto')",
        "Partition(objective='cores', share=True)",
        "Place(placement='annealed')",
        "Route()",
    ]


def test_the_package_shows_the_order_of_the_pipeline():
    rows = re.findall(r"^    \S+ +(\S+)  ", snncompile.passes.__doc__, re.M)
    assert tuple(rows) == Pipeline.default(Options()).names


def files(path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(path.iterdir())}


@pytest.mark.parametrize("seed", range(4))
def test_same_input_same_options_same_bytes(seed, tmp_path):
    for i in range(2):
        network, x = any_network(seed)
        program = snncompile.compile(network, chip=LOIHI2, calibration=x, bits=6)
        program.save(tmp_path / str(i))
    assert files(tmp_path / "0") == files(tmp_path / "1")
    assert list(files(tmp_path / "0")) == ["arrays.npz", "program.json"]


ELSEWHERE = """
import sys; sys.path.insert(0, sys.argv[1])
import networks, snncompile
network = networks.random_network(3)
x = networks.spikes(network, 4, 6, 3)
snncompile.compile(network, chip="loihi2", calibration=x).save(sys.argv[2])
"""


def test_same_bytes_in_another_process(tmp_path):
    """Where sets have another order."""
    here = Path(__file__).parent.parent / "helpers"
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, here, tmp_path / "there"],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "1"},
    )
    network, x = any_network(3)
    snncompile.compile(network, chip="loihi2", calibration=x).save(tmp_path / "here")
    assert files(tmp_path / "here") == files(tmp_path / "there")


@pytest.mark.parametrize("seed", range(8))
def test_a_program_read_back_is_the_same_program(seed, tmp_path):
    network, x = any_network(seed)
    program = snncompile.compile(network, chip=LOIHI2, calibration=x)
    program.save(tmp_path / "one")
    again = snncompile.load(tmp_path / "one")
    assert (again.run(x).spikes == program.run(x).spikes).all()
    assert str(again) == str(program)
    for field in dataclasses.fields(program):
        if field.name not in ("network", "source", "kept"):
            assert getattr(again, field.name) == getattr(program, field.name)
    again.save(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_the_program_is_the_source_network_on_the_chip(golden):
    """Text of a whole Program, what the passes did, and what the bounds say."""
    network = chain(3, 4, 2, weight=0.5, title="two layers")
    program = snncompile.compile(network, chip=TOY, steps=10)
    bounds = "\n".join(map(str, program.bounds))
    log = "\n".join(program.log)
    golden(f"{program}\n{log}\n\n{bounds}\n")


def test_hashes_tell_what_changed():
    network, x = any_network(2)
    base = snncompile.compile(network, chip=LOIHI2, calibration=x).hashes
    assert sorted(base) == ["calibration", "network", "source"]
    assert all(len(value) == 64 for value in base.values())
    other_x = snncompile.compile(network, chip=LOIHI2, calibration=1 - x).hashes
    assert other_x["source"] == base["source"]
    assert other_x["calibration"] != base["calibration"]
    fewer = snncompile.compile(network, chip=LOIHI2, calibration=x, bits=4).hashes
    assert fewer["calibration"] == base["calibration"]
    assert fewer["network"] != base["network"]
    without = snncompile.compile(network, chip=LOIHI2).hashes
    assert sorted(without) == ["network", "source"]
    renamed = dataclasses.replace(network, title="other")
    assert snncompile.compile(renamed, chip=LOIHI2).hashes["source"] != base["source"]


def test_steps_of_the_calibration_data_serve_the_bounds():
    network = chain(1, 1, weight=-1.0)
    x = np.ones((1, 12, 1))
    assert snncompile.compile(network, chip=TOY, calibration=x).options.quantize.steps == 12
    assert snncompile.compile(network, chip=TOY, calibration=x, steps=3).options.quantize.steps == 3
    assert snncompile.compile(network, chip=TOY).options.quantize.steps is None
    assert not all(b.holds for b in snncompile.compile(network, chip=TOY).bounds)
    assert all(b.holds for b in snncompile.compile(network, chip=TOY, steps=12).bounds)


def test_the_program_spikes_as_the_network_where_nothing_is_rounded():
    network = chain(3, 4, 2, weight=1.0)
    x = spikes(network, 5, 9)
    program = snncompile.compile(network, chip=TOY, steps=9)
    assert (program.run(x).spikes == network.run(x).spikes).all()
    assert program.run(x).spikes.sum() > 0


COMPILE_REFUSED = [
    ({"bits": 0}, "bits: Input should be greater than or equal to 1, got 0"),
    ({"bits": 33}, "bits: Input should be less than or equal to 32, got 33"),
    (
        {"bits": "many"},
        "bits: Input should be a valid integer, unable to parse string as an integer, got 'many'",
    ),
    ({"steps": 0}, "steps: Input should be greater than or equal to 1, got 0"),
    (
        {"calibration": np.zeros((1, 2, 5))},
        "input has shape (1, 2, 5), expected (samples, steps, 2)",
    ),
    (
        {"calibration": np.full((1, 2, 2), 3)},
        "input holds values from 3 to 3, expected spikes: 0 or 1;"
        ' a network for such values is imported with input="counts"',
    ),
    (
        {"chip": "loihi9"},
        "no chip called 'loihi9'; known: loihi1, loihi2, odin, paicore2, speck2, spinnaker1,"
        " spinnaker2, toy, truenorth, xylo-audio2; or give the path of a YAML file",
    ),
]


@pytest.mark.parametrize("options, message", COMPILE_REFUSED)
def test_compile_refuses(options, message):
    with pytest.raises(InputError) as error:
        snncompile.compile(integer_chain(2, 1), **({"chip": TOY} | options))
    assert str(error.value) == message


def test_compile_takes_networks_only():
    with pytest.raises(InputError) as error:
        snncompile.compile([1, 2], chip=TOY)
    assert str(error.value) == "compile takes a network, got list; import it first"


def test_an_integer_network_keeps_its_numbers():
    network = integer_chain(2, 2, 1, delay=1)
    program = snncompile.compile(network, chip=LOIHI1)
    assert program.quantized == ()
    x = spikes(network, 3, 5)
    assert (program.run(x).spikes == network.run(x).spikes).all()
    with pytest.raises(InputError) as error:
        program.run(x, backend="paper")
    assert str(error.value) == "no backend called 'paper'; known: lava, reference"
