"""For each chip one network that fits and one that does not, with its message.

python benchmarks/chips_fit.py
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from published import mlp, mnist_cnn
from rich.console import Console
from rich.table import Table

import snncompile
from snncompile.errors import SnnCompileError
from snncompile.ir.graph import IntegerNetwork

Make = Callable[[], IntegerNetwork]

# Chip; a network that fits; one that does not.
CASES: dict[str, tuple[Make, Make]] = {
    "loihi1": (mnist_cnn, partial(mlp, 1, 140_000)),
    "loihi2": (mnist_cnn, partial(mlp, 1, 500_000)),
    "truenorth": (partial(mlp, 64, 64, 10, bits=4), partial(mlp, 784, 128, 10, bits=4)),
    "odin": (partial(mlp, 48, 48, 10, bits=4), partial(mlp, 100, 64, 10, bits=4)),
    "speck2": (mnist_cnn, partial(mlp, 784, 128, 10)),
    "xylo-audio2": (
        partial(mlp, 16, 64, 64, 8, reset="soft"),
        partial(mlp, 16, 64, 10, reset="soft"),
    ),
    "paicore2": (mnist_cnn, partial(mlp, 10_000, 10)),
    "spinnaker1": (mnist_cnn, partial(mlp, 10, 20_000)),
    "spinnaker1:spinn-5": (partial(mlp, 10, 20_000), partial(mlp, 1, 800_000)),
    "spinnaker2": (mnist_cnn, partial(mlp, 1, 320_000)),
    "toy": (partial(mlp, 4, 4, 2), partial(mlp, 9, 2)),
}


def outcome(chip: str, make: Make) -> str:
    """Return what partition says of the network on the chip, or why it does not fit."""
    try:
        program = snncompile.compile(make(), chip=chip, prune=False)
    except SnnCompileError as error:
        return str(error)
    cut = next(line for line in program.log if line.startswith("partition: "))
    return cut.removeprefix("partition: ")


def main() -> None:
    """Print the table."""
    table = Table(title="one network that fits each chip, one that does not", title_justify="left")
    for name in ("chip", "network", "result"):
        table.add_column(name, overflow="fold")
    for chip, networks in CASES.items():
        for make in networks:
            table.add_row(chip, make().title, outcome(chip, make))
        table.add_section()
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
