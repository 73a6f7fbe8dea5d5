"""Training for a chip: neurons for plain torch, and networks and Programs as modules that train.

net = nn.Sequential(nn.Linear(64, 32), Lif(0.1), nn.Linear(32, 10), Readout(0.1))
potentials = unroll(net, x)          # x and result: (samples, steps, *shape)
network = snncompile.from_torch(net, x)
module = from_network(network)       # trains any network, a converted one too
chip = chip_aware(program)           # trains the chip's integers; chip.program() is the result
prune(module, 0.02, step, steps)     # after each update; or GradR as the optimizer
weight = learn_filters(spikes, 16, 7)  # without labels; build_filter_layer makes a layer of them

In: parameters of a layer, a network or a Program. Out: torch modules.
"""

from snncompile.training.chip_aware import ChipAware, chip_aware
from snncompile.training.costs import energy, latency
from snncompile.training.filters import build_filter_layer, learn_filters
from snncompile.training.from_network import FloatNetwork, from_network
from snncompile.training.multi_step import MultiStepLif
from snncompile.training.neurons import IntegrateFire, Lif, Readout, unroll
from snncompile.training.pruning import (
    find_connectivity,
    list_weights,
    measure_connectivity,
    prune,
)
from snncompile.training.rewiring import GradR
from snncompile.training.spike_backprop import SpikeBackpropLif, potential_loss
from snncompile.training.stdp import BinaryStdp, BoundedStdp
from snncompile.training.surrogate import fast_sigmoid

__all__ = [
    "BinaryStdp",
    "BoundedStdp",
    "ChipAware",
    "FloatNetwork",
    "GradR",
    "IntegrateFire",
    "Lif",
    "MultiStepLif",
    "Readout",
    "SpikeBackpropLif",
    "build_filter_layer",
    "chip_aware",
    "energy",
    "fast_sigmoid",
    "find_connectivity",
    "from_network",
    "latency",
    "learn_filters",
    "list_weights",
    "measure_connectivity",
    "potential_loss",
    "prune",
    "unroll",
]
