"""Records of the Lava processes of our neurons: LIFReset is Lava's own, the others are ours.

Ranges are those of Lava's fixed-point models (proc/lif/models.py, proc/rf/models.py,
proc/sdn/models.py): 12-bit decays, thresholds of 17 bits, biases of 16 bits, states of 24 bits.
"""

from __future__ import annotations

from dataclasses import replace

from snncompile.backends.lava.lava_process import OURS, LavaParameter, LavaProcess
from snncompile.backends.lava.proofs import needs_no_limits
from snncompile.neurons.fixed import DECAY_ONE, STATE_LIMIT, WORD_LIMIT
from snncompile.neurons.graded import LARGEST_FACTOR
from snncompile.neurons.product import LARGEST_SHIFT
from snncompile.neurons.synapse_filter import LARGEST_RISE

_STATE = STATE_LIMIT - 1

CURRENT_DECAY = LavaParameter("current_decay", "du", 0, DECAY_ONE - 1)
POTENTIAL_DECAY = LavaParameter("potential_decay", "dv", 0, DECAY_ONE - 1)
THRESHOLD = LavaParameter("threshold", "vth", 0, 131071)
NEGATIVE_THRESHOLD = LavaParameter("negative_threshold", "vth_lo", -131071, 0)
BIAS = (
    LavaParameter("bias_mantissa", "bias_mant", -32768, 32767),
    LavaParameter("bias_exponent", "bias_exp", 0, 14),
)
INITIAL = LavaParameter("initial", "initial", -_STATE, _STATE)
WINDOW = LavaParameter("window", "window", 1, WORD_LIMIT - 1)
MEMBERS = LavaParameter("members", "numbers", 1, 8)  # a Lava model has members
ONSET = LavaParameter("start", "onset", 0, WORD_LIMIT - 1)  # a Lava model has a method start
ONCE = LavaParameter("once", "once", 0, 1)
HIGHEST = LavaParameter("most", "most", 1, _STATE)
LOWEST = LavaParameter("lowest", "lowest", -_STATE, 0)
SIN_DECAY = LavaParameter("sin_decay", "sin_decay", -DECAY_ONE, DECAY_ONE)
COS_DECAY = LavaParameter("cos_decay", "cos_decay", -DECAY_ONE, DECAY_ONE)
THRESHOLD_LEVEL = LavaParameter("threshold_level", "vth_level", 0, STATE_LIMIT)
BIAS_LEVEL = LavaParameter("bias_level", "bias_level", -STATE_LIMIT, STATE_LIMIT)
STATE_EXPONENT = LavaParameter("state_exponent", "state_exp", 0, 31)
INPUT_EXPONENT = LavaParameter("input_exponent", "input_exp", 0, 31)

DECAYS = (CURRENT_DECAY, POTENTIAL_DECAY)
DECAYS_OR_NONE = (replace(CURRENT_DECAY, default=4095), replace(POTENTIAL_DECAY, default=0))
"""Integrate-and-fire has no decays: nothing of the current stays, all of the potential does."""


