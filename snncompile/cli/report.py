"""`snncompile report`: one HTML file on one Program or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.shared import (
    Costs,
    Json,
    Timing,
    load_program,
    out,
    print_json,
    print_warning,
    show_work,
)
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.program import Program


def report(
    builds: Annotated[list[Path], typer.Argument(help="folders of compiled Programs")],
    input: Annotated[
        Path | None,
        typer.Option("--input", help="npz with x (samples, steps, ...), label"),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write")] = Path(
        "report.html"
    ),
    samples: Annotated[int, typer.Option(help="samples to run, from the first", min=1)] = 32,
    try_seconds: Annotated[
        float, typer.Option(help="time for trying changes of each Program; 0: none", min=0)
    ] = 60.0,
    images: Annotated[
        Path | None,
        typer.Option(
            help="npz with x (samples, ...), label, in place of --input: images from which each"
            " converted network makes its input"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="with --images: file.py:function or .onnx file of the trained model, to try other"
            " methods of conversion"
        ),
    ] = None,
    lava: Annotated[bool, typer.Option("--lava", help="run Lava too")] = False,
    timing: Timing = "fast",
    costs: Costs = None,
    as_json: Json = False,
) -> None:
    """Write a report: does it fit, what was lost, time, energy, and which change would help."""
    from snncompile.report.html.write import make_report

    programs = [(name, load_program(b)) for name, b in zip(_name(builds), builds, strict=True)]
    shown = _read_input([program for _, program in programs], input, images, model)
    with show_work("report") as progress:
        page = make_report(
            programs, **shown, samples=samples, seconds=try_seconds, lava=lava, timing=timing,
            costs=costs, progress=progress,
        )  # fmt: skip
        page.write(output)
    size = len(page.html.encode())
    if as_json:
        print_json({"output": str(output), "bytes": size, "answers": page.answers})
        return
    for name, answers in page.answers.items():
        if len(page.answers) > 1:
            out.print(f"{name}:", markup=False, highlight=False)
        for sentence in answers.values():
            out.print(f"- {sentence}", markup=False, highlight=False)
    out.print(f"{output}: {size / 1e6:.1f} MB, open it in a browser", markup=False, highlight=False)


def _read_input(
    programs: list[Program], input: Path | None, images: Path | None, model: str | None
) -> dict[str, Any]:
    """Return the input of the report, as `make_report` takes it; print notes on labels.

    Raises:
        InputError: a file cannot be read, or the options do not go together.
    """
    from snncompile.cli.model_argument import load_ann
    from snncompile.files.spikes import read_images, read_spikes

    if model and not images:
        raise InputError("--model is to try other methods of conversion, on --images x.npz")
    if input and images:
        raise InputError("give --input or --images, of which converted networks make their input")
    if images:
        values, label = read_images(images)
        more = {"model": load_ann(model)} if model else {}
        return {"label": label, "images": values, **more}
    if not input:
        return {}
    of_each = [read_spikes(input, program.network) for program in programs]
    for note in of_each[-1].notes:
        print_warning(note)
    return {"x": of_each[-1].x, "label": of_each[-1].label}


def _name(builds: list[Path]) -> list[str]:
    """Return a name for each folder: its last part, or the whole path where two share that."""
    folders = {build.resolve() for build in builds}
    last = [folder.name for folder in folders]
    names = [b.resolve().name if last.count(b.resolve().name) == 1 else str(b) for b in builds]
    return [f"{n} ({names[:i].count(n) + 1})" if n in names[:i] else n for i, n in enumerate(names)]
