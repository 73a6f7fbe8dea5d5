"""Every warning about a loss, whole; the limits; strict."""

from __future__ import annotations

import numpy as np
import pytest
from networks import LOIHI2, TOY, chain, integer_chain, spikes

import snncompile
from snncompile.errors import LossError
from snncompile.ir.loss import EXACT, OLDER, AnswerLoss, Loss, PopulationLoss
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.options import LossOptions, Options
from snncompile.passes.analysis.loss_warnings import list_warnings, refuse_warnings

FINE = PopulationLoss(
    population="a",
    neurons=200,
    different=0.03,
    rate_error=0.1,
    fired=150,
    fired_integer=149,
    frequent=100,
    silenced=1,
)
LOUD = integer_chain(2, 200)
REMEDY = "try more bits or more steps"
SILENT = (
    "output: a fires on none of the 100 samples as floats, so that nothing is known of its answers;"
    " give calibration data on which it fires"
)


def loss_of(*rows: PopulationLoss, different: int = 2) -> Loss:
    return Loss(
        status="measured",
        reason="",
        samples=100,
        available=500,
        steps=8,
        answers=AnswerLoss(different=different, samples=100),
        populations=rows,
    )


def population(**changes) -> Loss:
    return loss_of(FINE.model_copy(update=changes))


# A loss, and the whole warnings.
WARNED = {
    "at the limits": (loss_of(FINE), ()),
    "answers": (
        loss_of(FINE, different=3),
        (
            "output: 3 of 100 answers differ (3.00% +- 1.91%), the limit is 2.00%;"
            f" {REMEDY}, or raise max_answer_loss",
        ),
    ),
    "one output neuron": (loss_of(FINE).model_copy(update={"answers": None}), ()),
    "a silent population": (
        population(fired_integer=0, silenced=100, rate_error=1.0),
        (
            "population a: fell silent: 150 of its 200 neurons fire as floats, none as integers;"
            f" {REMEDY}",
        ),
    ),
    "a population that is silent as floats, too": (
        population(fired=0, fired_integer=0, frequent=0, silenced=0, rate_error=0.0),
        (SILENT,),
    ),
    "silenced neurons": (
        population(silenced=2),
        (
            "population a: 2 of the 100 neurons that fire 5 times or more as floats never do as"
            f" integers (2.00%), the limit is 1.00%; {REMEDY}, or raise max_silenced",
        ),
    ),
    "rates": (
        population(rate_error=0.101),
        (
            "population a: rate error 10.10% between floats and integers, the limit is 10.00%;"
            f" {REMEDY}, or raise max_rate_error",
        ),
    ),
    "rates from none": (
        population(fired=0, frequent=0, silenced=0, rate_error=None),
        (f"population a: sends nothing as floats, and something as integers; {REMEDY}", SILENT),
    ),
    "a potential": (
        population(different=None, rate_error=0.02, **dict.fromkeys(["fired", "frequent"])),
        (),
    ),
    "unknown": (OLDER, ()),
    "exact": (EXACT, ()),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_is_warned_of(case):
    loss, texts = WARNED[case]
    assert list_warnings(LOUD, loss, Options()) == texts
    assert all(len(text) < 300 for text in texts)


def test_answers_come_first_then_populations_in_order():
    rows = [FINE.model_copy(update={"population": name, "rate_error": 1.5}) for name in "ab"]
    rows[0] = rows[0].model_copy(update={"silenced": 50})
    texts = list_warnings(LOUD, loss_of(*rows, different=50), Options())
    starts = ("output: ", "population a: 50 of", "population a: rate", "population b: rate")
    assert len(texts) == len(starts)
    assert all(text.startswith(start) for text, start in zip(texts, starts, strict=True))


def test_limits_are_options():
    loss = loss_of(FINE.model_copy(update={"silenced": 50, "rate_error": 3.0}), different=40)
    raised = Options(max_answer_loss=0.4, max_silenced=0.5, max_rate_error=3)
    assert list_warnings(LOUD, loss, raised) == ()
    none = Options(max_answer_loss=0, max_silenced=0, max_rate_error=0)
    assert len(list_warnings(LOUD, loss_of(FINE), none)) == 3


# ---- outputs that can never fire -----------------------------------------------------------------

QUIET = integer_chain(2, 3, neuron=IntegerCubaLif(4095, 0, [1, 300, 5], reset="hard"))
"""Neurons that leak nothing: all fire in time, the second only after some steps."""
LEAKY = integer_chain(2, 7, neuron=IntegerCubaLif(4095, 4095, [1] + [300] * 6))
"""Neurons that forget: all but the first can never fire."""


@pytest.mark.parametrize(
    "network, steps, text",
    [
        (QUIET, None, None),
        (QUIET, 80, None),
        (
            QUIET,
            5,
            "population a: 1 of 3 outputs can never fire, whatever the input in 5 steps (neurons"
            f" 1); check their weights and thresholds, or {REMEDY}",
        ),
        (
            LEAKY,
            None,
            "population a: 6 of 7 outputs can never fire, whatever the input (neurons 1, 2, 3, 4,"
            f" 5, ...); check their weights and thresholds, or {REMEDY}",
        ),
    ],
)
def test_outputs_that_can_never_fire(network, steps, text):
    texts = list_warnings(network, EXACT, Options(steps=steps))
    assert texts == (() if text is None else (text,))


def test_a_warned_output_never_fires():
    x = np.ones((1, 200, 2), np.uint8)
    assert LEAKY.run(x).spikes.any(axis=(0, 1)).tolist() == [True] + [False] * 6
    assert not QUIET.run(x[:, :5]).spikes[..., 1].any()
    assert QUIET.run(x).spikes[..., 1].any()


# ---- strict --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts, message",
    [
        (("a: b",), "a: b"),
        (("a: b", "c: d"), "2 things stand in the way:\n  a: b\n  c: d"),
    ],
)
def test_strict_raises_all_warnings_at_once(texts, message):
    refuse_warnings(texts, loss_of(FINE), LossOptions())
    with pytest.raises(LossError) as error:
        refuse_warnings(texts, loss_of(FINE), LossOptions(strict=True))
    assert str(error.value) == message


