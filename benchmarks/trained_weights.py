"""Weights of networks that these benchmarks train, so that tables do not depend on the processor.

Sums of floats depend on the instructions of a processor (oneDNN and ATen choose AVX2, AVX-512 or
others), and training carries the last bits of a sum on to other weights. Weights that stand in
`benchmarks/weights` were trained once, on a processor with AVX-512, by the code that would train
them; they are taken where network and training are the same. `--anew` trains again: with other
instructions to other weights, to the same on every processor with AVX2 if those are held by
`ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

SHIPPED = Path(__file__).parent / "weights"
KEPT = Path(__file__).parents[1] / "build" / "conversion"
"""Weights of trainings on this machine, which are taken next time."""
FACTS = "training"
"""Name of the array that says, as JSON, what was trained how; the others are weights."""


@dataclass(frozen=True)
class Training:
    """What trained weights depend on, beside the instructions of the processor."""

    network: str
    """All layers, as torch prints them."""
    images: int
    epochs: int
    rate: float
    mirrored: bool


def load_or_train(
    name: str,
    model: nn.Module,
    training: Training,
    train: Callable[[nn.Module], None],
    *,
    anew: bool = False,
) -> nn.Module:
    """Return the model with shipped weights, those kept of an earlier training, or trained now.

    Args:
        name: of the files.
        model: changed in place.
        training: weights of another one are not taken.
        train: trains the model in place.
        anew: whether to train in any case.
    """
    for folder in () if anew else (SHIPPED, KEPT):
        weights = read_weights(folder / f"{name}.npz", training)
        if weights is not None:
            model.load_state_dict(weights)
            print(f"{name}: weights of {folder.name}/{name}.npz")
            return model.eval()
    start = time.perf_counter()
    train(model)
    seconds = time.perf_counter() - start
    print(
        f"{name}: trained for {seconds:.0f} s, with the instructions of this processor", flush=True
    )
    write_weights(KEPT / f"{name}.npz", model, training)
    return model


def read_weights(path: Path, training: Training) -> dict[str, torch.Tensor] | None:
    """Return the weights of a file; None if there is none, or if they were trained otherwise."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        if json.loads(str(file[FACTS])) != asdict(training):
            return None
        return {key: torch.tensor(file[key]) for key in file.files if key != FACTS}


def write_weights(path: Path, model: nn.Module, training: Training) -> None:
    """Write the weights of a model, with what was trained."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    aside = path.with_suffix(".part.npz")
    np.savez_compressed(aside, **{FACTS: np.array(json.dumps(asdict(training)))}, **weights)
    aside.rename(path)
