"""What a user may set when compiling; stored in the Program."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """Options of `compile`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Bits of a weight including its sign."""
    formats: Literal["chip", "netx"] = "chip"
    """Which numbers are used: all of the chip's, or only those that a `.net` file can hold."""
    prune: bool = True
    """Whether neurons that cannot change any output are dropped."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Time steps of one sample, which the bounds may rely on; None for any number."""
    rules: Literal["free", "nxtf"] = "free"
    """How the network is cut: freely, or as Intel's own compiler for Loihi 1 does."""
    encoding: Literal["sparse", "run_length", "dense1", "dense2"] | None = None
    """Encoding of all rows under rules `nxtf`; None for sparse, which is Intel's default."""
    objective: Literal["cores", "traffic", "latency"] = "cores"
    """What the mapping is to be good at."""
    placement: Literal["annealed", "bisection", "greedy", "linear", "random"] = "annealed"
    """How cores are put on the mesh."""
    share_cores: bool = True
    """Whether slices of different populations may share a core."""

    @model_validator(mode="after")
    def _encoding_needs_its_rules(self) -> Self:
        if self.encoding is not None and self.rules == "free":
            raise ValueError("encoding is chosen for you under rules free; give rules nxtf too")
        return self
