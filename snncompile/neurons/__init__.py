"""One file per neuron: its float record, its integer record, their steps and ranges.

In: parameters, states, synaptic input. Out: the next states and the output.
"""
