"""Record results of functions that a module calls between its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snncompile.frontends.torch import known_layers
from snncompile.ir.host_part import HostPart


class CallRecorder(TorchFunctionMode):
    """Numbers the calls as `trace.Trace` does, and keeps the results of the wanted ones."""

    def __init__(
        self,
        runner: nn.Module,
        wanted: Mapping[int, Callable[[Tensor], None]],
        host: HostPart | None = None,
    ) -> None:
        """Watch a module.

        Args:
            runner: the module, before any other hook is added to it.
            wanted: number of a call -> function that takes its result.
            host: layers that are not looked into.
        """
        super().__init__()
        self.wanted = wanted
        self._calls = 0
        self._depth = 0
        self._layers = _list_layers(runner, (*host.before, *host.after) if host else ())
        for layer in self._layers:
            layer.register_forward_pre_hook(lambda *_: self._go(1))

    def finish(self) -> None:
        """Watch the ends of layers too; after all other hooks were added."""
        for layer in self._layers:
            layer.register_forward_hook(lambda *_: self._go(-1))

    def _go(self, levels: int) -> None:
        self._depth += levels

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function and keep its result, if it is wanted."""
        result = func(*args, **(kwargs or {}))
        if self._depth == 0:
            self._calls += 1
            if (record := self.wanted.get(self._calls)) is not None:
                kept = (
                    args[0] if known_layers.name_function(func).endswith("__setitem__") else result
                )
                record(kept)
        return result


def _list_layers(module: nn.Module, host: tuple[str, ...]) -> list[nn.Module]:
    """Return the outermost known layers and those of the host, each once."""
    layers: dict[int, nn.Module] = {}
    paths: dict[str, nn.Module] = dict(module.named_modules())
    opaque = {id(paths[path]) for path in host}

    def walk(inner: nn.Module) -> None:
        if known_layers.find_role(inner) == "inside" and id(inner) not in opaque:
            for child in inner.children():
                walk(child)
        else:
            layers.setdefault(id(inner), inner)

    walk(module)
    return list(layers.values())
