"""The records that everything passes on: networks, integer networks, mappings, reports.

In: arrays and names. Out: frozen records that refuse nonsense.
"""
