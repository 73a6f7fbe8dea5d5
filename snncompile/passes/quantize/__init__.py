"""Quantize: scales, mantissas, exponents and decays of the chip, and the error of each layer.

In: a float network, calibration data. Out: an integer network and its errors.
"""
