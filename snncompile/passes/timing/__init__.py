"""Retime: every projection gets the delay it needs on the chip; relays where delays run out.

In: a float network. Out: the same network, shifted by a phase per population.
"""
