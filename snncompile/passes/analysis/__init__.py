"""Analyse a design without changing it: proved bounds, traffic, ranges of the chip's numbers.

In: a network, a chip. Out: a frozen report.
"""
