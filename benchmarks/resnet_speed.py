"""How long a network of the size of ResNet-20 takes on the integer reference.

    python benchmarks/resnet_speed.py [--images 932] [--steps 32] [--neuron soft|signed]

Random weights, 188,426 neurons, 41 million synaptic weights per time step if every source spikes;
a third of the inputs spike. Also: how long quantizing it and proving its bounds take.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from resnet import resnet20

from snncompile.hwmodels import chips
from snncompile.ir.design import Design
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.signed_integrate_fire import SignedIntegrateFire
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import run_batches

NEURONS = {"soft": IntegrateFire(1.0, 0.05), "signed": SignedIntegrateFire(1.0)}


def main() -> None:
    """Quantize, prove, run; print the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=932)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--neuron", choices=NEURONS, default="signed")
    options = parser.parse_args()
    chip = chips.load_chip("loihi2")
    start = time.perf_counter()
    design = Retime()(Design(resnet20(neuron=NEURONS[options.neuron]), chip))
    network = Quantize(steps=options.steps)(design).network
    print(f"quantize: {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    found = prove_bounds(network, chip, options.steps)
    proved = sum(bound.holds for bound in found)
    print(f"bounds: {time.perf_counter() - start:.2f} s, {proved} of {len(found)} proved")
    shape = (options.images, options.steps, *network.input.shape)
    x = (np.random.default_rng(1).random(shape, np.float32) < 0.3).astype(np.uint8)
    spike_trains = next(run_batches(network, x[:2]))
    rate = np.mean([float((train != 0).double().mean()) for train in spike_trains.values()])
    start, cpu = time.perf_counter(), time.process_time()
    network.run(x)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{options.images} images of {options.steps} steps, {torch.get_num_threads()} threads,"
        f" mean rate {rate:.2f}: {seconds:.1f} s ({cpu:.1f} s of processor time), {peak:.2f} GiB"
    )


if __name__ == "__main__":
    main()
