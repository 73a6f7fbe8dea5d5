"""Split fan-in: let relay populations add up parts of a sum that one core cannot hold.

In: an integer network, a chip. Out: an integer network whose fan-in fits.
"""
