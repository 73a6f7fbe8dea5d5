"""From nothing to a Lava program that learns: STDP finds which input lines fire together.

    python examples/learning.py [folder]

Ten input lines fire at random; in half of the samples the first five fire together. Two neurons
inhibit each other, and their synapses learn by spike timing. The script prints the weights before
and after, and writes the Program and a folder with a Lava program that learns the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import snncompile
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.synapses.dense import dense

LINES, NEURONS, SAMPLES, STEPS = 10, 2, 60, 12


def make_network() -> Network:
    """Return ten lines and two neurons that inhibit each other; the first projection learns."""
    rng = np.random.default_rng(0)
    neurons = Population("neurons", (NEURONS,), CubaLif(1.0, 0.3, 1.0))
    arriving = dense(rng.uniform(0.2, 0.4, (NEURONS, LINES)))
    inhibition = dense(np.eye(NEURONS) - 1)
    network = Network(
        Input("input", (LINES,)),
        (neurons,),
        (
            Projection("input", "neurons", arriving),
            Projection("neurons", "neurons", inhibition, delay=1),
        ),
        "neurons",
        title="learning",
    )
    rule = snncompile.stdp(
        learning_rate=2**-10,
        a_plus=1,
        a_minus=-0.5,
        tau_plus=2,
        tau_minus=4,
        limit=0.6,
    )
    return snncompile.plastic(network, "input", "neurons", rule)


def make_input() -> np.ndarray:
    """Return spikes; in every other sample lines 0..4 fire in the same steps."""
    rng = np.random.default_rng(1)
    x = rng.random((SAMPLES, STEPS, LINES)) < 0.08
    together = rng.random((SAMPLES, STEPS, 1)) < 0.3
    x[::2, :, :5] |= together[::2]
    return x.astype(np.uint8)


def main() -> None:
    """Learn, print and write."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/learning")
    x = make_input()
    program = snncompile.compile(make_network(), chip="loihi2", calibration=x)
    print(program)
    before = program.network.plastic[0].synapses.weight
    learned = program.learned(program.run(x))
    after = learned.network.plastic[0].synapses.weight
    for name, weight in (("before", before), ("after", after)):
        first, others = weight[:, :5].mean(axis=1), weight[:, 5:].mean(axis=1)
        print(f"{name}: lines that fire together {first.round(1)}, the others {others.round(1)}")
    learned.save(folder / "program")
    program.emit(folder / "lava")
    np.savez(folder / "x.npz", x=x)
    print(f"saved {folder}/program, which goes on, and {folder}/lava, which learns from the start:")
    print("    python run.py --input ../x.npz --output ../out.npz    # in Lava's environment")


if __name__ == "__main__":
    main()
