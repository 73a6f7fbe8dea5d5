"""Read recordings of event cameras and cochleas, and make frames of them.

In: event files. Out: what a network is shown.
"""
