"""NIR files: the network in a file, and the assumptions about it.

In: a .nir file. Out: a float network and its notes.
"""
