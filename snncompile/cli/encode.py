"""`snncompile encode`: images as spikes, event recordings as frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.shared import Json, print_values, print_warning, show_busy, show_progress
from snncompile.errors import InputError

if TYPE_CHECKING:
    from snncompile.files.spikes import Spikes
    from snncompile.frontends.events.frames import Frames

PANEL = "Event recordings"


def encode(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="npz with images x (samples, ...), labels y; or event recordings: npz, npy, hdf5,"
            " aedat4"
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="npz to write")],
    steps: Annotated[
        int | None,
        typer.Option(help="time steps per image, or at most per recording", min=1),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="number of samples, from the first; all if not given", min=1)
    ] = None,
    flatten: Annotated[bool, typer.Option("--flatten", help="put all pixels on one axis")] = False,
    bin_us: Annotated[
        float | None,
        typer.Option(help="microseconds of a time step", rich_help_panel=PANEL),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="WIDTH,HEIGHT of a frame, or LINES", rich_help_panel=PANEL),
    ] = None,
    sensor: Annotated[
        str | None,
        typer.Option(help="size of the sensor, scaled to the frame's", rich_help_panel=PANEL),
    ] = None,
    polarity: Annotated[
        str | None,
        typer.Option(
            help="split (two channels), merged or signed; split if not given, merged for lines",
            rich_help_panel=PANEL,
        ),
    ] = None,
    binary: Annotated[
        bool,
        typer.Option(
            "--binary", help="several events of a pixel in a step give 1", rich_help_panel=PANEL
        ),
    ] = False,
    time_unit: Annotated[
        str,
        typer.Option(help="unit of time in the files: ns, us, ms or s", rich_help_panel=PANEL),
    ] = "us",
    as_json: Json = False,
) -> None:
    r"""Encode images as spikes, or event recordings as counts per pixel and time step.

    Images: a neuron per pixel adds pixel/255 in each step and fires above 1. Recordings are read
    through tonic (pip install 'snncompile\[events]'); each becomes one sample.
    """
    from snncompile.files.spikes import encode_file, write_spikes
    from snncompile.frontends.events.read import holds_events

    if bin_us is None and size is None and not holds_events(files[0]):
        if len(files) > 1 or steps is None:
            raise InputError("images take one file and --steps; recordings --bin-us and --size")
        with show_busy(f"encoding {files[0]}"):
            spikes = encode_file(files[0], steps, samples, flatten)
    else:
        frames = _make_frames(bin_us, size, steps, sensor, polarity, binary)
        spikes = _encode_events(files, frames, time_unit, samples)
        x = spikes.x
        spikes = replace(spikes, x=x.reshape(*x.shape[:2], -1)) if flatten else spikes
    with show_busy(f"writing {output}"):
        write_spikes(output, spikes)
    values: dict[str, Any] = {"output": str(output), "shape": list(spikes.x.shape)}
    if spikes.x.min() >= 0 and spikes.x.max() <= 1:
        values |= {"rate": float(spikes.x.mean())}
    else:
        values |= {"lowest": int(spikes.x.min()), "highest": int(spikes.x.max())}
    print_values(values, as_json)


def _make_frames(
    bin_us: float | None,
    size: str | None,
    steps: int | None,
    sensor: str | None,
    polarity: str | None,
    binary: bool,
) -> Frames:
    from snncompile.frontends.events.frames import Frames

    if bin_us is None or size is None:
        raise InputError(
            "event recordings need the bin and the size of their frames: --bin-us 1000 --size 34,34"
        )
    sides = None if sensor is None else _read_size("--sensor", sensor)
    return Frames(bin_us, _read_size("--size", size), steps, sides, polarity, binary)  # type: ignore[arg-type]


def _read_size(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(side) for side in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: expected WIDTH,HEIGHT or LINES") from None


def _encode_events(files: list[Path], frames: Frames, unit: str, samples: int | None) -> Spikes:
    """Return the frames; warn of events that are left out."""
    from snncompile.frontends.events.frames import encode_events

    with show_progress("recordings") as progress:
        encoded = encode_events(files, frames, unit, samples, progress)
    if encoded.late:
        print_warning(
            f"{encoded.late:,} of {encoded.events:,} events come after the last of"
            f" {encoded.spikes.x.shape[1]:,} steps and are left out"
        )
    return encoded.spikes
