"""Partition by the rules of Intel's NxTF compiler for Loihi 1.

In: an integer network, a chip. Out: slices as NxTF would cut them.
"""
