"""Real Lava processes against the integer reference: every population, every time step.

Networks that are about one subject are joined to one that shares only its input, so that Lava
starts once for all of them; beyond some sixty processes starting takes longer than it saves.
"""

import subprocess
from itertools import product
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from lava_networks import BIASED, LIF, LINES, NONE, SOFT, Builder, small, spikes

from snncompile.backends.lava import emit, environment
from snncompile.backends.lava.run import run, spike_trains
from snncompile.errors import BackendError, InputError
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import IntegerNeuron
from snncompile.neurons.cuba_lif import IntegerCubaLif, Reset
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.reference.simulate import run_batches
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense, integer_dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange
from snncompile.synapses.sparse import Sparse

SAMPLES, STEPS = 5, 12


def some_neurons(random: np.random.Generator, n: int) -> list[IntegerNeuron]:
    """Return each kind with each reset, with one number and with one number per neuron."""
    resets = get_args(Reset)
    neurons: list[IntegerNeuron] = []
    for shape in ((), (n,)):

        def between(low: int, high: int, shape: tuple[int, ...] = shape) -> np.ndarray:
            return random.integers(low, high, shape)

        for reset in resets:
            neurons.append(
                IntegerCubaLif(
                    *(between(500, 4096), between(0, 800), between(150, 400)),
                    *(between(-40, 60), between(0, 7), reset),
                )
            )
        for reset in ("hard", "soft"):
            threshold, bias = between(150, 400), between(-40, 60)
            neurons.append(IntegerIntegrateFire(threshold, bias, between(0, 7), reset))
        neurons.append(
            IntegerReadout(between(0, 4096), between(0, 4096), between(-40, 60), between(0, 7))
        )
    return neurons


def add_kinds(b: Builder) -> None:
    for neuron in some_neurons(b.random, 8):
        group = f"kind_{neuron.kind.replace('/', '_')}"
        b.project("input", b.population(group, neuron, 8))


def add_several_projections(b: Builder) -> None:
    first, second = b.population("several", LIF, 4), b.population("several", SOFT, 5)
    target = b.population("several", LIF, 6, phase=2)
    for source in (first, second, first):
        b.project("input", source)
        b.project(source, target)
    b.project("input", target, delay=2)
    b.project("input", target, delay=2, exponent=-2)


def add_loops(b: Builder) -> None:
    for delay in (1, 2, 4, STEPS + 3):
        for neuron in (LIF, BIASED):
            name = b.population("loop", neuron, 6)
            b.project("input", name)
            b.project(name, name, delay)
    first, second = b.population("loop", BIASED, 6), b.population("loop", SOFT, 5, phase=2)
    b.project("input", first)
    b.project(first, second, 2)
    b.project(second, first, 3)


def add_skips(b: Builder) -> None:
    """Two paths of different length meet; on some the spikes are late in the source network too."""
    for late in (0, 1, 3, STEPS):
        first = b.population("skip", BIASED, 5)
        second = b.population("skip", LIF, 5, phase=3)
        b.project("input", first)
        b.project(first, second, 2)
        b.project("input", second, 3 + late)
        shown = b.population("skip", NONE, 4, phase=5)
        b.project(first, shown, 4 + late)
        b.project(second, shown, 2)


def add_biases(b: Builder) -> None:
    """Neurons that fire before their phase must not be heard."""
    for phase, late in product((1, 3, STEPS - 1, STEPS + 2), (0, 2)):
        source = b.population("bias", BIASED, 3, phase=phase)
        shown = b.population("bias", NONE, 4, phase=phase + 2)
        b.project(source, shown, 2 + late)
    alone = b.population("bias", BIASED, 3, phase=2)
    b.project(alone, b.population("bias", NONE, 2, phase=3), 1)


