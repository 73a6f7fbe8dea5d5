"""What of a network is left without a process of Lava's library, and what the others cost.

    python benchmarks/hardware.py torch_digits snntorch_digits [--samples 4]
    python benchmarks/hardware.py mnist_rates mnist_graded mnist_sigma_delta
    python benchmarks/hardware.py FILE.net ... [--steps 16]

Trained networks are compiled as they are and with processes="library"; both are written with
`emit --for hardware`, and the second runs on Lava on the CPU, where every spike of every population
is compared with the reference. A .net file of lava-dl holds integers: it is written as it is.
`mnist_...` need the data beside this project.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import conversion_networks as networks
import numpy as np
import torch
from trained_weights import Training, load_or_train

import snncompile
from snncompile.backends.lava import environment
from snncompile.backends.lava.hardware.plan import plan_network
from snncompile.conversion.balance import Balance
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.sigma_delta import SigmaDeltaMessages
from snncompile.frontends.netx.from_netx import from_netx
from snncompile.program import Program
from snncompile.reference.backend import spike_trains

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
CALIBRATION, TEST = 256, 100


def describe(program: Program) -> str:
    """Return the processes of a Program, Lava's first, then those that need microcode."""
    plan = plan_network(program.network, program.options.quantize.steps)
    library = [n.fit.process.name for n in plan.neurons.values() if not n.obstacle]
    library += [fit.process.name for fit in plan.synapses]
    ours = [n.fit.process.name for n in plan.neurons.values() if n.obstacle]
    ours += ["Delay" for fit in plan.synapses if fit.wait or fit.silent]
    names = ", ".join(f"{count} {name}" for name, count in sorted(Counter(library).items()))
    left = ", ".join(f"{count} {name}" for name, count in sorted(Counter(ours).items()))
    return f"{names}; needs microcode: {left or 'none'}"


def compare(program: Program, x: np.ndarray) -> str:
    """Return how many outputs of the written folder on Lava differ from the reference."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program.emit(folder / "made", reader="hardware")
        np.savez(folder / "x.npz", x=x)
        files = ["--input", str(folder / "x.npz"), "--output", str(folder / "out.npz"), "--all"]
        python = environment.locate_python()
        command = [str(python), "-E", "-s", "run.py", *files]
        done = subprocess.run(
            command, cwd=folder / "made", capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"failed: {done.stderr.strip().splitlines()[-1]}"
        with np.load(folder / "out.npz") as out:
            found = {p.name: out[f"spikes.{p.name}"] for p in program.network.populations}
    wanted = spike_trains(program.network, x)
    differ = sum(
        int((found[name].reshape(expected.shape) != np.asarray(expected)).sum())
        for name, expected in wanted.items()
    )
    return f"{differ} of {sum(e.size for e in wanted.values()):,} outputs on Lava differ"


def show(title: str, network: Any, calibration: Any, test: Any, label: Any, samples: int) -> None:
    """Print a network as it is and with the library's processes."""
    calibration, test = (network.input.present(x) for x in (calibration, test))
    print(f"{title}: float {100 * network.run(test).accuracy(label):.1f} %")
    for processes in ("any", "library"):
        program = snncompile.compile(
            network, chip="loihi2", calibration=calibration, processes=processes
        )
        accuracy = 100 * program.run(test).accuracy(label)
        print(f"  {processes}: {accuracy:.1f} %; {describe(program)}")
        if processes == "library":
            print(f"  {compare(program, np.asarray(test[:samples]))}", flush=True)


def digits(name: str, samples: int) -> None:
    """Print a network of `examples/` for digits, trained as there."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    import digits as data

    module = importlib.import_module(name)
    torch.manual_seed(0)
    trained = data.train(module.model(), module.answer)
    network = snncompile.from_torch(trained, data.X[:16], title=name)
    test, label = data.X[-data.TEST :], data.LABEL[-data.TEST :]
    show(name, network, data.X[:128], test, label, samples)


def make_stream(images: np.ndarray) -> np.ndarray:
    """Return four frames of each image, which comes in from the right, (samples, 4, *shape)."""
    return np.stack([np.roll(images, shift, -1) for shift in (3, 2, 1, 0)], axis=1)


def mnist(method: Any, steps: int, samples: int) -> None:
    """Print a conversion of the MNIST CNN of the benchmark of conversions.

    Of a stream the answer is that of the last frame, and the network is converted for the library.
    """
    x, y = networks.mnist(DATA, "train", 8000)
    test, label = networks.mnist(DATA, "test", TEST)
    torch.manual_seed(0)
    model = networks.cnn()
    training = Training(repr(model), len(x), 4, 3e-3, mirrored=False)
    load_or_train("mnist_cnn", model, training, lambda m: networks.train(m, x, y, epochs=4))
    stream = isinstance(method, SigmaDeltaMessages)
    processes = "library" if stream else "any"
    network = snncompile.from_ann(
        model, x[:CALIBRATION], method=method, steps=steps, processes=processes
    )
    title = f"mnist_cnn, {type(method).__name__}, {steps} steps"
    frames = make_stream if stream else np.asarray
    show(title, network, frames(x[:CALIBRATION]), frames(test), label, samples)


def net_file(path: Path, samples: int, steps: int) -> None:
    """Print a .net file of lava-dl with random input."""
    network = from_netx(path)
    low, high = network.input.payload
    random = np.random.default_rng(0)
    low, high = max(low, -64), min(high, 64)
    x = random.integers(low, high + 1, (samples, steps, *network.input.shape))
    x = x * (random.random(x.shape) < 0.2)
    program = snncompile.compile(network, chip="loihi2", steps=steps)
    print(f"{path.name}: {describe(program)}")
    print(f"  {compare(program, x.astype(np.int64))}", flush=True)


PARTS: dict[str, Any] = {
    "torch_digits": partial(digits, "torch_digits"),
    "snntorch_digits": partial(digits, "snntorch_digits"),
    "mnist_rates": partial(mnist, Balance(), 32),
    "mnist_graded": partial(mnist, GradedMessages(), 1),
    "mnist_sigma_delta": partial(mnist, SigmaDeltaMessages(least=4, least_input=4), 1),
}


def main() -> None:
    """Print the tables of the parts that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="+", help="as above, or .net files")
    parser.add_argument("--samples", type=int, default=4, help="samples that run on Lava")
    parser.add_argument("--steps", type=int, default=16, help="time steps of .net files")
    given = parser.parse_args()
    for part in given.parts:
        if part.endswith(".net"):
            net_file(Path(part), given.samples, given.steps)
        else:
            PARTS[part](samples=given.samples)


if __name__ == "__main__":
    main()
