"""The pipeline: its contracts, whose error it was, what it calls between passes."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from itertools import pairwise

import pytest
from networks import LOIHI2, TOY, chain, design, integer_chain
from odd_passes import Broken

import snncompile
from snncompile import registry
from snncompile.errors import ContractError, FitError, InputError, SnnCompileError
from snncompile.options import Options
from snncompile.passes.pipeline import Pipeline
from snncompile.passes.timing.retime import Retime

DEFAULT = Pipeline.default(Options())


# ---- contracts -----------------------------------------------------------------------------------

SKIPPED = {
    "retime": "pass accumulate requires the chip's delays (input -> a has a delay of 0): run"
    " retime before it; ran: quantize, measure, prune",
    "quantize": "pass measure requires an integer network: run quantize before it; ran: retime",
    "partition": "pass place requires every neuron in one slice (a has none): run partition before"
    " it; ran: retime, quantize, measure, prune, accumulate, sparsify",
    "place": "pass route requires a site for every core: run place before it; ran: retime,"
    " quantize, measure, prune, accumulate, sparsify, partition",
    "route": "a Program requires the tables of its cores: run route; ran: retime, quantize,"
    " measure, prune, accumulate, sparsify, partition, place",
}


@pytest.mark.parametrize("name, message", SKIPPED.items())
def test_a_pass_that_another_requires_is_not_skipped(name, message):
    with pytest.raises(ContractError) as error:
        snncompile.compile(chain(3, 4, 2), chip=TOY, skip=[name])
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["prune", "accumulate", "sparsify"])
def test_others_can_be_skipped(name):
    program = snncompile.compile(chain(3, 4, 2), chip=TOY, skip=[name])
    assert not any(line.startswith(name) for line in program.log)


def test_partition_alone_asks_for_integers():
    with pytest.raises(ContractError) as error:
        Pipeline.parse("retime,partition").run(design(chain(3, 4, 2)))
    assert str(error.value) == (
        "pass partition requires an integer network: run quantize before it; ran: retime"
    )


LATE = {
    "retime": "a network without slices: run it before partition",
    "quantize": "a network without slices: run it before partition",
    "prune": "a network without slices: run it before partition",
    "accumulate": "a network without slices: run it before partition",
    "sparsify": "a network without slices: run it before partition",
    "place": "cores without tables: run it before route",
}


@pytest.mark.parametrize("name, lacks", LATE.items())
def test_a_pass_that_comes_too_late_is_refused(name, lacks):
    done = DEFAULT.run(design(chain(3, 4, 2)))
    with pytest.raises(ContractError) as error:
        Pipeline.parse(name).run(done)
    assert str(error.value) == f"pass {name} requires {lacks}; ran: nothing"


def _without_core(mapping):
    return replace(mapping, slices=mapping.slices[1:])


DAMAGED = {
    "retime": (
        lambda d: replace(d, network=chain(3, 4, 2)),
        "delays of 1 or more and no longer than the chip's: input -> a has a delay of 0",
    ),
    "quantize": (lambda d: replace(d, network=chain(3, 4, 2)), "an integer network"),
    "prune": (
        lambda d: replace(d, network=integer_chain(3, 4, 1)),
        "that the output stays as it is",
    ),
    "accumulate": (
        lambda d: replace(d, network=integer_chain(3, 3, 2)),
        "that every population stays: a had 4 neurons and has 3",
    ),
    "sparsify": (
        lambda d: replace(d, network=integer_chain(3, 4, 2, weight=4)),
        "that weights of input -> a stay",
    ),
    "partition": (
        lambda d: replace(d, mapping=_without_core(d.mapping)),
        "that every neuron is in one slice: a has none",
    ),
    "place": (
        lambda d: replace(d, mapping=replace(d.mapping, sites=d.mapping.sites[1:])),
        "that every core in use has one site",
    ),
    "route": (
        lambda d: replace(d, mapping=replace(d.mapping, slices=d.mapping.slices[::-1])),
        "that synapses are on the core of their neurons: core 0",
    ),
}


@pytest.mark.parametrize("name, damage, broken", [(k, *v) for k, v in DAMAGED.items()])
def test_a_result_that_is_not_what_a_pass_ensures_is_refused(name, damage, broken, monkeypatch):
    kind = registry.load("passes", name)
    plain = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda a_pass, design: damage(plain(a_pass, design)))
    ran = ", ".join(DEFAULT.until(name).names) or "nothing"
    with pytest.raises(ContractError) as error:
        DEFAULT.run(design(chain(3, 4, 2)))
    assert str(error.value) == f"pass {name} does not ensure {broken}; ran: {ran}"


# ---- errors --------------------------------------------------------------------------------------


def test_an_error_says_in_which_pass_it_was_raised():
    with pytest.raises(FitError) as error:
        snncompile.compile(chain(9, 1), chip=TOY)
    assert error.value.failed_pass == "partition"
    names = ("retime", "quantize", "measure", "prune", "accumulate", "sparsify")
    assert error.value.passes_run == names
    where = "in pass partition, after retime, quantize, measure, prune, accumulate, sparsify"
    assert error.value.where_it_failed == where
    assert error.value.__notes__ == [where]
    assert "pass" not in str(error.value)


def test_errors_that_nobody_expects_say_it_too():
    with pytest.raises(ZeroDivisionError) as error:
        Pipeline((Retime(), Broken(raises=ZeroDivisionError("x")))).run(design(chain(2, 1)))
    assert error.value.__notes__ == ["in pass broken, after retime"]
    with pytest.raises(ZeroDivisionError) as error:
        Pipeline((Broken(raises=ZeroDivisionError("x")),)).run(design(chain(2, 1)))
    assert error.value.__notes__ == ["in pass broken, the first"]


def test_an_error_outside_of_passes_names_none():
    error = SnnCompileError("x")
    assert (error.failed_pass, error.passes_run, error.where_it_failed) == (None, (), "")


@pytest.mark.parametrize(
    "a_pass, message",
    [
        (Broken(lacks="a reason"), "pass broken requires a reason; ran: retime"),
        (Broken(breaks="its promise"), "pass broken does not ensure its promise; ran: retime"),
    ],
)
def test_a_broken_contract_is_one_line_that_names_the_pass(a_pass, message):
    with pytest.raises(ContractError) as error:
        Pipeline((Retime(), a_pass)).run(design(chain(2, 1)))
    assert str(error.value) == message
    assert error.value.failed_pass == "broken"
    assert error.value.where_it_failed == ""


# ---- between passes ------------------------------------------------------------------------------


def test_progress_is_the_pass_and_the_share_that_is_done():
    calls = []
    DEFAULT.until("accumulate").change("quantize", bits=4).run(
        design(chain(2, 1)), progress=lambda a_pass, share: calls.append((a_pass.name, share))
    )
    assert calls == [
        *(("retime", 0), ("quantize", 1 / 4), ("measure", 2 / 4), ("prune", 3 / 4), ("prune", 1))
    ]


def test_hooks_get_the_design_before_and_after():
    steps = []
    start = design(chain(2, 1), LOIHI2)
    end = DEFAULT.run(start, hooks=[steps.append])
    assert [step.a_pass for step in steps] == list(DEFAULT.passes)
    assert steps[0].before is start
    assert steps[-1].after is end
    assert all(one.after is other.before for one, other in pairwise(steps))
    assert [step.ran for step in steps] == [DEFAULT.names[:i] for i in range(len(DEFAULT.passes))]
    assert all(step.seconds >= 0 for step in steps)


def test_no_passes_do_nothing():
    start = design(chain(2, 1))
    assert Pipeline(()).run(start, progress=lambda a_pass, share: 1 / 0) is start


# A pipeline, and the whole message of what is wrong with it.
CONTRADICTIONS = {
    "retime,quantize,prune,accumulate,partition_nxtf,place,route": (
        "passes name partition_nxtf, but partitioner is free; change one of them"
    ),
    "retime,quantize{steps=-1}": "steps: Input should be greater than or equal to 1, got -1",
    "retime,quantize{bits=8 bits=6}": "pass quantize: bits is given twice",
}


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_passes_and_options_that_contradict(text):
    with pytest.raises(InputError) as error:
        Pipeline.parse(text).adopt_options(Options())
    assert str(error.value) == CONTRADICTIONS[text]


def test_options_of_passes_are_the_options_that_a_program_keeps():
    default = Pipeline.default(Options(steps=9))
    pipeline = Pipeline.parse("retime,quantize{bits=6},prune{on=false},route", default)
    kept = pipeline.adopt_options(Options(steps=9))
    assert kept == Options(bits=6, steps=9, prune=False)
    assert default.adopt_options(Options(steps=9)) == Options(steps=9)


# What stands behind an entry point of another package, and the whole message.
BROKEN = {
    "nowhere:Pass": (
        "passes: 'odd' is nowhere:Pass of another package, which cannot be loaded: No module named"
        " 'nowhere'; mend or uninstall that package"
    ),
    "snncompile.passes.route:Route": (
        "passes: 'odd' calls itself 'route'; both names must be equal"
    ),
}


@pytest.mark.parametrize("value", BROKEN)
def test_a_broken_pass_of_another_package_is_one_line(monkeypatch, value):
    point = EntryPoint("odd", value, "snncompile.passes")
    monkeypatch.setattr(
        registry, "_list_entry_points", lambda table: [point] if table == "passes" else []
    )
    with pytest.raises(InputError) as error:
        Pipeline.parse("odd")
    assert str(error.value) == BROKEN[value]


# Arguments of `compile` of a wrong kind, and the whole message.
KINDS = {
    "passes: expected text or a Pipeline, got list": {"passes": ["retime"]},
    "options: expected Options, got dict": {"options": {"bits": 6}},
    "pass measure requires an integer network: run quantize before it; ran: retime": {
        "skip": "quantize"
    },
}


@pytest.mark.parametrize("message", KINDS)
def test_arguments_of_a_wrong_kind_are_one_line(message):
    with pytest.raises(SnnCompileError) as error:
        snncompile.compile(chain(3, 2), chip="toy", **KINDS[message])
    assert str(error.value) == message
