"""Refusals: one line, or their number and one line each; as records; through pickle."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from networks import TOY, chain, changed
from torch import nn

import snncompile
from snncompile import errors
from snncompile.errors import (
    FitError,
    InputError,
    Obstacle,
    QuantizeError,
    SnnCompileError,
    UnsupportedError,
    join_errors,
    list_briefly,
    list_reasons,
    raise_together,
)
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.refractory_lif import RefractoryLif

TOO_MANY = {"where": "population a", "resource": "axons", "need": 1200, "limit": 8, "hint": "prune"}
LINE = "population a: needs 1,200 axons, the chip allows 8; prune"


def test_a_single_refusal_is_one_line_and_one_record():
    error = FitError(**TOO_MANY)
    assert str(error) == LINE
    assert error.obstacles == (Obstacle(LINE, "population a", "axons", 1200, 8, "prune"),)
    assert InputError("no such file").obstacles == (Obstacle("no such file"),)
    assert SnnCompileError().obstacles == (Obstacle(""),)


def test_several_refusals_are_their_number_and_one_line_each():
    error = join_errors((FitError(**TOO_MANY), FitError(**TOO_MANY | {"where": "population b"})))
    assert isinstance(error, FitError)
    assert str(error) == (
        "2 things stand in the way:\n"
        "  population a: needs 1,200 axons, the chip allows 8; prune\n"
        "  population b: needs 1,200 axons, the chip allows 8"
    )
    assert [o.where for o in error.obstacles] == ["population a", "population b"]
    assert (error.where, error.need) == ("population a", 1200)


def test_joined_refusals_are_joined_again():
    pair = join_errors((InputError("a"), InputError("b")))
    assert str(join_errors((pair, InputError("c")))) == (
        "3 things stand in the way:\n  a\n  b\n  c"
    )
    assert str(pair) == "2 things stand in the way:\n  a\n  b"


def test_a_message_shows_some_and_the_error_holds_all():
    error = join_errors(tuple(UnsupportedError(f"layer {i}") for i in range(1200)))
    lines = str(error).splitlines()
    assert len(lines) == 22
    assert lines[0] == "1,200 things stand in the way:"
    assert lines[-2:] == ["  layer 19", "  and 1,180 more (all: .obstacles, --json)"]
    assert len(error.obstacles) == 1200
    whole = join_errors(tuple(UnsupportedError(f"layer {i}") for i in range(20)))
    assert str(whole).splitlines()[-1] == "  layer 19"  # and no line about 0 more


def lack(where: str, hint: str = "prune") -> FitError:
    return FitError(where=where, resource="input axons", need=1200, limit=8, hint=hint)


def test_obstacles_beyond_300_characters_are_named():
    """Ten names have at most 60 characters."""
    error = join_errors(tuple(lack(f"population {name}") for name in "abcdefghijkl"))
    assert str(error) == (
        "12 things stand in the way:\n"
        "  population a: needs 1,200 input axons, the chip allows 8; prune\n"
        "  population b: needs 1,200 input axons, the chip allows 8\n"
        "  and 10 more, at population c, population d, population e and 7 more"
        " (all: .obstacles, --json)"
    )
    assert len(error.obstacles) == 12


@pytest.mark.parametrize("hint", ["prune", "prune " * 60])
@pytest.mark.parametrize("remedy", ["", "use a board", "; ".join(["on two boards"] * 40)])
@pytest.mark.parametrize("count", [2, 3, 500])
def test_refusals_together_stay_short(count, remedy, hint):
    """The first is shown, cut if it must be, and the first remedy is."""
    error = join_errors(tuple(lack(f"population {i}", hint) for i in range(count)))
    text = str(error.add_hint(remedy) if remedy else error)
    lines = text.splitlines()
    assert len(text) < errors.LINE_LENGTH
    assert lines[0] == f"{count} things stand in the way:"
    assert lines[1].startswith("  population 0: needs 1,200 input axons, the chip allows 8; prune")
    assert not remedy or lines[-1].startswith(f"to try: {remedy.split('; ')[0]}")
    assert [o.message for o in error.obstacles] == [
        lack(o.where, hint).args[0] for o in error.obstacles
    ]


def test_nothing_to_raise():
    raise_together([])
    alone = QuantizeError("alone")
    with pytest.raises(QuantizeError) as error:
        raise_together([alone])
    assert error.value is alone


def test_a_remedy_for_one_obstacle_and_for_all():
    error = FitError(**TOO_MANY | {"hint": ""}).add_hint("use a board")
    assert str(error) == "population a: needs 1,200 axons, the chip allows 8; use a board"
    assert error.obstacles[0].hint == "use a board"
    assert FitError(**TOO_MANY).add_hint("use a board").hint == "prune; use a board"
    several = join_errors((FitError(**TOO_MANY), FitError(**TOO_MANY)))
    assert str(several.add_hint("use a board")) == (
        f"2 things stand in the way:\n  {LINE}\n  {LINE.removesuffix('; prune')}\n"
        "to try: use a board"
    )
    assert "to try" not in str(several)


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
RAISED = {
    kind.__name__: kind(**TOO_MANY) if kind is FitError else kind("a line")
    for kind in KINDS
    if issubclass(kind, SnnCompileError)
}


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_an_error_survives_pickle_and_copy(name, again):
    error = RAISED[name]
    error.add_note("seen")
    for before in (error, join_errors((error, error))):
        after = again(before)
        assert type(after) is type(before)
        assert (str(after), after.args, vars(after)) == (str(before), before.args, vars(before))


def test_every_neuron_that_the_chip_lacks():
    network = chain(2, 3, 3, 1, 1, neuron=CubaLif(0.5, 0.5, 1.0, reset="hard"))
    network = changed(network, "c", neuron=RefractoryLif(0.5, 0.5, 1.0, 2))
    chip = TOY.model_copy(update={"neurons": {"cuba_lif/soft": TOY.neurons["cuba_lif/soft"]}})
    network = changed(network, "b", neuron=CubaLif(0.5, 0.5, 1.0, reset="soft"))
    with pytest.raises(UnsupportedError) as error:
        snncompile.compile(network, chip=chip)
    nearest = (
        "train with the nearest, cuba_lif/soft (2 compartments per neuron), where a spike subtracts"
        " the threshold at once; give calibration data to see the effect on this network"
    )
    lacks = "toy has no neuron cuba_lif/hard; it has cuba_lif/soft"
    assert str(error.value) == (
        "2 things stand in the way:\n"
        f"  population a: {lacks}; {nearest.partition('; ')[0]}\n"
        "  population c: toy has no neuron refractory_lif; it has cuba_lif/soft"
    )
    assert [(o.where, o.hint) for o in error.value.obstacles] == [
        ("population a, population d", nearest),
        ("population c", ""),
    ]


def test_every_population_that_fits_no_core():
    """Of the chain 20 -> a 12 -> b 2 -> c 1: a has 20 sources, b 12, c 2; a core has 8 axons."""
    network = chain(20, 12, 2, 1, weight=0.5)
    with pytest.raises(FitError) as error:
        snncompile.compile(network, chip=TOY)
    lacks = "toy has no accumulating neuron, which would split its sources over cores"
    assert str(error.value) == (
        "2 things stand in the way:\n"
        f"  population a: needs 20 input axons for one neuron, the chip allows 8; {lacks}\n"
        "  and 1 more, at population b (all: .obstacles, --json)\n"
        "to try: on loihi1 it takes 1 core; on loihi2 it takes 1 core"
    )
    assert [(o.where, o.need, o.limit) for o in error.value.obstacles] == [
        ("population a", 20, 8),
        ("population b", 12, 8),
    ]


def test_every_layer_that_is_not_known():
    """What the second makes, a tuple, the third cannot take; that is not worth a line."""
    layers = nn.Linear(3, 4), nn.Tanh(), nn.LSTM(4, 4), nn.Linear(4, 2)
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_torch(nn.Sequential(*layers), torch.zeros(2, 4, 3))
    first, second = error.value.obstacles
    assert (first.where, second.where) == ("1", "2")
    assert first.hint.endswith(" and 13 more; or leave it on the host: host=['1']")
    assert str(error.value) == (
        "2 things stand in the way:\n"
        f"  1: Tanh is not known; {first.hint.partition('AdaptiveAvg')[0]}...\n"
        "  and 1 more, at 2 (all: .obstacles, --json)"
    )


def test_every_layer_with_a_feature_that_is_not_known():
    snntorch = pytest.importorskip("snntorch")

    def leaky(**options):
        return snntorch.Leaky(beta=0.5, init_hidden=True, **options)

    module = nn.Sequential(
        nn.Linear(3, 3), leaky(graded_spikes_factor=3.0), nn.Linear(3, 3), leaky(), nn.Linear(3, 3),
        leaky(graded_spikes_factor=2.0, output=True),
    )  # fmt: skip
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_torch(module, torch.zeros(2, 4, 3))
    lines = str(error.value).splitlines()
    assert lines[0] == "2 things stand in the way:"
    assert lines[1].startswith("  1: Leaky with graded_spikes_factor=3 is not known; ")
    assert lines[2].startswith("  5: Leaky with graded_spikes_factor=2 is not known; ")


def test_every_node_that_is_not_known(tmp_path):
    nodes = {
        "input": nir.Input(np.array([2])),
        "first": nir.LIF(*(np.ones(2) for _ in range(4))),
        "second": nir.LIF(*(np.ones(2) for _ in range(4))),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "first"), ("first", "second"), ("second", "output")]
    path = tmp_path / "x.nir"
    nir.write(path, nir.NIRGraph(nodes, edges))
    import h5py

    with h5py.File(path, "a") as file:
        for name in ("first", "second"):
            node = file["node"]["nodes"][name]
            del node["type"]
            node["type"] = "Quantum"
    with pytest.raises(UnsupportedError) as error:
        snncompile.from_nir(path)
    known = error.value.obstacles[0].hint
    assert known.startswith("known: Affine, ")
    assert str(error.value) == (
        "2 things stand in the way:\n"
        f"  x.nir: node first: Quantum is not known; {known}\n"
        "  x.nir: node second: Quantum is not known"
    )


# Names, characters; what is shown.
LISTS = [
    ([], 80, ""),
    (["a", "b"], 80, "a, b"),
    (["a", "b"], 1, "a and 1 more"),
    (
        [f"p{i} 1" for i in range(200)],
        80,
        ", ".join(f"p{i} 1" for i in range(11)) + " and 189 more",
    ),
    (["x" * 100, "b"], 80, "x" * 100 + " and 1 more"),
]


@pytest.mark.parametrize("names, room, text", LISTS, ids=range(len(LISTS)))
def test_a_long_list_is_cut_and_the_rest_counted(names, room, text):
    assert list_briefly(names, room) == text


REASONS = [
    (["step: no", "last: none"], 30, "step: no; last: none"),
    (["step: no", "last: none", "first: never"], 25, "step: no and 2 more"),
    (["one reason of many words"], 30, "one reason of many words"),
    (["one reason of many words"], 24, "one reason of many words"),
    (["one reason of many words"], 23, "one reason of many ..."),
    (["one reason of many words", "two"], 30, "one reason ...; two"),
    (["word" * 10], 30, "wordwordwordwordwordwordwo ..."),
]


@pytest.mark.parametrize("reasons, room, text", REASONS, ids=range(len(REASONS)))
def test_long_reasons_are_cut_too(reasons, room, text):
    assert list_reasons(reasons, room) == text
    assert len(text) <= room


def test_remedies_beyond_a_line_are_left_out():
    error = FitError(where="population a", resource="cores", need=2, limit=1, hint="")
    remedies = [f"on board {i} it takes 2 cores" for i in range(20)]
    text = str(error.add_hint("; ".join(remedies)))
    assert text == "population a: needs 2 cores, the chip allows 1; " + "; ".join(remedies[:8])
    long = "x" * 400
    assert error.add_hint(long).args[0].endswith(long)  # nobody reads it: it is too long


ROOM = 60
"""Characters for the names and numbers of a message."""


def test_the_words_of_every_refusal_leave_room_for_names():
    """What is read in a test is measured whole, see `conftest.py`; this sees all others."""
    root, long = Path(__file__).parents[1], []
    for folder in ("snncompile", "backends", "hwmodels"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                    words = [c.value for c in ast.walk(node.exc) if isinstance(c, ast.Constant)]
                    count = sum(len(word) for word in words if isinstance(word, str))
                    if count > errors.LINE_LENGTH - ROOM:
                        long.append(f"{path.relative_to(root)}:{node.lineno}: {count}")
    assert long == []