def add_weights(b: Builder) -> None:
    """All bits, exponents and patterns of signs, with weights at both ends."""
    patterns = [(-256, 0), (0, 255), (-256, 255), (-256, -256), (0, 0)]
    for case, exponent in enumerate(range(-7, 8)):
        bits = 1 + case % 8
        step = 2 ** (9 - bits)
        low, high = (end // step * step for end in patterns[case % len(patterns)])
        weight = b.random.integers(low // step, high // step + 1, (4, LINES)) * step
        weight[0], weight[1] = low, high
        name = b.population("weights", NONE, 4)
        b.project("input", name, weight=weight, bits=bits, exponent=exponent)
    for pattern in patterns:
        low, high = (end // 2 * 2 for end in pattern)
        name = b.population("weights", NONE, 2)
        b.project("input", name, weight=[[low] * LINES, [high] * LINES], exponent=-1)


def add_wirings(b: Builder) -> None:
    """Each wiring by itself, then all of them into one population."""
    nowhere = np.array([], int)
    wirings = [
        Convolution((3, 4), 2, (3,), (1,), (1,), (1,)),
        Convolution((1, 12), 3, (4,), (3,), (2,), (3,)),
        Convolution((1, 3, 4), 2, (3, 2), (2, 1), (1, 2), (1, 3)),
        Convolution((4, 1, 3), 8, (1, 3), (1, 1), (0, 1), (1, 1), groups=4),
        Convolution((2, 3, 2), 2, (1, 1), (1, 1), (0, 0), (1, 1), groups=2),
        Sparse(np.array([4, 0, 4, 2]), np.array([0, 11, 5, 0]), 5, LINES),
        Sparse(nowhere, nowhere, 3, LINES),
        Sparse(np.array([1]), np.array([7]), 2, LINES),
        Scale(LINES),
        Scale(LINES, per_neuron=True),
        SourceRange(Dense(4, 5), 3, LINES),
        SourceRange(Convolution((2, 2, 2), 3, (2, 2), (1, 1), (1, 1), (1, 1)), 4, LINES),
    ]
    for exponent in (0, 4, -3):
        for wiring in wirings:
            b.wire(b.population("wirings", NONE, wiring.targets), wiring, exponent)
    together = b.population("wirings", NONE, LINES)
    for wiring in wirings:
        if wiring.targets == LINES:
            b.wire(together, wiring)
    b.project("input", together)


def add_residuals(b: Builder) -> None:
    """Two blocks of convolutions with an identity around them, as in a ResNet."""
    same = Convolution((3, 2, 2), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    last = "input"
    for phase in (1, 3):
        first = b.population("residual", LIF, LINES, phase)
        second = b.population("residual", SOFT, LINES, phase + 1)
        b.wire(first, same, source=last)
        b.wire(second, same, source=first)
        synapses = IntegerSynapses(Scale(LINES), np.array(128), 1, 8)
        b.projections.append(Projection(last, second, synapses, 2))
        last = second


def add_edges(b: Builder) -> None:
    """The numbers at which the arithmetic changes its mind; sample 0 has a spike on every line."""
    wrap = np.zeros((6, LINES), int)
    wrap[0, :5] = [254, 254, 254, 254, 8]  # 2^10 * 2^7 * 2^6 = 2^23 stays
    wrap[1, :5] = [254, 254, 254, 254, 10]  # just above, wraps
    wrap[2, :4] = -256  # -2^23 becomes +2^23
    wrap[3, :5] = [-256, -256, -256, -256, 2]  # just inside
    wrap[4], wrap[5] = -256, 254  # far outside: one wrap only
    quiet = {"threshold": 131071, "reset": "none"}
    for neuron in (
        IntegerReadout(4095, 4095),
        IntegerReadout(0, 0),
        IntegerCubaLif(4095, 0, 131000),
        IntegerCubaLif(0, 0, **quiet),
        IntegerIntegrateFire(131000, reset="soft"),
        IntegerIntegrateFire(131000, reset="hard"),
    ):
        name = b.population("edge", neuron, 6)
        b.project("input", name, weight=wrap, exponent=7)
    # v reaches the threshold exactly (no spike), and one weight more (spike).
    threshold = np.zeros((2, LINES), int)
    threshold[0, 0], threshold[1, 0] = 100, 102
    for reset in get_args(Reset):
        name = b.population("edge", IntegerCubaLif(4095, 4095, 100, reset=reset), 2)
        b.project("input", name, weight=threshold)
    for reset in ("hard", "soft"):
        name = b.population("edge", IntegerIntegrateFire([100, 101], reset=reset), 2)
        b.project("input", name, weight=threshold)
    # v ends at both limits.
    for neuron in (
        IntegerCubaLif(4095, 0, 131071, [32767, -32768], 8, "none"),
        IntegerCubaLif(4095, 0, 131071, [32767, -32768], 8, "delayed_soft"),
        IntegerCubaLif(4095, 0, 131071, [32767, -32768], 8),
        IntegerReadout(4095, 0, [32767, -32768], 8),
    ):
        b.project("input", b.population("edge", neuron, 2))


def add_random(b: Builder) -> None:
    """A network with nothing in mind: random phases, delays, kinds and connections."""
    neurons = some_neurons(b.random, 5)
    for _ in range(6):
        neuron = neurons[b.random.integers(len(neurons))]
        b.population("random", neuron, 5, phase=int(b.random.integers(1, 5)))
    names, phases = b.groups["random"], {p.name: p.phase for p in b.populations}
    spiking = [p.name for p in b.populations if p.neuron.spikes]
    for name in names:
        b.project("input", name, phases[name] + int(b.random.integers(0, 3)))
    for source, target in b.random.permutation(list(product(spiking, names)))[:8]:
        shift = phases[target] - phases[source]
        b.project(str(source), str(target), max(1, 1 + shift) + int(b.random.integers(0, 3)))


# Subject, seed of the weights.
PARTS = [
    (add_kinds, 1),
    (add_several_projections, 2),
    (add_loops, 3),
    (add_skips, 4),
    (add_biases, 5),
    (add_weights, 6),
    (add_edges, 7),
    (add_wirings, 12),
    (add_residuals, 13),
    *((add_random, seed) for seed in range(8, 12)),
]


def reference(network: IntegerNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    (batch,) = run_batches(network, x)
    return {name: train.numpy() for name, train in batch.items()}


@pytest.mark.lava
@pytest.mark.parametrize("add, seed", PARTS)
def test_lava_and_the_reference_agree(lava, add, seed):
    builder = Builder(seed)
    add(builder)
    network, x = builder.network(), spikes(seed, SAMPLES, STEPS)
    computed, expected = spike_trains(network, x), reference(network, x)
    assert list(computed) == [p.name for p in network.populations]
    for population in network.populations:
        name = population.name
        assert computed[name].shape == (SAMPLES, STEPS, population.size)
        assert computed[name].dtype == (np.uint8 if population.neuron.spikes else np.int64)
        different = np.argwhere(computed[name] != expected[name])
        assert not len(different), f"{name} differs first at {different[0]}"
    silent = [name for name in computed if not expected[name].any()]
    assert len(silent) < 0.3 * len(computed), f"{silent} prove nothing"


@pytest.mark.lava
def test_one_time_step_per_sample(lava):
    network, x = small(NONE), spikes(1, samples=7, steps=1)
    computed, expected = spike_trains(network, x), reference(network, x)
    assert all((computed[name] == expected[name]).all() for name in computed)
    assert expected["hidden_0"].any()


@pytest.mark.lava
@pytest.mark.parametrize("neuron", [LIF, NONE])
def test_a_run_gives_what_the_reference_gives(lava, neuron):
    network, x = small(neuron), spikes(2, samples=4, steps=6).astype(bool)
    seen = []
    program = SimpleNamespace(network=network)
    result = run(program, x, progress=lambda done, total: seen.append((done, total)))
    expected = network.run(x)
    assert result.spikes.dtype == expected.spikes.dtype
    assert result.spikes.shape == expected.spikes.shape == (4, 6, 4)
    assert (result.spikes == expected.spikes).all()
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.lava
def test_the_written_folder_runs_on_its_own(lava, tmp_path):
    network, x = small(), spikes(4, samples=2, steps=5)
    emit.write_folder(network, tmp_path)
    np.savez(tmp_path / "x.npz", x=x)
    command = [environment.locate_python(), "run.py", "--input", "x.npz", "--output", "y.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "y.npz") as saved:
        assert list(saved) == ["spikes"]
        assert (saved["spikes"] == network.run(x).spikes).all()
    np.savez(tmp_path / "x.npz", x=x[..., :2])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "x.npz: x has shape (2, 5, 3, 2), expected (samples, steps, 3, 4)\n"


def test_says_when_lava_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNCOMPILE_LAVA_ENV", str(tmp_path / "lava"))
    with pytest.raises(BackendError) as error:
        run(SimpleNamespace(network=small()), spikes(5, samples=1, steps=2))
    assert str(error.value) == (
        f"Lava is not installed in {tmp_path}/lava; run `snncompile lava install` (needs the"
        " network once)"
    )


def test_refuses_a_network_that_is_not_compiled(monkeypatch, tmp_path):
    network = IntegerNetwork(
        Input("input", (2,)),
        (Population("out", (1,), LIF),),
        (Projection("input", "out", integer_dense(np.ones((1, 2)) * 2, 0, 8)),),
        "out",
    )
    with pytest.raises(BackendError) as error:
        spike_trains(network, np.zeros((1, 3, 2)))
    assert str(error.value) == (
        "projection input -> out: delay 0, but a synapse of Lava takes one time step; compile the"
        " network first"
    )


def test_refuses_an_input_of_another_shape():
    with pytest.raises(InputError) as error:
        spike_trains(small(), np.zeros((1, 3, 2)))
    assert str(error.value) == "input has shape (1, 3, 2), expected (samples, steps, 3, 4)"
