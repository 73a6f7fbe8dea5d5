"""`snncompile chips`: the chips, or every number of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snncompile.cli.shared import Json, out, print_json, print_table
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.hwmodels.records import Number
    from snncompile.hwmodels.schema import Chip

CHECK = "check"


def chips(
    name: Annotated[
        str | None, typer.Argument(help="a chip, the path of a chip file, or the word check")
    ] = None,
    file: Annotated[str | None, typer.Argument(help="with check: the file")] = None,
    as_json: Json = False,
) -> None:
    """List the chips, or every number of one chip with its source.

    `snncompile chips check FILE` lists every mistake of a chip file, and exits 1 if there is one.
    """
    from snncompile.hwmodels import chips
    from snncompile.report import tables

    if file is not None:
        if name != CHECK:
            raise InputError(f"one chip at a time; or: snncompile chips check {file}")
        _check_file(file, as_json)
        return
    if name is None:
        known = [chips.load_chip(n) for n in chips.list_names()]
        if as_json:
            print_json({"chips": [_serialize(chip) for chip in known]})
        else:
            print_table(tables.tabulate_chips(known))
        return
    chip = chips.load_chip(name)
    if as_json:
        print_json(chip.model_dump(mode="json"))
        return
    print_table(tables.tabulate_chip(chip))
    for costs in chip.costs:
        print_table(tables.tabulate_costs(chip, costs))
    out.print(f"fidelity: {chip.describe_fidelity()}", markup=False, soft_wrap=True)
    out.print(f"model: {chip.fidelity.model}", markup=False)
    for name, rule in ({} if chip.headed_rows is None else chip.headed_rows.assumed).items():
        out.print(f"assumed, {name}: {rule}", markup=False)


def _check_file(file: str, as_json: bool) -> None:
    """Print every mistake of a chip file, or that there is none."""
    from snncompile.hwmodels import chips

    problems: tuple[str, ...] = ()
    try:
        chip = chips.load_chip(Path(file))
    except chips.ChipError as error:
        problems = error.problems
    if as_json:
        print_json({"file": file, "complete": not problems, "problems": list(problems)})
    for problem in () if as_json else problems:
        out.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    if not as_json:
        unknown = sum(n.value is None for _, n in _walk(chip))
        out.print(
            f"{file}: complete: {chip.full_name}, {chip.title}; {unknown} numbers are unknown",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _walk(chip: Chip) -> list[tuple[object, Number]]:
    from snncompile.hwmodels.records import Number, walk_numbers

    return [(path, n) for path, n in walk_numbers(chip, ()) if isinstance(n, Number)]


def _serialize(chip: Chip) -> dict[str, str]:
    return {"name": chip.name, "title": chip.title, "spikes": chip.fidelity.spikes}
