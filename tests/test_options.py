"""Options are stated once: what follows from a field, the two forms they are read in, old names."""

import importlib.util
import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import typer
from edited_files import seal
from pydantic import Field, ValidationError
from typer.testing import CliRunner

import snncompile
from snncompile.cli import options as command_options
from snncompile.cli.main import app
from snncompile.errors import InputError
from snncompile.fit import fit
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.option_signature import takes_options
from snncompile.options import LossOptions, MappingOptions, Options, QuantizeOptions, list_options
from snncompile.registry import load
from snncompile.synapses.dense import dense

ALL = list(list_options())
X = np.ones((2, 6, 3), np.uint8)


@pytest.fixture
def network():
    weight = np.random.default_rng(2).normal(0.3, 0.5, (2, 3))
    return Network(
        Input("input", (3,)),
        (Population("output", (2,), CubaLif(1.0, 0.1, 1.0)),),
        (Projection("input", "output", dense(weight)),),
        "output",
        title="tiny",
    )


# ---- what follows from a field -------------------------------------------------------------------


@pytest.mark.parametrize("option", ALL, ids=[option.name for option in ALL])
def test_an_option_is_in_signature_help_and_command_line(option):
    parameter = inspect.signature(snncompile.compile).parameters[option.name]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
    assert parameter.default == option.default
    assert parameter.annotation == option.annotation
    assert f"        {option.name}: {option.description[:40]}" in snncompile.compile.__doc__
    shown = _shown(app, "compile", "--help")
    assert command_options.name_flag(option.name) in shown
    assert all(choice in shown for choice in option.choices)


def test_names_are_keywords_so_no_two_sections_share_one():
    names = [option.name for option in ALL]
    assert len(set(names)) == len(names)
    assert not set(names) & set(Options.model_fields)


class _Quantize(QuantizeOptions):
    """As shipped, with one more option."""

    rounding: Literal["nearest", "down"] = Field(
        default="nearest", description="which way numbers go"
    )


class _Options(Options):
    quantize: _Quantize = _Quantize()


def test_a_new_field_is_all_that_a_new_option_takes():
    @takes_options(record=_Options)
    def compile(network, **single):
        """Compile.

        Args:
            network: any.
            **single: from the record.
        """
        return _Options(**single)

    assert inspect.signature(compile).parameters["rounding"].default == "nearest"
    assert "rounding: which way numbers go (nearest, down)." in compile.__doc__
    assert compile(None, rounding="down").quantize.rounding == "down"

    @command_options.takes_options(record=_Options)
    def command(**single) -> None:
        typer.echo(json.dumps(single))

    small = typer.Typer()
    small.command()(command)
    assert "--rounding" in _shown(small, "--help")
    assert json.loads(_shown(small, "--rounding", "down"))["rounding"] == "down"
    row = "| `rounding` | `--rounding` | `nearest`, `down` | `nearest` | which way numbers go"
    assert row in _make_options().page(_Options)


def test_fit_takes_the_options_it_has():
    names = {option.name for option in ALL}
    assert [name for name in inspect.signature(fit).parameters if name in names] == ["bits"]
    assert "        bits: bits of a weight including its sign; unless given, 8 or" in fit.__doc__
    with pytest.raises(TypeError, match=r"^fit\(\) got an unexpected keyword argument 'steps'$"):
        fit(None, chip="loihi2", steps=3)


# ---- how options are given -----------------------------------------------------------------------


def test_options_are_given_one_by_one_or_together(network):
    single = snncompile.compile(network, chip="loihi2", bits=6, placement="linear")
    options = Options(quantize=QuantizeOptions(bits=6), mapping=MappingOptions(placement="linear"))
    together = snncompile.compile(network, chip="loihi2", options=options)
    assert single.options == together.options == options
    assert single.hashes == together.hashes
    assert options.flat()["placement"] == "linear"


@pytest.mark.parametrize("given, steps", [({}, 6), ({"steps": 9}, 9)])
def test_steps_are_those_of_the_data_unless_given(network, given, steps):
    program = snncompile.compile(network, chip="loihi2", calibration=X, bits=5, **given)
    assert program.options == Options(quantize=QuantizeOptions(bits=5, steps=steps))


MISTAKES = [
    ({"bits": 0}, "bits: Input should be greater than or equal to 1, got 0"),
    ({"steps": 0}, "steps: Input should be greater than or equal to 1, got 0"),
    (
        {"objective": "best"},
        "objective: Input should be 'cores', 'traffic' or 'latency', got 'best'",
    ),
    (
        {"encoding": "sparse"},
        "encoding is chosen for you by partitioner free; give partitioner nxtf too",
    ),
    ({"options": Options(), "bits": 4}, "bits: give it in `options` or by itself, not both"),
]


