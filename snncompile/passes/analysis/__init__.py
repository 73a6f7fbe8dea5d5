"""What passes ask and do not change: proved bounds, traffic, ranges of the chip's numbers.

In: a network, a chip. Out: a frozen report.
"""
