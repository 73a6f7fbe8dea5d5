"""The pipeline as text, and which passes run."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import TOY, chain, integer_chain
from odd_passes import Every

import snncompile
from snncompile import registry
from snncompile.errors import InputError
from snncompile.options import Options
from snncompile.passes.pipeline import Pipeline
from snncompile.passes.timing.retime import Retime

DEFAULT = Pipeline.default(Options())


@pytest.fixture
def with_every(monkeypatch):
    point = EntryPoint("every", "somewhere:Every", "snncompile.passes")
    resolve = registry.resolve_name
    monkeypatch.setattr(registry, "entry_points", lambda group: [point][: group == point.group])
    monkeypatch.setattr(
        registry, "resolve_name", lambda value: Every if value == point.value else resolve(value)
    )


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bits": 3, "steps": 7, "formats": "netx", "prune": False},
        {"objective": "traffic", "placement": "linear", "share_cores": False},
        {"rules": "nxtf", "encoding": "dense1"},
    ],
)
def test_default_pipelines_are_read_back(options):
    pipeline = Pipeline.default(Options(**options))
    assert Pipeline.parse(str(pipeline)) == pipeline


def test_text_has_every_option():
    assert str(DEFAULT) == (
        "retime,quantize{bits=none steps=none formats=chip scales=neuron processes=any},"
        "measure,prune{on=true},accumulate,sparsify{sparse=auto},"
        "partition{objective=cores share=true},place{placement=annealed},route"
    )


@pytest.mark.usefixtures("with_every")
@given(
    number=st.integers(),
    share=st.floats(allow_nan=False),
    on=st.booleans(),
    word=st.text(),
    kind=st.sampled_from(["small", "large"]),
    steps=st.none() | st.integers(),
    title=st.none() | st.text() | st.sampled_from(["none", "true", "1", 'a "b" {c}, d', "\\"]),
)
def test_every_type_of_option_is_read_back(**options):
    pipeline = Pipeline((Retime(), Every(**options), Retime()))
    assert Pipeline.parse(str(pipeline)) == pipeline


READ = {
    "retime": "retime",
    " retime , prune ": "retime,prune{on=true}",
    "prune{},prune": "prune{on=true},prune{on=true}",
    "prune{on=false}": "prune{on=false}",
    "quantize{steps=3 bits=4}": "quantize{bits=4 steps=3 formats=chip scales=neuron processes=any}",
    "quantize { bits=4, formats=netx }": (
        "quantize{bits=4 steps=none formats=netx scales=neuron processes=any}"
    ),
}


@pytest.mark.parametrize("text, whole", READ.items())
def test_options_that_are_left_out_have_their_defaults(text, whole):
    assert str(Pipeline.parse(text)) == whole


def test_or_those_of_another_pipeline():
    known = Pipeline.default(Options(bits=5, steps=9, prune=False))
    read = Pipeline.parse("quantize{bits=3},prune,place", known)
    assert str(read) == (
        "quantize{bits=3 steps=9 formats=chip scales=neuron processes=any},prune{on=false},"
        "place{placement=annealed}"
    )


HOW = "write names with options, separated by commas: retime,quantize{bits=6 steps=10},prune"
NOT_READ = {
    "": f"cannot read passes from '' on; {HOW}",
    "retime,,prune": f"cannot read passes from ',prune' on; {HOW}",
    "retime;prune": f"cannot read passes from 'retime;prune' on; {HOW}",
    "quantize{bits=6": f"cannot read passes from 'quantize{{bits=6' on; {HOW}",
    "quantize{bits}": "cannot read options of quantize from 'bits' on; write option=value,"
    " separated by spaces or commas",
    "quantize{bit=6}": "pass quantize has no option 'bit'; it has bits, steps, formats, scales,"
    " processes",
    "retime{bits=6}": "pass retime has no option 'bits'; it has none",
    "quantize{bits=six}": "pass quantize: bits takes int or none, got six",
    "quantize{steps=two}": "pass quantize: steps takes int or none, got two",
    "quantize{formats=own}": "pass quantize: formats takes chip or netx, got own",
    "prune{on=1}": "pass prune: on takes bool, got 1",
    "place{placement=none}": "pass place: placement takes str, got none",
    "squeeze": "no pass called 'squeeze'; known: accumulate, measure, partition, partition_intel,"
    " partition_nxtf, place, prune, quantize, retime, route, sparsify",
}


@pytest.mark.parametrize("text, message", NOT_READ.items(), ids=range(len(NOT_READ)))
def test_text_that_is_none_is_refused(text, message):
    with pytest.raises(InputError) as error:
        Pipeline.parse(text)
    assert str(error.value) == message


@pytest.mark.usefixtures("with_every")
def test_passes_of_other_packages_run_by_name():
    network = integer_chain(2, 2, 1)
    program = snncompile.compile(
        network, chip=TOY, passes="every{word=hello},partition,place{placement=linear},route"
    )
    assert program.log[0] == "every: nothing"
    assert program.passes.startswith("every{number=1 share=0.5 on=true word=hello kind=small")
    assert (program.run([[[1, 1]]]).spikes == network.run([[[1, 1]]]).spikes).all()


# ---- which passes --------------------------------------------------------------------------------


def test_pipelines_are_cut_and_changed():
    assert DEFAULT.without(["prune", "accumulate"]).names == (
        *("retime", "quantize", "measure", "sparsify", "partition", "place", "route"),
    )
    assert DEFAULT.until("measure").names == ("retime", "quantize")
    assert str(DEFAULT.until("measure").change("quantize", bits=4)) == (
        "retime,quantize{bits=4 steps=none formats=chip scales=neuron processes=any}"
    )
    for call in (DEFAULT.until, DEFAULT.change, lambda name: DEFAULT.without([name])):
        with pytest.raises(InputError) as error:
            call("squeeze")
        assert str(error.value) == (
            "no pass 'squeeze' to run; there are retime, quantize, measure, prune, accumulate,"
            " sparsify, partition, place, route"
        )


def test_compile_says_which_passes_ran(tmp_path):
    program = snncompile.compile(chain(3, 2), chip=TOY, bits=4, steps=5, skip=["accumulate"])
    whole = Pipeline.default(Options(bits=4, steps=5)).without(["accumulate"])
    assert program.passes == str(whole)
    program.save(tmp_path / "build")
    assert snncompile.load(tmp_path / "build").passes == str(whole)
    assert snncompile.compile(chain(3, 2), chip=TOY, passes=whole).passes == str(whole)


def test_compile_fills_in_what_the_text_leaves_out():
    passes = "retime,quantize{bits=4},partition,place,route"
    program = snncompile.compile(chain(3, 2), chip=TOY, steps=5, placement="linear", passes=passes)
    assert program.passes == (
        "retime,quantize{bits=4 steps=5 formats=chip scales=neuron processes=any},"
        "partition{objective=cores share=true},place{placement=linear},route"
    )
    assert {p.synapses.bits for p in program.network.projections} == {4}
