"""The record of the Lava process of `divide_fire`."""

from snncompile.backends.lava.lava_process import LavaParameter, LavaProcess

DIVIDE_FIRE = LavaProcess(
    name="DivideFire",
    file="snncompile_example:lava_files/divide_fire.py",
    neurons=("divide_fire",),
    parameters=(
        LavaParameter("threshold", "vth", 0, 131071),
        LavaParameter("divisor", "divisor", 1, 15),
        LavaParameter("initial", "initial", 1 - (1 << 23), (1 << 23) - 1),
    ),
    states=("v", "count"),
)
