"""Schema versions: which records a file holds, how older ones are lifted, newer ones refused.

Every kind of record has a version of its own, 1 more than it has entries in `UPGRADES`. Who changes
a record adds one entry there, and a set of files of the version before to `tests/saved`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile import __version__
from snncompile.errors import InputError

WRITER = f"snncompile {__version__}"
"""What `written_by` says."""
NETWORK_PARTS = {"network": "network"}
PROGRAM_PARTS = {
    "network": "network",
    "source": "network",
    "mapping": "mapping",
    "chip": "chip",
    "options": "options",
    "quantized": "quantized",
    "bounds": "bounds",
    "loss": "loss",
}
"""Key of a head -> kind of the record, or of each record of the list, that stands there."""

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""From a record of one version to the same record of the next; a new dict."""
AGAIN = {
    "network file": "import the network again",
    "spikes": "write the spikes again",
    "result": "run again",
}
"""What to do with a file that cannot be read, by its kind; a Program is compiled again."""
WRONG_RECORD = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What an upgrade raises on a record that is not of its version."""


def keep(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record as it is: a new field's default means what older files meant."""
    return record


def fill(*path: str, value: Any) -> Upgrade:
    """Return the upgrade that puts a value where the field `path` is not there yet."""

    def upgrade(record: dict[str, Any]) -> dict[str, Any]:
        first, *rest = path
        if rest:
            return record | {first: fill(*rest, value=value)(record[first])}
        return {first: value} | record

    return upgrade


def fill_unknown(*path: str, unit: str) -> Upgrade:
    """Return the upgrade that gives a chip a number which nobody asked for before."""

    def upgrade(chip: dict[str, Any]) -> dict[str, Any]:
        number = {"value": None, "unit": unit, "evidence": "unknown"}
        return fill(*path, value=number | {"source": chip["encoding_source"]})(chip)

    return upgrade


def _name_writer(head: dict[str, Any]) -> dict[str, Any]:
    """Lift version 1 of a head, whose records were all of version 1."""
    parts = PROGRAM_PARTS if "mapping" in head else NETWORK_PARTS
    return head | {"written_by": "", "schemas": dict.fromkeys(sorted({*parts.values()}), 1)}


def _add_seal(head: dict[str, Any]) -> dict[str, Any]:
    """Lift version 2 of a head, which had no hash of the whole folder."""
    return head | {"sha256": None}


def _add_loss_and_seal(head: dict[str, Any]) -> dict[str, Any]:
    """Lift version 2 of a Program, which had no loss: its default says that it is unknown."""
    return _add_seal(head) | {"schemas": {"loss": 1} | head["schemas"]}


def _keep_zeros(options: dict[str, Any]) -> dict[str, Any]:
    """Lift version 3 of options: all zeros of dense projections stayed."""
    if "mapping" not in options:  # the flat form
        return {"sparse": "off"} | options
    return options | {"mapping": {"sparse": "off"} | options["mapping"]}


UPGRADES: dict[str, tuple[Upgrade | None, ...]] = {
    "program": (_name_writer, _add_loss_and_seal),  # then `loss` and `warnings`
    "network file": (_name_writer, _add_seal),
    # codings `analog`, `biases`; `answer`, `host`, `host_part`; `learning` of projections;
    # `sum_bits`.
    "network": (keep, keep, keep),
    "mapping": (),
    # `rule_limits`; `fidelity`, `variants`; `input_payload`, `zero_weights`, spreads of numbers;
    # `learning` of `rows`.
    "chip": (keep, keep, keep, keep),
    # sections (`Options` reads the flat form); `loss`, `scales`; `sparse`, `processes`.
    "options": (keep, keep, _keep_zeros),
    "quantized": (keep, keep),  # errors of single neurons, `message`; `rule_error`
    "bounds": (keep,),  # `effect`
    "loss": (),
    "spikes": (),
    "result": (),
}
"""Kind of record -> its upgrades, the first from version 1 to 2; None: no longer read."""


def version_of(kind: str) -> int:
    """Return the version of a kind of record that is written."""
    return 1 + len(UPGRADES[kind])


def make_head(kind: str, parts: Mapping[str, str]) -> dict[str, Any]:
    """Return the head of a file: its writer, the versions of the head and of its records."""
    return {
        "version": version_of(kind),
        "written_by": WRITER,
        "schemas": {inner: version_of(inner) for inner in sorted({*parts.values()})},
    }


