"""Words of a block of memory, by the checker: worked out by hand, and which bits hold weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LOIHI1, LOIHI2, PACKED, TOY, design, limited, ranged_network
from networks import random_integer_network as draw_network
from plug_in_package import install_package

from snncompile.checker.mapping import check
from snncompile.checker.memory_words import Size, Stored, measure_block
from snncompile.errors import FitError, MappingError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.tables import MemoryBlock
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.passes.partition.partition import Partition
from snncompile.passes.place.place import Place
from snncompile.passes.route import Route
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale

HARD = IntegerCubaLif(4095, 0, 1)
BLOCK = MemoryBlock(0, 0, 0, first=0, words=0, format="", shared=False, delay=1)


def store(chip: Chip, synapses: IntegerSynapses, s: Slice | None = None, **fields) -> Stored:
    """Return a block of memory with the synapses into a slice, or into all targets."""
    wiring = synapses.wiring
    shape = getattr(wiring, "target_shape", (wiring.targets,))
    whole = Slice("a", shape, (0,) * len(shape), shape, 0)
    block = replace(BLOCK, **fields)
    return Stored(chip, Projection("input", "a", synapses, 1), s or whole, block, {})


def mapped(network: IntegerNetwork, chip: Chip) -> Mapping:
    return Route()(Place("linear")(Partition()(design(network, chip)))).mapping


IMAGE = Convolution((2, 4, 4), 9, (3, 3), (1, 1), (1, 1), (1, 1))
# Wiring, whether rows are shared, bits of a word and of a weight; words.
PACKED_WORDS = [
    (Dense(9, 3), False, 64, 8, 3 * 2),  # 72 bits
    (Dense(8, 3), False, 64, 8, 3 * 1),
    (Dense(13, 3), False, 64, 5, 3 * 2),  # 65 bits
    (Dense(13, 3), False, 65, 5, 3 * 1),
    (Dense(13, 3), False, None, 5, 3 * 2),  # as long as words of 64
    (Scale(20), False, 64, 8, 20),
    (Scale(20), True, 64, 8, 1),
    (IMAGE, True, 64, 8, 2 * 9 * 2),  # 18 taps, each to 9 channels: 72 bits
    # Corners reach 4 pixels of 9 channels, edges 6, the middle 9: 288, 432 and 648 bits.
    (IMAGE, False, 64, 8, 2 * (4 * 5 + 8 * 7 + 4 * 11)),
]


@pytest.mark.parametrize("wiring, shared, width, bits, words", PACKED_WORDS)
def test_weights_side_by_side(wiring, shared, width, bits, words):
    chip = limited(PACKED, synapse_word_bits=width)
    synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 64), 0, bits)
    for held, matches in ((words, True), (words + 1, False), (words - 1, False)):
        stored = store(chip, synapses, format="packed", shared=shared, words=held)
        assert measure_block(stored) == Size(words, matches, 0)


def test_a_word_per_synapse():
    """Three sources of a dense layer of four; a kernel that all pixels share counts once."""
    for wiring, shared, words in (
        (Dense(4, 3), False, 12),
        (IMAGE, False, 2 * 9 * (4 * 4 + 8 * 6 + 4 * 9)),
        (Scale(5), False, 5),
    ):
        synapses = IntegerSynapses(wiring, np.full(wiring.weight_shape, 2), 0, 8)
        for held, matches in ((words, True), (words + 1, False)):
            stored = store(TOY, synapses, format="one_word", shared=shared, words=held)
            assert measure_block(stored) == Size(words, matches, 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_weights_side_by_side_of_any_network(seed):
    """A word more or less than the mapper wrote is seen, in every block."""
    network = ranged_network() if seed % 5 == 0 else draw_network(seed, wild=False)
    chip = PACKED.model_copy(update={"neurons": LOIHI2.neurons})
    try:
        mapping = mapped(network, chip)
    except FitError:
        return
    check(network, chip, mapping)
    for number, block in enumerate(mapping.tables.memory):
        s, p = mapping.slices[block.slice], network.projections[block.projection]
        for more in (-1, 1):
            other = replace(block, words=block.words + more)
            found = measure_block(Stored(chip, p, s, other, {}))
            assert found == Size(mapping.tables.memory[number].words, False, 0)


ONE_TO_MANY = Dense(2, 1)
# Weights from one source, bits, whether the sign is stored once for all; whether they hold them.
HELD = [
    ((96, -16), 5, False, True),  # multiples of 16
    ((96, -8), 5, False, False),
    ((-8, 96), 5, False, False),
    ((8, 24), 5, False, False),
    ((96, 8), 5, True, True),  # of 8: no bit holds the sign
    ((96, -8), 5, True, True),
    ((96, 4), 5, True, False),
    ((254, 2), 8, True, True),
    ((254, -256), 8, True, False),  # a magnitude has 8 bits
    ((-256, 254), 8, True, False),
    ((-256, -256), 8, True, False),
    ((254, -256), 8, False, True),
    ((128, -256), 2, False, True),
    ((128, -256), 1, False, False),
    ((-256, 0), 1, False, True),
    ((2, 2), 7, False, False),  # no step of 4
]


@pytest.mark.parametrize("weights, bits, shared_sign, held", HELD)
def test_bits_that_hold_the_weights_of_a_block(weights, bits, shared_sign, held):
    """Of 8 bits, in steps of 2, stored with fewer where none needs more."""
    synapses = integer_dense(np.array(weights)[:, None], 0, 8)
    stored = store(LOIHI1, synapses, format="sparse", weight_bits=bits, shared_sign=shared_sign)
    if held:
        assert measure_block(stored).fewest > 0
        return
    with pytest.raises(MappingError) as error:
        measure_block(stored)
    assert str(error.value) == f"weights into a[0:2] do not fit {bits} bits"


def test_bits_that_the_chip_has_not():
    """7 bits would hold all: Loihi 1 has 1 to 6, and 8."""
    synapses = integer_dense(np.full((2, 1), 64), 0, 8)
    assert 7 not in LOIHI1.formats.weight_bits.values
    with pytest.raises(MappingError) as error:
        measure_block(store(LOIHI1, synapses, format="sparse", weight_bits=7))
    assert str(error.value) == "weights into a[0:2] do not fit 7 bits"


def test_odd_weights_of_nine_bits_do_not_fit_eight():
    """The most that Loihi 1 has; even ones do fit."""
    for weight, held in ((-256, True), (254, True), (255, False)):
        stored = store(LOIHI1, integer_dense(np.full((2, 1), weight), 0, 9), format="sparse")
        if held:
            assert measure_block(stored).fewest > 0
            continue
        with pytest.raises(MappingError) as error:
            measure_block(stored)
        assert str(error.value) == "weights into a[0:2] do not fit 8 bits"


@pytest.mark.parametrize("weight, held", [(255, True), (-255, True), (-256, False)])
def test_nine_bits_of_a_shared_sign_hold_what_eight_do(weight, held):
    """On a chip with weights of 9 bits: the sign of a row takes none of them."""
    data = LOIHI1.model_dump(mode="json")
    data["formats"]["weight_bits"]["values"].append(9)
    synapses = integer_dense(np.full((2, 1), weight), 0, 9)
    stored = store(Chip.model_validate(data), synapses, format="sparse", shared_sign=True)
    if held:
        assert measure_block(stored).fewest > 0
        return
    with pytest.raises(MappingError) as error:
        measure_block(stored)
    assert str(error.value) == "weights into a[0:2] do not fit 9 bits"


def draw_kernel(channels: int, middle: int, rest: int) -> IntegerSynapses:
    """Return a kernel of 3 x 3 over one pixel, which meets its middle tap alone."""
    wiring = Convolution((1, 1, 1), channels, (3, 3), (1, 1), (1, 1), (1, 1))
    weight = np.full(wiring.weight_shape, rest)
    weight[..., 1, 1] = middle
    return IntegerSynapses(wiring, weight, 0, 8)


def test_weights_that_no_source_meets_need_no_bits():
    """The middle of the kernel is a multiple of 16, what meets the padding is not."""
    for middle, rest, held in ((96, 2, True), (2, 96, False), (96, 96, True)):
        stored = store(LOIHI1, draw_kernel(4, middle, rest), format="sparse", weight_bits=5)
        if held:
            assert measure_block(stored).fewest == 1
            continue
        with pytest.raises(MappingError) as error:
            measure_block(stored)
        assert str(error.value) == "weights into a[0:4, 0:1, 0:1] do not fit 5 bits"


def test_weights_of_other_channels_need_no_bits():
    wiring = Convolution((1, 1, 1), 4, (1, 1), (1, 1), (0, 0), (1, 1))
    weight = np.array([96, 96, 2, 2]).reshape(wiring.weight_shape)
    synapses = IntegerSynapses(wiring, weight, 0, 8)
    for start, stop, held in ((0, 2, True), (2, 4, False), (1, 3, False)):
        s = Slice("a", (4, 1, 1), (start, 0, 0), (stop, 1, 1), 0)
        stored = store(LOIHI1, synapses, s, format="sparse", weight_bits=5)
        if held:
            assert measure_block(stored).fewest == 1
            continue
        with pytest.raises(MappingError) as error:
            measure_block(stored)
        assert str(error.value) == f"weights into a[{start}:{stop}, 0:1, 0:1] do not fit 5 bits"


def test_a_weight_of_zero_is_written_with_the_positive_ones():
    """Signs apart: 1 entry of 8 synapses, or of 4 and 4 where one weight is negative each."""
    words = {}
    for name, weights in {"zeros": [0, 2] * 4, "negative": [-2, 2] * 4, "one": [2] * 8}.items():
        synapses = integer_dense(np.array(weights)[:, None], 0, 8)
        stored = store(LOIHI1, synapses, format="dense2", weight_bits=8, shared_sign=True)
        words[name] = measure_block(stored).fewest
    assert words == {"zeros": 2, "negative": 3, "one": 2}


RULES = '''
"""Rules of chips of another package: one counts words, the other does not."""


def count(network, chip, mapping):
    return iter(())


def check(network, chip, mapping):
    return iter(())


count.count_words = lambda projection, s, chip: 7 * s.size + projection.delay
'''


def test_words_by_the_rule_of_another_package(tmp_path, monkeypatch):
    """A rule that counts no words stands for blocks without any, as those of built-in chips do."""
    rows = {"checker_rules": {"counting": "others:count", "plain": "others:check"}}
    install_package(tmp_path, monkeypatch, "others", RULES, rows)
    synapses = integer_dense(np.full((4, 3), 2), 0, 8)
    for encoding, words in (("counting", 7 * 4 + 1), ("plain", 0), ("crossbar", 0)):
        chip = TOY.model_copy(update={"encoding": encoding})
        for held, matches in ((words, True), (words + 1, False)):
            stored = store(chip, synapses, format=encoding, words=held)
            assert measure_block(stored) == Size(words, matches, 0)
