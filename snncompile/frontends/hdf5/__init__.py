"""HDF5 files of strangers, read in a process of its own with limits on size and time.

In: a path. Out: arrays and attributes.
"""
