"""Law: random modules of four libraries over all linear maps are imported with the same spikes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from drawn_modules import LIBRARIES, MAPS, SAMPLES, STEPS, draw

from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.known_layers import find_library, list_libraries

for name in LIBRARIES:
    pytest.importorskip(name)

SHORT, LONG = 30, 400


def native(drawn):
    """Return the spikes of the module's own run in float64, (samples, steps, ...)."""
    module = copy.deepcopy(drawn.module).double()
    x = torch.tensor(drawn.x)
    for layer in module.modules():
        if hasattr(layer, "batch_size"):
            layer.batch_size = SAMPLES
        if next(layer.children(), None) is None:  # spikes may be float32
            layer.register_forward_pre_hook(lambda layer, args: (args[0].double(), *args[1:]))
        owner = find_library(layer)
        if owner is not None and owner.knows(layer):
            owner.keep_precision(layer)
            owner.reset(layer)
    with torch.no_grad():
        if drawn.time == "folded":
            return module(x.flatten(0, 1)).unflatten(0, (SAMPLES, STEPS)).numpy()
        if "norse" in type(module).__module__:
            state, outputs = None, []
            for step in x.unbind(1):
                output, state = module(step, state)
                outputs.append(output)
            return torch.stack(outputs, 1).numpy()
        return torch.stack([module(step) for step in x.unbind(1)], 1).numpy()


def compare(seeds):
    """Return the number of modules that fired, and the maps that they hold."""
    fired, seen = 0, set()
    for seed in seeds:
        drawn = draw(seed)
        network = from_torch(drawn.module, drawn.x, time=drawn.time)
        ours, wanted = network.run(drawn.x).spikes, native(drawn)
        assert np.array_equal(ours.reshape(wanted.shape), wanted), f"seed {seed}: {drawn.maps}"
        fired += bool(wanted.any())
        seen |= set(drawn.maps)
    return fired, seen


def test_drawn_modules_are_imported_with_the_same_spikes():
    fired, seen = compare(range(SHORT))
    assert fired > SHORT / 2
    assert seen == set(MAPS)


@pytest.mark.slow
def test_many_drawn_modules_are_imported_with_the_same_spikes():
    fired, _ = compare(range(SHORT, LONG))
    assert fired > (LONG - SHORT) / 2


def test_every_library_of_the_law_is_known():
    assert set(LIBRARIES) <= {library.package for library in list_libraries()}
