"""Prune: remove neurons that never fire or whose spikes reach no output.

In: an integer network. Out: a smaller one with the same outputs.
"""
