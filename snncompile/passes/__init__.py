"""The passes, in the order in which a network goes through them:

    timing/        retime        one step of delay per synapse; relays for long delays
    quantize/      quantize      floats become integers of the chip
    analysis/      measure       floats and integers run; their loss is recorded
    prune/         prune         neurons that cannot matter are removed
    split_fan_in/  accumulate    relays add up parts of sums that one core cannot hold
    sparsify.py    sparsify      zeros are dropped where single synapses cost less
    partition/     partition     populations are cut into slices, slices share cores
    place/         place         cores get a site on the mesh, by traffic
    route.py       route         the tables of axons

`pipeline.py` runs them and checks the contract of each (`contracts.py`); `text.py` reads and writes
them as text. `partition_nxtf` and `partition_intel` cut as Intel's compilers for Loihi 1 and 2 do,
in place of partition.

`analysis/` reports on a design without changing it (bounds, traffic, ranges); `advice/` finds
remedies where a network does not fit.

In: a Design, which is a network, a chip and the decisions so far. Out: a new Design.
"""
