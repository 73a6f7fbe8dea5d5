"""Gradient rewiring: an optimizer that trains which synapses there are, together with weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, log, sqrt
from typing import Any

import torch
from torch import Tensor

from snncompile.errors import InputError
from snncompile.training.numbers import check_count, read_number
from snncompile.training.pruning import find_share

BETAS = (0.9, 0.999)
SMALLEST = 1e-8


class GradR(torch.optim.Optimizer):
    """Adam of synapses that vanish and grow anew (Chen, Yu, Fang, Huang and Tian, IJCAI 2021).

    A synapse has a sign s, which stays, and a size theta; its weight is w = s max(theta, 0). With
    Adam's moments m and v of the gradient with respect to w, of synapses that are not there too,

        theta -= rate (s m / (sqrt(v) + 1e-8) + alpha sign(theta - mu)),  mu = ln(2 keep) / alpha

    where the rate is Adam's, corrected for the moments' bias, and the second term is that of a
    Laplace distribution of which `keep` is above zero. Without alpha the second term is the
    smallest that leaves as many synapses as the schedule of `prune`: sizes above zero fall
    by the same amount, and the connectivity at the end is `keep`.

    Groups may have a `keep` of their own, each counted over its parameters; `keep=1.0` is plain
    Adam, for biases.

    Args:
        params: parameters or groups; weights that are zero at the start get a sign at random.
        lr: rate.
        keep: share of synapses to keep, above 0 and at most 1.
        steps: updates in all; not needed with alpha.
        alpha: of the authors' rule; None: by the schedule.

    Raises:
        InputError: an argument is out of its range, or neither alpha nor steps is given.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        keep: float = 0.1,
        steps: int | None = None,
        alpha: float | None = None,
    ) -> None:
        if not 0 <= read_number("lr", lr) < inf:
            raise InputError(f"lr must not be negative, got {lr}")
        if steps is not None:
            check_count("steps", steps)
        if alpha is None and steps is None:
            raise InputError("GradR: give steps, the number of updates in all, or alpha")
        if alpha is not None and not 0 < read_number("alpha", alpha) < inf:
            raise InputError(f"alpha must be positive, got {alpha}")
        super().__init__(params, {"lr": lr, "keep": keep, "steps": steps, "alpha": alpha})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, which may have a `keep` of its own."""
        find_share(param_group.get("keep", self.defaults["keep"]), 0, 1)
        super().add_param_group({"step": 0} | param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one update; see torch's optimizers.

        Raises:
            InputError: there were more updates than `steps`.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            group["step"] += 1
            present = [p for p in group["params"] if p.grad is not None]
            for p in present:
                self._move(p, group)
            if group["keep"] < 1 and group["alpha"] is None and present:
                self._shrink(present, group)
        return loss

    def _move(self, p: Tensor, group: dict[str, Any]) -> None:
        """Update the sizes of one parameter's synapses, and its weights."""
        state = self.state[p]
        if not state:
            state["mean"], state["square"] = torch.zeros_like(p), torch.zeros_like(p)
            if group["keep"] < 1:
                state["sign"] = torch.where(p == 0, _draw_signs(p), p.sign())
                state["size"] = p.abs()
        gradient, (first, second) = p.grad, BETAS
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        number = group["step"]
        rate = group["lr"] * sqrt(1 - second**number) / (1 - first**number)
        change = rate * state["mean"] / (state["square"].sqrt() + SMALLEST)
        if group["keep"] == 1:
            p.sub_(change)
            return
        size, alpha = state["size"], group["alpha"]
        size.sub_(state["sign"] * change)
        if alpha is not None:
            middle = log(2 * group["keep"]) / alpha
            size.sub_(rate * alpha * torch.sign(size - middle))
        p.copy_(state["sign"] * size.clamp(min=0))

    def _shrink(self, present: list[Tensor], group: dict[str, Any]) -> None:
        """Let the sizes above zero fall until as many are left as the schedule says."""
        if group["step"] > group["steps"]:
            raise InputError(f"GradR was made for {group['steps']} steps, this is one more")
        sizes = [self.state[p]["size"] for p in present]
        total = sum(s.numel() for s in sizes)
        share = find_share(group["keep"], group["step"] - 1, group["steps"])
        kept = max(1, round(share * total))
        above = torch.cat([s.flatten() for s in sizes])
        if kept >= int((above > 0).sum()):
            return
        fall = above.kthvalue(total - kept).values
        for p, size in zip(present, sizes, strict=True):
            size.copy_(torch.where(size > 0, size - fall, size))
            p.copy_(self.state[p]["sign"] * size.clamp(min=0))


def _draw_signs(p: Tensor) -> Tensor:
    """Return -1 and 1 at random, the same ones in every process that trains the same weights."""
    drawn = torch.randint(2, p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return drawn.to(p) * 2 - 1
