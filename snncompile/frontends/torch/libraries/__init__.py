"""One file per torch library: a table from its classes to neurons of ours.

In: a layer of the library. Out: its neuron, and how the library runs it.
"""
