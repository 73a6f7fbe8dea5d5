"""Cores and words of our mapping beside published ones.

    python benchmarks/mapping_vs_published.py

Intel's rules: the MNIST network and a perceptron on `loihi1`, cut as NxTF does, one encoding for
all rows. Weights are random: encodings other than sparse depend on where the signs are, and seed 0
gives the published words to the last one. Free: tiles, encodings and shared cores as we choose
them, with the fewest cores that the scarcest resource allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import large
from published import mlp, mnist_cnn
from rich.console import Console
from rich.table import Table

from snncompile import from_netx
from snncompile.cores.lower_bound import compute_lower_bound
from snncompile.cores.usage import measure_usage
from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.partition.nxtf.partition import partition_nxtf
from snncompile.passes.partition.partition import Partition

NETX = Path(__file__).parents[2] / "shared" / "data" / "netx"
"""Trained lava-dl networks, which are no part of the project; left out where they are not there."""


@dataclass(frozen=True)
class Row:
    """One published result and ours."""

    network: str
    partitioner: str
    published_cores: str
    our_cores: str
    published_words: str = ""
    our_words: str = ""

    @property
    def same(self) -> str:
        """`yes` where all that was published is met exactly; `free` rows are to be below."""
        if self.partitioner == "free":
            return "-"
        cores = self.our_cores.startswith(self.published_cores)
        words = self.published_words in ("", self.our_words)
        return "yes" if cores and words else "no"


# Encoding; cores of the input and of the layers (of dense2 only their sum), words of the layers.
NXTF_MNIST = (
    ("sparse", "16 = 1/4/7/3/1", "21,708 / 92,544 / 46,080 / 3,072"),
    ("run_length", "13 = 1/3/5/3/1", "7,986 / 78,880 / 41,517 / 3,072"),
    ("dense2", "19", "18,612 / 132,900 / 32,172 / 3,072"),
)


def nxtf_rows() -> list[Row]:
    """Return the rows under Intel's rules."""
    rows = [nxtf_row(mnist_cnn(), encoding, cores, words) for encoding, cores, words in NXTF_MNIST]
    return [*rows, nxtf_row(mlp(784, 128, 10), "sparse", "4 = 1/2/1", "")]


def nxtf_row(network: IntegerNetwork, encoding: str, cores: str, words: str) -> Row:
    """Return one row under Intel's rules."""
    layers = partition_nxtf(network, chips.load_chip("loihi1"), encoding)
    counts = [len(cut.cores) for cut in layers]
    ours = f"{sum(counts)} = {'/'.join(map(str, counts))}"
    our_words = " / ".join(f"{cut.words:,}" for cut in layers[1:])
    return Row(f"{network.title}, loihi1", f"nxtf, {encoding}", cores, ours, words, our_words)


def free_rows() -> list[Row]:
    """Return the rows of our own choice of tiles and encodings, with the lower bound."""
    rows = [
        free_row(large.mnist_cnn(), "loihi1", "13 (run-length)"),
        free_row(large.perceptron(784, 128, 10), "loihi1", "4"),
    ]
    for name, cores in (("mnist", "5 = 3/1/1"), ("oxford", "5 = 2/3")):
        path = NETX / name / "network.net"
        if path.is_file():
            rows.append(free_row(from_netx(path, title=f"lava-dl {name}"), "loihi2", cores))
    return rows


def free_row(network: IntegerNetwork, chip_name: str, published: str) -> Row:
    """Return one row of our own choice; words are those of all cores."""
    chip = chips.load_chip(chip_name)
    mapping = Partition()(Design(network, chip)).mapping
    least = compute_lower_bound(network, chip, mapping)
    used = sum(found.used["synapse_words"] for found in measure_usage(network, chip, mapping))
    ours = f"{mapping.cores}, at least {least.cores} ({least.resource})"
    return Row(f"{network.title}, {chip_name}", "free", published, ours, "", f"{used:,}")


def main() -> None:
    """Print the table."""
    table = Table(title="mapping: published and ours", title_justify="left")
    for name in ("network", "partitioner", "cores", "ours", "words per layer", "ours", "equal"):
        table.add_column(name, overflow="fold")
    for row in [*nxtf_rows(), *free_rows()]:
        table.add_row(
            row.network,
            row.partitioner,
            row.published_cores,
            row.our_cores,
            row.published_words,
            row.our_words,
            row.same,
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
