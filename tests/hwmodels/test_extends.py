"""A chip file that extends another, and all mistakes of a file at once."""

from __future__ import annotations

import pytest

from snncompile.hwmodels.chips import ChipError, load_chip

LARGE = """
extends: toy
name: large
title: More neurons
sources: {idea: my own}
core:
  compartments: {value: 64, unit: compartments, evidence: assumed, source: idea}
"""


def test_a_chip_that_differs_in_one_number(tmp_path):
    (tmp_path / "large.yaml").write_text(LARGE)
    large, toy = load_chip(tmp_path / "large.yaml"), load_chip("toy")
    assert large.core.compartments.whole == 64
    assert large.sources == toy.sources | {"idea": "my own"}
    same = {"name": "toy", "title": toy.title, "sources": toy.sources, "core": toy.core}
    assert large.model_copy(update=same) == toy


def test_a_file_extends_a_file_beside_it(tmp_path):
    (tmp_path / "large.yaml").write_text(LARGE)
    (tmp_path / "larger.yaml").write_text("extends: ./large.yaml\nname: larger\n")
    assert load_chip(tmp_path / "larger.yaml").core.compartments.whole == 64


def test_a_number_is_replaced_whole(tmp_path):
    """Else a new value would stand beside the old source."""
    path = tmp_path / "a.yaml"
    path.write_text("extends: toy\nname: a\ncore:\n  compartments: {value: 64}\n")
    with pytest.raises(ChipError) as error:
        load_chip(path)
    assert str(error.value) == f"{path} line 4: core.compartments.unit: is missing (and 2 more)"


CIRCLES = {
    "itself": ("extends: ./a.yaml\nname: a\n", "extends: ./a.yaml extends itself in a circle"),
    "no name": ("extends: 3\nname: a\n", "extends: expected the name or the file of a chip, got 3"),
    "unknown": (
        "extends: tyo\nname: a\n",
        "extends: no chip called 'tyo'; known: loihi1, loihi2, odin, paicore2, speck2, spinnaker1,"
        " spinnaker2, toy, truenorth, xylo-audio2; or give the path of a YAML file",
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_refusals(name, tmp_path):
    text, message = CIRCLES[name]
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ChipError) as error:
        load_chip(tmp_path / "a.yaml")
    assert str(error.value) == f"{tmp_path / 'a.yaml'}: {message}"


def test_all_mistakes_at_once_with_the_nearest_field(tmp_path):
    path = tmp_path / "a.yaml"
    text = "extends: toy\nname: A chip\ncore:\n  compartment: 3\n  axons_in: {value: -1}\nmash: 1\n"
    path.write_text(text)
    with pytest.raises(ChipError) as error:
        load_chip(path)
    problems = error.value.problems
    assert f"{path} line 4: core.compartment: is not a field of a chip file; did you mean" in (
        "\n".join(problems)
    )
    assert f"{path} line 6: mash: is not a field of a chip file; did you mean mesh?" in problems
    assert len(problems) >= 5
    assert str(error.value) == f"{problems[0]} (and {len(problems) - 1} more)"
