"""Networks for tests: small ones made by hand, random ones made from a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import Input, IntegerNetwork, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.readout import IntegerReadout, Readout
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, dense, integer_dense
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

NAMES = "abcdefghijklmnopqrstuvwxyz"
RESETS = ("hard", "soft", "delayed_soft", "delayed_hard", "strict_soft", "none")
EXPONENTS = (-7, -2, -1, 0, 0, 2, 5, 7)
TOY = chips.load_chip("toy")
LOIHI1 = chips.load_chip("loihi1")
LOIHI2 = chips.load_chip("loihi2")
PACKED = chips.load_chip(Path(__file__).parents[1] / "saved" / "packed_rows" / "loihi2.yaml")
"""Loihi 2 as it was counted before Intel's core tables: weights side by side."""


def chain(*sizes: int, neuron=None, weight=1.0, delay: int = 0, title: str = "network") -> Network:
    """Return input -> a -> b ..., all-to-all with equal weights; `sizes` starts with the input."""
    neuron = neuron or CubaLif(1.0, 0.0, 1.0)
    return _chain(Network, sizes, neuron, lambda shape: dense(np.full(shape, weight)), delay, title)


def integer_chain(
    *sizes: int,
    neuron=None,
    weight=2,
    exponent: int = 0,
    bits: int = 8,
    delay: int = 1,
    title: str = "network",
) -> IntegerNetwork:
    """Return input -> a -> b ... in integers, each population one phase later per delay."""
    neuron = neuron or IntegerCubaLif(4095, 0, 1)

    def synapses(shape):
        return integer_dense(np.full(shape, weight), exponent, bits)

    return _chain(IntegerNetwork, sizes, neuron, synapses, delay, title)


def ranged_network() -> IntegerNetwork:
    """Return a network whose projections all begin at some of the sources only."""
    rng = np.random.default_rng(3)
    neuron = IntegerCubaLif(4095, 0, 60)
    image = Convolution((2, 3, 3), 2, (2, 2), (1, 1), (0, 0), (1, 1))
    wirings = [
        ("input", "a", SourceRange(image, 9, 36), 1),
        ("input", "a", SourceRange(Dense(8, 5), 30, 36), 1),
        ("a", "b", SourceRange(Dense(8, 7), 1, 8), 1),
        ("b", "c", SourceRange(Dense(4, 3), 2, 8), 1),
        ("a", "c", SourceRange(Sparse([0, 3, 1], [0, 1, 2], 4, 3), 2, 8), 2),
    ]
    projections = []
    for source, target, wiring, delay in wirings:
        weight = rng.integers(-64, 128, wiring.weight_shape) * 2
        synapses = IntegerSynapses(wiring, weight, 0, 8)
        projections.append(Projection(source, target, synapses, delay))
    populations = (
        Population("a", (2, 2, 2), neuron, 1),
        Population("b", (8,), neuron, 2),
        Population("c", (4,), neuron, 3),
    )
    return IntegerNetwork(Input("input", (4, 3, 3)), populations, tuple(projections), "c")


def _chain(make, sizes: Sequence[int], neuron, synapses, delay: int, title: str):
    names = ["input", *NAMES[: len(sizes) - 1]]
    integer = make is IntegerNetwork
    populations = tuple(
        Population(name, (size,), neuron, phase=(i + 1) * delay if integer else 0)
        for i, (name, size) in enumerate(zip(names[1:], sizes[1:], strict=True))
    )
    projections = tuple(
        Projection(names[i], names[i + 1], synapses((sizes[i + 1], sizes[i])), delay)
        for i in range(len(sizes) - 1)
    )
    return make(Input("input", (sizes[0],)), populations, projections, names[-1], title=title)


def alone(neuron, size: int = 1, weight=None, *, sources: int = 1):
    """Return one population of any kind of neuron, fed by `sources` inputs with these weights."""
    integer = hasattr(neuron, "bias_mantissa")
    shape = (size, sources)
    if integer:
        synapses = integer_dense(np.full(shape, 2) if weight is None else weight, 0, 8)
    else:
        synapses = dense(np.ones(shape) if weight is None else weight)
    make = IntegerNetwork if integer else Network
    return make(
        Input("input", (sources,)),
        (Population("a", (size,), neuron, phase=int(integer)),),
        (Projection("input", "a", synapses, int(integer)),),
        "a",
    )


