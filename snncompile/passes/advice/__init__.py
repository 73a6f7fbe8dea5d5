"""Find remedies where a network does not fit: the nearest neuron, fewer bits, other chips.

In: a refused network. Out: remedies to try.
"""
