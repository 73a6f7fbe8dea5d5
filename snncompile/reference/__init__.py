"""The simulator: what a network means, in floats and in integers.

In: a network and spikes. Out: spikes, states and potentials of every step.
"""
