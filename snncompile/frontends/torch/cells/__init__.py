"""Neurons that a module computes in its own code, recognized by what they do.

In: the trace of a run. Out: the same with neuron layers in the place of their functions.
"""
