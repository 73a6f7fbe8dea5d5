"""Which module may import which: the arrows of the design."""

import ast
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [  # each may import itself and what stands above it
    {"hwmodels"},
    {"arrays", "errors", "registry", "renamed", "options", "option_signature", "notebook"}
    | {"machine_code"},
    {"ir", "neurons", "synapses"},
    {"files"},
    {"reference", "cores", "checker"},
    {"passes", "frontends", "training"},
    {"conversion"},
    {"verification", "verify_passes", "program", "program_file"},
    {"backends"},
    {"report", "compiler", "fit"},
    {"study"},
    {"cli"},
    {"__main__"},
]
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def _files():
    for folder in ("snncompile", "backends", "hwmodels"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if folder == "snncompile":
                parts = parts[1:]
            if parts != ("__init__",) and "processes" not in parts and "templates" not in parts:
                yield pytest.param(path, parts[0], id="/".join(parts))


FILES = list(_files())


def imported(path, everywhere=False):
    """Yield the modules imported when the file is imported; with `everywhere` those on use, too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path, area", FILES)
def test_imports_follow_the_arrows(path, area):
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "snncompile" and len(parts) > 1 and parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[area], f"{area} must not import {module}"


# A folder; folders that none of its modules imports, at its top or in a function, whatever the
# arrows allow: a mistake of the mapper that the checker shared would not be seen.
APART = [("checker", ("passes", "cores")), ("passes", ("checker",)), ("cores", ("checker",))]


@pytest.mark.parametrize("area, others", APART)
def test_mapper_and_checker_share_no_code(area, others):
    paths = sorted((ROOT / "snncompile" / area).rglob("*.py"))
    assert paths
    for path in paths:
        for module in imported(path, everywhere=True):
            assert module.split(".")[1:2] not in [[other] for other in others], (
                f"{path.relative_to(ROOT)} must not import {module}"
            )


GRAPH = {"ir.graph", "ir.text", "ir.verify", "ir.verify_learning", "ir.view", "files.network"}
"""Methods of a Graph in files of their own: the only circle. `ir.graph` imports them on use."""


def _module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "snncompile" else parts
    return ".".join(part for part in parts if part != "__init__")


def _circles(everywhere):
    """Return the sets of modules that import each other in a circle, sorted."""
    paths = {_module(path): path for path in (p.values[0] for p in FILES)}
    graph = nx.DiGraph()
    for module, path in paths.items():
        named = {name.removeprefix("snncompile.") for name in imported(path, everywhere)}
        graph.add_edges_from((module, name) for name in named & paths.keys() - {module})
    return sorted(sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1)


def test_modules_import_each_other_in_no_circle():
    assert _circles(everywhere=False) == []


def test_only_the_methods_of_a_graph_are_a_circle_on_use():
    """Imports in functions and those for types count here."""
    assert _circles(everywhere=True) == [sorted(GRAPH)]


@pytest.mark.parametrize("path, area", FILES)
def test_only_machine_code_imports_numba(path, area):
    """numba itself ends the run where it cannot keep what it compiled."""
    assert area == "machine_code" or "numba" not in {m.split(".")[0] for m in imported(path, True)}


@pytest.mark.parametrize("path, area", FILES)
def test_the_compiler_never_imports_lava(path, area):
    assert not [m for m in imported(path) if m.split(".")[0] == "lava"]


@pytest.mark.parametrize(
    "module", ["snncompile", "snncompile.cli.main", "snncompile.hwmodels.chips"]
)
def test_is_imported_without_torch_and_frontend_libraries(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'snntorch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
