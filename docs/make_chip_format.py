"""Write `docs/chip_files.md`: every field of a chip file, from the schema that reads it.

python docs/make_chip_format.py            # write the file
python docs/make_chip_format.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "chip_files.md"
FILES = ("schema", "fidelity", "limits", "costs", "records")
FIRST = "Chip"
HEAD = """# Chip files

Written by `python docs/make_chip_format.py` from the schema in `hwmodels/`, which reads the files.
`hwmodels/toy.yaml` is the shortest complete example. `snncompile chips check FILE` lists every
mistake of a file with its line, and the nearest field where one is not known; mistakes between
fields (a source that is not listed, a section of another encoding) come once each field is right.

A number is `{value: 128, unit: cores, evidence: primary, source: paper}`; one that nobody
published has `value: null` and `evidence: unknown`, never zero.

## A chip that differs a little

```yaml
extends: loihi2          # a chip, or a file beside this one
name: loihi2-large
title: Loihi 2 with more neurons per core
sources:
  idea: my own assumption
core:
  compartments: {value: 16384, unit: compartments, evidence: assumed, source: idea}
```

Sections are merged field by field, sources are added; a number is replaced whole, with its
evidence and source, so that no value stands beside a source that does not state it. A section
that the new chip lacks is `null`. Then `snncompile fit model.py:build --chip my.yaml --chip loihi2`
shows both in one table.

"""


def read_records() -> dict[str, ast.ClassDef]:
    """Return the records of a chip file by name, in the order of the files."""
    records = {}
    for name in FILES:
        tree = ast.parse((ROOT / "hwmodels" / f"{name}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and list_fields(node):
                records[node.name] = node
    return records


def list_fields(record: ast.ClassDef) -> list[tuple[str, str, str, str]]:
    """Return name, type, whether it is needed and description of each field."""
    rows = []
    for line, following in zip(record.body, [*record.body[1:], None], strict=True):
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        doc = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            doc = " ".join(str(following.value.value).split())
        kind = ast.unparse(line.annotation)
        rows.append((line.target.id, kind, "yes" if is_needed(line) else "", doc))
    return rows


def is_needed(line: ast.AnnAssign) -> bool:
    """Whether a field has no default."""
    if isinstance(line.value, ast.Call) and ast.unparse(line.value.func) == "Field":
        return not any(k.arg in ("default", "default_factory") for k in line.value.keywords)
    return line.value is None


def page() -> str:
    """Return the whole page."""
    records = read_records()
    order = [FIRST, *(name for name in records if name != FIRST)]
    sections = [format_record(records[name]) for name in order]
    return HEAD + "\n".join(sections)


def format_record(record: ast.ClassDef) -> str:
    """Return the table of one record."""
    doc = (ast.get_docstring(record) or "").splitlines()[0]
    title = "The file" if record.name == FIRST else f"`{record.name}`"
    rows = [
        f"| `{name}` | `{kind.replace(' | None', ' or null')}` | {needed} | {text} |"
        for name, kind, needed, text in list_fields(record)
    ]
    head = "| field | type | needed | |\n|---|---|---|---|\n"
    return f"## {title}\n\n{doc}\n\n{head}" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text() == page() else f"{TARGET} is not what this script writes")
    TARGET.write_text(page())
    print(TARGET)
