"""What slices take of a core: rows, words, axons and compartments, counted by the chip's rules.

In: an integer network, slices of it, a chip. Out: counts per resource.
"""
