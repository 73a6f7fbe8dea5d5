"""Write `docs/chips.md`: whether the spikes of each chip are those computed here.

python docs/make_chips.py            # write the file
python docs/make_chips.py --check    # exit 1 if the file would change
"""

from __future__ import annotations

import sys
from pathlib import Path

from snncompile.hwmodels.chips import list_names, load_chip
from snncompile.hwmodels.schema import Chip

TARGET = Path(__file__).with_name("chips.md")
HEAD = """# Chips: are their spikes the ones computed here?

Written by `python docs/make_chips.py` from the section `fidelity` of the chip files. `compile` and
`show` print it for their chip, `run` and `verify` warn where the chip's neuron is another one,
`snncompile chips NAME` has it with the limits that the model of the chip holds and leaves out.

The integers that a Program computes are those of Lava's fixed-point arithmetic, bit for bit
(lava-nc 0.10.0); Lava is the definition. Whether a chip does the same is another question:

- exact: the same spikes, as far as the comparison reaches;
- other: the chip has another neuron, and other spikes; a Program says which cores and how much
  memory it takes there, and not what it answers;
- unknown: nobody compared them.

In a chip file of your own the section has `model` (text) and, where they are known, `spikes`,
`neurons` (kinds for which they are exact), `against`, `says` and `source`. Text alone, as in older
files, means that the spikes are unknown.

| chip | spikes | compared with | |
|---|---|---|---|
"""
LOIHI = """
## Loihi 1: Lava and nengo-loihi

`tests/reference/test_nengo_loihi.py` compiles 200 random networks for `loihi1` by the whole
pipeline (dense, convolution, sparse and one-to-one wirings, loops, two decays, biases, initial
potentials, 2 to 8 bits, populations cut over cores and merged on them) and runs every core as a
block of nengo-loihi's emulator: no spike and no state of any neuron in any time step differs. The
emulator knows hard resets only, and no delays. Its account of the chip differs from Lava's in three
things, which tests show; Lava is the definition here, and nobody asked the chip:

- An input of one time step beyond 21 bits and sign (a sum of weights times 2^exponent beyond
  32,767) wraps in the emulator before it meets the current, and does not in Lava.
- So does a current with its bias beyond 23 bits; in Lava the potential saturates.
- With a weight exponent below 0 Lava drops the bits of a sum below its unit; the emulator keeps
  them, down to 1/64 of it.
"""


def page() -> str:
    """Return the whole page."""
    return HEAD + "".join(row(load_chip(name)) for name in list_names()) + LOIHI


def row(chip: Chip) -> str:
    """Return the row of a chip."""
    fidelity = chip.fidelity
    neurons = f" for {', '.join(f'`{kind}`' for kind in fidelity.neurons)}"
    spikes = fidelity.spikes + (neurons if fidelity.neurons else "")
    return f"| `{chip.name}` | {spikes} | {fidelity.against or '-'} | {fidelity.says} |\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text() != page())
    TARGET.write_text(page())
