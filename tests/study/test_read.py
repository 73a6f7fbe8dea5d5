"""A study file: every mistake at once, with its line and the nearest right word."""

import pytest
from studies import make_content, write_inputs

from snncompile.errors import InputError
from snncompile.study.points import make_method
from snncompile.study.read import make_study, read_study

WRONG = """\
models:
  a: {netwrk: x}
  b: {ann: none.py:f}
chips: [loihi2, lohi1, {extends: loihi2, fields: {core.synapse_word: [1]}}]
bits: [4, x]
method: [signed]
methods: [signd]
objectives: [accurcy, energy]
budgets: {energy_below: 1 mm, accuracy_above: 95 %}
"""


def test_every_mistake_of_a_file_comes_at_once(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(WRONG)
    with pytest.raises(InputError) as error:
        read_study(path)
    lines = sorted(o.message.removeprefix(f"{path} line ") for o in error.value.obstacles)
    chips = "loihi1, loihi2, odin, paicore2, speck2, spinnaker1, spinnaker2, toy, truenorth"
    methods = "balance, bistable_phase, bistable_rate, graded, sigma_delta, signed, auto"
    assert lines == [
        "2: models.a.netwrk: is not a key of a study; did you mean network?",
        f"3: models.b.ann: no such file: {tmp_path}/none.py",
        f"4: chips.1: no chip called 'lohi1'; known: {chips}, xylo-audio2; or give the path of a"
        " YAML file; did you mean loihi1?",
        "4: chips.2: fields.core.synapse_word: is not a field of this chip; did you mean"
        " core.synapse_words?",
        "5: bits.1: input should be a valid integer, got 'x'",
        "6: method: is not a key of a study; did you mean methods?",
        f"7: methods.0: no method called 'signd'; known: {methods}; did you mean signed?",
        "8: objectives.0: input should be 'accuracy', 'agreement', 'energy', 'latency' or"
        " 'cores', got 'accurcy'; did you mean accuracy?",
        "9: budgets.energy_below: expected a number and a unit, such as 1mJ or 20uJ",
    ]


# What is wrong with a study, and all that is said of it.
CASES = {
    "no data": ({"data": None}, "models.small: accuracy, energy need data"),
    "no calibration": ({"calibration": None}, "models.small: an ann needs calibration"),
    "empty list": ({"bits": []}, "bits: the list is empty; leave the key out for the default"),
    "twice": ({"bits": [4, 4]}, "bits: 4 is there twice"),
    "both kinds": (
        {"models": {"a": {"ann": "ann.py:build_ann", "network": "ann.py:build_ann"}}},
        "models.a: give either network or ann",
    ),
    "two chips of one name": (
        {"chips": ["loihi2", {"extends": "loihi2", "fields": {"core.axons_in": [8]}}]},
        "chips: two are called loihi2; give one a name",
    ),
    "a value that the chip cannot have": (
        {"chips": [{"extends": "loihi2", "fields": {"core.compartments": [0]}}]},
        "chips.0: core.compartments: must be at least 1; a number nobody published is null",
    ),
    "auto has no options": (
        {"methods": [{"method": "auto", "steps": [4]}]},
        "methods.0: auto chooses options and steps itself; drop the others",
    ),
    "uneven range": ({"steps": {"low": 4, "high": 9, "step": 2}}, "9 is not 4 plus a multiple"),
    "pruner and two objectives": (
        {"search": {"trials": 4, "pruner": "median", "rungs": [4]}},
        "search.pruner compares one objective, there are 2; give one objective and budgets for the"
        " others, or drop the pruner",
    ),
    "rungs alone": (
        {"search": {"trials": 4, "rungs": [4]}},
        "search: pruner and rungs come together",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_says_what_is_wrong(tmp_path, case):
    write_inputs(tmp_path)
    change, message = CASES[case]
    with pytest.raises(InputError) as error:
        make_study(make_content(**change), tmp_path)
    assert message in str(error.value)
    assert len(error.value.obstacles) == 1


def test_budgets_are_read_with_their_units(tmp_path):
    write_inputs(tmp_path)
    limits = {"energy_below": "1 mJ", "latency_below": "5ms", "accuracy_above": "95 %"}
    study = make_study(make_content(budgets=limits), tmp_path)
    assert study.budgets.energy_below == pytest.approx(1e-3)
    assert study.budgets.latency_below == pytest.approx(5e-3)
    assert study.budgets.accuracy_above == pytest.approx(0.95)
    assert study.wanted == {"accuracy", "energy", "latency"}


def test_auto_stands_for_the_candidates_of_convert(tmp_path):
    from snncompile.conversion.auto import list_candidates

    write_inputs(tmp_path)
    study = make_study(make_content(methods="auto"), tmp_path)
    own = [(choice.label, choice.steps) for choice in study.choices]
    assert own == [(method.label, steps) for method, steps in list_candidates()]
    assert [make_method(choice) for choice in study.choices] == [m for m, _ in list_candidates()]


def test_each_combination_of_a_methods_options_is_a_choice(tmp_path):
    write_inputs(tmp_path)
    methods = [
        {"method": "graded", "message_bits": [3, 8]},
        {"method": "sigma_delta", "least": [1, 4], "message_bits": [6, 8]},
        {"method": "signed", "calibrate_bias": [False, True], "steps": 16},
    ]
    study = make_study(make_content(methods=methods), tmp_path)
    assert [choice.label for choice in study.choices] == [
        "graded 3 bits",
        "graded 8 bits",
        "sigma_delta 6 bits 1 least",
        "sigma_delta 6 bits 4 least",
        "sigma_delta 8 bits 1 least",
        "sigma_delta 8 bits 4 least",
        "signed",
        "signed calibrated",
    ]
    assert [choice.steps for choice in study.choices[-2:]] == [(16,), (16,)]


@pytest.mark.parametrize("text", ["", "- a\n", "models: &a {}\n", "models: [\n", "\x00"])
def test_what_is_no_study_is_one_line(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_study(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
