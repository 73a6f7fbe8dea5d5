"""The passes, in the order in which a network goes through them:

    timing/        retime        one step of delay per synapse; relays for long delays
    quantize/      quantize      floats become integers of the chip
    prune/         prune         neurons that cannot matter are left out
    split_fan_in/  accumulate    relays add up parts of what one core cannot hold
    partition/     partition     populations are cut into slices, slices share cores
    place/         place         cores get a place on the mesh, by traffic
    route.py       route         the tables of axons

`pipeline.py` runs them, each between what it requires and what it ensures (`contracts.py`);
`text.py` reads and writes them as text. `partition_nxtf` cuts as NxTF does, in place of partition.

`analysis/` has what passes ask without changing anything (bounds, traffic, ranges), `advice/` what
helps where a network does not fit.

In: a Design, which is a network, a chip and what was decided so far. Out: a new Design.
"""
