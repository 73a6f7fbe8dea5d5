"""Networks that learn: Lava's integers and a float run of the same rules, sample after sample.

In: a network with projections that learn, and its input. Out: spikes of every step, and learning
states.
"""
