"""Files of lava-dl: .net.

In: a .net file. Out: a network that is integer already.
"""
