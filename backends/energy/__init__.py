"""Cycles, energy and latency: counts times prices, in closed form or message by message.

In: a Program and its spikes. Out: rows with their sources.
"""
