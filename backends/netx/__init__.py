"""The integer network as a lava-dl .net file.

In: a Program. Out: a .net file.
"""
