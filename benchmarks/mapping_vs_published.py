"""Cores of our mapping beside published ones, words beside those of Intel's mapper.

    python benchmarks/mapping_vs_published.py

Intel's rules: the MNIST network and a perceptron on `loihi1`, cut as NxTF does, one encoding for
all rows. The cores are published. The words are published nowhere: they are what Intel's mapper
counted when it was run on the random weights of one seed, 0, of `published.py`. Encodings other
than sparse depend on where the signs are, so other weights take other words. Free: tiles, encodings
and shared cores as we choose them, with the fewest cores that the scarcest resource allows. NxTF
puts the input's neurons on a core of their own: its counts stand with that core beside our network
behind input neurons, and without it beside our network without them; of NxTF's rules both sides
count the input (the first of the cores of each layer). Loihi 2: cores of each layer as recorded of
Intel's compiler and by its rules, as far as they are known, beside ours; where the input takes
cores, it does on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from published import PILOTNET_TABLE, mlp, mnist_cnn, pilotnet, put_input_on_cores
from rich.console import Console
from rich.table import Table

from snncompile import from_netx
from snncompile.cores.lower_bound import compute_lower_bound
from snncompile.cores.usage import measure_usage
from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.partition.intel.partition import PartitionIntel, cut_layers
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
    mapper_words: str = ""
    """Words that Intel's mapper counted, run on the same weights."""
    our_words: str = ""

    @property
    def same(self) -> str:
        """`yes` where cores and words are met exactly; `free` rows are to be below."""
        if self.partitioner == "free":
            return "-"
        cores = self.our_cores.startswith(self.published_cores)
        words = self.mapper_words in ("", self.our_words)
        return "yes" if cores and words else "no"


# Encoding; published cores of the input and of the layers (of dense2 only their sum); words of the
# layers, which Intel's mapper counted on the weights of seed 0.
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


# Network; published cores of its layers, and with the input's; how they were encoded.
FREE = ((mnist_cnn(), 12, 13, "run_length"), (mlp(784, 128, 10), 3, 4, "sparse"))


def free_rows() -> Iterator[Row]:
    """Yield the rows of our own choice of tiles and encodings, with the lower bound."""
    for network, without, whole, encoding in FREE:
        yield free_row(network, "loihi1", f"{without} ({encoding})")
        yield free_row(put_input_on_cores(network), "loihi1", f"{whole} ({encoding})")


INPUT_CORES, PILOTNET_CORES = "13/", "25/13/3/3/2/12/1/1/1"
"""Recorded in lava-dl's pilotnet_snn/benchmark.ipynb: 74 of LIF, whose input is on cores; 61 of
SDNN, whose input is not."""
MNIST_CORES, OXFORD_CORES = "3/1/1", "3/2"
"""Recorded in other notebooks of lava-dl, tutorials/lava/lib/dl/netx."""


def list_recorded() -> Iterator[tuple[IntegerNetwork, str, str]]:
    """Yield (network, chip, recorded cores of its layers) of Intel's compiler for Loihi 2."""
    yield put_input_on_cores(pilotnet("LIF")), "loihi2:2022-09", INPUT_CORES + PILOTNET_CORES
    yield pilotnet("SDNN"), "loihi2:2022-09", PILOTNET_CORES
    for name, cores in (("mnist", MNIST_CORES), ("oxford", OXFORD_CORES)):
        path = NETX / name / "network.net"
        if path.is_file():
            yield from_netx(path, title=f"lava-dl {name}"), "loihi2", cores


def tabulate_loihi2() -> Table:
    """Return cores of each layer: recorded, by Intel's rules, ours without and with sharing."""
    table = Table(title="Loihi 2: recorded cores of layers and ours", title_justify="left")
    for name in ("network", "recorded", "its rules", "ours, unshared", "bound", "shared", "bound"):
        table.add_column(name, overflow="fold")
    for network, name, recorded in list_recorded():
        chip = chips.load_chip(name)
        layers = cut_layers(network, chip)
        rules = "/".join(str(len(slices)) for slices in layers.values())
        cells = []
        for share in (False, True):
            mapping = Partition(share=share)(Design(network, chip)).mapping
            bound = compute_lower_bound(network, chip, mapping).cores
            counts = [len({s.core for s in mapping.of(p.name)}) for p in network.populations]
            parts = "" if share else f" = {'/'.join(map(str, counts))}"
            cells += [f"{mapping.cores}{parts}", str(bound)]
        totals = [sum(map(int, text.split("/"))) for text in (recorded, rules)]
        both = [f"{n} = {text}" for n, text in zip(totals, (recorded, rules), strict=True)]
        table.add_row(f"{network.title}, {name}", *both, *cells)
    return table


def tabulate_pilotnet() -> Table:
    """Return the recorded core table of PilotNet, and ours of the same cuts."""
    table = Table(title="PilotNet: recorded core table / ours", title_justify="left")
    for name in ("layer", "cores", "input axons", "words, LIF", "words, SDNN", "output axons"):
        table.add_column(name)
    lif, sdnn = (list(measure_layers(kind)) for kind in ("LIF", "SDNN"))
    for (layer, recorded), ours, other in zip(PILOTNET_TABLE.items(), lif, sdnn, strict=True):
        axons, words, words_of_sdnn, outputs, cores = recorded
        pairs = (
            (cores, ours["cores"]),
            (axons, ours["axons_in"]),
            (words, ours["synapse_words"]),
            (words_of_sdnn, other["synapse_words"]),
            (outputs, ours["axons_out"]),
        )
        table.add_row(layer, *(f"{theirs:,} / {own:,}" for theirs, own in pairs))
    return table


def measure_layers(kind: str) -> Iterator[dict[str, int]]:
    """Yield the cores of each layer of PilotNet as Intel cuts it, and means over them."""
    network, chip = put_input_on_cores(pilotnet(kind)), chips.load_chip("loihi2:2022-09")
    mapping = PartitionIntel()(Design(network, chip)).mapping
    used = {core.core: core.used for core in measure_usage(network, chip, mapping)}
    for p in network.populations:
        rows = [used[s.core] for s in mapping.of(p.name)]
        means = {name: sum(row[name] for row in rows) // len(rows) for name in rows[0]}
        yield {"cores": len(rows)} | means


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
    table = Table(
        title="mapping: published cores, words of Intel's mapper, and ours", title_justify="left"
    )
    for name in ("network", "partitioner", "cores", "ours", "words, its mapper", "ours", "equal"):
        table.add_column(name, overflow="fold")
    for row in [*nxtf_rows(), *free_rows()]:
        table.add_row(
            row.network,
            row.partitioner,
            row.published_cores,
            row.our_cores,
            row.mapper_words,
            row.our_words,
            row.same,
        )
    console = Console(width=160)
    console.print(table)
    console.print(tabulate_loihi2())
    console.print(tabulate_pilotnet())


if __name__ == "__main__":
    main()
