"""Changes that a report tries, and what it says of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import snncompile
from snncompile.conversion.convert import from_ann
from snncompile.errors import InputError
from snncompile.report.html.attempts import TIME_UP, Attempt, Measured, measure_program, try_changes
from snncompile.report.html.changes import NO_MODEL, list_changes
from snncompile.report.html.charts.advice import list_gains
from snncompile.report.html.request import Request


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).integers(0, 255, (24, 12))


@pytest.fixture(scope="module")
def answers(model, images):
    return model(torch.tensor(images).float()).argmax(1).numpy()


@pytest.fixture(scope="module")
def converted(model, images):
    network = from_ann(model, images, "balance", 64, title="mlp")
    return snncompile.compile(network, chip="loihi2", calibration=network.input.present(images))


def test_other_methods_are_tried_with_the_trained_model(converted, model, images, answers):
    request = Request.of(None, answers, images=images, model=model).show_to(converted.network)
    now = measure_program(converted, request)
    tried = {a.title: a for a in try_changes(converted, now, request, lambda text, share: None)}
    methods = ["signed, 32 steps", "signed, 16 steps", "bistable_phase, 8 steps",
               "bistable_phase, 5 steps", "graded"]  # fmt: skip
    assert [title for title in tried if title in methods] == methods
    assert "balance, 64 steps" not in tried  # that is what it is now
    for title in methods:
        measured = tried[title].measured
        assert measured is not None, tried[title].why
        assert measured.latency_s < now.latency_s, title  # all take fewer steps than 64
        assert measured.accuracy > 0.6, title
        assert 0.6 < measured.same_answers <= 1, title


def test_without_the_model_the_report_says_what_it_takes(converted, images):
    changes = list_changes(converted, Request.of(None, None, images=images))
    assert [c.why_not for c in changes if c.kind == "method"] == [NO_MODEL]


def test_a_network_that_was_not_converted_is_tried_with_hard_resets(program, x):
    request = Request.of(x)
    (change,) = [c for c in list_changes(program, request) if c.kind == "method"]
    resets = {p.neuron.reset for p in change.make_source(program).populations}
    assert (change.title, resets) == ("hard resets", {"delayed_hard"})
    assert {p.neuron.reset for p in program.source.populations} == {"delayed_soft"}


def test_the_first_of_each_kind_comes_before_the_second(program, x):
    request = Request.of(x, seconds=60)
    said = []
    try_changes(program, measure_program(program, request), request, lambda t, s: said.append(t))
    kinds = {f"trying {c.title}": c.kind for c in list_changes(program, request)}
    assert [kinds[text] for text in said[:4]] == ["bits", "method", "cores", "chips"]
    assert sorted(said) == sorted(kinds)


def test_no_change_is_tried_beyond_the_time(program, x):
    request = Request.of(x, seconds=1e-9)
    tried = try_changes(program, measure_program(program, request), request, lambda t, s: None)
    assert {a.why for a in tried} == {TIME_UP}


def test_fewer_cores_help_also_where_a_sum_lacks_more_prices(program, x):
    now = measure_program(program, Request.of(x))
    lacks_more = Measured(0, 1, program.estimate(x, "loihi1_scaled"), None, None, 1.0)
    gains = list_gains(now, (Attempt("other", lacks_more),))
    assert set(lacks_more.estimate.missing) > set(now.estimate.missing)
    assert "cores" in [gain.quantity for gain in gains]
    assert "energy" not in [gain.quantity for gain in gains]
    gains = list_gains(lacks_more, (Attempt("other", Measured(1, 1, now.estimate, None, None, 1)),))
    assert "cores" not in [gain.quantity for gain in gains]


def test_images_are_shown_to_each_network_by_its_own_coding(converted, model, images, answers):
    from snncompile.report.html.write import make_report

    pytest.importorskip("plotly")
    phase = from_ann(model, images, "bistable_phase", 8, title="mlp")
    other = snncompile.compile(
        phase, chip="loihi2", calibration=phase.input.present(images), prune=False
    )
    page = make_report(
        [("balance", converted), ("phase", other)], None, answers, images=images, seconds=0
    )
    assert "on the 24 samples" in page.answers["balance"]["loss"]
    assert "on the 24 samples" in page.answers["phase"]["loss"]
    assert "24 of 24 samples ran" in page.html


MISTAKES = {
    "both": (
        {"x": np.zeros((1, 2, 3)), "images": np.zeros((1, 3))},
        "a report takes x or images, of which converted networks make x",
    ),
    "no images": (
        {"x": np.zeros((1, 2, 3)), "model": nn.ReLU()},
        "other methods of conversion are tried on images; give images, not x",
    ),
    "labels": (
        {"x": None, "images": np.zeros((2, 3)), "label": [1]},
        "label has shape (1,), expected (2,)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_does_not_go_together_is_refused(name):
    values, message = MISTAKES[name]
    with pytest.raises(InputError) as error:
        Request.of(**values)
    assert str(error.value) == message


def test_builds_are_ranked_by_what_all_of_them_know(program, x):
    from snncompile.report.html.charts.side_by_side import chart_side_by_side
    from snncompile.report.html.facts import gather

    known = gather(program, "a", Request.of(x, seconds=0))
    other = gather(program, "b", Request.of(x, costs="loihi1_scaled", seconds=0))
    chart = chart_side_by_side((known, other))
    assert "energy is not ranked, as some builds lack what others have" in chart.sentence.lower()
    assert "latency is not ranked" not in chart.sentence
    rows = {row[0]: row[1:] for row in chart.numbers.rows}
    assert rows["energy * is without"] == (
        "host input, host output and static power in missing times",
        "barrier sync, host input, host output and static power in missing times",
    )
    assert rows["latency * is without"] == ("host input and host output",) * 2
    assert [cell.endswith("*") for cell in rows["energy per inference"]] == [True, True]
