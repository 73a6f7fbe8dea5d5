"""A chip rule of another package, with its chip and its checker rule: mapped, proved, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from networks import integer_chain
from plug_in_package import install_package

import snncompile
from snncompile import hwmodels, registry
from snncompile.checker.chip_rules import check_chip_rules
from snncompile.checker.mapping import check
from snncompile.errors import FitError, InputError, MappingError
from snncompile.hwmodels.chips import ChipError, load_chip
from snncompile.ir.mapping import Mapping, Slice
from snncompile.neurons.cuba_lif import IntegerCubaLif

HARD = IntegerCubaLif(4095, 0, 1)
TOY = (Path(hwmodels.__path__[0]) / "toy.yaml").read_text()
OWN = """rule_limits:
  places: {value: 3, unit: neurons, evidence: made up, source: made_up}
encoding: ring
"""
CODE = '''
"""Chips whose cores are rings with a few places for neurons."""
from pathlib import Path

from snncompile.checker.chip_rules import refuse_excess
from snncompile.cores.chip_rules.base import Fitted, FittedCore, require
from snncompile.ir.mapping import Slice

CHIP = Path(__file__).parent / "ring.yaml"


def fill_cores(network, chip):
    places = chip.rule_limits["places"].whole
    cores = []
    for p in network.populations:
        for start in range(0, p.size, places):
            s = Slice.from_range(p, start, min(start + places, p.size), len(cores))
            used = {"places": s.size}
            cores.append(FittedCore((s,), used, {"places": places}, {}, len(cores)))
    hint = "use fewer neurons"
    require(f"network {network.title}", "rings", len(cores), chip.mesh.cores.whole, hint)
    return Fitted(tuple(cores), {}, {})


def check(network, chip, mapping):
    for core, slices in mapping.by_core.items():
        size = sum(s.size for s in slices)
        yield from refuse_excess(core, "places", size, chip.rule_limits["places"].whole)
'''
ROWS = {
    "chips": {"ring": "rings:CHIP"},
    "chip_rules": {"ring": "rings:fill_cores"},
    "checker_rules": {"ring": "rings:check"},
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install the package, with some of its rows."""

    def install(rows):
        text = TOY.replace("name: toy", "name: ring").replace("encoding: one_word", OWN)
        (tmp_path / "ring.yaml").write_text(text)
        return install_package(tmp_path, monkeypatch, "rings", CODE, rows)

    return install


def test_a_network_is_mapped_and_proved_by_the_rules_of_a_package(install):
    install(ROWS)
    program = snncompile.compile(integer_chain(2, 5, 4, neuron=HARD), chip="ring", prune=False)
    assert [s.where for s in program.mapping.slices] == ["a[0:3]", "a[3:5]", "b[0:3]", "b[3:4]"]
    assert load_chip("ring").rule_limits["places"].whole == 3
    with pytest.raises(FitError) as error:
        snncompile.compile(integer_chain(2, 13, neuron=HARD), chip="ring", prune=False)
    assert str(error.value).startswith("network network: needs 5 rings, the chip allows 4")


def test_a_program_of_such_a_chip_survives_being_saved(install, tmp_path):
    install(ROWS)
    program = snncompile.compile(integer_chain(2, 5, 4, neuron=HARD), chip="ring", prune=False)
    program.save(tmp_path / "saved")
    read = snncompile.load(tmp_path / "saved")
    assert (read.chip, read.mapping) == (program.chip, program.mapping)


def test_one_changed_word_and_one_neuron_too_many_are_refused(install):
    install(ROWS)
    program = snncompile.compile(integer_chain(2, 5, 4, neuron=HARD), chip="ring", prune=False)
    network, chip, mapping = program.network, program.chip, program.mapping
    check(network, chip, mapping)
    for number in range(len(mapping.tables.memory)):
        with pytest.raises(MappingError) as error:
            check(network, chip, changed(mapping, number, words=1))
        assert str(error.value).endswith(" has 1 words, needs 0")
    blocks = mapping.tables.memory
    assert {block.format for block in blocks} == {"ring"}
    slices = (Slice.from_range(network.population("a"), 0, 5, 0), *mapping.slices[2:])
    moved = Mapping(slices, mapping.sites)
    assert list(check_chip_rules(network, chip, moved)) == ["core 0 holds 5 places of 3"]


def changed(mapping: Mapping, number: int, **changes: object) -> Mapping:
    blocks = list(mapping.tables.memory)
    blocks[number] = replace(blocks[number], **changes)
    return replace(mapping, tables=replace(mapping.tables, memory=tuple(blocks)))


def test_without_a_checker_rule_nothing_is_proved(install):
    install({group: rows for group, rows in ROWS.items() if group != "checker_rules"})
    with pytest.raises(MappingError) as error:
        snncompile.compile(integer_chain(2, 5, 4, neuron=HARD), chip="ring", prune=False)
    assert str(error.value) == (
        "chip ring: the checker has no rules for encoding 'ring'; known: bytes, crossbar, kernels,"
        " layers, loihi1, loihi2, one_word, packed_rows, weight_ram; add a row to the entry point"
        " snncompile.checker_rules"
    )


def test_without_a_chip_rule_the_chip_is_refused(install):
    folder = install({"chips": ROWS["chips"]})
    with pytest.raises(ChipError) as error:
        load_chip("ring")
    text = (folder / "ring.yaml").read_text().splitlines()
    line = 1 + text.index("encoding: ring")
    assert str(error.value) == (
        f"{folder / 'ring.yaml'} line {line}: encoding: 'ring' is not one of the encodings:"
        " one_word, loihi1, packed_rows, loihi2, crossbar, kernels, layers, weight_ram, bytes"
    )


def test_rules_under_the_old_entry_point_work_for_one_release(install):
    rows = {"fits" if group == "chip_rules" else group: row for group, row in ROWS.items()}
    install(rows)
    with pytest.warns(DeprecationWarning, match="^entry point 'ring' of") as warned:
        program = snncompile.compile(integer_chain(2, 3, neuron=HARD), chip="ring", prune=False)
    assert program.mapping.cores == 1
    assert str(warned[0].message) == (
        "entry point 'ring' of snncompile.fits is called snncompile.chip_rules now and goes with"
        " the next release"
    )


def test_the_old_table_works_for_one_release():
    with pytest.warns(DeprecationWarning, match="^the table 'fits' is") as warned:
        rule = registry.load("fits", "bytes")
    assert rule is registry.load("chip_rules", "bytes")
    assert str(warned[0].message) == (
        "the table 'fits' is called 'chip_rules' now and goes with the next release"
    )
    with pytest.raises(InputError) as error:
        registry.load("chip_rules", "ring")
    assert str(error.value) == (
        "no chip_rule called 'ring'; known: bytes, crossbar, kernels, layers, weight_ram"
    )
