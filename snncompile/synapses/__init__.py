"""One file per wiring: the synapses between neurons, and the weights they share.

In: shapes and weights. Out: sums, matrices, fan-in and fan-out.
"""
