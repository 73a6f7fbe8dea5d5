"""Spike files: read the input of a network, make spikes of images, write the output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.files import versions
from snncompile.files.npz import read_npz, write_npz
from snncompile.files.replace import has_version, replace_file
from snncompile.ir.graph import Graph
from snncompile.ir.result import Result


@dataclass(frozen=True, eq=False)
class Spikes:
    """Input for a network, and the right answers if they are known."""

    x: NDArray[Any]
    """0 and 1, or whole numbers within `Input.payload`; shape (samples, steps, *input shape)."""
    label: NDArray[np.int64] | None
    """One per sample."""
    notes: tuple[str, ...] = ()
    """What a user should know of the file, one line each."""


OTHER_NAMES = ("labels", "target", "targets", "class", "classes", "y_true", "y_test", "t")
"""Names that labels have elsewhere; they are not read, and that is said."""


def read_spikes(path: Path, network: Graph | None = None) -> Spikes:
    """Return `x` and, if there, `label` of an npz file.

    Raises:
        InputError: the file is not readable, has no `x`, or (before any memory is taken) `x` does
            not have the shape the network takes.
    """

    def check(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if name == "x" and network and (len(shape) < 3 or shape[2:] != network.input.shape):
            expected = ", ".join(["samples", "steps", *map(str, network.input.shape)])
            raise InputError(f"{path}: x has shape {shape}, the network takes ({expected})")

    arrays = read_npz(path, check)
    versions.check_array_version(path, "spikes", arrays)
    if "x" not in arrays:
        others = ", ".join(arrays) or "nothing"
        raise InputError(f"{path}: has no array x of shape (samples, steps, ...); it has {others}")
    label = read_label(path, arrays, len(arrays["x"]))
    return Spikes(arrays["x"], label, _note_labels(path, arrays, label, network))


def _note_labels(
    path: Path, arrays: dict[str, NDArray[Any]], label: NDArray[np.int64] | None, network: Any
) -> tuple[str, ...]:
    """Return lines about labels under another name, and labels that no output can answer."""
    if label is None:
        others = [name for name in OTHER_NAMES if name in arrays]
        return tuple(
            f"{path}: {name} is not read; labels are called label or y, so there is no accuracy"
            for name in others[:1]
        )
    if network is None:
        return ()
    outputs = int(np.prod(network.output_shape))
    beyond = int(((label < 0) | (label >= outputs)).sum())
    if not beyond:
        return ()
    return (
        f"{path}: {beyond:,} of {len(label):,} labels are outside 0..{outputs - 1}, the outputs of"
        " the network; they count as wrong answers",
    )


def write_spikes(path: Path, spikes: Spikes) -> None:
    """Write `x` and `label`; nothing half-written is left behind."""
    label = {} if spikes.label is None else {"label": spikes.label}
    arrays = {"x": spikes.x} | label | versions.make_array_version("spikes")
    with replace_file(path, has_version) as aside:
        write_npz(aside.with_suffix(".npz"), arrays, compress=True)
        aside.with_suffix(".npz").rename(aside)


def write_result(path: Path, result: Result) -> None:
    """Write `spikes` and `prediction`; nothing half-written is left behind."""
    arrays = {"spikes": result.spikes, "prediction": result.prediction}
    arrays |= versions.make_array_version("result")
    with replace_file(path, has_version) as aside:
        write_npz(aside.with_suffix(".npz"), arrays, compress=True)
        aside.with_suffix(".npz").rename(aside)


def encode_images(images: NDArray[Any], steps: int, *, highest: float = 255.0) -> NDArray[np.uint8]:
    """Return spikes of shape (samples, steps, *image shape): one encoder neuron per pixel.

    In each time step, with v = 0 at the start:

        v = v + pixel / highest
        spike = v > 1
        v = 0 where spike

    Args:
        images: pixels from 0 to `highest`, shape (samples, ...).
        steps: time steps per image.
        highest: the brightest pixel.
    """
    drive = images.astype(np.float64) / highest
    v = np.zeros_like(drive)
    x = np.zeros((len(images), steps, *images.shape[1:]), np.uint8)
    for step in range(steps):
        v += drive
        spike = v > 1
        v[spike] = 0
        x[:, step] = spike
    return x


def encode_file(path: Path, steps: int, samples: int | None, flatten: bool) -> Spikes:
    """Return the spikes of an npz file of images `x` (samples, ...) and labels `y` or `label`.

    Pixels go to 255, or to 1 where none is above: bool, 0 and 1, shares.

    Raises:
        InputError: the file is not readable, or `x` is no stack of images.
    """
    arrays = read_npz(path)
    if "x" not in arrays or arrays["x"].ndim < 2:
        raise InputError(f"{path}: has no array x of images, shape (samples, ...)")
    images = arrays["x"]
    if images.size == 0 or not ((images >= 0) & (images <= 255)).all():
        raise InputError(f"{path}: x holds no pixels, NaN, or pixels outside 0..255")
    highest = 1.0 if images.max() <= 1 else 255.0
    label = read_label(path, arrays, len(images))
    images = images[:samples].reshape(
        len(images[:samples]), *((-1,) if flatten else images.shape[1:])
    )
    return Spikes(
        encode_images(images, steps, highest=highest), None if label is None else label[:samples]
    )


def read_values(path: Path) -> NDArray[Any]:
    """Return `x` of an npz file, any numbers of shape (samples, ...).

    Raises:
        InputError: the file is not readable or has no such array.
    """
    arrays = read_npz(path)
    if "x" not in arrays or arrays["x"].ndim < 2:
        raise InputError(f"{path}: has no array x of shape (samples, ...)")
    return arrays["x"]


def present_file(path: Path, network: Graph, samples: int | None) -> Spikes:
    """Return the messages of a network's input for the values of an npz file; see `Input.present`.

    Raises:
        InputError: the file is not readable, or the network has no coding.
    """
    values, label = read_images(path)
    x = network.input.present(values[:samples])
    return Spikes(x, None if label is None else label[:samples])


def read_images(path: Path) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Return the values x of an npz file, shape (samples, ...), and its labels, if it has any.

    Raises:
        InputError: the file is not readable.
    """
    values = read_values(path)
    return values, read_label(path, read_npz(path), len(values))


def read_label(
    path: Path, arrays: dict[str, NDArray[Any]], samples: int
) -> NDArray[np.int64] | None:
    """Return the labels `label` or `y` of an npz file; None: it has none.

    Raises:
        InputError: there is not one whole number per sample.
    """
    label = arrays.get("label", arrays.get("y"))
    if label is None:
        return None
    if label.shape != (samples,) or label.dtype.kind not in "iu":
        raise InputError(f"{path}: label has shape {label.shape}, expected ({samples},) integers")
    return label.astype(np.int64)
