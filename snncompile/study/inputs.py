"""What the driver prepares: networks, data and answers under hashes, and the job of each point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snncompile import __version__
from snncompile.errors import InputError, SnnCompileError
from snncompile.files.meaning import hash_network
from snncompile.files.npz import read_npz, write_npz
from snncompile.hwmodels import chips
from snncompile.hwmodels.schema import Chip
from snncompile.study.check_files import Taken
from snncompile.study.chip_fields import change_chip
from snncompile.study.hash_ann import hash_ann
from snncompile.study.job import Job, Outcome
from snncompile.study.points import Point, find_chip, find_choice, make_method
from snncompile.study.records import ChipChoice, ModelChoice, Study
from snncompile.study.store import Store, dump, hash_value, read_json, write_text
from snncompile.study.trial import describe_refusal, read_shown

if TYPE_CHECKING:
    from snncompile.conversion.ann import Ann
    from snncompile.ir.graph import Graph

ANSWERED = 64
"""Samples whose answers an ANN computes at a time."""


@dataclass(frozen=True)
class Task:
    """A point and its job; a point that is refused before it is compiled has its outcome."""

    point: Point
    key: str
    """Name of the result."""
    job: Job | None = None
    outcome: Outcome | None = None


class Model:
    """One model of a study, read once and only if it is needed."""

    def __init__(self, name: str, choice: ModelChoice, study: Study, store: Store, given: Any):
        self.name, self.choice, self.store, self.given = name, choice, store, given
        self.data_path = choice.data or study.data
        self.calibration_path = choice.calibration or study.calibration
        self.limit = study.samples
        self.wanted = study.wanted
        self.rungs = () if study.search is None else study.search.rungs or ()

    @cached_property
    def data(self) -> str | None:
        """Hash of the data."""
        return None if self.data_path is None else self.store.add_file(Path(self.data_path))

    @cached_property
    def calibration(self) -> str | None:
        """Hash of the calibration data."""
        path = self.calibration_path
        return None if path is None else self.store.add_file(Path(path))

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Calibration samples of an ANN."""
        from snncompile.conversion.convert import check_calibration
        from snncompile.files.spikes import read_values

        assert self.calibration_path is not None
        return check_calibration(read_values(Path(self.calibration_path)))

    @cached_property
    def ann(self) -> Ann:
        """The trained network, captured."""
        from snncompile.cli.model_argument import load_ann
        from snncompile.conversion.capture import capture

        module = self._take_given() if self.choice.ann is None else load_ann(self.choice.ann)
        return capture(module, self.values, self.name)

    @cached_property
    def ann_hash(self) -> str:
        """Hash of the captured network."""
        return hash_ann(self.ann, self.values[:4])

    @cached_property
    def refusal(self) -> SnnCompileError | None:
        """Why no trial of this model can be made: it has a layer, or does a thing, that is unknown.

        Raises:
            InputError: it cannot be loaded, or an array of its files has another shape.
        """
        try:
            takes = self._find_taken()
        except InputError:
            raise
        except SnnCompileError as error:
            return error
        if self.calibration_path is not None and not takes.is_ann:
            takes.check_shown(Path(self.calibration_path))
        if self.data_path is not None:
            takes.check_data(Path(self.data_path), self.wanted, self.rungs, self.limit)
        return None

    def _find_taken(self) -> Taken:
        if self.choice.is_ann:
            outputs = math.prod(self.ann.layers[-1].shape)
            return Taken(self.ann.shape, is_ann=True, values=True, outputs=outputs)
        network = self.network
        coded, outputs = network.input.coding is not None, network.population(network.output).size
        return Taken(network.input.shape, is_ann=False, values=coded, outputs=outputs)

    @property
    def fingerprint(self) -> list[str | None]:
        """Hashes of all that is read of it."""
        if self.refusal is not None:
            return [describe_refusal(self.refusal)]
        own = self.ann_hash if self.choice.is_ann else hash_network(self.network)[:32]
        return [own, self.data, self.calibration]

    @cached_property
    def network(self) -> Graph:
        """The network, if it is no ANN."""
        from snncompile.cli.model_argument import load_model

        if self.choice.network is None:
            network: Graph = self._take_given()
            return network
        return load_model(self.choice.network)

    def _take_given(self) -> Any:
        if self.given is None:
            raise InputError(
                f"models.{self.name}: is given by Python; call snncompile.sweep(..., models=...)"
            )
        return self.given

    def save_network(self, network: Graph) -> str:
        """Save a network under its hash, which is returned."""
        key = hash_network(network)[:32]
        path = self.store.folder / "networks" / key
        with self.store.lock(key):
            if not path.exists():
                network.save(path)
        return key

    @cached_property
    def answers(self) -> str:
        """Hash of the file with the model's own answers on the data."""
        assert self.data is not None
        whole = self.ann_hash if self.choice.is_ann else hash_network(self.network)[:32]
        key = hash_value([__version__, whole, self.data, self.limit, "answers"])
        path = self.store.find_data(key)
        with self.store.lock(key):
            if not path.exists():
                aside = path.with_name(f".{key}.npz")
                write_npz(aside, {"answer": self._compute_answers()})
                aside.replace(path)
        return key

    def _compute_answers(self) -> NDArray[np.int64]:
        path = Path(self.data_path or "")
        if not self.choice.is_ann:
            return self.network.run(read_shown(path, self.network, self.limit)[0]).prediction
        x = read_npz(path)["x"][: self.limit].astype(np.float64)
        last = self.ann.layers[-1].name
        answers = [
            self.ann.compute_activations(x[i : i + ANSWERED])[last].flatten(1).argmax(1).numpy()
            for i in range(0, len(x), ANSWERED)
        ]
        return np.concatenate(answers)


