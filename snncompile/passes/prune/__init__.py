"""Prune: neurons that never fire, or that nobody receives, are left out.

In: an integer network. Out: a smaller one with the same outputs.
"""
