"""A study file: every mistake at once, with its line and the nearest right word."""

import os

import pytest
import yaml
from studies import make_content, write_inputs

from snncompile.errors import InputError
from snncompile.study.points import count_points, list_points, make_method
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
    "empty list": ({"bits": []}, "bits: the list is empty; give at least one value"),
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
        "search.pruner: compares one objective, there are 2; give one objective and budgets for the"
        " others, or drop the pruner",
    ),
    "a range below 1": ({"steps": {"low": 0, "high": 4}}, "low must be at least 1, got 0"),
    "a range of too many bits": (
        {"bits": {"low": 4, "high": 40}},
        "bits: high must be at most 32, got 40",
    ),
    "an option that a method lacks": (
        {"methods": {"method": "signed", "message_bits": 4}},
        "methods: signed has no bits of its messages; graded and sigma_delta have",
    ),
    "too many bits of a message": (
        {"methods": [{"method": "graded", "message_bits": [8, 9]}]},
        "methods.0.message_bits.1: expected 1 to 8, or sums, got 9",
    ),
    "steps that no method takes": (
        {"methods": "graded"},
        "steps: no method takes them: each has steps of its own, or none",
    ),
    "costs that a chip lacks": (
        {"chips": "loihi1", "costs": "measurd"},
        "costs: loihi1 has no costs called 'measurd'; it has davies2018, sanafe",
    ),
    "no share": (
        {"budgets": {"accuracy_above": 95}},
        "budgets.accuracy_above: expected a share such as 0.95 or 95 %, got 95",
    ),
    "no mapping": ({"budgets": 3}, "budgets: expected a mapping, got 3"),
    "a long value": (
        {"scales": "x" * 99},
        f"'neuron', 'channel' or 'population', got '{'x' * 56}...",
    ),
    "a field set twice": (
        {
            "chips": {
                "extends": "loihi2",
                "fields": {"core.axons_in": [8], "core.axons_out,core.axons_in": 9},
            }
        },
        "chips.0: fields.core.axons_in: is set twice",
    ),
    "a field that is a number": (
        {"chips": {"extends": "loihi2", "fields": {"core.axons_in": True}}},
        "chips.0: fields.core.axons_in: expected a number, got true",
    ),
    "a grid without end": (
        {"chips": {"extends": "loihi2", "fields": {"core.axons_in": {"low": 1, "high": 90000}}}},
        "models: the grid has 180,000 points, at most 100,000 are run; add search: {trials: N}",
    ),
    "a generation of one": (
        {"search": {"trials": 4, "sampler": "nsga2", "generation": 1}},
        "search: nsga2 needs a generation of at least 2 trials",
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


def test_a_network_has_no_method_and_no_steps(tmp_path):
    write_inputs(tmp_path)
    content = make_content(models={"net": {"network": "ann.py:f"}}, methods="graded", steps=4)
    with pytest.raises(InputError) as error:
        make_study(content, tmp_path)
    assert [o.message for o in error.value.obstacles] == [
        "study: methods: is for models that are an ann, and none is",
        "study: steps: is for models that are an ann, and none is",
    ]


def test_what_is_wrong_with_the_whole_has_its_line(tmp_path):
    write_inputs(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(make_content(costs="none", data=None)))
    with pytest.raises(InputError) as error:
        read_study(path)
    lines = path.read_text().splitlines()
    costs, models = lines.index("costs: none") + 1, lines.index("  small:") + 1
    messages = [o.message.removeprefix(f"{path} ").partition(": ") for o in error.value.obstacles]
    assert {(where, reason.partition(":")[0]) for where, _, reason in messages} == {
        (f"line {models}", "models.small"),
        (f"line {costs}", "costs"),
    }


def test_a_key_that_is_there_twice_is_not_dropped(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("bits: 4\nmodels:\n  a: {ann: x}\n  a: {ann: y}\nbits: 8\n")
    with pytest.raises(InputError) as error:
        read_study(path)
    assert str(error.value) == f"{path} line 4: models.a: is there twice, first on line 3"


def test_a_range_of_bits_is_a_list_of_them(tmp_path):
    write_inputs(tmp_path)
    study = make_study(make_content(bits={"low": 3, "high": 7, "step": 2}), tmp_path)
    assert [point.bits for point in list_points(study)] == [3, 5, 7] * 2


def test_a_long_range_of_a_field_is_checked_at_its_ends(tmp_path):
    write_inputs(tmp_path)
    fields = {"core.compartments": {"low": 1, "high": 10**9}}
    chips = {"extends": "loihi2", "fields": fields}
    study = make_study(make_content(chips=chips, search={"trials": 2}), tmp_path)
    assert count_points(study) == 2 * 10**9
    fields["core.compartments"]["low"] = 0
    with pytest.raises(InputError, match="must be at least 1"):
        make_study(make_content(chips=chips, search={"trials": 2}), tmp_path)


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
    study = make_study(make_content(methods="auto", steps=None), tmp_path)
    own = [(choice.label, choice.steps) for choice in study.choices]
    assert own == [(method.label, steps) for method, steps in list_candidates()]
    assert [make_method(choice) for choice in study.choices] == [m for m, _ in list_candidates()]


def test_each_combination_of_a_methods_options_is_a_choice(tmp_path):
    write_inputs(tmp_path)
    methods = [
        {"method": "graded", "message_bits": [1, 8, "sums"]},
        {"method": "sigma_delta", "least": [1, 4], "message_bits": [6, 8]},
        {"method": "signed", "calibrate_bias": [False, True], "steps": 16},
    ]
    study = make_study(make_content(methods=methods, steps=None), tmp_path)
    assert [choice.label for choice in study.choices] == [
        "graded 1 bits",
        "graded 8 bits",
        "graded bits by sums",
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


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    """All of /dev/zero would be more than there is memory; it says that it has 0 bytes."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zeros.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "zeros.yaml"):
        with pytest.raises(InputError) as error:
            read_study(tmp_path / name)
        assert (
            str(error.value) == f"{tmp_path}/{name}: is a device or a pipe, expected a study file"
        )