@pytest.mark.parametrize("given, message", MISTAKES)
def test_a_mistake_is_one_line(network, given, message):
    with pytest.raises(InputError) as error:
        snncompile.compile(network, chip="loihi2", **given)
    assert str(error.value) == message


def test_an_unknown_option_is_refused_as_any_keyword(network):
    message = r"^compile\(\) got an unexpected keyword argument 'bit'$"
    with pytest.raises(TypeError, match=message):
        snncompile.compile(network, chip="loihi2", bit=4)


# ---- the two forms on disk -----------------------------------------------------------------------

FLAT = {
    "bits": 6,
    "formats": "chip",
    "prune": False,
    "steps": 4,
    "rules": "nxtf",
    "encoding": "dense1",
    "objective": "cores",
    "placement": "linear",
    "share_cores": True,
}
LATER = {"scales", "processes", "sparse"}
"""Options that no Program had in the flat form."""


def test_sections_are_written(golden):
    golden(json.dumps(Options(**FLAT).model_dump(mode="json"), indent=1) + "\n")


def test_the_flat_form_is_read_as_the_same_options():
    options = Options.model_validate(FLAT)
    assert options == Options.model_validate(options.model_dump(mode="json"))
    flat = {k: v for k, v in options.flat().items() if k not in LossOptions.model_fields}
    flat = {k: v for k, v in flat.items() if k not in LATER}
    assert flat.pop("partitioner") == FLAT["rules"]
    assert flat == {name: value for name, value in FLAT.items() if name != "rules"}


@pytest.mark.parametrize(
    "record",
    [
        {"quantize": {"bits": 6}, "prune": False},
        {"quantize": {"rules": "free"}},
        {"bit": 6},
        {1: 6},
        {"quantize": 6},
        6,
    ],
    ids=str,
)
def test_other_forms_are_refused(record):
    with pytest.raises(ValidationError):
        Options.model_validate(record)


def test_a_program_with_flat_options_loads(network, tmp_path):
    program = snncompile.compile(network, chip="loihi1", bits=6, partitioner="nxtf", prune=False)
    program.save(tmp_path / "build")
    path = tmp_path / "build" / "program.json"
    record = json.loads(path.read_text())
    assert record["options"]["mapping"]["partitioner"] == "nxtf"
    flat = record["options"]["quantize"] | record["options"]["mapping"]
    flat["rules"] = flat.pop("partitioner")
    seal(path.parent, record | {"options": flat}, path.name)
    assert snncompile.load(tmp_path / "build").options == program.options


# ---- old names -----------------------------------------------------------------------------------

LAST = "0.1 is the last release that knows the old name"


def test_compile_knows_the_old_name_of_partitioner(network):
    message = f"^compile: rules is called partitioner now; {LAST}$"
    with pytest.warns(DeprecationWarning, match=message) as warned:
        program = snncompile.compile(network, chip="loihi1", rules="nxtf")
    assert program.options.mapping.partitioner == "nxtf"
    assert [w.filename for w in warned] == [__file__]
    message = r"^compile\(\) got rules and partitioner, which are two names of one argument$"
    with pytest.raises(TypeError, match=message):
        snncompile.compile(network, chip="loihi1", rules="nxtf", partitioner="nxtf")


def test_estimate_knows_the_old_names_of_timing_and_account(network):
    program = snncompile.compile(network, chip="loihi2")
    with pytest.warns(DeprecationWarning, match="^estimate: ") as warned:
        old = program.estimate(X, model="cycle", rules="sanafe")
    assert [str(w.message) for w in warned] == [
        f"estimate: model is called timing now; {LAST}",
        f"estimate: rules is called account now; {LAST}",
    ]
    assert [w.filename for w in warned] == [__file__, __file__]
    new = program.estimate(X, timing="cycle", account="sanafe")
    assert replace(old, by_step=new.by_step) == new
    with pytest.warns(DeprecationWarning, match="^Estimate.model is called timing now"):
        assert new.model == "cycle"
    with pytest.warns(DeprecationWarning, match="^Estimate.rules is called account now"):
        assert new.rules == "sanafe"


@pytest.mark.parametrize("name", ["reference", "lava"])
def test_backends_know_the_old_name_of_spike_trains(name):
    backend = load("backends", name)
    with pytest.warns(DeprecationWarning, match=f": trains is called spike_trains now; {LAST}$"):
        assert backend.trains is backend.spike_trains
    with pytest.raises(AttributeError, match=r"^module 'snncompile\..*' has no attribute 'train'$"):
        _ = backend.train


def _shown(application, *words):
    done = CliRunner().invoke(application, words, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def _make_options():
    path = Path(__file__).parent.parent / "docs" / "make_options.py"
    spec = importlib.util.spec_from_file_location("make_options", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
