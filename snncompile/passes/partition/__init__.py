"""Partition: populations are cut into slices, several slices share a core.

In: an integer network, a chip. Out: slices, each on a core, within every limit.
"""
