"""One folder per target that a Program is run on, priced for or written as.

In: a Program. Out: spikes, estimates or files.
"""
