"""`snncompile.sweep`: a study from a file, a mapping or objects, run and ranked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from snncompile.errors import InputError
from snncompile.files.npz import write_npz
from snncompile.ir.graph import Graph
from snncompile.study.drive import Sweep, Tell, run_study
from snncompile.study.read import make_study, read_study
from snncompile.study.records import Study
from snncompile.study.store import hash_file


def sweep(
    study: str | Path | Mapping[str, Any] | Study,
    folder: str | Path | None = None,
    *,
    models: Mapping[str, Any] | None = None,
    data: tuple[ArrayLike, ArrayLike] | ArrayLike | None = None,
    calibration: ArrayLike | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    storage: str | None = None,
    driver: str = "driver",
    progress: Tell | None = None,
) -> Sweep:
    """Return the trials of a study and their front; what is in the folder already is not run again.

    Args:
        study: a study file, its content as a mapping, or a study.
        folder: where inputs and results go; the name of the file without its suffix, or of the
            study, with `.sweep` behind it.
        models: networks, or torch modules to convert, by name; beside those of the study.
        data: x, or (x, label), to measure with; in place of a file of the study.
        calibration: x of shape (samples, ...), in place of a file of the study.
        scheduler: address of a Dask scheduler whose workers see the folder under the same path;
            None: local workers.
        workers: local processes; None: one per core.
        threads: of the libraries of each local worker.
        storage: URL of Optuna's storage; None: SQLite in the folder.
        driver: name of this driver, where several share one storage and search.
        progress: called after each trial.

    Raises:
        InputError: the study has mistakes (`obstacles` lists all), a file is not readable, a
            package is missing, or there is no such scheduler or storage.
    """
    _check_kind(study)
    target = Path(folder) if folder is not None else name_folder(study)
    if isinstance(study, str | Path):
        if models or data is not None or calibration is not None:
            raise InputError("models, data and calibration of Python go with a study as a mapping")
        record = read_study(study)
    elif isinstance(study, Study):
        record = study
    else:
        record = make_study(_add_given(dict(study), target, models or {}, data, calibration))
    return run_study(
        record,
        target,
        scheduler=scheduler,
        workers=workers,
        threads=threads,
        storage=storage,
        driver=driver,
        given=models,
        tell=progress,
    )


def _check_kind(study: object) -> None:
    if not isinstance(study, str | Path | Mapping | Study):
        kind = type(study).__name__
        raise InputError(f"a study is a file, a mapping or a Study, got {kind}")


def name_folder(study: str | Path | Mapping[str, Any] | Study) -> Path:
    """Return the folder of a study that names none: `digits.sweep` for `digits.yaml`."""
    if isinstance(study, str | Path):
        return Path(study).with_suffix(".sweep")
    name = study.name if isinstance(study, Study) else study.get("name", "study")
    return Path(f"{name}.sweep")


def _add_given(
    content: dict[str, Any],
    folder: Path,
    models: Mapping[str, Any],
    data: Any,
    calibration: Any,
) -> dict[str, Any]:
    """Return the content with what Python gives: arrays as files, models by their kind."""
    kinds = {name: "network" if isinstance(m, Graph) else "ann" for name, m in models.items()}
    own = {name: {"given": kind} for name, kind in kinds.items()}
    if own:
        content["models"] = dict(content.get("models", {})) | own
    if data is not None:
        x, label = data if isinstance(data, tuple) else (data, None)
        arrays = {"x": np.asarray(x)} | ({} if label is None else {"label": np.asarray(label)})
        content["data"] = _write_given(folder, "data", arrays)
    if calibration is not None:
        content["calibration"] = _write_given(folder, "calibration", {"x": np.asarray(calibration)})
    return content


def _write_given(folder: Path, name: str, arrays: Mapping[str, Any]) -> str:
    """Write arrays beside the folder under the hash of their content; return the path."""
    parent = folder.resolve().parent / f"{folder.name}.given"
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f".{name}-{secrets.token_hex(4)}.npz"
    write_npz(aside, arrays, compress=True)
    path = parent / f"{name}-{hash_file(aside)[:12]}.npz"
    aside.replace(path)
    return str(path)
