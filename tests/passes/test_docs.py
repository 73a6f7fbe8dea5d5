"""The code of the page on passes runs, from the file to the test."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

from networks import chain

from snncompile import registry
from snncompile.neurons.cuba_lif import CubaLif

PAGE = Path(__file__).parents[2] / "docs" / "writing_a_pass.md"


def test_the_code_of_the_page_runs(capsys, monkeypatch, tmp_path):
    file, run, test = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "drop_biases.py").write_text(file)
    monkeypatch.syspath_prepend(tmp_path)
    ((name, value),) = re.findall(r'^(\w+) = "(my_package\S+)"$', PAGE.read_text(), re.M)
    point = EntryPoint(name, value, "snncompile.passes")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point][: group == point.group])
    network = chain(2, 2, 1, neuron=CubaLif(1.0, 0.0, 1.0, bias=0.01))
    names = {"network": network}
    exec(run, names)
    assert capsys.readouterr().out == "drop_biases: no bias is below 9\n"
    exec(test, vars(sys.modules["my_package.drop_biases"]) | names)


def test_the_page_is_one_page():
    assert len(PAGE.read_text().splitlines()) < 140
