"""Rebuilds every core from the finished tables; shares no code with the passes.

In: an integer network, its mapping, a chip. Out: nothing, or what is wrong.
"""
