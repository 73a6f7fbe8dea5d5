"""The points of a study: each choice once, and no parameter that a choice does not have."""

from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st
from studies import make_content, write_inputs

from snncompile.study.points import count_points, list_points
from snncompile.study.read import make_study


@settings(max_examples=20)
@given(
    bits=st.lists(st.integers(1, 8), min_size=1, max_size=3, unique=True),
    steps=st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
    words=st.lists(st.sampled_from([4096, 8192, 16384]), max_size=3, unique=True),
    mapping=st.lists(st.sampled_from(["cores", "traffic"]), min_size=1, max_size=2, unique=True),
)
def test_a_grid_has_every_point_once(tmp_path_factory, bits, steps, words, mapping):
    folder = tmp_path_factory.mktemp("study")
    write_inputs(folder)
    fields = {"core.synapse_words": words} if words else {}
    chips = [{"extends": "loihi2", "name": "own", "fields": fields}, "toy"]
    content = make_content(chips=chips, bits=bits, steps=steps, mapping=mapping)
    points = list(list_points(make_study(content, folder)))
    others = prod(map(len, (bits, steps, mapping)))
    assert len(points) == count_points(make_study(content, folder))
    assert len(points) == len(set(points)) == others * (max(1, len(words)) + 1)
    assert {point.fields for point in points if point.chip == "toy"} == {()}


def test_a_network_has_no_method_and_each_method_its_steps(tmp_path):
    write_inputs(tmp_path)
    (tmp_path / "net.py").write_text("")
    models = {"net": {"network": "net.py:f"}, "small": {"ann": "ann.py:build_ann"}}
    methods = ["signed", {"method": "bistable_phase", "steps": [4, 5]}, "graded"]
    content = make_content(
        models=models,
        methods=methods,
        chips="loihi2",
        bits=8,
        steps={"low": 4, "high": 8, "step": 4},
    )
    points = list(list_points(make_study(content, tmp_path)))
    assert [(p.model, p.method, p.steps) for p in points] == [
        ("net", None, None),
        ("small", "signed", 4),
        ("small", "signed", 8),
        ("small", "bistable_phase", 4),
        ("small", "bistable_phase", 5),
        ("small", "graded", None),
    ]
    assert str(points[1]) == "small on loihi2, signed 4, 8 bits"
