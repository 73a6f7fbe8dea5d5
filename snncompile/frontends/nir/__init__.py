"""NIR files: what is in them, and what had to be assumed.

In: a .nir file. Out: a float network and its notes.
"""
