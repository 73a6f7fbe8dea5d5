"""`snncompile run`, `verify` and `emit`: commands on a Program and its input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.shared import (
    Build,
    InputFile,
    Json,
    Timeout,
    load_program,
    out,
    print_fidelity,
    print_json,
    print_table,
    print_values,
    print_warning,
    show_busy,
    show_progress,
    show_proof,
    show_work,
)
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.files.spikes import Spikes
    from snncompile.ir.result import Result
    from snncompile.program import Program


def run(
    build: Build,
    input: InputFile,
    backend: Annotated[str, typer.Option(help="reference or lava")] = "reference",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="npz to write")] = None,
    learned: Annotated[
        Path | None, typer.Option(help="folder to write: the Program with what it learned")
    ] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Run a Program on spikes; print the accuracy if the input has labels.

    A Program that learns stays as it is; --learned writes the one that goes on.
    """
    from snncompile.files.spikes import read_spikes, write_result
    from snncompile.report.tables import serialize_fidelity, serialize_proof

    program = load_program(build)
    _check_learning(program, build, backend, learned)
    spikes = read_spikes(input, program.network)
    for note in spikes.notes:
        print_warning(note)
    with show_progress(backend) as report:
        result = program.run(spikes.x, backend, progress=report, timeout_s=timeout)
    show_proof(result.proof)
    if output:
        with show_busy(f"writing {output}"):
            write_result(output, result)
    values: dict[str, Any] = {
        "backend": backend,
        "samples": len(result.spikes),
        "steps": result.spikes.shape[1],
        "output": str(output) if output else None,
    }
    if spikes.label is not None:
        values["accuracy"] = result.accuracy(spikes.label)
        values["float_accuracy"] = _measure_floats(program, spikes)
    values |= _count_changes(program, result, as_json)
    if learned:
        values |= _save_learned(program, result, learned)
    if as_json:
        values |= {"fidelity": serialize_fidelity(program), **serialize_proof(result.proof)}
    print_values(values, as_json)
    if not as_json:
        print_fidelity(program, only_other=True)


def _check_learning(program: Program, build: Path, backend: str, learned: Path | None) -> None:
    """Refuse to write what a Program learned where it cannot have learned, before it runs."""
    if learned is None:
        return
    if not program.network.plastic:
        raise InputError(
            f"{build}: none of its projections learns, so there is nothing to write with --learned;"
            " give one a rule with plastic(network, source, target, rule)"
        )
    if backend != "reference":
        raise InputError(
            f"--learned needs --backend reference: a run on {backend} gives no traces and"
            " generators to go on from"
        )


def _save_learned(program: Program, result: Result, path: Path) -> dict[str, Any]:
    """Write the Program that goes on from a run; return its folder, to be printed."""
    with show_busy(f"writing {path}"):
        program.learned(result).save(path)
    return {"learned": str(path)}


def _count_changes(program: Program, result: Result, as_json: bool) -> dict[str, Any]:
    """Return the weights that changed, by projection; nothing where no states were read back."""
    changes = {}
    for number, state in result.learned.items():
        p = program.network.projections[number]
        changed = int((state.weight != p.synapses.weight).sum())
        changes[f"{p.source} -> {p.target}"] = (changed, state.weight.size)
    if as_json:
        weights = {name: {"changed": n, "of": size} for name, (n, size) in changes.items()}
        return {"weights": weights} if weights else {}
    return {f"weights {name}": f"{n:,} of {size:,} changed" for name, (n, size) in changes.items()}


def _measure_floats(program: Program, spikes: Spikes) -> float | None:
    """Return the accuracy of the float network; None where the network came as integers."""
    if program.source is None:
        return None
    with show_progress("float") as report:
        return program.source.run(spikes.x, progress=report).accuracy(spikes.label)  # type: ignore[arg-type]


def describe_reader(reader: str) -> dict[str, str]:
    """Return what the user of an importer has to do, if anything."""
    from snncompile.backends.nir.dialects import DIALECTS

    note = DIALECTS[reader].note if reader in DIALECTS else ""
    return {"note": note} if note else {}


def emit(
    build: Build,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder or file to write")],
    backend: Annotated[str, typer.Option(help="lava, netx or nir")] = "lava",
    reader: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="with nir: the importer to read it, snntorch|norse|sinabs|spyx; with lava:"
            " hardware, for a folder prepared for Loihi 2",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a Lava program that runs without snncompile, a lava-dl .net file or a NIR file."""
    program = load_program(build)
    with show_work(f"writing {output}") as say:
        program.emit(output, backend, reader=reader, progress=say)
    files = sorted(p.name for p in output.iterdir()) if output.is_dir() else [output.name]
    proved = {"proved_steps": program.options.quantize.steps} if backend == "lava" else {}
    note = describe_reader(reader) if reader else {}
    print_values({"output": str(output), "files": files, **proved, **note}, as_json)


def verify(
    build: Build,
    input: InputFile,
    samples: Annotated[
        int, typer.Option(help="number of samples to compare, from the first", min=1)
    ] = 16,
    model: Annotated[
        str | None,
        typer.Option(help="file.py:function it was compiled from, to run in its own library"),
    ] = None,
    lava: Annotated[bool, typer.Option(help="run Lava too")] = True,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Compare source library, float network, reference and Lava, output by output.

    Exit 1 if library and float, or reference and Lava, differ: their outputs are promised equal.
    """
    from snncompile.cli.model_argument import load_native
    from snncompile.files.spikes import read_spikes
    from snncompile.report.tables import serialize_fidelity
    from snncompile.report.verification import serialize_verification, tabulate_verification

    program = load_program(build)
    spikes = read_spikes(input, program.network)
    native, options = load_native(model) if model else (None, {})
    with show_progress("comparing runs") as report:
        verification = program.verify(
            spikes.x,
            samples,
            model=native,
            lava=lava,
            progress=report,
            timeout_s=timeout,
            **options,
        )
    show_proof(verification.proof)
    if as_json:
        extra = {"fidelity": serialize_fidelity(program), "meaning": program.meaning}
        print_json(serialize_verification(verification) | extra)
    else:
        print_table(tabulate_verification(verification))
        for comparison in verification.comparisons:
            out.print(str(comparison), markup=False, soft_wrap=True)
        out.print(f"meaning: {program.meaning}", highlight=False)
        print_fidelity(program, only_other=True)
    if not verification.equal:
        raise typer.Exit(1)
