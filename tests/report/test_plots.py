"""Figures for papers, and how records look at a prompt and in a notebook."""

from __future__ import annotations

import numpy as np
import pytest
from report_networks import make_network

import snncompile
from snncompile.errors import InputError
from snncompile.notebook import format_rows


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(3).random((4, 10, 12)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def program(x):
    return snncompile.compile(make_network(), chip="loihi2", calibration=x)


def test_figures_are_vector_graphics(program, x, tmp_path):
    pytest.importorskip("matplotlib")
    plot = program.plot
    for name, figure in (
        ("cores", plot.cores()), ("raster", plot.raster(x, 1)), ("energy", plot.energy(x)),
    ):  # fmt: skip
        for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
            figure.savefig(tmp_path / f"{name}.{kind}")
            assert (tmp_path / f"{name}.{kind}").read_bytes().startswith(start)
    drawn = plot.raster(x, 1).axes[0].lines
    spikes = program.run(x[1:2]).spikes
    assert len(drawn[-1].get_xdata()) == np.count_nonzero(spikes)
    mapping = program.mapping
    assert len(plot.cores().axes[0].patches) == mapping.cores + mapping.chips  # with their borders


def test_figures_refuse(program, x, monkeypatch):
    with pytest.raises(InputError) as error:
        program.plot.raster(x, 4)
    assert str(error.value) == "x has 4 samples, numbered from 0; got sample 4"
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(InputError) as error:
        program.plot.cores()
    assert str(error.value) == "plots need matplotlib: pip install 'snncompile[plot]'"


def test_a_prompt_shows_one_line(program, x):
    shown = [program, program.network, program.source, program.run(x), program.estimate(x)]
    shown.append(program.verify(x, lava=False))
    lines = [repr(record) for record in shown]
    assert lines[0] == (
        "<Program title=small, chip=loihi2, cores=1, chips=1, layers=2, neurons=9, warnings="
        f"{len(program.warnings)}>"
    )
    assert lines[1].startswith("<IntegerNetwork title=small, input=(12,), output=(3,), layers=2")
    assert lines[2].startswith("<Network ")
    assert lines[3] == "<Result samples=4, steps=10, output=(3,)>"
    assert all("\n" not in line and len(line) < 400 for line in lines)


def test_a_notebook_shows_a_table_in_which_text_is_text(program, x):
    records = [program, program.network, program.run(x), program.estimate(x)]
    for record in [*records, program.verify(x, lava=False)]:
        assert record._repr_html_().startswith("<table><caption")
    html = format_rows("<b>", [("<script>", None), ("n", 1234)])
    assert "<script>" not in html
    assert "<b>" not in html
    assert "unknown" in html
    assert "1,234" in html
