"""Torch modules: traced, read layer by layer, verified against the module's own run.

In: a module and a sample. Out: a float network.
"""
