"""Damaged tables: whatever number is wrong, the checker answers with one message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TOY, integer_chain
from odd_networks import ODD, Draft
from published import mlp

import snncompile
from snncompile.checker.mapping import check
from snncompile.errors import MappingError
from snncompile.hwmodels.chips import load_chip
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.region import Region
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.program import Program

HARD = IntegerCubaLif(4095, 0, 1)
NUMBERS = (-(2**31), -1, 0, 1, 2, 3, 7, 62, 10**6, 2**31 - 1)
"""Replacements for any whole number of a table; small ones name other things that exist."""


def change(mapping: Mapping, kind: str, number: int, **fields: Any) -> Mapping:
    """Return the mapping with other fields of one slice, site, or block of a table."""
    holder = mapping if kind in ("slices", "sites") else mapping.tables
    records = list(getattr(holder, kind))
    records[number] = replace(records[number], **fields)
    changed = replace(holder, **{kind: tuple(records)})
    return changed if holder is mapping else replace(mapping, tables=changed)


def set_route(mapping: Mapping, column: int, value: int) -> Mapping:
    lines = mapping.tables.lines.copy()
    lines[0, column] = value
    return replace(mapping, tables=replace(mapping.tables, routes=lines))


def reshape_routes(mapping: Mapping) -> Mapping:
    return replace(mapping, tables=replace(mapping.tables, routes=mapping.tables.lines[:, :3]))


def renumber(mapping: Mapping) -> Mapping:
    """Return the mapping with core 1 called core 2 everywhere."""
    mapping = change(mapping, "slices", 1, core=2)
    mapping = change(mapping, "sites", 1, core=2)
    mapping = change(mapping, "axons", 1, core=2)
    return change(mapping, "memory", 1, core=2)


WORDS, AXONS = "a block of words of core 0", "a block of axons of core 0"
TAKEN = {0: Slice.from_neurons("a", (0, 1, 1, 3), 0), 1: Slice.from_neurons("a", (0, 4), 0)}
TAKEN[2] = Slice.from_neurons("a", (0, 1, 2, 3), 0)
# Damage; the whole message. The mapping: integer_chain(3, 4, 2) on toy, a core for each.
DAMAGE: dict[str, tuple[Callable[[Mapping], Mapping], str]] = {
    "slice of nothing": (
        lambda m: change(m, "slices", 0, population="x"),
        "there is a slice of x, which is no population",
    ),
    "slice before its population": (
        lambda m: change(m, "slices", 0, start=(-1,)),
        "a[-1:4] is no box inside a",
    ),
    "slice behind its population": (
        lambda m: change(m, "slices", 0, stop=(5,)),
        "a[0:5] is no box inside a",
    ),
    "slice without neurons": (
        lambda m: change(m, "slices", 0, stop=(0,)),
        "a[0:0] is no box inside a",
    ),
    "slice with other axes": (
        lambda m: change(m, "slices", 0, shape=(2, 3)),
        "a[0:4] has other axes than the 4 neurons of a",
    ),
    "slice of an axis of -4": (
        lambda m: change(m, "slices", 0, shape=(-1, -4)),
        "a[0:4] has other axes than the 4 neurons of a",
    ),
    "a neuron named twice": (
        lambda m: replace(m, slices=(TAKEN[0], m.slices[1])),
        "a[4 neurons] names neurons that a has not, or one twice",
    ),
    "a neuron too many": (
        lambda m: replace(m, slices=(TAKEN[1], m.slices[1])),
        "a[2 neurons] names neurons that a has not, or one twice",
    ),
    "a gap in the cores": (renumber, "cores are not numbered from 0 to 1"),
    "a negative core": (
        lambda m: change(m, "slices", 0, core=-1),
        "cores are not numbered from 0 to 1",
    ),
    "a site left of the mesh": (
        lambda m: change(m, "sites", 0, tile_x=-1),
        "core 0 is beside the mesh",
    ),
    "a site below the mesh": (
        lambda m: change(m, "sites", 0, tile_y=-1),
        "core 0 is beside the mesh",
    ),
    "a chip too many": (
        lambda m: change(m, "sites", 0, chip=1),
        "core 0 is on chip 1; there are 1",
    ),
    "chip -1": (
        lambda m: change(m, "sites", 0, chip=-1),
        "core 0 is on chip -1; there are 1",
    ),
    "words of no core": (
        lambda m: change(m, "memory", 0, core=2),
        "a block of words of core 2 is on a core that is not in use",
    ),
    "words of no projection": (
        lambda m: change(m, "memory", 0, projection=2),
        f"{WORDS} belongs to projection 2, which there is not",
    ),
    "words of no slice": (
        lambda m: change(m, "memory", 0, slice=-1),
        f"{WORDS} belongs to slice -1, which there is not",
    ),
    "a negative word": (
        lambda m: change(m, "memory", 0, first=-1),
        f"{WORDS} has a negative number, or a delay of less than one step",
    ),
    "a negative number of words": (
        lambda m: change(m, "memory", 0, words=-12),
        f"{WORDS} has a negative number, or a delay of less than one step",
    ),
    "no delay": (
        lambda m: change(m, "memory", 0, delay=0),
        f"{WORDS} has a negative number, or a delay of less than one step",
    ),
    "a delay that the chip has not": (
        lambda m: change(m, "memory", 0, delay=64),
        f"{WORDS} has delay 64; the chip has 63 at most",
    ),
    "rows that are shared": (
        lambda m: change(m, "memory", 0, shared=True),
        f"{WORDS} shares rows that differ",
    ),
    "weight bits of rows": (
        lambda m: change(m, "memory", 0, weight_bits=8),
        f"{WORDS} is written in rows of several formats; the chip has none",
    ),
    "signs of rows": (
        lambda m: change(m, "memory", 0, shared_sign=True),
        f"{WORDS} is written in rows of several formats; the chip has none",
    ),
    "columns of rows": (
        lambda m: change(m, "memory", 0, columns=True),
        f"{WORDS} is written in rows of several formats; the chip has none",
    ),
    "axons of no core": (
        lambda m: change(m, "axons", 0, core=-1),
        "a block of axons of core -1 is on a core that is not in use",
    ),
    "a negative axon": (
        lambda m: change(m, "axons", 0, first=-1),
        f"{AXONS} has a negative number",
    ),
    "a negative number of axons": (
        lambda m: change(m, "axons", 0, size=-3),
        f"{AXONS} has a negative number",
    ),
    "axons of nothing": (
        lambda m: change(m, "axons", 0, source="x"),
        f"{AXONS} is from x, which is no population and no input",
    ),
    "axons of neurons that are not there": (
        lambda m: change(m, "axons", 0, region=Region.from_size(4)),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of negative neurons": (
        lambda m: change(m, "axons", 0, region=Region((), (), (-1, 0, 1))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of a larger image": (
        lambda m: change(m, "axons", 0, region=Region((2, 2), (range(1), range(2)))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons counted backwards": (
        lambda m: change(m, "axons", 0, region=Region((3,), (range(2, -1, -1),))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons to no words": (
        lambda m: change(m, "axons", 0, memory=(2,)),
        f"{AXONS} reaches a block of words that there is not, or one twice",
    ),
    "axons to the same words twice": (
        lambda m: change(m, "axons", 0, memory=(0, 0)),
        f"{AXONS} reaches a block of words that there is not, or one twice",
    ),
    "axons to fewer words": (
        lambda m: change(m, "axons", 0, memory=()),
        "input -> a into a[0:4] is reached by 0 blocks of axons",
    ),
    "population axons on a chip without": (
        lambda m: change(m, "axons", 1, grouped=(0,)),
        "a block of axons of core 1 has axons that several neurons share; the chip has none",
    ),
    "slice with an axis too much": (
        lambda m: change(m, "slices", 0, start=(0, 0)),
        "a[0:4] has other axes than the 4 neurons of a",
    ),
    "slice with an end too much": (
        lambda m: change(m, "slices", 0, stop=(4, 4)),
        "a[0:4] has other axes than the 4 neurons of a",
    ),
    "slice of two axes of -1": (
        lambda m: change(m, "slices", 0, shape=(4, -1, -1), start=(0, 0, 0), stop=(4, 1, 1)),
        "a[0:4, 0:1, 0:1] has other axes than the 4 neurons of a",
    ),
    "slice that ends behind one of its axes": (
        lambda m: change(m, "slices", 0, shape=(2, 2), start=(0, 0), stop=(2, 3)),
        "a[0:2, 0:3] is no box inside a",
    ),
    "named neurons with a shape": (
        lambda m: replace(m, slices=(replace(TAKEN[2], shape=(4,)), m.slices[1])),
        "a[4 neurons] names neurons that a has not, or one twice",
    ),
    "words of a slice too many": (
        lambda m: change(m, "memory", 0, slice=2),
        f"{WORDS} belongs to slice 2, which there is not",
    ),
    "axons of a core too many": (
        lambda m: change(m, "axons", 0, core=2),
        "a block of axons of core 2 is on a core that is not in use",
    ),
    "axons of an axis that is too long": (
        lambda m: change(m, "axons", 0, region=Region((1, 3), (range(1), range(4)))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of one axis counted backwards": (
        lambda m: change(m, "axons", 0, region=Region((1, 3), (range(1), range(2, -1, -1)))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of the neuron behind the last": (
        lambda m: change(m, "axons", 0, region=Region((3,), (range(3, 4),))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of the neuron before the first": (
        lambda m: change(m, "axons", 0, region=Region((3,), (range(-1, 2),))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of named neurons with a shape": (
        lambda m: change(m, "axons", 0, region=Region((3,), (), (0, 1, 2))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of one axis of a larger population": (
        lambda m: change(m, "axons", 0, region=Region((2**31,), (range(3),))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of one axis of two": (
        lambda m: change(m, "axons", 0, region=Region((3, 3), (range(3),))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of one axis without a shape": (
        lambda m: change(m, "axons", 0, region=Region((), (range(3),))),
        f"{AXONS} is from neurons that input has not",
    ),
    "axons of no neurons": (
        lambda m: change(m, "axons", 0, region=Region((3,), (range(0),))),
        "not every source of input -> a into a[0:4] has an axon",
    ),
    "axons to words before the first": (
        lambda m: change(m, "axons", 0, memory=(-1, 0)),
        f"{AXONS} reaches a block of words that there is not, or one twice",
    ),
    "axons to the last words twice": (
        lambda m: change(m, "axons", 0, memory=(0, 1, 1)),
        f"{AXONS} reaches a block of words that there is not, or one twice",
    ),
    "a route from slice -1": (
        lambda m: set_route(m, 0, -1),
        "a route names slice -1, which there is not",
    ),
    "a route to axons too many": (
        lambda m: set_route(m, 1, 2),
        "a route names block of axons 2, which there is not",
    ),
    "routes of one axis": (
        lambda m: replace(m, tables=replace(m.tables, routes=m.tables.lines.reshape(-1))),
        "routes have shape (4,), expected (routes, 4)",
    ),
    "a route from nothing": (
        lambda m: set_route(m, 0, 2),
        "a route names slice 2, which there is not",
    ),
    "a route to nothing": (
        lambda m: set_route(m, 1, -1),
        "a route names block of axons -1, which there is not",
    ),
    "a route of -1 neurons": (
        lambda m: set_route(m, 2, -1),
        "a route has a negative number of neurons or output axon",
    ),
    "a route from axon -1": (
        lambda m: set_route(m, 3, -1),
        "a route has a negative number of neurons or output axon",
    ),
    "routes of three numbers": (
        reshape_routes,
        "routes have shape (1, 3), expected (routes, 4)",
    ),
}


@lru_cache(maxsize=1)
def on_toy() -> Program:
    """Return a network of two layers on two cores."""
    network = integer_chain(3, 4, 2, neuron=HARD)
    return snncompile.compile(network, chip=TOY, prune=False, share_cores=False)


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(case):
    damage, message = DAMAGE[case]
    program = on_toy()
    check(program.network, program.chip, program.mapping)
    with pytest.raises(MappingError) as error:
        check(program.network, program.chip, damage(program.mapping))
    assert str(error.value) == f"the mapping is wrong: {message}"


@cache
def compile_for(chip: str) -> Program:
    """Return a convolution with a shortcut, or dense layers where the chip has no such thing."""
    model = load_chip(chip)
    if chip in ("loihi1", "loihi2"):
        draft = Draft(model, 2, 6, 6)
        first, second = draft.conv(4), draft.conv(4)
        draft.join(first, second, draft.projections[-1].synapses.wiring, 2)
        draft.conv(3, 3, 2, 0)
        draft.dense(300)
        draft.dense(5)
        return snncompile.compile(draft.build(), chip=chip, prune=False)
    if chip == "speck2":
        _, make = ODD["prime sizes"]
        return snncompile.compile(make(Draft(model, 7, 13, 17)), chip=chip, prune=False)
    bits = max(b for b in model.formats.weight_bits.values if b <= 8)
    reset = "hard" if "integrate_fire/hard" in model.neurons else "soft"
    network = mlp(12, 20, 8, 4, bits=bits, reset=reset)
    return snncompile.compile(network, chip=chip, prune=False)


@st.composite
def draw_damage(draw: st.DrawFn, mapping: Mapping) -> Mapping:
    """Return the mapping with one number, flag or record of its tables changed."""
    kind = draw(st.sampled_from(["slices", "sites", "memory", "axons", "routes"]))
    holder = mapping if kind in ("slices", "sites") else mapping.tables
    records = getattr(holder, kind)
    if records is None or not len(records):
        return mapping
    number = draw(st.integers(0, len(records) - 1))
    if kind == "routes":
        others = mapping.tables.lines.copy()
        others[number, draw(st.integers(0, 3))] = draw(st.sampled_from(NUMBERS))
    elif draw(st.booleans()):  # dropped, or twice
        times = draw(st.sampled_from([0, 2]))
        others = (*records[:number], *[records[number]] * times, *records[number + 1 :])
    else:
        name = draw(st.sampled_from([f.name for f in fields(records[number])]))
        other = draw(st.sampled_from(list_others(getattr(records[number], name))))
        return change(mapping, kind, number, **{name: other})
    changed = replace(holder, **{kind: others})
    return changed if holder is mapping else replace(mapping, tables=changed)


def list_others(value: Any) -> list[Any]:
    """Return other values of a field."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return list(NUMBERS)
    if isinstance(value, str):
        return ["x"]
    if isinstance(value, Region):
        own = [Region.from_size(size) for size in (0, 1, 3, 10**6)]
        return [*own, Region((), (), (-1, 2)), replace(value, shape=(3, 5))]
    return [(*value, number) for number in NUMBERS] + [value[:-1], (0,), (-1,)]


