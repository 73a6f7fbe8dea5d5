"""The fields of every record on disk, by version: they change only with an entry of `UPGRADES`.

If this fails, a format was changed: add an entry to `UPGRADES` in `snncompile/files/versions.py`
(and a set of files of the version before to `tests/saved`, unless the last version was never
released), then rewrite the golden file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from snncompile.files.mapping import MappingRecord
from snncompile.files.network import NetworkRecord, _NetworkFile
from snncompile.files.versions import PROGRAM_PARTS, UPGRADES, version_of
from snncompile.hwmodels.schema import Chip
from snncompile.ir.loss import Loss
from snncompile.ir.reports import Bound, QuantizedLayer
from snncompile.options import Options
from snncompile.program_file import ProgramFile

RECORDS: dict[str, type[BaseModel]] = {
    "program": ProgramFile,
    "network file": _NetworkFile,
    "network": NetworkRecord,
    "mapping": MappingRecord,
    "chip": Chip,
    "options": Options,
    "quantized": QuantizedLayer,
    "bounds": Bound,
    "loss": Loss,
}


def fields(top: type[BaseModel], others: set[type[BaseModel]]) -> Iterator[str]:
    """Yield the fields of a record and of the records inside it, each record once.

    A field that may be missing has a question mark. `others` have texts of their own.
    """
    waiting = [top]
    for record in waiting:
        yield record.__name__
        for name, field in record.model_fields.items():
            inner = list(models(field.annotation))
            waiting += [kind for kind in dict.fromkeys(inner) if kind not in {*waiting, *others}]
            names = f": {', '.join(kind.__name__ for kind in inner)}" if inner else ""
            yield f"  {name}{'' if field.is_required() else '?'}{names}"


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the records that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models(argument)


@pytest.mark.parametrize("kind", RECORDS)
def test_fields_of_a_version(kind, golden):
    others = {RECORDS[part] for part in PROGRAM_PARTS.values()} - {RECORDS[kind]}
    lines = [f"{kind}, version {version_of(kind)}", *fields(RECORDS[kind], others)]
    golden("\n".join(lines) + "\n")


def test_every_kind_of_record_is_here():
    """Files of spikes and results hold arrays alone."""
    assert {*RECORDS, "spikes", "result"} == set(UPGRADES)
