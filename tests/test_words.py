"""Names in the code: no fillers, and functions are verbs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("snncompile", "backends", "hwmodels")
EMITTED = ("backends/lava/processes/", "backends/lava/templates/")
"""Code that is written into the programs of users and stays as it is."""
FILLERS = {"found", "part", "made", "place", "most", "one", "what", "mine"}
"""Words that do not say what a name holds."""
FIELDS = {
    "snncompile/neurons/accumulate.py: Accumulate.most": "a parameter in files and texts",
    "snncompile/neurons/accumulate.py: IntegerAccumulate.most": "the same",
    "snncompile/neurons/multi_spike_lif.py: MultiSpikeLif.most": "a parameter in files and texts",
    "snncompile/neurons/multi_spike_lif.py: IntegerMultiSpikeLif.most": "the same",
    "snncompile/synapses/source_range.py: SourceRange.part": "a field in files",
    "snncompile/fit.py: Trial.what": "a key of `fit --json`",
}
"""Fields that files or users hold under a filler, with the reason; the wish is to rename them."""
VERBS = {"flatten", "open", "listen", "shorten", "widen", "embed", "feed", "harden", "need"}
"""Verbs that end like a participle."""
NAMED = {"learned"}
"""`program.learned(result)`: the name that was asked for."""
PREDICATES = {"is", "has", "can"}
KERNELS = {"graded", "signed_integrate_fire"}
"""Functions that are called like the neuron they compute."""

Name = tuple[int, str]
"""A line and a name that is bound on it."""


def files() -> list[Path]:
    """Return every file of the code that is held to the rules."""
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in paths if not show(path).startswith(EMITTED)]


def show(path: Path) -> str:
    """Return a path from the root on."""
    return path.relative_to(ROOT).as_posix()


def bound_names(tree: ast.AST) -> Iterator[Name]:
    """Yield functions, classes, arguments, variables, attributes and imports, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def kept_fields(tree: ast.AST, where: str) -> set[Name]:
    """Return the fields of `FIELDS` that a file declares, with their lines."""
    return {
        (line.lineno, line.target.id)
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for line in owner.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if f"{where}: {owner.name}.{line.target.id}" in FIELDS
    }


def list_fillers(text: str, where: str) -> list[str]:
    """Return one line per name that is a filler."""
    tree = ast.parse(text)
    names = set(bound_names(tree)) - kept_fields(tree, where)
    return [
        f"{where}:{line}: {name} is no name; say what it holds"
        for line, name in sorted(names)
        if name.strip("_") in FILLERS
    ]


def list_participles(text: str, where: str) -> list[str]:
    """Return one line per function whose name begins with a participle; properties may."""
    return [
        f"{where}:{node.lineno}: {node.name} is no verb; name the function by what it does"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        if begins_with_participle(node.name) and node.name not in KERNELS
    ]


def begins_with_participle(name: str) -> bool:
    """Whether the first word of a function is a participle, as far as its ending shows it."""
    first = name.strip("_").split("_")[0]
    return first.endswith(("ed", "en")) and first not in VERBS | NAMED | PREDICATES


@pytest.mark.parametrize("rule", [list_fillers, list_participles])
def test_words(rule):
    wrong = [line for path in files() for line in rule(path.read_text("utf-8"), show(path))]
    assert not wrong, f"{len(wrong)} names:\n" + "\n".join(wrong)


BAD = """
import what as made

class Most:
    part: int = 0

    def packed(self, place): self.mine = place

    @property
    def seen(self): return [one for one in range(3)]

def _settled(_found=0): ...
def read_chosen(): ...
def shorten(): ...
"""


def test_every_kind_of_name_is_seen():
    assert list_fillers(BAD, "bad.py") == [
        f"bad.py:{line}: {name} is no name; say what it holds"
        for line, name in (
            *((2, "made"), (5, "part"), (7, "mine"), (7, "place"), (10, "one")),
            (12, "_found"),
        )
    ]
    assert list_participles(BAD, "bad.py") == [
        f"bad.py:{line}: {name} is no verb; name the function by what it does"
        for line, name in ((12, "_settled"), (7, "packed"))
    ]


def test_fields_that_are_kept_are_there():
    declared = {
        f"{show(path)}: {owner.name}.{line.target.id}"
        for path in files()
        for owner in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(owner, ast.ClassDef)
        for line in owner.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }
    assert FIELDS.keys() <= declared
