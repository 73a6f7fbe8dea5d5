"""The note on depth: from which layer on, for which methods, and with which figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

import snncompile
from snncompile.conversion.depth import AGREEMENT


def convert(layers, method, steps):
    stack = [part for _ in range(layers - 1) for part in (nn.Linear(6, 6), nn.ReLU())]
    model = nn.Sequential(*stack, nn.Linear(6, 3)).eval()
    x = np.random.default_rng(0).random((20, 6))
    return snncompile.from_ann(model, x, method=method, steps=steps).notes


FIGURES = {
    ("signed", 8): "8 steps 94.1, 92.2, 89.9 %; 16 steps 98.1, 97.1, 96.3 %",
    ("signed", 12): "8 steps 94.1, 92.2, 89.9 %; 12 steps 97.0, 95.1, 95.0 %;"
    " 16 steps 98.1, 97.1, 96.3 %",
    ("balance", 32): "16 steps 90.1, 80.7, 76.6 %",
}


@pytest.mark.parametrize("method, steps", FIGURES)
def test_a_deep_network_says_what_others_took(method, steps):
    note = (
        f"convert: deeper networks take more steps, this one has 15 layers in a row and {steps}"
        " steps; ResNet-20, 32 and 44 with calibrated biases agreed with their models,"
        f" {FIGURES[method, steps]}"
    )
    assert note in convert(15, method, steps)


def test_the_figures_are_those_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "conversion.md").read_text("utf-8")
    for method, rows in AGREEMENT.items():
        for steps, shares in rows.items():
            cells = " | ".join(f"{share:.2f} %" for share in shares)
            assert page.count(f"| `{method}`, biases | {steps} | {cells} |") == 1


@pytest.mark.parametrize(
    "layers, method, steps", [(14, "signed", 8), (20, "bistable_phase", 5), (20, "graded", 1)]
)
def test_others_have_no_note(layers, method, steps):
    assert not any("deeper" in note for note in convert(layers, method, steps))
