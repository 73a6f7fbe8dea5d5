"""`snncompile chips`: the chips, or every number of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from snncompile.cli.shared import Json, out, print_json

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Chip


def chips(
    name: Annotated[str | None, typer.Argument(help="a chip, or the path of a chip file")] = None,
    as_json: Json = False,
) -> None:
    """List the chips, or every number of one chip with its source."""
    from snncompile.hwmodels import chips
    from snncompile.report import tables

    if name is None:
        known = [chips.load_chip(n) for n in chips.list_names()]
        if as_json:
            print_json({"chips": [_serialize(chip) for chip in known]})
        else:
            out.print(tables.tabulate_chips(known))
        return
    chip = chips.load_chip(name)
    if as_json:
        print_json(chip.model_dump(mode="json"))
        return
    out.print(tables.tabulate_chip(chip))
    for costs in chip.costs:
        out.print(tables.tabulate_costs(chip, costs))
    out.print(f"fidelity: {chip.describe_fidelity()}", markup=False, soft_wrap=True)
    out.print(f"model: {chip.fidelity.model}", markup=False)
    for name, rule in ({} if chip.headed_rows is None else chip.headed_rows.assumed).items():
        out.print(f"assumed, {name}: {rule}", markup=False)


def _serialize(chip: Chip) -> dict[str, str]:
    return {"name": chip.name, "title": chip.title, "spikes": chip.fidelity.spikes}