LIF_RESET = LavaProcess(
    name="LIFReset",
    library="lava.proc.lif.process",
    neurons=("cuba_lif", "integrate_fire"),
    resets=("hard",),
    parameters=(*DECAYS_OR_NONE, THRESHOLD, *BIAS),  # no `initial`: it starts at v = 0 only
    states=("u", "v"),
    lif_equations=True,
)
CUBA_LIF = LavaProcess(
    name="CubaLif",
    file=f"{OURS}:processes/cuba_lif.py",
    neurons=("cuba_lif", "integrate_fire"),
    resets=("hard", "soft", "delayed_soft", "delayed_hard", "strict_soft", "none"),
    parameters=(*DECAYS_OR_NONE, THRESHOLD, *BIAS, INITIAL),
    states=("u", "v"),
    lif_equations=True,
)
READOUT = LavaProcess(
    name="Readout",
    file=f"{OURS}:processes/readout.py",
    neurons=("readout",),
    parameters=(*DECAYS, *BIAS, INITIAL),
    states=("u", "v"),
    lif_equations=True,
)
ACCUMULATE = LavaProcess(
    name="Accumulate",
    file=f"{OURS}:processes/accumulate.py",
    neurons=("accumulate",),
    parameters=(LOWEST, HIGHEST, INITIAL),
    states=("v",),
)
GRADED = LavaProcess(
    name="Graded",
    file=f"{OURS}:processes/graded.py",
    neurons=("graded",),
    parameters=(
        LavaParameter("factor", "factor", 1, LARGEST_FACTOR),
        LavaParameter("shift", "shift", 0, 31),
        LOWEST,
        LavaParameter("highest", "highest", 0, _STATE),
        LavaParameter("table", "table", -_STATE, _STATE),
        LavaParameter("bias", "bias", -_STATE, _STATE),
        INITIAL,
    ),
    states=("v",),
)
GRADED_DELTA = LavaProcess(
    name="GradedDelta",
    file=f"{OURS}:processes/graded_delta.py",
    neurons=("graded_delta",),
    parameters=(
        *GRADED.parameters,
        LavaParameter("least", "least", 1, _STATE),
        LavaParameter("memory", "memory", 0, 1),
    ),
    states=("sigma", "sent"),
)
ADAPTIVE_LIF = LavaProcess(
    name="AdaptiveLif",
    file=f"{OURS}:processes/adaptive_lif.py",
    neurons=("adaptive_lif",),
    resets=("hard", "soft"),
    parameters=(
        *DECAYS,
        THRESHOLD,
        LavaParameter("threshold_decay", "dt", 0, DECAY_ONE - 1),
        LavaParameter("threshold_step", "step", 0, 131071),
        *BIAS,
        INITIAL,
    ),
    states=("u", "v", "raised"),
)
ALPHA_LIF = LavaProcess(
    name="AlphaLif",
    file=f"{OURS}:processes/alpha_lif.py",
    neurons=("alpha_lif",),
    parameters=(*DECAYS, THRESHOLD, INITIAL),
    states=("u", "v"),
)
ALPHA_SOFT_LIF = LavaProcess(
    name="AlphaSoftLif",
    file=f"{OURS}:processes/alpha_soft_lif.py",
    neurons=("alpha_soft_lif",),
    parameters=(
        *DECAYS,
        THRESHOLD,
        LavaParameter("reset_decay", "dr", 0, DECAY_ONE - 1),
        LavaParameter("subtracted", "taken", 0, 131071),
        INITIAL,
    ),
    states=("slow", "fast", "v"),
)
BISTABLE_FIRE = LavaProcess(
    name="BistableFire",
    file=f"{OURS}:processes/bistable_fire.py",
    neurons=("bistable_fire",),
    parameters=(THRESHOLD, WINDOW, ONSET, *BIAS, ONCE, INITIAL),
    states=("v", "clock"),
)
PHASE_FIRE = LavaProcess(
    name="PhaseFire",
    file=f"{OURS}:processes/phase_fire.py",
    neurons=("phase_fire",),
    parameters=(THRESHOLD, WINDOW, ONSET, *BIAS, ONCE, INITIAL),
    states=("v", "clock"),
)
PHASE_MAXIMUM = LavaProcess(
    name="PhaseMaximum",
    file=f"{OURS}:processes/phase_maximum.py",
    neurons=("phase_maximum",),
    parameters=(MEMBERS, WINDOW, ONSET, INITIAL),
    states=("v", "clock"),
)
MULTI_SPIKE_LIF = LavaProcess(
    name="MultiSpikeLif",
    file=f"{OURS}:processes/multi_spike_lif.py",
    neurons=("multi_spike_lif",),
    resets=("hard", "soft"),
    parameters=(*DECAYS, THRESHOLD, *BIAS, HIGHEST, LOWEST, INITIAL),
    states=("u", "v"),
)
PRODUCT = LavaProcess(
    name="Product",
    file=f"{OURS}:processes/product.py",
    neurons=("product",),
    parameters=(
        LavaParameter("factor", "factor", 1, LARGEST_FACTOR, default=1),
        LavaParameter("shift", "shift", 0, LARGEST_SHIFT, default=0),
        replace(LOWEST, default=-_STATE),
        LavaParameter("highest", "highest", 0, _STATE, default=_STATE),
        LavaParameter("bias_a", "bias_a", -_STATE, _STATE, default=0),
        LavaParameter("bias_b", "bias_b", -_STATE, _STATE, default=0),
        INITIAL,
    ),
    states=("v",),
)
PROD_NEURON = LavaProcess(
    name="ProdNeuron",
    library="lava.proc.prodneuron.process",
    neurons=("product",),
    ports=("a_in1", "a_in2"),
    parameters=(
        LavaParameter("vth", "vth", 0, 0, default=0),
        LavaParameter("exp", "exp", 0, 0, default=0),
    ),
    keeps_state=False,
    suits=needs_no_limits,
    without_effect=("lowest", "highest"),
)
REFRACTORY_LIF = LavaProcess(
    name="RefractoryLif",
    file=f"{OURS}:processes/refractory_lif.py",
    neurons=("refractory_lif",),
    parameters=(
        *DECAYS,
        THRESHOLD,
        LavaParameter("refractory", "refractory", 0, WORD_LIMIT - 1),
        *BIAS,
        INITIAL,
    ),
    states=("u", "v", "wait"),
)
SIGNED_INTEGRATE_FIRE = LavaProcess(
    name="SignedIntegrateFire",
    file=f"{OURS}:processes/signed_integrate_fire.py",
    neurons=("signed_integrate_fire",),
    parameters=(THRESHOLD, NEGATIVE_THRESHOLD, *BIAS, INITIAL),
    states=("v", "sent"),
)
SYNAPSE_FILTER = LavaProcess(
    name="SynapseFilter",
    file=f"{OURS}:processes/synapse_filter.py",
    neurons=("synapse_filter",),
    parameters=(POTENTIAL_DECAY, LavaParameter("rise", "rise", 1, LARGEST_RISE), INITIAL),
    states=("v",),
)
TERNARY_LIF = LavaProcess(
    name="TernaryLif",
    file=f"{OURS}:processes/ternary_lif.py",
    neurons=("ternary_lif",),
    parameters=(*DECAYS, THRESHOLD, NEGATIVE_THRESHOLD, *BIAS, INITIAL),
    states=("u", "v"),
)
WINDOW_READOUT = LavaProcess(
    name="WindowReadout",
    file=f"{OURS}:processes/window_readout.py",
    neurons=("window_readout",),
    parameters=(WINDOW, ONSET, LavaParameter("doubling", "doubling", 0, 1), *BIAS, INITIAL),
    states=("v", "clock"),
)
RESONATE_FIRE = LavaProcess(
    name="ResonateFire",
    file=f"{OURS}:processes/resonate_fire.py",
    neurons=("resonate_fire",),
    parameters=(SIN_DECAY, COS_DECAY, THRESHOLD_LEVEL, INITIAL),
    states=("real", "imag"),
)
RESONATE_FIRE_IZHIKEVICH = LavaProcess(
    name="ResonateFireIzhikevich",
    file=f"{OURS}:processes/resonate_fire_izhikevich.py",
    neurons=("resonate_fire_izhikevich",),
    parameters=(SIN_DECAY, COS_DECAY, THRESHOLD_LEVEL, INITIAL),
    states=("real", "imag"),
)
DELTA_RESET = LavaProcess(
    name="DeltaReset",
    file=f"{OURS}:processes/delta_reset.py",
    neurons=("delta",),
    parameters=(THRESHOLD_LEVEL, STATE_EXPONENT, INPUT_EXPONENT, INITIAL),
    states=("act", "residue"),
)
SIGMA_DELTA_RESET = LavaProcess(
    name="SigmaDeltaReset",
    file=f"{OURS}:processes/sigma_delta_reset.py",
    neurons=("sigma_delta",),
    parameters=(THRESHOLD_LEVEL, STATE_EXPONENT, BIAS_LEVEL, INITIAL),
    states=("sigma", "act", "residue"),
)
SIGMA_RESET = LavaProcess(
    name="SigmaReset",
    file=f"{OURS}:processes/sigma_reset.py",
    neurons=("sigma",),
    parameters=(INITIAL,),
    states=("sigma",),
)
