"""Real Lava processes against the integer reference, on random networks with everything there is.

A group of networks shares one start of Lava. Starting takes longer than the networks do, and more
than in proportion to the number of processes: groups of five take 0.6 s per network, of forty 2 s.
"""

from collections import Counter

import numpy as np
import plain
import pytest
from differential import GROUPS, SAMPLES, group, network, spikes

from snncompile.backends.lava.run import trains
from snncompile.reference.simulate import batches
from snncompile.synapses.convolution import Convolution

SEED = 3
"""Of the networks; network i of this seed is always the same."""
TOGETHER = 5
"""Networks in one start of Lava."""


def mismatches(which: int) -> list[str]:
    """Return where the networks of a group differ; each is looked at step by step."""
    numbers = range(which * TOGETHER, (which + 1) * TOGETHER)
    joined, x = group(SEED, numbers, which)
    computed = trains(joined, x)
    (expected,) = batches(joined, x)
    found = []
    for population in joined.populations:
        a, b = computed[population.name], expected[population.name].numpy()
        assert a.shape == (*x.shape[:2], population.size)
        if (a != b).any():
            sample, step, neuron = np.argwhere(a != b)[0]
            found.append(f"{population.name}: sample {sample}, step {step}, neuron {neuron}")
    return found


@pytest.mark.lava
@pytest.mark.parametrize("which", range(8))
def test_forty_networks(lava, which):
    assert mismatches(which) == []


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("which", range(200))
def test_a_thousand_networks(lava, which):
    assert mismatches(which) == []


def networks(numbers: range):
    """Yield networks as the groups have them, with their input."""
    for number in numbers:
        shape, steps = GROUPS[number // TOGETHER % len(GROUPS)]
        yield network(SEED, number, shape, steps), spikes(SEED, shape, steps)


def test_the_sample_of_forty_has_everything():
    seen, outputs = Counter(), Counter()
    for made, x in networks(range(40)):
        seen.update(features(made, steps=x.shape[1]))
        (batch,) = batches(made, x)
        outputs.update("some" if batch[p.name].any() else "none" for p in made.populations)
    missing = [feature for feature in FEATURES if not seen[feature]]
    assert missing == []
    assert outputs["none"] < 0.3 * outputs.total()


FEATURES = [
    *("dense", "sparse", "scale", "convolution", "1-D", "2-D"),
    *("stride", "padding", "dilation", "groups", "depthwise", "even kernel", "kernel not square"),
    *("no synapse at all", "one neuron", "one weight for all", "a weight per neuron"),
    *("weight -256", "weight 254 or more", "1 bit", "8 bits", "shift left", "shift right"),
    *("loop", "self-loop", "own delay", "own delay past the sample", "several into one"),
    *("from one source twice", "nothing feeds it", "phase 3 or more", "per neuron", "bias"),
    *(f"cuba_lif/{r}" for r in ("hard", "soft", "delayed_soft", "delayed_hard", "none")),
    *("integrate_fire/hard", "integrate_fire/soft", "readout"),
]


def features(made, steps: int):
    """Yield what a network has."""
    order = {name: i for i, name in enumerate(["input", *(p.name for p in made.populations)])}
    pairs = Counter((p.source, p.target) for p in made.projections)
    for p in made.projections:
        yield from synapse_features(p.synapses)
        own = made.own_delay(p)
        conditions = {
            "loop": order[p.source] > order[p.target],
            "self-loop": p.source == p.target,
            "own delay": own > 0,
            "own delay past the sample": own >= steps,
            "from one source twice": pairs[p.source, p.target] > 1,
        }
        yield from (name for name, holds in conditions.items() if holds)
    for p in made.populations:
        yield p.neuron.kind
        conditions = {
            "one neuron": p.size == 1,
            "several into one": len(made.into(p.name)) > 1,
            "nothing feeds it": not made.into(p.name),
            "phase 3 or more": p.phase >= 3,
            "per neuron": any(getattr(p.neuron, n).ndim for n in p.neuron.parameters()),
            "bias": p.neuron.bias_mantissa.any(),
        }
        yield from (name for name, holds in conditions.items() if holds)


def synapse_features(synapses):
    wiring, weight = synapses.wiring, synapses.weight
    yield wiring.kind
    conditions = {
        "no synapse at all": wiring.synapses == 0,
        "one weight for all": wiring.kind == "scale" and weight.ndim == 0,
        "a weight per neuron": wiring.kind == "scale" and weight.ndim == 1,
        "weight -256": (weight == -256).any(),
        "weight 254 or more": (weight >= 254).any(),
        "1 bit": synapses.bits == 1,
        "8 bits": synapses.bits == 8,
        "shift left": synapses.exponent > 0,
        "shift right": synapses.exponent < 0,
    }
    if isinstance(wiring, Convolution):
        conditions |= {
            f"{len(wiring.kernel)}-D": True,
            "stride": max(wiring.stride) > 1,
            "padding": max(wiring.padding) > 0,
            "dilation": max(wiring.dilation) > 1 < max(wiring.kernel),
            "groups": wiring.groups > 1,
            "depthwise": wiring.groups == wiring.source_shape[0] > 1,
            "even kernel": any(k % 2 == 0 for k in wiring.kernel),
            "kernel not square": len(set(wiring.kernel)) > 1,
        }
    yield from (name for name, holds in conditions.items() if holds)


def test_the_reference_and_plain_python_agree():
    """A third witness for the same networks, slow and without Lava."""
    for made, x in networks(range(40)):
        (batch,) = batches(made, x)
        for sample, outputs in enumerate(plain.simulate(made, x)):
            for name, output in outputs.items():
                found = batch[name][sample].numpy().reshape(output.shape)
                assert (found == output).all(), f"{name}, sample {sample}"


def test_network_i_is_the_same_in_every_group():
    first, _ = group(SEED, range(3), 0)
    second, x = group(SEED, range(2), 0)
    assert str(first).startswith(str(second).rsplit("\n", 2)[0][:200])
    assert [str(p.neuron) for p in second.populations] == [
        str(p.neuron) for p in first.populations[: len(second.populations)]
    ]
    assert x.shape == (SAMPLES, GROUPS[0][1], *GROUPS[0][0])
