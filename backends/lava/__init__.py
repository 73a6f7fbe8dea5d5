"""A folder of Lava processes that runs without snncompile, and the environment to run it in.

In: a Program. Out: text of Python files and arrays; spikes when run.
"""