def test_strict_refuses_what_is_unknown():
    network = chain(3, 4, 2)
    with pytest.raises(LossError) as error:
        snncompile.compile(network, chip=TOY, strict=True)
    assert str(error.value) == (
        "strict: the loss is unknown: there is no calibration data; give calibration data and run"
        " measure, or leave strict out"
    )
    data = {"calibration": spikes(network, 4, 9)}
    with pytest.raises(LossError) as error:
        snncompile.compile(network, chip=TOY, strict=True, skip="measure", **data)
    assert str(error.value) == (
        "strict: the loss is unknown: pass measure did not run; give calibration data and run"
        " measure, or leave strict out"
    )


def test_strict_passes_where_nothing_is_lost():
    network = chain(3, 4, 2)
    program = snncompile.compile(network, chip=TOY, strict=True, calibration=spikes(network, 4, 9))
    assert program.options.loss.strict
    snncompile.compile(integer_chain(2, 2), chip=LOIHI2, strict=True)


def test_compile_warns_or_refuses():
    network = chain(3, 4, 2, weight=-1.0)
    data = {"calibration": spikes(network, 4, 9)}
    program = snncompile.compile(network, chip=TOY, **data)
    text = (
        "population b: 2 of 2 outputs can never fire, whatever the input in 9 steps (neurons 0, 1);"
        f" check their weights and thresholds, or {REMEDY}"
    )
    assert program.warnings == (text,)
    with pytest.raises(LossError) as error:
        snncompile.compile(network, chip=TOY, strict=True, **data)
    assert str(error.value) == text
