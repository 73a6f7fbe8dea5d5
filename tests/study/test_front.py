"""The front: what no other trial beats."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from studies import make_content, write_inputs

from snncompile.study.front import Best, Row, find_front, keeps_budgets
from snncompile.study.job import Outcome
from snncompile.study.points import Point
from snncompile.study.read import make_study

VALUES = st.one_of(st.none(), st.integers(0, 4).map(lambda n: n / 4))
TRIALS = st.lists(st.tuples(st.booleans(), VALUES, VALUES, st.integers(1, 3)), max_size=12)


def make_rows(trials):
    return [
        Row(
            Point("m", f"chip{i}"),
            str(i),
            Outcome(fits=fits, accuracy=accuracy, energy_j=energy, cores=cores),
        )
        for i, (fits, accuracy, energy, cores) in enumerate(trials)
    ]


def make_limited(folder, **limits):
    write_inputs(folder)
    return make_study(make_content(budgets=limits), folder)


@settings(max_examples=50)
@given(trials=TRIALS)
def test_nothing_on_the_front_is_beaten_and_all_else_is(tmp_path_factory, trials):
    study, rows = make_limited(tmp_path_factory.mktemp("study")), make_rows(trials)
    front = {row.key for row in find_front(study, rows).front}
    for row in rows:
        own = row.outcome
        known = own.fits and own.accuracy is not None and own.energy_j is not None
        beaten = known and any(
            o.fits
            and o.accuracy is not None
            and o.energy_j is not None
            and o.accuracy >= own.accuracy
            and o.energy_j <= own.energy_j
            and (o.accuracy, o.energy_j) != (own.accuracy, own.energy_j)
            for o in (other.outcome for other in rows)
        )
        assert (row.key in front) == (known and not beaten)


@settings(max_examples=50)
@given(trials=TRIALS, energy=st.sampled_from([None, 0.3]), separate=st.booleans())
def test_the_best_so_far_is_the_best_of_the_front(tmp_path_factory, trials, energy, separate):
    folder = tmp_path_factory.mktemp("study")
    write_inputs(folder)
    limits = {} if energy is None else {"energy_below": energy}
    models = {name: {"ann": "ann.py:build_ann"} for name in ("m", "n")}
    study = make_study(make_content(models=models, budgets=limits, separate=separate), folder)
    rows = make_rows(trials)
    rows = [replace(r, point=Point("nm"[i % 2], r.point.chip)) for i, r in enumerate(rows)]
    best = Best(study)
    for row in rows:
        best.take(row)
    assert best.row == find_front(study, rows).best


def test_the_front_is_of_trials_that_keep_the_budgets_if_any_does(tmp_path):
    rows = make_rows([(True, 1.0, 0.5, 1), (True, 0.75, 0.25, 1), (True, 0.5, 0.125, 1)])
    front = find_front(make_limited(tmp_path, accuracy_above=0.75, energy_below="0.4J"), rows)
    assert [row.key for row in front.front] == ["1"]
    assert front.best is rows[1]
    front = find_front(make_limited(tmp_path, accuracy_above=0.99, energy_below="0.4J"), rows)
    assert [row.key for row in front.front] == ["0", "1", "2"]
    assert front.best is None


def test_an_unknown_value_keeps_no_budget_and_a_sum_without_prices_may(tmp_path):
    budgets = make_limited(tmp_path, energy_below="1J", cores_below=3).budgets
    values = {"fits": True, "cores": 3}
    assert keeps_budgets(budgets, Outcome(**values)) is False
    assert keeps_budgets(budgets, Outcome(energy_j=0.5, **values)) is True
    lacking = Outcome(energy_j=0.5, missing=("energy of host_input",), **values)
    assert keeps_budgets(budgets, lacking) is None
    beyond = Outcome(energy_j=1.0, missing=("energy of host_input",), **values)
    assert keeps_budgets(budgets, beyond) is False
    assert keeps_budgets(budgets, Outcome(fits=True, cores=4, energy_j=0.5)) is False
    assert keeps_budgets(budgets, Outcome(fits=False, reason="too large")) is False


def test_each_model_may_have_a_front_of_its_own(tmp_path):
    write_inputs(tmp_path)
    models = {name: {"ann": "ann.py:build_ann"} for name in ("small", "large")}
    rows = [
        Row(Point(model, "toy"), f"{i}", Outcome(fits=True, accuracy=accuracy, energy_j=energy))
        for i, (model, accuracy, energy) in enumerate(
            [("large", 0.5, 0.5), ("large", 0.25, 0.75), ("small", 0.75, 0.25)]
        )
    ]
    content = make_content(models=models)
    together = find_front(make_study(content, tmp_path), rows)
    assert [row.key for row in together.front] == ["2"]
    apart = find_front(make_study(content | {"separate": True}, tmp_path), rows)
    assert [row.key for row in apart.front] == ["2", "0"]
