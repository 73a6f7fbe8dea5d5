"""Every error a user can meet, in one shape: where, what, the limit, what to try."""

from __future__ import annotations


class SnnCompileError(Exception):
    """Base of every error this package raises on purpose. The message is one line."""


class InputError(SnnCompileError):
    """A file, an array or an argument is not what it should be."""


class UnsupportedError(SnnCompileError):
    """The model uses something that is not known, or that the chip or backend cannot do."""


class ImportMismatchError(SnnCompileError):
    """The imported network does not spike like the model it came from."""


class QuantizeError(SnnCompileError):
    """No integer format of the chip can hold the network's numbers."""


class FitError(SnnCompileError):
    """The network does not fit the chip."""

    def __init__(self, *, where: str, resource: str, need: int, limit: int, hint: str) -> None:
        self.where, self.resource, self.need, self.limit = where, resource, need, limit
        self.hint = hint
        super().__init__(f"{where}: needs {need:,} {resource}, the chip allows {limit:,}; {hint}")


class MappingError(SnnCompileError):
    """A mapping or its tables are not what the network and the chip ask for."""


class BackendError(SnnCompileError):
    """A backend is missing, hung, crashed or gave a wrong answer."""
