"""Quantize: choose scales, mantissas, exponents and decays; report the error of each layer.

In: a float network, calibration data. Out: an integer network and its errors.
"""
