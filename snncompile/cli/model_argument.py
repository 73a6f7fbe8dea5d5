"""The argument MODEL of the command line: a file, `file.py:function`, or a saved network.

A frontend of another package reads a file that is given as `name:path`, with its name in the
registry; where the frontend has an attribute `suffixes` (`(".onnx",)`), the path alone is enough.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from snncompile.errors import InputError, SnnCompileError
from snncompile.files import network as network_file
from snncompile.ir.graph import IntegerNetwork, Network, Say
from snncompile.registry import list_names, load

EXPECTED = "expected a .net or .nir file, file.py:function or the folder of a saved network"
FILES = {".net": "netx", ".nir": "nir"}
"""Suffix -> the frontend that reads it."""
HDF5 = (".h5", ".hdf5")
GROUPS = {"node": "nir", "layer": "netx"}
"""Group at the root of an HDF5 file -> the frontend that reads such a file."""
MODULES = ("torch",)
"""Frontends that read no files."""
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".safetensors")


def load_model(
    model: str,
    assume: Mapping[str, Any] | None = None,
    shown: Mapping[str, Any] | None = None,
    progress: Say | None = None,
) -> Network | IntegerNetwork:
    """Return the network that MODEL names.

    `file.py:function` is imported and called; the function returns (module, sample),
    (module, sample, arguments of `from_torch`) or a network.
    Other files are read by the frontend named before a colon, or by that of their suffix.

    Args:
        model: the argument as typed.
        assume: facts that a .nir file lacks; arguments of `from_nir`.
        shown: what a torch module is shown; arguments of `from_torch`, the sample among them.
        progress: called with what is done of importing a torch module, and the share.

    Raises:
        InputError: there is no such file, or no frontend reads it.
        UnsupportedError, ImportMismatchError: see the frontend that reads it.
    """
    frontend, file = _split_frontend(model)
    if assume and frontend != "nir" and _find_reader(file) != "nir":
        raise InputError(f"{model}: only a .nir file leaves something to assume")
    path, _, function = model.rpartition(":")
    if frontend is None and path.endswith(".py"):
        return _from_function(Path(path), function, shown or {}, progress)
    if shown:
        raise InputError(f"{model}: a sample and its kind are for a torch module, file.py:function")
    if frontend is not None:
        return _read_file(frontend, file, assume or {})
    if model.endswith(".py"):
        raise InputError(f"{model}: add the function that returns (module, sample): {model}:NAME")
    if not Path(model).exists():
        raise InputError(f"{model}: no such file; {EXPECTED}")
    if Path(model).is_dir():
        return _from_folder(Path(model))
    return _read_by_suffix(model, assume or {})


def _read_by_suffix(model: str, assume: Mapping[str, Any]) -> Network | IntegerNetwork:
    if Path(model).suffix in CHECKPOINTS:
        raise InputError(
            f"{model}: a checkpoint holds no network, only numbers, and may hold a pickle; write a"
            " function that builds the module and loads it, and give file.py:function"
        )
    if reader := _find_reader(model):
        return _read_file(reader, model, assume)
    suffixes = _list_suffixes()
    if Path(model).suffix not in suffixes:
        raise InputError(f"{model}: not a kind of file we know; {EXPECTED}{_name_plug_ins()}")
    return _read_file(suffixes[Path(model).suffix], model, assume)


def _find_reader(path: str) -> str | None:
    """Return the frontend of ours that reads a file; of HDF5 files by what is in it."""
    suffix = Path(path).suffix.lower()
    if suffix not in HDF5 or not Path(path).is_file():
        return FILES.get(suffix)
    from snncompile.frontends.hdf5.read import open_hdf5

    with open_hdf5(path) as root:
        return next((frontend for group, frontend in GROUPS.items() if group in root), None)


def _split_frontend(model: str) -> tuple[str | None, str]:
    """Return (frontend, path) of `name:path`; (None, model) where no frontend is named."""
    name, _, path = model.partition(":")
    if (
        path
        and name not in MODULES
        and name in list_names("frontends")
        and not Path(model).exists()
    ):
        return name, path
    return None, model


def _read_file(frontend: str, path: str, assume: Mapping[str, Any]) -> Network | IntegerNetwork:
    if not Path(path).exists():
        raise InputError(f"{path}: no such file; {EXPECTED}")
    network = load("frontends", frontend)(path, **assume)
    if not isinstance(network, Network | IntegerNetwork):
        kind = type(network).__name__
        raise InputError(f"{path}: frontend {frontend} returned {kind}, expected a network")
    return network


def _list_suffixes() -> dict[str, str]:
    """Return the frontend of each suffix, those of other packages too.

    Raises:
        InputError: two frontends read files of one suffix.
    """
    suffixes = dict(FILES)
    for name in _list_plug_ins():
        for suffix in getattr(load("frontends", name), "suffixes", ()):
            if suffix in suffixes:
                raise InputError(
                    f"{suffix} files are read by the frontends {suffixes[suffix]} and {name};"
                    f" give {name}:PATH or {suffixes[suffix]}:PATH"
                )
            suffixes[suffix] = name
    return suffixes


def _list_plug_ins() -> list[str]:
    """Return the frontends of other packages that read files."""
    return [name for name in list_names("frontends") if name not in (*FILES.values(), *MODULES)]


def _name_plug_ins() -> str:
    return "".join(f", or {name}:PATH" for name in _list_plug_ins())


RUN = ("time", "args", "neurons")
"""Arguments of `from_torch` that say how a module runs."""


def load_native(model: str) -> tuple[Any, dict[str, Any]]:
    """Return the torch module that `file.py:function` returns, to be run by its own library.

    With it, the arguments of `from_torch` that say how it runs.

    Raises:
        InputError: MODEL names something else, which no library here can run.
    """
    path, _, function = model.rpartition(":")
    if not path.endswith(".py"):
        raise InputError(f"{model}: only a torch module can run by itself; give file.py:function")
    returned = _call_function(Path(path), function)
    if hasattr(returned, "forward"):
        return returned, {}
    if not _is_module_and_sample(returned):
        kind = type(returned).__name__
        raise InputError(f"{model}: returned {kind}, expected (module, sample)")
    options = returned[2] if len(returned) == 3 else {}
    return returned[0], {name: options[name] for name in RUN if name in options}


def _is_module_and_sample(returned: Any) -> bool:
    """Return whether this is (module, sample), or with a dictionary of options as the third."""
    if not isinstance(returned, tuple) or len(returned) not in (2, 3):
        return False
    return len(returned) == 2 or isinstance(returned[2], Mapping)


def load_ann(model: str) -> Any:
    """Return the torch module of an .onnx file, or the one that `file.py:function` returns.

    The function returns it alone, or as (module, anything); a program of `torch.export` will do.

    Raises:
        InputError: MODEL names something else.
        UnsupportedError: the file holds an operation that is not known.
    """
    if model.endswith(".onnx"):
        from snncompile.conversion.onnx_file import read_onnx

        return read_onnx(model)
    path, _, function = model.rpartition(":")
    if not path.endswith(".py"):
        raise InputError(
            f"{model}: a function makes the model to convert; give file.py:function or a .onnx file"
        )
    returned = _call_function(Path(path), function)
    return returned[0] if isinstance(returned, tuple) and returned else returned


def _from_folder(path: Path) -> Network | IntegerNetwork:
    if not (path / network_file.NETWORK).is_file():
        raise InputError(f"{path}: has no {network_file.NETWORK}; {EXPECTED}")
    return network_file.read_network(path)


def _from_function(
    path: Path, name: str, shown: Mapping[str, Any], progress: Say | None
) -> Network | IntegerNetwork:
    returned = _call_function(path, name)
    if isinstance(returned, Network | IntegerNetwork):
        if shown:
            raise InputError(
                f"{path}:{name}: returned a network, which has its input; leave the sample and its"
                " kind out, or return the module"
            )
        return returned
    if "sample" in shown and hasattr(returned, "forward"):
        returned = (returned, None)
    if not _is_module_and_sample(returned):
        kind = type(returned).__name__
        alone = " (or the module alone, with --sample)" if hasattr(returned, "forward") else ""
        raise InputError(f"{path}:{name}: returned {kind}, expected (module, sample){alone}")
    module, sample, *more = returned
    options = {"sample": sample} | dict(*more) | dict(shown)
    known = inspect.signature(load("frontends", "torch")).parameters
    if unknown := sorted(options.keys() - known.keys()):
        raise InputError(
            f"{path}:{name}: from_torch has no argument {', '.join(unknown)}; it has"
            f" {', '.join(name for name in list(known)[2:] if name != 'progress')}"
        )
    network: Network = load("frontends", "torch")(module, **({"progress": progress} | options))
    return network


def _call_function(path: Path, name: str) -> Any:
    """Return what a function of the user's file returns."""
    function = getattr(_import_file(path), name, None)
    if not callable(function):
        raise InputError(f"{path}: has no function {name!r}")
    return _run_user_code(path, function)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    assert loader is not None
    sys.path.insert(0, str(path.parent.resolve()))  # the file can import its neighbours
    known = sys.modules.setdefault(path.stem, module)  # its dataclasses ask there for their types
    try:
        _run_user_code(path, lambda: loader.exec_module(module))
    finally:
        sys.path.pop(0)
        if known is module:
            sys.modules.pop(path.stem, None)
    return module


def _run_user_code(path: Path, call: Any) -> Any:
    """Run the user's own code; an error in it becomes one line with the line in their file."""
    try:
        return call()
    except SnnCompileError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename.endswith(path.name)), None)
        reason = (str(error).splitlines() or [""])[0]
        where = f"{path} line {line}" if line else str(path)
        raise InputError(f"{where}: {type(error).__name__}: {reason}") from error
