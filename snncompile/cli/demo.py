"""`snncompile demo`: train, compile, run, verify and estimate on real data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile.compiler import compile
from snncompile.errors import InputError
from snncompile.files.spikes import encode_images
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.program import Program
from snncompile.registry import load
from snncompile.report.estimates import serialize_estimate
from snncompile.report.tables import serialize_program
from snncompile.report.units import format_joules, format_seconds
from snncompile.verification import Verification, verify_runs

if TYPE_CHECKING:
    from torch import nn

    from snncompile.backends.energy.result import Estimate

STEPS = 24
HIDDEN = 128
EPOCHS = 12
TEST = 360
"""Images kept for testing; the last ones of the data set, written by other people."""

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Demo:
    """Results of the demo."""

    program: Program
    verification: Verification
    estimate: Estimate
    accuracy: dict[str, float]
    """By float, integer and lava, on the same test images."""

    def values(self) -> dict[str, Any]:
        """Return the demo's results as JSON values."""
        return {
            "accuracy": self.accuracy,
            "equal": self.verification.equal,
            "samples": self.verification.samples,
            "program": serialize_program(self.program),
            "estimate": serialize_estimate(self.estimate),
        }

    def summary(self) -> str:
        """Return the results in four lines."""
        agree = "agree in every spike" if self.verification.equal else "DIFFER"
        shares = ", ".join(f"{name} {value:.1%}" for name, value in self.accuracy.items())
        first = "" if self.verification.first is None else f"\nfirst: {self.verification.first}"
        spikes = sum(layer.outputs for layer in self.verification.activity)
        energy = format_joules(self.estimate.energy_j)
        latency = format_seconds(self.estimate.latency_s)
        return (
            f"accuracy on {self.verification.samples} test digits: {shares}\n"
            f"snnTorch and float network, reference and Lava {agree} ({spikes:,} spikes)"
            f"{first}\n"
            f"one inference: {self.estimate.label} {energy}, {self.estimate.latency_label}"
            f" {latency} for {self.estimate.steps} time steps"
            f" (cost set {self.estimate.costs})\n"
            f"{self.estimate.note}"
        )


def run(say: Say) -> Demo:
    """Run the demo; `say` is called with each step.

    Raises:
        InputError: snnTorch or scikit-learn is missing.
        BackendError: Lava cannot be installed or run.
    """
    from snncompile.backends.lava import environment

    x, label = _load_digits()
    say(f"training 64-{HIDDEN}-10 with snnTorch on {len(x) - TEST} handwritten digits")
    module = _train(x[:-TEST], label[:-TEST], say)
    test, truth = x[-TEST:], label[-TEST:]
    say("importing the module and checking that the network spikes like it")
    network = from_torch(module, test[:32], title="digits")
    say("compiling for loihi2")
    program = compile(network, chip="loihi2", calibration=x[:128])
    environment.install(say)
    say(f"running {TEST} test digits through the reference and through Lava")
    wanted = load("backends", "reference").spike_trains(program.network, test)
    got = load("backends", "lava").spike_trains(program.network, test)
    accuracy = {
        "float": network.run(test).accuracy(truth),
        "integer": _measure_accuracy(wanted[program.network.output], truth),
        "lava": _measure_accuracy(got[program.network.output], truth),
    }
    runs = {
        "library": load("natives", "torch")(module, test, network),
        "float": load("backends", "reference").spike_trains(network, test),
        "integer": wanted,
        "lava": got,
    }
    verification = verify_runs(program.network, runs, {}, {})
    return Demo(program, verification, program.estimate(test), accuracy)


def _measure_accuracy(train: NDArray[Any], label: NDArray[np.int64]) -> float:
    from snncompile.ir.result import Result

    return Result(train).accuracy(label)


def _load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return spikes (samples, steps, 64) and labels of scikit-learn's handwritten digits."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError("the demo needs scikit-learn: pip install 'snncompile[demo]'") from None
    digits = load_digits()
    return encode_images(digits.data, STEPS, highest=16.0), digits.target.astype(np.int64)


def _train(x: NDArray[np.uint8], label: NDArray[np.int64], say: Say) -> nn.Module:
    """Return a trained snnTorch network; the same every time."""
    try:
        import snntorch
    except ImportError:
        raise InputError("the demo needs snnTorch: pip install 'snncompile[demo]'") from None
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(x.shape[2], HIDDEN),
        snntorch.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(HIDDEN, 10),
        snntorch.Leaky(beta=0.9, init_hidden=True),
    )
    optimizer = torch.optim.Adam(module.parameters(), lr=4e-3)
    spikes, target = torch.tensor(x, dtype=torch.float32), torch.tensor(label)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(spikes))
        for batch in order.split(128):  # type: ignore[no-untyped-call]
            for neuron in (module[1], module[3]):
                neuron.reset_mem()  # type: ignore[operator]
            counts = torch.stack([module(step) for step in spikes[batch].unbind(1)]).sum(0)
            loss = nn.functional.cross_entropy(counts, target[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        say(f"  epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.3f}")
    return module
