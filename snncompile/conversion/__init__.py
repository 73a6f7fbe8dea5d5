"""Conversion of trained networks of ReLUs to spiking ones, one file per method.

In: a torch module and calibration data. Out: a float network.
"""
