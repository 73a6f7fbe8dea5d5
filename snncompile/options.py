"""What a user may set when compiling; stored in the Program."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Options of `compile`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Bits of a weight including its sign."""
    prune: bool = True
    """Whether neurons that cannot change any output are dropped."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Time steps of one sample, which the bounds may rely on; None for any number."""
