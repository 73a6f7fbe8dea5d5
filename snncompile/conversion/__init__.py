"""Trained networks of ReLUs become spiking ones, one file per method.

In: a torch module and calibration data. Out: a float network.
"""
