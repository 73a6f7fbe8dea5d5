"""Frames of event recordings: counts of events per pixel and time step, made by tonic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snncompile.errors import InputError
from snncompile.files.spikes import Spikes
from snncompile.frontends.events.read import load_tonic, read_recordings
from snncompile.ir.graph import Progress

Polarity = Literal["split", "merged", "signed"]
"""split: two channels, darker and brighter. merged: one channel counts both. signed: one channel,
brighter minus darker."""
LARGEST_BYTES = 2**31
LONGEST_US = 3.6e9
"""An hour; a longer recording is likelier one whose unit of time is another."""
MOST_COUNTED = 2**15 - 1
"""Events of a pixel in a step that tonic's frames hold."""


@dataclass(frozen=True)
class Frames:
    """How recordings become frames."""

    bin_us: float
    """Microseconds of a time step; the first begins with the first event."""
    size: tuple[int, ...]
    """Width and height of a frame, or the number of lines."""
    steps: int | None = None
    """Time steps of a sample; those of the longest recording if not given."""
    sensor: tuple[int, ...] | None = None
    """Size of the sensor, whose places are scaled to `size`; the same if not given."""
    polarity: Polarity | None = None
    """split if not given; merged where there are lines instead of pixels."""
    binary: bool = False
    """Whether a pixel with several events in a step gives 1."""

    def __post_init__(self) -> None:
        """Refuse what makes no frame."""
        if not self.bin_us > 0 or (self.steps is not None and self.steps < 1):
            raise InputError("frames need a bin above 0 us and at least 1 step")
        for size in (self.size, self.sensor or self.size):
            if len(size) not in (1, 2) or min(size) < 1 or len(size) != len(self.size):
                raise InputError(f"a size is WIDTH,HEIGHT or a number of lines, got {size}")
        if self.polarity not in (None, *get_args(Polarity)):
            known = ", ".join(get_args(Polarity))
            raise InputError(f"no polarity {self.polarity!r}; known: {known}")
        if self.binary and self.polarity == "signed":
            raise InputError("signed frames are not binary; leave one of them out")


@dataclass(frozen=True, eq=False)
class Encoded:
    """Frames of recordings, and what they leave out."""

    spikes: Spikes
    events: int
    """Events of all recordings."""
    late: int
    """Events after the last step, which are left out."""


def encode_events(
    paths: Sequence[Path],
    frames: Frames,
    unit: str = "us",
    samples: int | None = None,
    progress: Progress | None = None,
) -> Encoded:
    """Return one sample per recording, x of shape (samples, steps, channels, height, width).

    Recordings of lines give (samples, steps, lines), split (samples, steps, 2, lines). Labels are
    there if every recording has one.

    Args:
        paths: files of recordings; one file may hold several.
        frames: how they become frames.
        unit: of time in them.
        samples: number of recordings, from the first; all if not given.
        progress: called with (files read, files in all), then with (recordings encoded, all).

    Raises:
        InputError: a file is not readable, an event lies outside of the frame, the frames take too
            much memory, or the recordings are so short or long that the unit of time is in doubt.
    """
    progress = progress or (lambda done, total: None)
    recordings = []
    for number, path in enumerate(paths, 1):
        recordings += _read(path, unit, samples)
        progress(number, len(paths))
    recordings = recordings[:samples]
    if not recordings:
        raise InputError("no recording to encode")
    _check_unit(recordings, frames, unit)
    steps = frames.steps or max(_count_steps(events, frames) for _, events, _ in recordings)
    size = int(np.prod([len(recordings), steps, 2, *frames.size], dtype=np.float64))
    if 2 * size > LARGEST_BYTES:
        raise InputError(
            f"frames of {len(recordings)} recordings and {steps:,} steps take {2 * size:,} bytes,"
            f" the limit is {LARGEST_BYTES:,}; take longer bins, fewer steps or a smaller size"
        )
    x, late = [], 0
    for number, (path, events, _) in enumerate(recordings, 1):
        progress(number, len(recordings))
        counts, left_out = _make_frames(path, events, frames, steps)
        x.append(counts)
        late += left_out
    labels = [label for _, _, label in recordings]
    label = None if None in labels else np.array(labels, np.int64)
    return Encoded(Spikes(_narrow(np.stack(x)), label), sum(len(e) for _, e, _ in recordings), late)


