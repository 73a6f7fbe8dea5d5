"""The float network as a NIR file.

In: a network. Out: a .nir file.
"""
