"""Partition by the rules of Intel's compiler for Loihi 2, as its recorded core tables show them.

In: an integer network, a chip. Out: slices as that compiler would cut them.
"""