def _read(
    path: Path, unit: str, samples: int | None
) -> list[tuple[Path, NDArray[Any], int | None]]:
    recordings: list[tuple[Path, NDArray[Any], int | None]] = []
    for events, label in read_recordings(path, unit):
        if not len(events):
            raise InputError(f"{path}: recording {len(recordings)} holds no event")
        recordings.append((path, events, label))
        if len(recordings) == samples:
            break
    return recordings


def _check_unit(
    recordings: list[tuple[Path, NDArray[Any], int | None]], frames: Frames, unit: str
) -> None:
    """Refuse recordings of a small part of a step or of hours, unless their steps are given."""
    durations = [(float(events["t"][-1] - events["t"][0]), path) for path, events, _ in recordings]
    longest, path = max(durations)
    several = any(len(events) > 1 for _, events, _ in recordings)
    if several and longest < frames.bin_us / 10 and frames.steps != 1:
        raise InputError(
            f"{path}: times read as {unit} last {longest:g} us, less than a tenth of a step of"
            f" {frames.bin_us:g} us; say the unit of the files with --time-unit, or --steps 1"
        )
    if longest > LONGEST_US and frames.steps is None:
        raise InputError(
            f"{path}: times read as {unit} last {longest / LONGEST_US:.3g} hours; say the unit of"
            " the files with --time-unit, or the number of --steps"
        )


def _count_steps(events: NDArray[Any], frames: Frames) -> int:
    return int((events["t"][-1] - events["t"][0]) // frames.bin_us) + 1


def _make_frames(
    path: Path, events: NDArray[Any], frames: Frames, steps: int
) -> tuple[NDArray[Any], int]:
    """Return the frames of one recording, and how many events come after them."""
    start = int(events["t"][0])
    kept = events[events["t"] < start + steps * frames.bin_us]
    placed = _set_places(path, kept, frames)
    two = len(frames.size) == 2
    sensor = (*frames.size, 2) if two else (frames.size[0], 1, 2)
    counts = load_tonic("tonic.functional").to_frame_numpy(
        placed,
        sensor,
        time_window=frames.bin_us,
        start_time=start,
        end_time=start + steps * frames.bin_us,
    )
    if int(counts.sum(dtype=np.int64)) != len(kept) or counts.min() < 0:
        raise InputError(
            f"{path}: a pixel has more than {MOST_COUNTED:,} events in a step; take shorter bins"
        )
    counts = counts if two else counts[:, :, 0]
    return _join_polarities(counts, frames), len(events) - len(kept)


def _set_places(path: Path, events: NDArray[Any], frames: Frames) -> NDArray[Any]:
    """Return the events at their places in the frame."""
    placed = events.copy()
    sensor = frames.sensor or frames.size
    for name, wide, narrow in zip("xy", sensor, frames.size, strict=False):
        largest = int(events[name].max())
        if largest >= wide:
            hint = "give the sensor's size to scale it" if frames.sensor is None else "check it"
            raise InputError(f"{path}: {name} reaches {largest}, beyond the size {wide}; {hint}")
        placed[name] = events[name] * narrow // wide
    if len(frames.size) == 1 and events["y"].any():
        raise InputError(f"{path}: events have rows; give WIDTH,HEIGHT")
    return placed


def _join_polarities(counts: NDArray[Any], frames: Frames) -> NDArray[Any]:
    """Return the channels of counts of shape (steps, 2, ...)."""
    lines = len(frames.size) == 1
    polarity = frames.polarity or ("merged" if lines else "split")
    joined = counts
    if polarity == "signed":
        joined = np.subtract(counts[:, 1:], counts[:, :1])
    elif polarity == "merged":
        joined = counts.sum(axis=1, keepdims=True, dtype=np.int32)
    joined = joined[:, 0] if lines and polarity != "split" else joined
    return np.minimum(joined, 1) if frames.binary else joined


def _narrow(x: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in the smallest type that holds them."""
    narrow: Any = np.min_scalar_type(int(x.max())) if x.min() >= 0 else np.int16
    return np.asarray(x, narrow)