def joined(*projections: tuple[str, str, int], output: str = "b", names: str = "ab") -> Network:
    """Return single neurons a, b ... joined as told: (source, target, delay)."""
    return Network(
        Input("input", (1,)),
        tuple(Population(name, (1,), IntegrateFire(1.0, 0.5)) for name in names),
        tuple(Projection(s, t, dense([[1.0]]), delay) for s, t, delay in projections),
        output,
    )


def changed(network, population: str | None = None, projection: int | None = None, **changes):
    """Return the network with fields of one population, one projection or itself replaced."""
    if population is not None:
        changes = {
            "populations": tuple(
                dataclasses.replace(p, **changes) if p.name == population else p
                for p in network.populations
            )
        }
    elif projection is not None:
        changes = {
            "projections": tuple(
                dataclasses.replace(p, **changes) if i == projection else p
                for i, p in enumerate(network.projections)
            )
        }
    return dataclasses.replace(network, **changes)


def limited(chip: Chip, **limits: int | None) -> Chip:
    """Return the chip with other limits per core, of rows too; `cores` is the number of cores."""
    data = chip.model_dump(mode="json")
    for name, value in limits.items():
        of = "mesh" if name == "cores" else "core" if name in data["core"] else "rows"
        number = data[of][name]
        number["value"] = value
        number["evidence"] = "unknown" if value is None else "made up"
        if name == "cores":
            data["mesh"]["tile_rows"]["value"] = max(1, value or 1)
            for costs in data["costs"].values():
                costs["barrier"][-1]["tiles"] = 10**6
    return Chip.model_validate(data)


def formatted(chip: Chip, **formats: int | Sequence[int] | None) -> Chip:
    """Return the chip with other number formats."""
    data = chip.model_dump(mode="json")
    for name, value in formats.items():
        if name == "weight_bits":
            data["formats"][name]["values"] = value
        elif name.startswith("weight_exponent"):
            data["formats"][name] = value
        else:
            data["formats"][name]["value"] = value
            data["formats"][name]["evidence"] = "unknown" if value is None else "made up"
    return Chip.model_validate(data)


def design(network, chip: Chip = TOY, calibration=None) -> Design:
    return Design(network, chip, calibration)


def quantized(network, chip: Chip = TOY, calibration=None, **options) -> Design:
    from snncompile.passes.quantize.quantize import Quantize

    return Quantize(**options)(design(network, chip, calibration))


def partitioned(network, chip: Chip = TOY) -> Design:
    """Return the design with a core for every slice, unless a population has several on one."""
    from snncompile.passes.partition.partition import Partition

    return Partition(share=False)(design(network, chip))


def apart(network, **options):
    """Return the Program with a core for each population, on tiles in order: easy to follow."""
    import snncompile

    return snncompile.compile(network, share_cores=False, placement="linear", **options)


def spikes(network, samples: int, steps: int, seed: int = 0, rate: float = 0.5):
    """Return random spikes for a network, shape (samples, steps, *input.shape)."""
    rng = np.random.default_rng(seed)
    shape = (samples, steps, *network.input.shape)
    return (rng.random(shape) < rate).astype(np.uint8)


def random_network(seed: int, *, loops: bool = True, long_loops: bool = True) -> Network:
    """Return a float network with everything a network can have.

    All neuron kinds and resets, parameters for all or per neuron, biases, several projections into
    one population (also from one source), skips, own delays 0..3, populations that nothing feeds,
    loops. Weights are multiples of 1/64: sums are exact in any order.

    Args:
        seed: same seed, same network.
        loops: whether there may be loops.
        long_loops: whether every loop has one delay per projection, which retiming needs.
    """
    rng = np.random.default_rng([seed, 1])
    return _random(rng, _float_neuron, _float_synapses, Network, loops, long_loops)


def random_integer_network(seed: int, *, loops: bool = True, wild: bool = True) -> IntegerNetwork:
    """Return an integer network like `random_network`, already retimed.

    Args:
        seed: same seed, same network.
        loops: whether there may be loops.
        wild: whether numbers are so large that u wraps and v saturates.
    """
    from snncompile.passes.timing.retime import Retime

    rng = np.random.default_rng([seed, 2])

    def neuron(rng, size: int, last: bool):
        return integer_neuron(rng, size, last, wild)

    def synapses(rng, shape):
        bits = int(rng.choice([2, 3, 4, 5, 6, 8]))
        weight = (
            rng.integers(rng.choice([-256, -80]), 255, shape) // 2 ** (9 - bits) * 2 ** (9 - bits)
        )
        return integer_dense(weight, int(rng.choice(EXPONENTS if wild else EXPONENTS[:5])), bits)

    made = _random(rng, neuron, synapses, IntegerNetwork, loops, True)
    return Retime()(design(made)).network


