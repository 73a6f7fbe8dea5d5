"""Candidates of `auto`: methods with their options and steps, as far as network and chip go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snncompile.conversion.ann import Ann
from snncompile.conversion.auto_records import Trial
from snncompile.conversion.balance import Balance
from snncompile.conversion.bistable import BistablePhase, BistableRate
from snncompile.conversion.graded import GradedMessages
from snncompile.conversion.method import Method
from snncompile.conversion.signed import Signed
from snncompile.errors import InputError, UnsupportedError, list_briefly
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Say
from snncompile.passes.equal_neurons import find_equal_neuron

CANDIDATES: tuple[tuple[Method, tuple[int, ...]], ...] = (
    (GradedMessages(bits=8), (1,)),
    (GradedMessages(bits="sums"), (1,)),
    (GradedMessages(bits=6), (1,)),
    (GradedMessages(bits=5), (1,)),
    (GradedMessages(bits=4), (1,)),
    (BistablePhase(), (3, 4, 5, 6, 7, 8)),
    (Signed(calibrate_bias=True), (4, 8, 16, 24, 32, 48, 64, 96, 128)),
    (Balance(calibrate_bias=True), (8, 16, 32, 64, 128, 256)),
    (BistableRate(), (4, 8, 16)),
)
"""Candidates: each method with its steps, from few to many.

Of those with as many time steps in all the first one is tried first: the one with most bits; bits
by sums, whose conversion takes twice as long, are tried where 8 are too few. Biases are calibrated,
as without it the same steps and neurons only do worse. Sigma-delta is none, as a single sample is
the first frame of a stream and costs at least what it costs with "graded".
"""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Methods that take the network and whose neurons the chip has."""

    methods: tuple[tuple[Method, tuple[int, ...]], ...]
    """Each with its steps."""
    prepared: dict[str, Ann]
    """Label of a method -> the network as it takes it."""
    refused: tuple[Trial, ...]
    """Methods that do not take the network."""

    def count_steps(self, method: Method, steps: int) -> int:
        """Return the time steps from the first input to the answer."""
        ann = self.prepared[method.label]
        return method.plan(ann, steps).steps + max(ann.find_depths().values())

    def walk(self, limit: int | None) -> Iterator[tuple[Method, int]]:
        """Yield methods and steps within a limit of the time steps in all."""
        for method, many in self.methods:
            for steps in many:
                if limit is None or self.count_steps(method, steps) <= limit:
                    yield method, steps


def find_candidates(ann: Ann, x: NDArray[np.float64], chip: Chip, say: Say) -> Candidates:
    """Return the candidates for a network on a chip.

    Args:
        ann: as captured.
        x: calibration samples.
        chip: which candidates run on.
        say: called with the method that is tried.

    Raises:
        UnsupportedError: no candidate whose neurons the chip has takes the network.
        InputError: the chip lacks the neurons of every candidate.
    """
    methods, prepared = list[tuple[Method, tuple[int, ...]]](), dict[str, Ann]()
    refusals, refused, missing = list[UnsupportedError](), list[Trial](), list[str]()
    for number, (method, many) in enumerate(CANDIDATES):
        say(f"preparing layers for {method.label}", number / len(CANDIDATES))
        try:
            own = method.prepare(ann, x)
            populations = method.build_populations(own, many[0])
        except UnsupportedError as error:
            refusals.append(error)
            refused.append(Trial(method.label, reason=str(error)))
            continue
        if all(find_equal_neuron(p.neuron, chip) for p in populations):
            prepared[method.label] = own
            methods.append((method, many))
        else:
            missing.append(method.name)
    if not methods:
        raise _refuse(chip, refusals, list(dict.fromkeys(missing)))
    return Candidates(tuple(methods), prepared, tuple(refused))


def _refuse(chip: Chip, refusals: list[UnsupportedError], missing: list[str]) -> Exception:
    """Return the error of a network and a chip for which there is no candidate."""
    if refusals:
        lacks = f"; {chip.name} has no neurons of {', '.join(missing)}" if missing else ""
        return UnsupportedError(f"{refusals[0]}{lacks}")
    return InputError(
        f"no conversion runs on {chip.name}: it takes window_readout and one of"
        " integrate_fire/soft, signed_integrate_fire, phase_fire and graded/scaled, and"
        f" there are {list_briefly(list(chip.neurons), 120)}"
    )
