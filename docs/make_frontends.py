"""Write `docs/frontends.md`: import a small model per library and feature, and say what happened.

python docs/make_frontends.py            # write the file
python docs/make_frontends.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))  # for `cases`, also when a test loads this file
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries, while they are imported
    from cases import FEATURES, Cases

    LIBRARIES: dict[str, type[Cases]] = {
        name: getattr(import_module(f"cases_{name.lower()}"), name)
        for name in ("SnnTorch", "SpikingJelly", "Norse", "Sinabs", "Own", "Hand")
    }

from snncompile.errors import SnnCompileError
from snncompile.frontends.torch.from_torch import from_torch

TARGET = Path(__file__).parent / "frontends.md"
TITLES = {
    "SnnTorch": f"snnTorch {version('snntorch')}",
    "SpikingJelly": f"SpikingJelly {version('spikingjelly')}",
    "Norse": f"norse {version('norse')}",
    "Sinabs": f"sinabs {version('sinabs')}",
    "Own": "`snncompile.training`",
    "Hand": "written by hand",
}
TEMPLATE = Path(__file__).parent / "frontends.template.md"


class Rounding(logging.Handler):
    """Adds up what the import says about outputs that differ in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.differ = 0
        self.silent = False

    def emit(self, record: logging.LogRecord) -> None:
        """Read the numbers out of the message of the verification."""
        if "differ between the module" in record.msg:
            assert isinstance(record.args, tuple)
            self.differ += int(str(record.args[1]).replace(",", ""))
        self.silent |= "not verified" in record.getMessage()


@contextmanager
def listening() -> Iterator[Rounding]:
    """Yield a handler that hears what the import logs."""
    logger, handler = logging.getLogger("snncompile.frontends.torch.from_torch"), Rounding()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def lively(module: nn.Module) -> nn.Module:
    """Give a module random weights that make it spike, and its batch norms statistics."""
    generator = torch.Generator().manual_seed(1)
    for inner in module.modules():
        if isinstance(inner, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            fan_in = inner.weight[0].numel()
            if isinstance(inner, nn.ConvTranspose2d):  # (in, out, *kernel); strides share it out
                fan_in = inner.weight[:, 0].numel() // prod(inner.stride)
            inner.weight.data.normal_(0.3 / fan_in**0.5, 2 / fan_in**0.5, generator=generator)
        if isinstance(inner, nn.BatchNorm1d | nn.BatchNorm2d):
            inner.running_var.uniform_(0.5, 2, generator=generator)
            inner.running_mean.normal_(0, 0.3, generator=generator)
    return module


SHAPE = (8, 25, 2, 6, 6)
INPUTS: dict[str, Callable[[np.random.Generator], Any]] = {
    "counts": lambda rng: rng.poisson(0.5, SHAPE),
    "polarity": lambda rng: rng.integers(-1, 2, SHAPE),
    "analog": lambda rng: rng.standard_normal(SHAPE),
    "biases": lambda rng: np.repeat(rng.random((8, 1, 2, 6, 6)), 25, axis=1),
}
"""Feature -> its sample, where it is not spikes; its kind is that of the feature."""


def cell(made: Any, feature: str = "spikes") -> tuple[str, str]:
    """Return (what the table says about a model, why it is refused)."""
    rng = np.random.default_rng(0)
    x = INPUTS.get(feature, lambda rng: rng.random(SHAPE) < 0.4)(rng)
    kind: Any = feature if feature in INPUTS else "spikes"
    torch.manual_seed(0)
    module = lively(made())
    with listening() as rounding:
        try:
            network = from_torch(module, x, input=kind)
        except SnnCompileError as error:
            return "refused", str(error)
    assert not rounding.silent, f"{made}: no spikes, so nothing was compared"
    outputs = sum(p.size for p in network.populations) * x.shape[0] * x.shape[1]
    percent = f" ({100 * rounding.differ / outputs:.2g} % in float32)" if rounding.differ else ""
    return f"exact{percent}", ""


def table() -> str:
    """Return the table and the messages below it."""
    lines = ["| | " + " | ".join(TITLES.values()) + " |", "|---" * (len(TITLES) + 1) + "|"]
    notes: dict[str, int] = {}
    """Why something is refused -> its number."""
    for method, title in FEATURES.items():
        row = [title]
        for library in LIBRARIES.values():
            made = getattr(library(), method, None)
            text, reason = cell(made, method) if made else ("-", "")
            if reason:
                text += f" [{notes.setdefault(reason, len(notes) + 1)}]"
            row.append(text)
        lines.append("| " + " | ".join(row) + " |")
    numbered = (f"{number}. {reason}" for reason, number in notes.items())
    return "\n".join([*lines, "", *numbered]) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    text = TEMPLATE.read_text().replace("{table}\n", table())
    if arguments == ["--check"]:
        return int(TARGET.read_text() != text)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
