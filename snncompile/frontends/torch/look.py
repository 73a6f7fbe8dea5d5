"""A quick look at a module before it is traced: which layers it calls, how often, on what.

Only hooks run, no value is followed. Whatever no trace could read is found here, all at once:
layers that are not known, and features of known ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from snncompile.errors import Obstacle, UnsupportedError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.arguments import get_first_argument
from snncompile.frontends.torch.grid_layers import add_own_padding
from snncompile.frontends.torch.host_layers import HostWatch, advise_host
from snncompile.frontends.torch.libraries.base import Shape
from snncompile.frontends.torch.time_layouts import can_hold, split_steps
from snncompile.frontends.torch.trace import Trace, find_state_problem

NO_NEURONS = "it holds no neuron layer"


class Look(Trace):
    """Watches one run of a module, as `Trace`, but no values; it is not entered."""

    def __init__(
        self, module: nn.Module, title: str, samples: int, host: tuple[str, ...] = ()
    ) -> None:
        self.counts: dict[str, int] = {}
        """Neuron layer -> time steps it was called for, in the order of the first call."""
        self.misfits: dict[str, Shape] = {}
        """Neuron layers whose input cannot hold the samples, with its shape."""
        self.state_problem = ""
        """The first neuron layer whose state is lost between two calls, and the reason."""
        self.features: dict[str, UnsupportedError] = {}
        """Why a known layer cannot be translated, by path."""
        self.host_calls: dict[str, int] = {}
        """Layer of the host -> how often it is called."""
        self._called: dict[str, int] = {}
        """Layer that is not known -> number of neuron layers that were called before it."""
        self._states: dict[str, dict[str, Tensor]] = {}
        self._tried: set[str] = set()
        super().__init__(module, title, samples, HostWatch(host))

    def forget_module(self) -> None:
        """Let go of the copy of the module, which the notes outlive."""
        self.modules.clear()
        self._on_host.clear()
        self._states.clear()

    def list_obstacles(self) -> list[UnsupportedError]:
        """Return what stands in the way, in the order of the calls."""
        unknown = [
            offer_host(name, error) if self._called.get(name) == len(self.counts) > 0 else error
            for name, error in self.unknown.items()
        ]
        return [*unknown, *self.features.values()]

    def find_misfits(self, steps: int | None) -> Iterator[str]:
        """Yield the reasons why this cannot be how the module takes its time axis.

        Args:
            steps: time steps of the run; None if forward makes them itself.
        """
        for path, shape in self.misfits.items():
            yield f"{path} gets input of shape {shape}"
        if self.counts:  # else neurons may be written out in the module's code
            yield from find_miscounts(self.counts, steps)

    def find_repeated(self, steps: int) -> Iterator[tuple[str, int]]:
        """Yield (layer, calls per step) of layers called again in a step, if none misfits."""
        if not self.misfits and all(count % steps == 0 for count in self.counts.values()):
            for path, count in self.counts.items():
                if count > steps:
                    yield path, count // steps

    def _enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._check_tensor(name, get_first_argument(module, args, kwargs))

    def _enter_host(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.host_calls[name] = self.host_calls.get(name, 0) + 1

    def _leave_host(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        pass

    def _refuse(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        super()._refuse(name, module, args, kwargs)
        if self._may_stay_on_host(name, module):
            self._called.setdefault(name, len(self.counts))

    def _is_before_neurons(self, args: Any, kwargs: Any) -> bool:
        return not self.counts and not self.misfits

    def _leave_linear(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        drive, row = get_first_argument(module, args, kwargs), known_layers.find_linear(module)
        assert row is not None
        axes, drive = (
            known_layers.count_sample_axes(module, drive.ndim),
            add_own_padding(module, drive),
        )
        self._try(name, row.translate, module, tuple(drive.shape[drive.ndim - axes :]))

    def _leave_same(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        pass

    def _enter_neuron(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        library = known_layers.find_neuron_library(module)
        drive, given = library.read_input(module, args, kwargs)
        self._check_tensor(name, drive)
        for state, value in {**library.read_states(module), **given}.items():
            before = self._states.get(name, {}).get(state)
            start = library.find_start(module, state)
            problem = find_state_problem(name, state, value, before, start)
            self.state_problem = self.state_problem or problem

    def _leave_neuron(self, name: str, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        library = known_layers.find_neuron_library(module)
        drive, time = library.read_input(module, args, kwargs).drive, library.find_time(module)
        if not can_hold(tuple(drive.shape), time, self.samples):
            self.misfits.setdefault(name, tuple(drive.shape))
            return
        steps = split_steps(drive, time, self.samples)
        if name not in self.counts:
            self._try(name, library.translate, module, tuple(steps[0].shape[1:]) or (1,))
        self.counts[name] = self.counts.get(name, 0) + len(steps)
        self._states[name] = library.read_result(module, out).states

    def _try(self, name: str, translate: Any, module: nn.Module, shape: Shape) -> None:
        if name in self._tried or isinstance(module, nn.Linear):  # which has no features
            return
        self._tried.add(name)
        try:
            translate(module, name, shape)
        except UnsupportedError as error:
            self.features[name] = error


def offer_host(name: str, error: UnsupportedError) -> UnsupportedError:
    """Return the error of a layer with the advice to leave it on the host."""
    message = f"{error}{advise_host(name)}"
    return UnsupportedError(message, Obstacle(message, name, hint=message.partition("; ")[2]))


def find_miscounts(counts: dict[str, int], steps: int | None) -> Iterator[str]:
    """Yield which neuron layers do not run once in each time step.

    Args:
        counts: neuron layer -> time steps it was called for.
        steps: time steps of the run; None if forward makes them itself.
    """
    if not counts:
        known = known_layers.name_libraries()
        yield (
            f"{NO_NEURONS} of a known library ({known}); layers in a plain list are not"
            " seen, use nn.ModuleList"
        )
    expected = max(counts.values(), default=1) if steps is None else steps
    for path, count in counts.items():
        if count != expected:
            yield f"{path} is called {say_times(count)}"


def say_times(count: int) -> str:
    """Return `once` or `3 times`."""
    return "once" if count == 1 else f"{count} times"
