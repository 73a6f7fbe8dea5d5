"""Read a Program from a folder, which `Program.save` wrote; whatever is in it is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from snncompile.checker.mapping import check
from snncompile.errors import InputError, MappingError
from snncompile.files import folder, versions
from snncompile.files import mapping as mapping_file
from snncompile.files import network as network_file
from snncompile.files.meaning import hash_network
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Network
from snncompile.ir.loss import OLDER, Loss
from snncompile.ir.mapping import Mapping
from snncompile.ir.reports import Bound, QuantizedLayer
from snncompile.options import Options
from snncompile.program import KEPT, PROGRAM, SOURCE, Program


class ProgramFile(network_file.Head):
    """What `program.json` holds beside the versions of its records."""

    format: Literal["snncompile program"]
    network: network_file.NetworkRecord
    mapping: mapping_file.MappingRecord
    chip: Chip
    options: Options
    quantized: tuple[QuantizedLayer, ...]
    bounds: tuple[Bound, ...]
    log: tuple[str, ...]
    hashes: dict[str, str]
    source: network_file.NetworkRecord | None
    passes: str = ""
    loss: Loss = OLDER
    warnings: tuple[str, ...] = ()


def read_program(path: Path) -> Program:
    """Return the Program of a folder.

    Raises:
        InputError: the folder does not hold a well-formed Program, or anything in it is not what
            it was saved with.
    """
    content, arrays = folder.read_folder(path, PROGRAM)
    sealed = folder.is_sealed(content, arrays)
    lifted = versions.lift(path / PROGRAM, "program", content, versions.PROGRAM_PARTS)
    file = network_file.validate(ProgramFile, lifted, path / PROGRAM)
    of_source, kept = _split_off(arrays, SOURCE), _split_off(arrays, KEPT)
    routes = {name: arrays.pop(name) for name in (mapping_file.ROUTES,) if name in arrays}
    network = network_file.from_record(file.network, arrays, path)
    if not isinstance(network, IntegerNetwork):
        raise InputError(f"{path}: the network of a Program must be integers")
    hashes = _hash_again(file.hashes, "network", network, content["network"], arrays)
    if hashes is None:
        raise InputError(f"{path}: the network was changed after it was compiled; compile it again")
    mapping = mapping_file.from_record(file.mapping, routes, network, file.chip, path)
    _check_mapping(network, file.chip, mapping, path)
    _check_kept(path, network, kept)
    source: Network | None = None
    if file.source is not None:
        floats = network_file.from_record(file.source, of_source, path)
        hashes = _hash_again(hashes, "source", floats, content["source"], of_source)
        if hashes is None or not isinstance(floats, Network):
            raise InputError(f"{path}: the source network was changed after it was compiled")
        source = floats
    if not sealed:
        raise InputError(
            f"{path}: is not as it was saved: damaged, or edited by hand; compile again with the"
            " chip file and options you want, or change it in Python (dataclasses.replace) and save"
        )
    return Program(
        network=network,
        mapping=mapping,
        chip=file.chip,
        options=file.options,
        quantized=file.quantized,
        bounds=file.bounds,
        log=file.log,
        hashes=hashes,
        source=source,
        kept=kept,
        passes=file.passes,
        loss=file.loss,
        warnings=file.warnings,
    )


def _split_off(arrays: network_file.Arrays, prefix: str) -> network_file.Arrays:
    """Remove the arrays with a prefix; return them without it."""
    prefixed = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays.pop(name) for name in prefixed}


def _check_kept(path: Path, network: IntegerNetwork, kept: network_file.Arrays) -> None:
    """Refuse numbers of neurons that are not one per neuron, in rising order."""
    sizes = {p.name: p.size for p in network.populations}
    for name, neurons in kept.items():
        rising = neurons.dtype == np.int64 and neurons.ndim == 1 and (np.diff(neurons) > 0).all()
        if not rising or len(neurons) != sizes.get(name, 0) or neurons.min(initial=0) < 0:
            raise InputError(f"{path}: {KEPT}{name} does not number the neurons of {name}")


def _hash_again(
    hashes: dict[str, str],
    name: str,
    network: Network | IntegerNetwork,
    record: Any,
    arrays: network_file.Arrays,
) -> dict[str, str] | None:
    """Return the hashes of a file with that of one network as it is written today.

    None if the hash is not that of the record and the arrays which the file holds.
    """
    try:
        if folder.hash_content(record, arrays) != hashes.get(name):
            return None
    except ValueError:  # NaN, which is never written
        return None
    today, _ = network_file.to_record(network)
    return hashes if today == record else hashes | {name: hash_network(network)}


def _check_mapping(network: IntegerNetwork, chip: Chip, mapping: Mapping, path: Path) -> None:
    try:
        check(network, chip, mapping)
    except MappingError as error:
        raise InputError(f"{path}: {error}") from None
