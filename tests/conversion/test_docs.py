"""The code of the page on conversion runs, on a small model and images of noise."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from conversion_models import MODELS

import snncompile

PAGE = Path(__file__).parents[2] / "docs" / "conversion.md"


def test_the_code_of_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 3
    images = np.abs(np.random.default_rng(0).normal(size=(80, 2, 8, 8)))
    model = MODELS["chain"]()
    labels = model(torch.tensor(images)).argmax(1).numpy()
    names = {
        "snncompile": snncompile,
        "model": model,
        "images": images,
        "test_images": images,
        "labels": labels,
    }
    for block in blocks:
        exec(block, names)
    assert names["program"].run(names["network"].input.present(images)).accuracy(labels) > 0.8
    assert capsys.readouterr().out.count("cosine") == 3
