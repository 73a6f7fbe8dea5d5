"""Records of the Lava processes around the neurons: synapses, delays, input and probes."""

from __future__ import annotations

from snncompile.backends.lava.lava_process import OURS, LavaProcess

DENSE = LavaProcess(name="Dense", library="lava.proc.dense.process", wirings=("dense",))
SPARSE = LavaProcess(name="Sparse", library="lava.proc.sparse.process")
"""Synapses of every wiring without a process of its own, as a matrix.

Lava's Conv is no such process: it ignores `weight_exp` and `num_weight_bits`, and numbers neurons
in another order.
"""
LEARNING_DENSE = LavaProcess(name="LearningDense", library="lava.proc.dense.process")
LEARNING_SPARSE = LavaProcess(name="LearningSparse", library="lava.proc.sparse.process")
"""Synapses with a rule; `learning.py` chooses between them."""
START = LavaProcess(name="Start", file=f"{OURS}:processes/start.py")

WRAP = LavaProcess(name="Wrap", file=f"{OURS}:processes/wrap.py")
"""Behind synapses whose sums wrap."""
DELAY = LavaProcess(name="Delay", file=f"{OURS}:processes/delay.py")
SPIKE_SOURCE = LavaProcess(name="SpikeSource", file=f"{OURS}:processes/spike_source.py")
PROBE = LavaProcess(name="Probe", file=f"{OURS}:processes/probe.py")
STATE_PROBE = LavaProcess(name="StateProbe", file=f"{OURS}:processes/state_probe.py")

INPUT_ADAPTER = LavaProcess(name="InputAdapter", file=f"{OURS}:processes/input_adapter.py")
IMAGE_ADAPTER = LavaProcess(name="ImageAdapter", file=f"{OURS}:processes/image_adapter.py")
OUTPUT_ADAPTER = LavaProcess(name="OutputAdapter", file=f"{OURS}:processes/output_adapter.py")
VOLTAGE_READER = LavaProcess(
    name="VoltageReader",
    file=f"{OURS}:processes/voltage_reader.py",
    helpers=(f"{OURS}:processes/on_chip.py",),
)
"""Ways into a folder for a chip and out of it."""
