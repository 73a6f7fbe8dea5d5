"""Folders for a chip on real Lava, on the CPU: every population equals the reference.

One network has all that lets samples follow each other, the other all that needs a run each.
"""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import torch
from embedded_io import write_stand_in
from lava_folders import check_equal, run_folder
from spiking import leaky, linear
from torch import nn

import snncompile
from snncompile.backends.lava import environment
from snncompile.backends.lava.folder import write_to
from snncompile.backends.lava.hardware.emit import emit
from snncompile.backends.lava.hardware.plan import plan_network
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import BINARY, IntegerNeuron, Interval
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.delta import IntegerDelta
from snncompile.neurons.graded import IntegerGraded
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.product import IntegerProduct
from snncompile.neurons.readout import IntegerReadout
from snncompile.neurons.resonate_fire import IntegerResonateFire
from snncompile.neurons.resonate_fire_izhikevich import IntegerResonateFireIzhikevich
from snncompile.neurons.sigma import IntegerSigma
from snncompile.neurons.sigma_delta import IntegerSigmaDelta
from snncompile.neurons.ternary_lif import IntegerTernaryLif
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.sparse import Sparse

STEPS = 11
"""No power of 2: samples are further apart than they are long."""
IMAGE, LINE = (2, 5, 7), (2, 35)