def explain(program: Program, mapping: Mapping) -> str:
    """Return the answer of the checker; empty if nothing is wrong."""
    try:
        check(program.network, program.chip, mapping)
    except MappingError as error:
        return str(error)
    return ""


def test_columns_share_rows():
    program = compile_for("loihi1")
    blocks = program.mapping.tables.memory
    number = next(i for i, block in enumerate(blocks) if block.columns)
    damaged = change(program.mapping, "memory", number, shared=False)
    core = blocks[number].core
    message = f"a block of words of core {core} has columns that share no rows"
    assert explain(program, damaged) == f"the mapping is wrong: {message}"


def test_rows_of_kernels_are_not_shared_on_chips_without_words():
    program = compile_for("speck2")
    damaged = change(program.mapping, "memory", 0, shared=True)
    assert explain(program, damaged) == f"the mapping is wrong: {WORDS} shares rows that differ"


CHIPS = ["toy", "loihi1", "loihi2", "truenorth", "odin", "speck2", "paicore2", "spinnaker2"]


@pytest.mark.parametrize("chip", CHIPS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_is_one_message_or_none(chip, data):
    """Free room may be used otherwise; all else is refused, never with another exception."""
    program = on_toy() if chip == "toy" else compile_for(chip)
    damaged = data.draw(draw_damage(program.mapping))
    if message := explain(program, damaged):
        assert "\n" not in message
        assert len(message) < 300
        return
    # What is accepted names every neuron once, and only places and entries that exist.
    names = [(s.population, int(n)) for s in damaged.slices for n in s.neurons()]
    assert len(names) == len(set(names)) == sum(p.size for p in program.network.populations)
    assert all(min(s.tile_x, s.tile_y, s.chip) >= 0 for s in damaged.sites)
    assert np.all(damaged.tables.lines >= 0)
