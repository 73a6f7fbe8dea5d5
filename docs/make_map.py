"""Write `docs/map.md`: the tree, one folder a line, from the docstrings of the packages.

python docs/make_map.py            # write the file
python docs/make_map.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "map.md"
ORDER = (
    "hwmodels", "snncompile/ir", "snncompile/neurons", "snncompile/synapses", "snncompile/files",
    "snncompile/reference", "snncompile/cores", "snncompile/checker", "snncompile/passes",
    "snncompile/frontends", "snncompile/training", "snncompile/conversion", "backends",
    "snncompile/report", "snncompile/study", "snncompile/cli",
)  # fmt: skip
"""As in the arrows of imports: a folder imports from those above it."""
HEAD = """# Map

Written by `python docs/make_map.py` from the first lines of each folder's `__init__.py`. A folder
imports from those above it, never from those below; `tests/` has the same folders.

"""


def folders() -> list[Path]:
    """Return the packages, parents before children, in the order of the arrows."""
    tops = [ROOT / name for name in ORDER]
    return [
        p.parent for top in tops for p in sorted(top.rglob("__init__.py"), key=lambda p: p.parts)
    ]


def table() -> str:
    """Return the table of all folders."""
    rows = ["| folder | holds | in | out |", "|---|---|---|---|"]
    for folder in folders():
        doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        found = re.search(r"^In: (.*?)\.? Out: (.*)", doc, re.M | re.S)
        if found is None:
            raise SystemExit(f"{folder}/__init__.py: its docstring needs a line 'In: ... Out: ...'")
        into, out = (re.sub(r"\s+", " ", part).strip().rstrip(".") for part in found.groups())
        name = f"`{folder.relative_to(ROOT)}/`"
        first = doc.splitlines()[0].rstrip(".:")
        rows.append(f"| {name} | {first} | {into} | {out} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """Return the whole page."""
    return HEAD + table()


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text() != page())
    TARGET.write_text(page())
