"""Real Lava processes against the integer reference, on random networks with everything there is.

Every spike and every state of every neuron is compared, in every time step. A group of networks
shares one start of Lava. Starting takes longer than the networks do, and more than in proportion to
the number of processes: groups of five take 0.6 s per network, of forty 2 s.
"""

from collections import Counter

import differential
import drawn_neurons
import numpy as np
import plain
import pytest
from differential import FRAMES, SAMPLES, Frame, group, network, spikes
from hypothesis import given, settings
from hypothesis import strategies as st
from lava_states import reference_with_states, run_with_states

from snncompile.neurons.base import Interval
from snncompile.reference.simulate import check_spikes, run_batches
from snncompile.synapses.convolution import Convolution

SEED = 3
"""Of the networks; network i of this seed is always the same."""
TOGETHER = 5
"""Networks in one start of Lava."""


def frame_of(which: int) -> Frame:
    return FRAMES[which % len(FRAMES)]


def mismatches(seed: int, numbers: range, frame: Frame) -> list[str]:
    """Return where the networks of a group differ; each is looked at step by step."""
    joined, x = group(seed, numbers, frame)
    computed, kept = run_with_states(joined, x)
    expected, states = reference_with_states(joined, x)
    assert computed.keys() == {p.name for p in joined.populations}
    assert kept.keys() == states.keys()
    return [
        f"{name}: sample {place[0]}, step {place[1]}, neuron {place[2]}"
        for found, wanted in ((computed, expected), (kept, states))
        for name in found
        for place in np.argwhere(found[name] != wanted[name])[:1]
    ]


def numbers_of(which: int) -> range:
    return range(which * TOGETHER, (which + 1) * TOGETHER)


SAMPLE = range(16, 24)
"""Groups of `make test`: the first eight in a row that have every feature of FEATURES and in which
most populations send something."""
FORTY = range(SAMPLE.start * TOGETHER, SAMPLE.stop * TOGETHER)


@pytest.mark.lava
@pytest.mark.parametrize("which", SAMPLE)
def test_forty_networks(lava, which):
    assert mismatches(SEED, numbers_of(which), frame_of(which)) == []


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.very_slow
@pytest.mark.parametrize("which", range(200))
def test_a_thousand_networks(lava, which):
    assert mismatches(SEED, numbers_of(which), frame_of(which)) == []


ANY_FRAME = st.builds(
    Frame,
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    st.integers(1, 7),
    st.just(Interval(0, 1)) | st.builds(Interval, st.integers(-200, 0), st.integers(1, 2000)),
)


@pytest.mark.lava
@settings(max_examples=2, derandomize=True)
@given(seed=st.integers(0, 2**32), frame=ANY_FRAME)
def test_networks_of_any_seed_in_any_frame(lava, seed, frame):
    assert mismatches(seed, range(3), frame) == []


def networks(numbers: range):
    """Yield networks as the groups have them, with their input."""
    for number in numbers:
        frame = frame_of(number // TOGETHER)
        yield network(SEED, number, frame), spikes(SEED, frame)


def test_the_sample_of_forty_has_everything():
    seen, outputs = Counter(), Counter()
    for made, x in networks(FORTY):
        seen.update(features(made, steps=x.shape[1]))
        (batch,) = run_batches(made, check_spikes(made, x))
        outputs.update("some" if batch[p.name].any() else "none" for p in made.populations)
    missing = [feature for feature in FEATURES if not seen[feature]]
    assert missing == []
    assert outputs["none"] < 0.45 * outputs.total()


FEATURES = [
    *("dense", "sparse", "scale", "convolution", "1-D", "2-D"),
    *("stride", "padding", "dilation", "groups", "depthwise", "even kernel", "kernel not square"),
    *("no synapse at all", "one neuron", "one weight for all", "a weight per neuron"),
    *("weight -256", "weight 254 or more", "1 bit", "8 bits", "shift left", "shift right"),
    *("loop", "self-loop", "own delay", "own delay past the sample", "several into one"),
    *("from one source twice", "nothing feeds it", "phase 3 or more", "per neuron", "bias"),
    "delays per synapse",
    *("initial potential", "numbers as spikes", "numbers as input", "two inputs"),
    *(kind.rstrip("/") for kind in drawn_neurons.KINDS),
]


def features(made, steps: int):
    """Yield what a network has."""
    order = {name: i for i, name in enumerate(["input", *(p.name for p in made.populations)])}
    pairs = Counter((p.source, p.target) for p in made.projections)
    delays = Counter(
        (s, t) for s, t, _ in {(p.source, p.target, p.delay) for p in made.projections}
    )
    if made.input.payload != (0, 1):
        yield "numbers as input"
    for p in made.projections:
        yield from synapse_features(p.synapses)
        own = made.own_delay(p)
        conditions = {
            "loop": order[p.source] > order[p.target],
            "self-loop": p.source == p.target,
            "own delay": own > 0,
            "own delay past the sample": own >= steps,
            "from one source twice": pairs[p.source, p.target] > 1,
            "delays per synapse": delays[p.source, p.target] > 3,
        }
        yield from (name for name, holds in conditions.items() if holds)
    for p in made.populations:
        yield from (p.neuron.kind, p.neuron.name)
        conditions = {
            "one neuron": p.size == 1,
            "several into one": len(made.into(p.name)) > 1,
            "nothing feeds it": not made.into(p.name),
            "phase 3 or more": p.phase >= 3,
            "per neuron": any(getattr(p.neuron, n).ndim for n in p.neuron.parameters()),
            "bias": any(np.any(getattr(p.neuron, n, 0)) for n in ("bias_mantissa", "bias_level")),
            "initial potential": p.neuron.initial.any(),
            "numbers as spikes": p.neuron.payload.high > 1,
            "two inputs": len(p.neuron.ports) == 2,
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
    for made, x in networks(FORTY):
        (batch,) = run_batches(made, check_spikes(made, x))
        for sample, outputs in enumerate(plain.simulate(made, x)):
            for name, output in outputs.items():
                found = batch[name][sample].numpy().reshape(output.shape)
                assert (found == output).all(), f"{name}, sample {sample}"


def test_network_i_is_the_same_in_every_group():
    first, _ = group(SEED, range(3), FRAMES[0])
    second, x = group(SEED, range(2), FRAMES[0])
    assert str(first).startswith(str(second).rsplit("\n", 2)[0][:200])
    assert [str(p.neuron) for p in second.populations] == [
        str(p.neuron) for p in first.populations[: len(second.populations)]
    ]
    assert x.shape == (SAMPLES, FRAMES[0].steps, *FRAMES[0].shape)


def test_networks_that_leave_lavas_integers_are_drawn_again(monkeypatch):
    tried = []
    monkeypatch.setattr(differential, "fits", lambda made, x: tried.append(made) or len(tried) > 2)
    network(SEED, 0, FRAMES[0])
    assert len(tried) == 3
    assert len({str(made) for made in tried}) == 3
