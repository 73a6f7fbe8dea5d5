"""Small neuron modules to train with in plain torch; `from_torch` imports them exactly.

net = nn.Sequential(nn.Linear(64, 32), Lif(0.1), nn.Linear(32, 10), Readout(0.1))
potentials = unroll(net, x)          # x and result: (samples, steps, *shape)
network = snncompile.from_torch(net, x)

In: parameters of a layer. Out: torch modules.
"""

from snncompile.training.neurons import IntegrateFire, Lif, Readout, unroll

__all__ = ["IntegrateFire", "Lif", "Readout", "unroll"]
