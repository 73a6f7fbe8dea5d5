"""Which module may import which: the arrows of the design."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [  # each may import itself and what stands above it
    {"hwmodels"},
    {"arrays", "errors", "registry", "renamed", "options", "option_signature"},
    {"ir", "neurons", "synapses"},
    {"files"},
    {"reference", "cores", "checker"},
    {"passes", "frontends", "training"},
    {"conversion"},
    {"verification", "program"},
    {"backends"},
    {"report", "compiler", "fit"},
    {"cli"},
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


def imported(path):
    """Yield the modules imported when the file is imported; those inside functions come on use."""
    for node in ast.parse(path.read_text()).body:
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
