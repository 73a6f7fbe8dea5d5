"""Partition: cut populations into slices; several slices share a core.

In: an integer network, a chip. Out: slices, each on a core, within every limit.
"""
