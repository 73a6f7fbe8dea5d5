"""What the README shows is run."""

import re
from pathlib import Path

import pytest
import typer

from snncompile.cli import main as cli

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_the_python_example_runs(tmp_path, monkeypatch):
    pytest.importorskip("snntorch")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    program, x = names["program"], names["x"]
    assert program.verify(x).equal
    assert program.estimate(x).energy_j > 0
    assert sorted(p.name for p in Path("build").iterdir()) == ["arrays.npz", "program.json"]


def test_every_command_of_the_readme_is_there():
    words = re.findall(r"^snncompile (\w+)( install)?", README, re.MULTILINE)
    commands = set(typer.main.get_command(cli.app).commands)
    assert {word for word, _ in words} == commands - {"demo"}


def test_every_make_target_of_the_documents_is_there():
    root = Path(__file__).parent.parent.parent
    targets = set(re.findall(r"^(\w+):", (root / "Makefile").read_text(), re.MULTILINE))
    documents = README + (root / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"`?make (\w+)", documents)) <= targets
