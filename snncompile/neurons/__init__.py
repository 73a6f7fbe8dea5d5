"""One file per neuron: its float record, its integer record, their steps and ranges.

In: parameters, states, what arrives. Out: the next states and what is sent.
"""
