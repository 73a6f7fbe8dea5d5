"""Retime: give every projection the delay it needs on the chip; add relays where delays run out.

In: a float network. Out: the same network, shifted by a phase per population.
"""
