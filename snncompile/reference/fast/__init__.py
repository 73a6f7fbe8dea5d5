"""The same integers, fast: compiled neurons and the fastest exact way of each projection.

In: an integer network and spikes. Out: what the plain simulator returns, bit for bit.
"""