class Builder:
    """Collects populations that hear something, and their synapses of random weights."""

    def __init__(self, payload: Interval = BINARY) -> None:
        self.random = np.random.default_rng(8)
        self.input = Input("input", IMAGE, payload=payload)
        self.populations: list[Population] = []
        self.projections: list[Projection] = []

    def add(self, name: str, neuron: IntegerNeuron, wiring: Wiring, source: str, **more) -> None:
        """Add a population of one more phase than its source, and what it hears."""
        phases = {p.name: p.phase for p in self.populations} | {"input": 0}
        shape = wiring.target_shape if isinstance(wiring, Convolution) else (wiring.targets,)
        self.populations.append(Population(name, shape, neuron, phases[source] + 1))
        self.join(source, name, wiring, **more)

    def join(self, source, target, wiring, delay=1, exponent=0, size=60, port=None) -> None:
        weight = self.random.integers(-size // 2, size, wiring.weight_shape) * 2
        synapses = IntegerSynapses(wiring, weight, exponent, 8)
        self.projections.append(Projection(source, target, synapses, delay, port))

    def network(self) -> IntegerNetwork:
        parts = tuple(self.populations), tuple(self.projections)
        return IntegerNetwork(self.input, *parts, self.populations[-1].name)


def lif(*more, **names) -> IntegerCubaLif:
    return IntegerCubaLif(1500, 100, 190, *more, **names)


def followers() -> Builder:
    """Return convolutions of all kinds, delays, initial potentials, a readout, and graded sums."""
    b = Builder()
    strided = Convolution(IMAGE, 3, (3, 2), (2, 1), (1, 1), (1, 1))
    grouped = Convolution(strided.target_shape, 6, (2, 3), (1, 2), (0, 1), (1, 2), 3)
    line = Convolution(LINE, 2, (4,), (3,), (2,), (2,), 2)
    some = Sparse(np.array([0, 1, 2, 1]), np.array([3, 3, 11, 30]), 3, 70)
    thresholds = b.random.integers(100, 400, strided.targets)
    b.add("strided", IntegerCubaLif(2000, 200, thresholds, thresholds - 250, 5), strided, "input")
    b.add("grouped", IntegerIntegrateFire(260, reset="hard", initial=128 * 64), grouped, "strided")
    b.add("line", IntegerIntegrateFire(300, reset="hard"), line, "input")
    starts = 64 * np.array([100, -300, 0])
    b.add("some", IntegerIntegrateFire(301, 5, 6, "hard", initial=starts), some, "input", size=250)
    b.add("shifted", lif(), strided, "input", exponent=-1)
    b.add("late", lif(4, 6), Dense(9, grouped.targets), "grouped")
    b.join("strided", "late", Dense(9, strided.targets), delay=2, exponent=-2)
    b.join("some", "late", Sparse(np.array([8, 0]), np.array([0, 2]), 9, 3), delay=2)
    row = Convolution((3, 3), 4, (2,), (1,), (1,), (1,))
    b.add("row", lif(), row, "late", size=120)
    b.add("soft", IntegerIntegrateFire(400, reset="soft"), strided, "input")
    b.add("sums", IntegerAccumulate(), Dense(4, 9), "late")
    b.add("above", IntegerGraded(lowest=0), Dense(4, 9), "late")
    b.add("gate", IntegerProduct(), Dense(4, 9), "late", port="a")
    b.join("late", "gate", Dense(4, 9), port="b")
    b.add("hears", lif(), Dense(5, 4), "sums", exponent=-6)
    b.join("above", "hears", Dense(5, 4), exponent=-6)
    b.add("read", IntegerReadout(2000, 3000, 7, 2), Dense(4, 5), "hears")
    b.join("input", "read", Dense(4, 70), delay=6, exponent=-3)
    return b


def loners() -> Builder:
    """Return what starts once, loops, and neurons that fire before their first own step."""
    b = Builder(Interval(-3, 4))
    kernel = Convolution(IMAGE, 2, (2, 2), (2, 2), (0, 0), (1, 1))
    b.add("encoder", IntegerDelta(3 << 8, 6, 8), kernel, "input", size=4)
    bias = b.random.integers(-70000, 70000, kernel.targets)
    b.add("rectifier", IntegerSigmaDelta(5 << 6, 6, bias), kernel, "input", size=120)
    b.add("deeper", IntegerSigmaDelta(64, 6, -300), Dense(6, kernel.targets), "rectifier")
    b.join("encoder", "deeper", Dense(6, kernel.targets), delay=1)
    b.add("turning", IntegerResonateFire(1800, 2900, 300), Dense(5, 70), "input", port="real")
    b.join("input", "turning", Dense(5, 70), port="imag")
    both = IntegerResonateFireIzhikevich(1800, 2900, 300)
    b.add("izhikevich", both, Dense(5, 70), "input", port="real")
    b.join("input", "izhikevich", Dense(5, 70), port="imag")
    b.add("signed", IntegerTernaryLif(2000, 100, 300, -300), Dense(5, 70), "input")
    b.add("waiting", lif(initial=5000), Dense(5, 70), "input", size=40)
    held = IntegerCubaLif(1500, 0, 190, initial=5003)
    b.add("held", held, Dense(5, 70), "input", size=40)
    b.join("held", "held", Dense(5, 5))
    b.add("eager", IntegerCubaLif(1500, 100, 90, 40, 7), Dense(5, 5), "held", size=8)
    b.join("eager", "eager", Dense(5, 5), delay=3)
    b.add("after", IntegerTernaryLif(2000, 100, 300, -300), Dense(5, 5), "eager")
    b.add("sum", IntegerSigma(), Dense(3, 6), "deeper", size=8)
    return b


@pytest.fixture(scope="module")
def in_order():
    return followers().network()


@pytest.fixture(scope="module")
def apart():
    return loners().network()


def run(network, x, folder, *more, path=""):
    """Return the output of every population in the folder for a chip."""
    return run_folder(emit(network, x.shape[1], "made"), network, x, folder, *more, path=path)


@pytest.mark.lava
def test_samples_that_follow_each_other(in_order, lava, tmp_path):
    x = (np.random.default_rng(1).random((4, STEPS, *IMAGE)) < 0.4).astype(np.uint8)
    check_equal(in_order, x, run(in_order, x, tmp_path))


@pytest.mark.lava
def test_samples_that_run_one_by_one(apart, lava, tmp_path):
    x = np.random.default_rng(1).integers(-3, 5, (2, STEPS, *IMAGE))
    check_equal(apart, x, run(apart, x, tmp_path))


@pytest.mark.lava
def test_the_branch_for_a_chip_with_a_stand_in_for_the_package(lava, tmp_path):
    """Says nothing of a chip: the stand-in passes spikes through, on the CPU."""
    b = Builder()
    kernel = Convolution(IMAGE, 3, (3, 2), (2, 1), (1, 1), (1, 1))
    b.add("kernel", IntegerIntegrateFire(260, reset="hard", initial=128 * 64), kernel, "input")
    b.add("dense", lif(), Dense(4, kernel.targets), "kernel")
    b.join("input", "dense", Dense(4, 70), delay=2)
    b.add("read", IntegerReadout(4095, 3000), Dense(3, 4), "dense", size=20)
    network = b.network()
    x = (np.random.default_rng(1).random((2, STEPS, *IMAGE)) < 0.4).astype(np.uint8)
    path = str(write_stand_in(tmp_path / "stand_in"))
    check_equal(network, x, run(network, x, tmp_path, "--on", "chip", path=path))


@pytest.mark.lava
@pytest.mark.parametrize(
    "more, message",
    [
        (
            ("--on", "chip"),
            "--on chip: this Lava has no lava.proc.embedded_io; it needs Intel's package, for"
            " members of its research community; leave out --on to run on the CPU",
        ),
        ((), "none.npz: is no npz file with x: [Errno 2] No such file or directory: 'none.npz'"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(in_order, lava, tmp_path, more, message):
    write_to(tmp_path / "made", emit(in_order, STEPS, "made"))
    files = ["--input", "none.npz", "--output", "out.npz"]
    command = [environment.locate_python(), "-s", "run.py", *files, *more]
    done = subprocess.run(
        command, cwd=tmp_path / "made", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [message]


@pytest.mark.lava
def test_biases_of_the_host_and_a_network_compiled_for_the_library(lava, tmp_path):
    image = np.random.default_rng(0).random((3, 1, 1, 6, 6)).astype(np.float32)
    x = np.repeat(image, STEPS, axis=1)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), leaky(), nn.Flatten(), linear(64, 6), leaky())
    module[0].bias.data += 0.4
    network = snncompile.from_torch(module, x, input="biases")
    program = snncompile.compile(network, chip="loihi2", calibration=x, processes="library")
    plan = plan_network(program.network, STEPS)
    assert plan.lead == 1
    assert {n.fit.process.name for n in plan.neurons.values()} == {"LIFReset"}
    check_equal(program.network, x, run(program.network, x, tmp_path))


def list_processes(network: IntegerNetwork) -> dict[str, str]:
    """Return the process of each population; of ours with why it is not Lava's."""
    plan = plan_network(network, STEPS)
    return {
        name: f"{planned.fit.process.name}{planned.obstacle and ': '}{planned.obstacle}"
        for name, planned in plan.neurons.items()
    }


def test_processes_of_samples_that_follow_each_other(in_order, golden):
    lines = [f"{name}: {process}" for name, process in list_processes(in_order).items()]
    plan = plan_network(in_order, STEPS)
    lines += [
        f"{p.source} -> {p.target}: {fit.process.name} {fit.remark}".rstrip()
        for p, fit in zip(in_order.projections, plan.synapses, strict=True)
    ]
    assert plan.apart == ()
    golden("\n".join(lines) + "\n")


def test_processes_of_samples_that_run_one_by_one(apart, golden):
    lines = [f"{name}: {process}" for name, process in list_processes(apart).items()]
    plan = plan_network(apart, STEPS)
    lines += [
        f"{p.source} -> {p.target}: {fit.process.name} {fit.remark}".rstrip()
        for p, fit in zip(apart.projections, plan.synapses, strict=True)
    ]
    golden("\n".join([*lines, *plan.apart]) + "\n")
