"""Distance of the weights that a number of bits can hold."""

from __future__ import annotations


def weight_step(bits: int, *, shared_sign: bool = False) -> int:
    """Return the distance of two neighbouring weights: 2^(9 - bits), 2 for 8 bits.

    Lava (lava-nc 0.10.0, `utils/weightutils.py`: `truncate_weights`) stores a signed weight of 8
    bits times two, in -256..254; with fewer bits the lowest are dropped: weights keep their range
    and lose steps. Where the synapses of a row share a sign, no bit holds it: 2^(8 - bits).

    Args:
        bits: of a weight, 1..9 with its own sign, 1..8 with a shared one.
        shared_sign: whether the sign is stored once for a row, not with the weight.
    """
    return 1 << ((8 if shared_sign else 9) - bits)
