"""Architecture and network files of SANA-FE.

In: a chip and a Program, or a SANA-FE architecture. Out: its YAML, or a chip.
"""
