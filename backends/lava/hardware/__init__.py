"""A Lava folder prepared for the chip: processes of Lava's library wherever they compute the same.

In: a Program. Out: text of Python files and arrays, with what runs where.
"""
