"""One file per wiring: which synapse is between which neurons, and how weights are shared.

In: shapes and weights. Out: sums, matrices, fan-in and fan-out.
"""