class Inputs:
    """Makes the jobs of a study."""

    def __init__(self, study: Study, store: Store, given: Mapping[str, Any] | None = None) -> None:
        self.study, self.store = study, store
        self.models = {
            name: Model(name, choice, study, store, (given or {}).get(name))
            for name, choice in study.models.items()
        }

    def check(self) -> None:
        """Load every model and look at its data, so that mistakes come before the first trial.

        Raises:
            InputError: a model cannot be loaded, or an array of its files has another shape.
        """
        for model in self.models.values():
            _ = model.refusal

    def hash_all(self) -> str:
        """Return a hash of the content of all models, data and chips, whatever their names."""
        chips = [load_extended(choice).model_dump(mode="json") for choice in self.study.chips]
        models = {name: model.fingerprint for name, model in self.models.items()}
        return hash_value([__version__, models, chips])

    def make_task(self, point: Point, samples: int | None = None) -> Task:
        """Return the job of a point, or why there is none.

        Args:
            point: of the study.
            samples: that are run; None for those of the study.
        """
        try:
            chip = self._make_chip(point)
            network = self._find_network(point)
        except SnnCompileError as error:
            outcome = Outcome(fits=False, reason=describe_refusal(error))
            key = hash_value([__version__, str(point), outcome.reason])
            if self.models[point.model].store.read_result(key) is None:
                self.models[point.model].store.write_result(key, outcome.write())
            return Task(point, key, outcome=outcome)
        model, study, wanted = self.models[point.model], self.study, self.study.wanted
        priced = bool(wanted & {"energy", "latency"})
        run = priced or bool(wanted & {"accuracy", "agreement"})
        job = Job(
            version=__version__,
            network=network,
            chip=chip.model_dump(mode="json"),
            options=point.options,
            calibration=model.calibration,
            calibrated=study.calibrated,
            data=model.data if run else None,
            answers=model.answers if "agreement" in wanted else None,
            samples=study.samples if samples is None else samples,
            priced=study.priced if priced else None,
            timing=study.timing,
            costs=study.costs,
        )
        return Task(point, job.key, job)

    def _make_chip(self, point: Point) -> Chip:
        choice = find_chip(self.study, point.chip)
        try:
            return change_chip(load_extended(choice), dict(point.fields))
        except ValueError as error:
            raise InputError(str(error)) from None

    def _find_network(self, point: Point) -> str:
        model = self.models[point.model]
        if model.refusal is not None:
            raise model.refusal
        if point.method is None:
            return model.save_network(model.network)
        method = make_method(find_choice(self.study, point.method))
        key = hash_value(
            [__version__, model.ann_hash, repr(method), point.steps, model.calibration]
        )
        path = self.store.folder / "conversions" / f"{key}.json"
        record = read_json(path)
        if record is None:
            record = _convert(model, method, point.steps)
            write_text(path, dump(record))
        if "reason" in record:
            raise InputError(record["reason"])
        return str(record["network"])


def load_extended(choice: ChipChoice) -> Chip:
    """Return the chip that a choice starts from.

    Raises:
        InputError: its file is gone, or was changed into one that is no chip.
    """
    try:
        return chips.load_chip(choice.extends)
    except chips.ChipError as error:
        raise InputError(str(error)) from None


def _convert(model: Model, method: Any, steps: int | None) -> dict[str, str]:
    from snncompile.conversion.convert import convert_captured

    try:
        conversion = convert_captured(model.ann, model.values, method, steps)
    except SnnCompileError as error:
        return {"reason": describe_refusal(error)}
    return {"network": model.save_network(conversion.network)}
