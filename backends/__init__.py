"""Targets to run, price or write a Program for, one folder each.

In: a Program. Out: spikes, estimates or files.
"""
