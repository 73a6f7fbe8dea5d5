"""The answer of a module as part of its network: a population and a readout over its time steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from torch import Tensor, nn

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch.drive import Drive, Scaled, Source, Through
from snncompile.frontends.torch.layer_graph import find_unread_linear, fold_steps
from snncompile.frontends.torch.neuron_layer import CheckedAnswer, FoundAnswer, NeuronLayer
from snncompile.frontends.torch.read_answer import NotReadError, TracedAnswer, read_answer
from snncompile.frontends.torch.read_trace import Reader
from snncompile.frontends.torch.trace import Trace
from snncompile.frontends.torch.values import NeuronValues


def find_answer(trace: Trace, returned: list[Tensor], steps: int) -> FoundAnswer:
    """Return the answer of a module that was called once for several time steps.

    Args:
        trace: the run.
        returned: numbers of the tensors that forward returned.
        steps: time steps.
    """
    try:
        traced = read_answer(trace, returned, steps)
        if traced is None:
            return FoundAnswer()
        answer = _Finder(trace, traced, steps).find()
        return replace(answer, checked=None) if traced.hosted else answer
    except (NotReadError, UnsupportedError) as error:
        return FoundAnswer(reason=str(error))


@dataclass(frozen=True)
class _Finder:
    trace: Trace
    answer: TracedAnswer
    steps: int

    def find(self) -> FoundAnswer:
        """Return the answer."""
        answer = self.answer
        parts = answer.columns, answer.others
        checked = CheckedAnswer(answer.returned, answer.factor, answer.functions, *parts)
        result = FoundAnswer(answer.kind, checked)
        if not answer.layers and answer.factor > 0:
            if state := self._find_state():
                return replace(result, output=state.path, state=state.state)
            drive = self._read_drive("the result")
            if path := self._find_population(drive):
                return replace(result, output=path)
        return self._make_layer(result)

    def _find_state(self) -> NeuronValues | None:
        """Return the state that the answer is computed from, all of it, in each time step."""
        result = None
        for numbers in self.answer.steps:
            (values, *others) = self.trace.origins.find_values(numbers)
            if others or not isinstance(values, NeuronValues) or values.state is None:
                return None
            if not bool((numbers == values.numbers.flatten(1)).all()):
                return None
            result = values
        return result

    def _read_drive(self, reader: str) -> Drive:
        if self.answer.kind == "last":
            return Reader(self.trace, self.steps - 1).read_drive(self.answer.steps[0], reader)
        return fold_steps(self.trace, reader, list(self.answer.steps))

    def _find_population(self, drive: Drive) -> str | None:
        """Return the layer whose output is this drive, if it is one of the network."""
        if isinstance(drive, Source) and drive.delay == 0:
            return drive.path
        if isinstance(drive, Through):
            unread = find_unread_linear(self.trace, {*self.trace.calls})
            return drive.path if drive.path in unread else None
        return None

    def _make_layer(self, result: FoundAnswer) -> FoundAnswer:
        """Return the answer with a readout of its own."""
        answer = self.answer
        path = answer.layers[-1].path if answer.layers else "answer"
        drive, kind, factor = self._read_drive(path), answer.kind, answer.factor
        depends = bool(answer.layers) and kind == "sum"
        if depends:  # the layers add their bias once, not in each time step
            kind, factor = "mean", factor * self.steps
        if isinstance(drive, Source) and drive.path is None:
            raise NotReadError("the input itself")
        size = answer.steps[0].shape[1]
        if factor != 1:
            drive = Scaled(drive, factor)
        for layer in answer.layers:
            assert prod(layer.source_shape) == size
            drive = Through(layer.path, drive, layer.source_shape)
            call = next(c for c in self.trace.linear_calls if c.path == layer.path)
            size = prod(call.target_shape)
        module = self.trace.modules.get(path, nn.Identity())
        assert result.checked is not None
        return replace(
            result,
            kind=kind,
            checked=replace(result.checked, factor=1.0),
            output=path,
            layer=NeuronLayer(path, module, answer.shape, drive, rows="answer"),
            after=frozenset(layer.path for layer in answer.layers),
            depends_on_steps=depends,
        )
