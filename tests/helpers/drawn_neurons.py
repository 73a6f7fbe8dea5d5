"""Random integer neurons of every kind in the registry, by the names of their parameters."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from snncompile import registry
from snncompile.hwmodels import chips
from snncompile.neurons.base import IntegerNeuron

KINDS = tuple(
    f"{name}/{reset}"
    for name in registry.list_names("neurons")
    for reset in registry.load("neurons", name).resets or ("",)
)
"""Every neuron with each of its resets: "cuba_lif/soft", "delta/"."""
TOP = 2**23 - 1
FORMATS = chips.load_chip("loihi1").formats

MODERATE = {
    "threshold": (1, 300),
    "negative_threshold": (-300, 0),
    "threshold_step": (0, 80),
    "threshold_level": (1, 20000),
    "bias_level": (-3000, 6000),
    "bias_mantissa": (-6, 50),
    "bias_exponent": (0, 7),
    "bias": (-3000, 6000),
    "refractory": (0, 4),
    "window": (1, 2),
    "start": (0, 1),
    "doubling": (0, 1),
    "once": (0, 1),
    "state_exponent": (0, 7),
    "input_exponent": (0, 6),
    "sin_decay": (-2800, 2800),
    "cos_decay": (-2800, 2900),
    "initial": (-9000, 20000),
    "most": (1, 9),
    "lowest": (-20000, 0),
    "highest": (0, 20000),
    "least": (1, 9),
    "memory": (0, 1),
    "factor": (1, 9),
    "shift": (0, 4),
}
WILD = {
    "threshold": (1, 131071),
    "negative_threshold": (-131071, 0),
    "threshold_step": (0, 131071),
    "threshold_level": (1, TOP),
    "bias_level": (-TOP, TOP),
    "bias_mantissa": (-512, 4095),
    "bias": (-TOP, TOP),
    "state_exponent": (0, 31),
    "sin_decay": (-4096, 4096),
    "cos_decay": (-4096, 4096),
    "initial": (-TOP, TOP),
    "factor": (1, 32767),
    "shift": (0, 31),
}
"""Parameter to lowest and highest value; one without a row has the range that its neuron states.

Decays are all of 0..4095, often one of the ends.
"""


def neuron(rng: np.random.Generator, kind: str, size: int, *, wild: bool) -> IntegerNeuron:
    """Return a neuron of one of KINDS; each parameter is one number or one per neuron.

    Wild ones have numbers at the ends of their ranges, so that states wrap and saturate.
    """
    name, _, reset = kind.partition("/")
    make = registry.load("neurons", name).integer
    values = {
        field.name: _value(rng, make, field.name, size, wild=wild)
        for field in fields(make)
        if field.name not in ("reset", "table")
    }
    if "table" in make.tables and rng.random() < 0.5:
        values |= {"lowest": -int(rng.integers(0, 40)), "highest": int(rng.integers(0, 40))}
        values["table"] = rng.integers(-300, 300, values["highest"] - values["lowest"] + 1)
    if rng.random() < 0.4:
        values |= {n: 0 for n in ("bias_mantissa", "bias_level", "bias") if n in values}
    if rng.random() < 0.7:
        values["initial"] = 0
    return make(**values, **({"reset": reset} if reset else {}))


def _value(
    rng: np.random.Generator, make: type[IntegerNeuron], name: str, size: int, *, wild: bool
):
    shape = size if rng.random() < 0.5 else ()
    if name in ("current_decay", "potential_decay", "threshold_decay"):
        return rng.choice([0, 4095]) if rng.random() < 0.4 else rng.integers(0, 4096, shape)
    table = WILD if wild and name in WILD else MODERATE
    low, high = table[name] if name in table else make.ranges(FORMATS)[name]
    if name in ("threshold", "threshold_level") and rng.random() < 0.6:
        high = 5
    return rng.integers(low, high + 1, shape)