def lift(path: Path, kind: str, record: Any, parts: Mapping[str, str]) -> Any:
    """Return the content of a JSON file as this snncompile would have written it.

    A head without a version is returned as it is.

    Args:
        path: of the file, for messages.
        kind: of its head, a key of `UPGRADES`.
        record: the content; it is not changed.
        parts: keys of the head that hold records, and their kinds.

    Raises:
        InputError: a newer snncompile wrote it, or one so old that it is no longer read, or it
            does not hold what its versions say.
    """
    if not isinstance(record, dict) or not _is_version(record.get("version")):
        return record
    file = _File(path, kind, record.get("written_by"))
    record = file.lift(kind, record, record["version"]) | {"version": version_of(kind)}
    schemas = file.read_schemas(record, parts)
    for inner, number in schemas.items():
        file.check(inner, number)
    lifted = {
        key: file.lift_all(inner, record[key], schemas[inner])
        for key, inner in parts.items()
        if record.get(key) is not None
    }
    return record | lifted | {"schemas": {inner: version_of(inner) for inner in schemas}}


def check_array_version(path: Path, kind: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse an npz file of a version that is not read; files of others have none.

    Raises:
        InputError: a newer snncompile wrote it.
    """
    number = arrays.get(f"{kind}_version")
    if number is not None and number.shape == () and number.dtype.kind in "iu":
        _File(path, kind, None).check(kind, max(int(number), 1))


def make_array_version(kind: str) -> dict[str, NDArray[Any]]:
    """Return the array that names the version of an npz file."""
    return {f"{kind}_version": np.asarray(version_of(kind))}


def _is_version(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


@dataclass(frozen=True)
class _File:
    """A file that is read."""

    path: Path
    kind: str
    """Of its head, or of all of it."""
    writer: Any
    """What it says who wrote it."""

    def check(self, kind: str, number: int) -> None:
        """Refuse a record in it of a version that is newer than this snncompile, or too old."""
        again = AGAIN.get(self.kind, "compile again")
        if number > version_of(kind):
            raise InputError(
                f"{self.path}: written by a newer snncompile ({self._compare(kind, number)}):"
                f" install it, or {again}"
            )
        if None in UPGRADES[kind][number - 1 :]:
            raise InputError(
                f"{self.path}: written by an older snncompile ({self._compare(kind, number)}):"
                f" {again}"
            )

    def read_schemas(self, record: dict[str, Any], parts: Mapping[str, str]) -> dict[str, int]:
        """Return the version of each kind of record in a head."""
        kinds, schemas = sorted({*parts.values()}), record.get("schemas")
        if not isinstance(schemas, dict) or sorted(schemas) != kinds:
            raise InputError(f"{self.path}: schemas: expected versions of {', '.join(kinds)}")
        for kind in kinds:
            if not _is_version(schemas[kind]):
                raise InputError(f"{self.path}: schemas.{kind}: expected a whole number above 0")
        return {kind: schemas[kind] for kind in kinds}

    def lift_all(self, kind: str, value: Any, number: int) -> Any:
        """Return a record, or each of a list of records, lifted to the version that is written."""
        if isinstance(value, list):
            return [self.lift(kind, record, number) for record in value]
        return self.lift(kind, value, number)

    def lift(self, kind: str, record: Any, number: int) -> Any:
        """Return a record lifted to the version that is written."""
        self.check(kind, number)
        for upgrade in UPGRADES[kind][number - 1 :]:
            assert upgrade is not None
            try:
                record = upgrade(record)
            except WRONG_RECORD:
                wrong = f"does not hold {kind} of version {number}"
                raise InputError(f"{self.path}: {wrong}") from None
        return record

    def _compare(self, kind: str, number: int) -> str:
        """Return who wrote it and what this is; with versions of the record if that is one."""
        text = self.writer.removeprefix("snncompile ") if isinstance(self.writer, str) else ""
        theirs = " ".join(text.split())[:40]
        if theirs not in ("", __version__):
            return f"{theirs}; this is {__version__}"
        known = f"which knows version {version_of(kind)}"
        return f"{kind} version {number}; this is {__version__}, {known}"