def _random(rng, neuron, synapses, make, loops: bool, long_loops: bool):
    shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(1, 3)))
    count = int(rng.integers(1, 6))
    populations = []
    for i in range(count):
        own = tuple(int(n) for n in rng.integers(1, 4, rng.integers(1, 3)))
        size = int(np.prod(own))
        populations.append(Population(NAMES[i], own, neuron(rng, size, i == count - 1)))
    sizes = {"input": int(np.prod(shape))} | {p.name: p.size for p in populations}
    projections = []

    def join(source: str, target: str, delay: int) -> None:
        weight = synapses(rng, (sizes[target], sizes[source]))
        projections.append(Projection(source, target, weight, delay))

    for i, population in enumerate(populations):
        before = ["input", *(p.name for p in populations[:i] if p.neuron.spikes)]
        if rng.random() < 0.9:  # else nothing feeds it: only its bias does
            for _ in range(rng.integers(1, 4)):
                join(str(rng.choice(before)), population.name, int(rng.integers(0, 4)))
        after = [k for k in range(i, count) if populations[k].neuron.spikes]
        if loops and after and rng.random() < 0.3:
            k = int(rng.choice(after))
            shortest = k - i + 1 if long_loops else 1
            join(NAMES[k], population.name, shortest + int(rng.integers(0, 2)))
    order = rng.permutation(len(projections))
    output = NAMES[int(rng.integers(0, count))] if rng.random() < 0.3 else NAMES[count - 1]
    return make(
        Input("input", shape),
        tuple(populations),
        tuple(projections[i] for i in order),
        output,
        title=f"random {count}",
    )


def _some(rng, size: int, low: float, high: float):
    """Return one number, or one per neuron."""
    return rng.uniform(low, high, size) if rng.random() < 0.5 else rng.uniform(low, high)


def _float_neuron(rng, size: int, last: bool):
    bias = _some(rng, size, -0.2, 0.8) if rng.random() < 0.5 else 0.0
    decays = [rng.choice([0.0, 1.0]) if rng.random() < 0.4 else _some(rng, size, 0, 1)]
    decays += [rng.choice([0.0, 1.0]) if rng.random() < 0.4 else _some(rng, size, 0, 1)]
    kind = rng.integers(0, 4)
    if last and rng.random() < 0.3:
        return Readout(*decays, bias)
    if kind == 0:
        return IntegrateFire(_some(rng, size, 0.3, 2), bias, str(rng.choice(["hard", "soft"])))
    return CubaLif(*decays, _some(rng, size, 0.3, 2), bias, str(rng.choice(RESETS)))


def _float_synapses(rng, shape):
    return dense(np.rint(rng.normal(0.3, 0.7, shape) * 64) / 64)


def integer_neuron(rng, size: int, last: bool, wild: bool):
    def some(low: int, high: int):
        return rng.integers(low, high + 1, size if rng.random() < 0.5 else ())

    largest = 4095 if wild else 50
    bias = (some(-largest // 8, largest), some(0, 7)) if rng.random() < 0.6 else (0, 0)
    decays = [
        rng.choice([0, 4095]) if rng.random() < 0.4 else some(0, 4095),
        rng.choice([0, 4095]) if rng.random() < 0.4 else some(0, 4095),
    ]
    threshold = some(1, int(rng.choice([5, 300, 20000, 131071] if wild else [5, 300])))
    if last and rng.random() < 0.3:
        return IntegerReadout(*decays, *bias)
    if rng.integers(0, 4) == 0:
        return IntegerIntegrateFire(threshold, *bias, str(rng.choice(["hard", "soft"])))
    return IntegerCubaLif(*decays, threshold, *bias, str(rng.choice(RESETS)))


def same_spikes(network, other, x) -> None:
    """Compare every population that there was before, in its own steps."""
    x = check_spikes(network, x)
    before, after = (next(iter(run_batches(made, x))) for made in (network, other))
    for name, train in before.items():
        assert (after[name] == train).all(), name
