"""Learning synapses on Loihi 1: what the checker counts, and how one less is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import LOIHI1, LOIHI2, TOY, limited

import snncompile
from snncompile.checker.learning import check_learning
from snncompile.checker.mapping import check
from snncompile.errors import MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.ir.learning_rule import LearningRule
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.program import Program
from snncompile.synapses.dense import integer_dense

RULE = LearningRule("2^-2*x1*y0", x1_impulse=16, x1_tau=4)
NEURON = IntegerCubaLif(4095, 0, 100)


def learner(targets: int = 20, rule: LearningRule | None = RULE, more: int = 0) -> IntegerNetwork:
    """Return input 8 -> a 10 -> b, where the second learns; `more` populations learn beside b."""
    first = integer_dense(np.full((10, 8), 64), 0, 8)
    second = integer_dense(np.full((targets, 10), 64), 0, 8)
    names = ["b", *(f"b{i}" for i in range(more))]
    return IntegerNetwork(
        Input("input", (8,)),
        (Population("a", (10,), NEURON, 1), *(Population(n, (targets,), NEURON, 2) for n in names)),
        (
            Projection("input", "a", first, 1),
            *(Projection("a", name, second, 1, rule=rule) for name in names),
        ),
        "b",
    )


@pytest.fixture(scope="module")
def program() -> Program:
    return snncompile.compile(learner(), chip="loihi1")


def explain(program: Program, **changed) -> str:
    """Return what the checker says of a changed network, chip or mapping; empty if nothing."""
    parts = {"network": program.network, "chip": program.chip, "mapping": program.mapping}
    try:
        check(**(parts | changed))
    except MappingError as error:
        return str(error).removeprefix("the mapping is wrong: ")
    return ""


def change(program: Program, kind: str, number: int, **fields):
    blocks = list(getattr(program.mapping.tables, kind))
    blocks[number] = replace(blocks[number], **fields)
    tables = replace(program.mapping.tables, **{kind: tuple(blocks)})
    return replace(program.mapping, tables=tables)


def test_weight_and_tag_are_stored_and_axons_count_twice(program):
    """A row: 10 bits of head, 6 of the first index, 20 synapses of 18 bits: 376 bits, 6 words.

    56 bits of the last word are taken, which leaves 8: more than the spare 5.
    """
    core = program.usage()[1]
    assert [s.population for s in core.slices] == ["b"]
    assert core.used["synapse_words"] == 10 * 6
    assert core.used["axons_in"] == 2 * 10
    fixed = snncompile.compile(learner(rule=None), chip="loihi1")
    assert len(fixed.usage()) == 1
    assert program.usage()[0].used["axons_out"] == 10


LESS = {
    "synapse_words": (60, "core 1 holds 60 synapse words of 59"),
    "axons_in": (20, "core 1 holds 20 input axons of 19"),
    "row_words": (6, "a -> b into b[0:20] has a row of 6 words, at most 5 are possible"),
}


@pytest.mark.parametrize("limit", LESS)
def test_one_less_than_needed_is_refused(limit, program):
    need, message = LESS[limit]
    assert explain(program, chip=limited(LOIHI1, **{limit: need})) == ""
    assert explain(program, chip=limited(LOIHI1, **{limit: need - 1})) == message


def test_axons_of_one_entry_are_refused(program):
    assert program.mapping.tables.axons[1].count == 20
    mapping = change(program, "axons", 1, size=10)
    assert explain(program, mapping=mapping) == "core 1 has 10 axons from a"


def test_rows_without_tags_are_refused(program):
    needs = "synapses into b[0:20] that learn"
    mapping = change(program, "memory", 1, weight_bits=8, words=40)
    assert explain(program, mapping=mapping) == f"{needs} have 8 bits, need 18"
    mapping = change(program, "memory", 1, format="dense2")
    message = f"{needs} need rows of their own and signs in dense1, run_length, sparse"
    assert explain(program, mapping=mapping) == message
    mapping = change(program, "memory", 1, words=59)
    message = "a -> b into b[0:20] on core 1 has 59 words, needs 60"
    assert explain(program, mapping=mapping) == message


def test_rows_that_learn_on_loihi_2_have_36_bits_per_synapse():
    """A row: 12 bits of head and 20 synapses of 36 bits are 732 bits, 12 words of 64."""
    program = snncompile.compile(learner(), chip="loihi2")
    (number,) = [i for i, b in enumerate(program.mapping.tables.memory) if b.projection == 1]
    assert program.mapping.tables.memory[number].words == 10 * 12
    mapping = change(program, "memory", number, words=119)
    message = "a -> b into b[0:20] on core 0 has 119 words, needs 120"
    assert explain(program, mapping=mapping) == message


def test_a_core_learns_wholly_or_not_at_all(program):
    """Both layers on one core, each block where it would be there."""
    s, tables = program.mapping.slices, program.mapping.tables
    words, first = tables.memory[0].words, tables.axons[0].count
    memory = tables.memory[0], replace(tables.memory[1], core=0, first=words)
    axons = tables.axons[0], replace(tables.axons[1], core=0, first=first)
    together = replace(
        program.mapping,
        slices=(s[0], replace(s[1], core=0)),
        sites=program.mapping.sites[:1],
        tables=replace(tables, memory=memory, axons=axons),
    )
    message = "core 0 has synapses that learn and others that do not"
    assert explain(program, mapping=together) == message
    frozen = snncompile.compile(learner(rule=None), chip="loihi1").network
    assert explain(program, network=frozen) != ""


def test_a_third_factor_is_refused(program):
    network = program.network
    third = RULE.change(dw="2^-2*x1*y0*y2", third_factor={"y2": "teacher"})
    teacher = replace(network.populations[1], name="teacher")
    learns = replace(network.projections[1], rule=third)
    changed = replace(
        network,
        populations=(*network.populations, teacher),
        projections=(network.projections[0], learns),
    )
    s = replace(program.mapping.slices[1], population="teacher")
    mapping = replace(program.mapping, slices=(*program.mapping.slices, s))
    message = "core 1 has a third factor of learning; the chip has none"
    assert explain(program, network=changed, mapping=mapping) == message


def without_learning(chip: Chip) -> Chip:
    """Return the chip whose synapses do not learn, or do so in no known number of bits."""
    if chip.rows is not None:
        return chip.model_copy(update={"rows": chip.rows.model_copy(update={"learning": None})})
    rows = chip.headed_rows
    assert rows is not None
    bits = rows.learning_bits.model_copy(update={"value": 0})
    return chip.model_copy(update={"headed_rows": rows.model_copy(update={"learning_bits": bits})})


def test_synapses_learn_only_where_the_chip_has_such(program):
    """Those of toy never do; those of Loihi do, if its file says what they take."""
    network, fixed = program.network, learner(rule=None)
    message = "a -> b learns; the chip has no synapses that learn"
    for chip in (without_learning(LOIHI1), without_learning(LOIHI2), TOY):
        assert list(check_learning(network, chip, program.mapping)) == [message]
        assert list(check_learning(fixed, chip, program.mapping)) == []
    for chip in (LOIHI1, LOIHI2):
        assert list(check_learning(network, chip, program.mapping)) == []
    assert explain(program, chip=without_learning(LOIHI1)) != ""


def test_learning_layers_of_one_epoch_share_a_core_and_others_do_not():
    network = learner(more=1)
    cores = snncompile.compile(network, chip="loihi1").mapping.by_core.values()
    assert [{s.population for s in on} for on in cores] == [{"a"}, {"b", "b0"}]
    last = network.projections[-1]
    slower = replace(last, rule=RULE.change(epoch=2))
    apart = replace(network, projections=(*network.projections[:-1], slower))
    program = snncompile.compile(apart, chip="loihi1")
    assert len(program.mapping.by_core) == 3
    same = snncompile.compile(network, chip="loihi1")
    assert explain(same, network=apart) == "core 1 has 2 learning epochs of 1"


@pytest.mark.parametrize("objective", ["traffic", "latency"])
def test_other_objectives_keep_them_apart(objective):
    program = snncompile.compile(learner(more=1), chip="loihi1", objective=objective)
    for slices in program.mapping.by_core.values():
        assert len({s.population == "a" for s in slices}) == 1


def test_rules_have_formats_of_their_own():
    """Seven formats of a core: seven rules fill it, the eighth takes another."""
    network = learner(more=7)
    rules = [RULE.change(x1_impulse=float(i + 1)) for i in range(8)]
    learns = [replace(p, rule=r) for p, r in zip(network.projections[1:], rules, strict=True)]
    network = replace(network, projections=(network.projections[0], *learns))
    program = snncompile.compile(network, chip="loihi1")
    sizes = sorted(len(on) for on in program.mapping.by_core.values())
    assert sizes == [1, 1, 7]
    same = snncompile.compile(learner(more=7), chip="loihi1")
    assert len(same.mapping.by_core) == 2
    assert explain(same, network=network) == "core 1 has 8 synapse formats of 7"


def test_slices_of_a_wide_layer_have_axons_of_their_own():
    """A row of 1,000 synapses is longer than 256 words: two slices, each with 2 x 10 axons."""
    program = snncompile.compile(learner(1000), chip="loihi1")
    (core,) = program.usage()[1:]
    assert [s.size for s in core.slices] == [500, 500]
    assert core.used["axons_in"] == 2 * 20
    assert core.used["row_words"] <= 256
