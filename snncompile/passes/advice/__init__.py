"""What helps where a network does not fit: the nearest neuron, fewer bits, other chips.

In: what was refused. Out: what to try.
"""
