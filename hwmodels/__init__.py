"""Chips as data: YAML files and the schema that reads them; imports nothing of ours.

In: a name or a file. Out: a Chip, every number with unit, evidence and source.
"""
