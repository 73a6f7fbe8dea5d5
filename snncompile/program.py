"""The Program: `compile` returns it; it is saved, run, verified and priced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.cores.usage import CoreUsage, measure_usage
from snncompile.errors import BoundsWarning, InputError
from snncompile.files import folder, versions
from snncompile.files import mapping as mapping_file
from snncompile.files import network as network_file
from snncompile.files.meaning import hash_meaning, hash_network
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Network, Progress, Say
from snncompile.ir.host_part import take
from snncompile.ir.input import read_array
from snncompile.ir.loss import OLDER, Loss
from snncompile.ir.mapping import Mapping as CoreMapping
from snncompile.ir.plastic import adopt_states, restart_learning
from snncompile.ir.reports import Bound, Proof, QuantizedLayer
from snncompile.ir.result import Result
from snncompile.notebook import format_line, format_rows
from snncompile.options import Options
from snncompile.passes.analysis.bounds import prove_bounds
from snncompile.passes.analysis.loss import output_scales
from snncompile.registry import load
from snncompile.renamed import accept_old_names
from snncompile.verification import Verification, verify_runs

if TYPE_CHECKING:
    from snncompile.backends.energy.result import Estimate
    from snncompile.report.html.document import Page

PROGRAM = "program.json"
SOURCE, KEPT = "source/", "kept/"
"""Prefixes of the arrays of the source network, and of those of the remaining neurons."""


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """An integer network, its mapping on a chip, and the record of its compilation.

    The same network, options and calibration data give a byte-identical Program.
    """

    network: IntegerNetwork
    mapping: CoreMapping
    chip: Chip
    options: Options
    quantized: tuple[QuantizedLayer, ...]
    """One entry per population; empty if the network came as integers."""
    bounds: tuple[Bound, ...]
    """Proved for samples of up to `options.quantize.steps` time steps; see `prove` for more."""
    log: tuple[str, ...]
    """Lines of each pass."""
    hashes: dict[str, str]
    """SHA-256 of the content of `source`, `calibration` (if given) and `network`; see `meaning`."""
    source: Network | None = None
    """The float network it was compiled from; None if that came as integers."""
    kept: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Remaining flattened neurons of the source, of populations that are smaller now."""
    passes: str = ""
    """The passes that ran, with every option, as `compile` takes them; empty in older files."""
    loss: Loss = OLDER
    """How far the integers part from the floats on the calibration data."""
    warnings: tuple[str, ...] = ()
    """Loss beyond the limits of the options, one line each; empty in older files."""

    def run(
        self,
        x: ArrayLike,
        backend: str = "reference",
        *,
        progress: Progress | None = None,
        timeout_s: float | None = None,
        host: Any = None,
    ) -> Result:
        """Return the output for spikes x of shape (samples, steps, *input.shape).

        Args:
            x: 0 and 1, or the counts, signed events or analog values that the network takes.
            backend: `reference` (the integer simulator) or `lava` (real Lava processes).
            progress: called with (samples done, samples in all).
            timeout_s: time limit of a backend that runs in a process of its own.
            host: the torch module, if the host computes layers of it; x is then what it takes.

        Warns:
            BoundsWarning: in so many steps a bound of the Program no longer holds; `Result.proof`
                lists all of them. What then wraps or saturates does so here as in Lava.

        Raises:
            InputError: unknown backend, or x has another shape or other values.
            BackendError: the backend is missing, hung or crashed.
        """
        shown = take(self.network.input.host_part, x, host)
        result: Result = load("backends", backend).run(
            self, shown, progress=progress, timeout_s=timeout_s
        )
        began = hash_network(self.network) if result.learned else None
        return replace(result, proof=self._warn(result.spikes.shape[1]), began=began)

    def learned(self, result: Result) -> Program:
        """Return the Program as it is after a run, with the weights and traces learned in it.

        It goes on from there bit for bit: `run(a)` and then `learned(...).run(b)` give what
        `run(a + b)` gives. Cores, bounds and options stay. It has no float network to compare
        with, and its Lava program cannot be written, since Lava begins anew: see
        `restart_learning`.

        Args:
            result: of `run` on the reference, of this Program: of the same network with the same
                rules, weights and traces, of which a run changes none.

        Raises:
            InputError: the result is of another network, of this one before or after it learned
                something, or of Lava.
        """
        if self.network.plastic and not result.learned:
            raise InputError(
                "the result holds no learning states; run the Program with backend reference"
            )
        if result.learned and result.began != hash_network(self.network):
            raise InputError(
                "the result is of another Program, or of this one before or after it learned; run"
                " this Program and give its result"
            )
        network = adopt_states(self.network, dict(result.learned))
        hashes = self.hashes | {"network": hash_network(network)}
        return replace(self, network=network, hashes=hashes, source=None, kept={})

    def restart_learning(self) -> Program:
        """Return the Program with the weights that it has learned, where learning begins anew.

        Tags and traces are 0 and random numbers those of a first run, as in Lava, for which it can
        be written. Cores, bounds and options stay.
        """
        network = restart_learning(self.network)
        hashes = self.hashes | {"network": hash_network(network)}
        return replace(self, network=network, hashes=hashes, kept={})

    def prove(self, steps: int) -> Proof:
        """Return the bounds that lapse in samples of `steps` time steps; proved anew for more."""
        proof = Proof(compiled_steps=self.options.quantize.steps, steps=steps)
        if not proof.anew:
            return proof
        broken = {(b.population, b.quantity) for b in self.bounds if not b.holds}
        anew = prove_bounds(self.network, self.chip, steps)
        lapsed = (b for b in anew if not b.holds and (b.population, b.quantity) not in broken)
        return proof.model_copy(update={"lapsed": tuple(lapsed)})

    def _warn(self, steps: int, stacklevel: int = 3) -> Proof:
        """Return the proof for some steps, with a warning for the caller's caller if it lapses."""
        proof = self.prove(steps)
        if proof.lapsed:
            warn(str(proof), BoundsWarning, stacklevel=stacklevel)
        return proof

    def verify(
        self,
        x: ArrayLike,
        samples: int | None = 16,
        *,
        model: Any = None,
        lava: bool = True,
        progress: Progress | None = None,
        timeout_s: float | None = None,
        host: Any = None,
        time: str | int = "auto",
        args: Sequence[Any] | dict[str, Any] = (),
        neurons: dict[Any, Any] | None = None,
    ) -> Verification:
        """Compare every output of every population in up to four runs of the network.

        The integer reference and Lava promise equal outputs, and so do the library a model was
        made with and the float network; between float and integer the loss is reported.

        Args:
            x: spikes of shape (samples, steps, *input.shape).
            samples: number of samples, from the first; None for all.
            model: the torch module that the network was imported from; runs in its own library.
            lava: whether to run Lava.
            progress: called with (samples done, samples in all) of each run in turn.
            timeout_s: time limit of the Lava run.
            host: the torch module, if the host computes layers of it; x is then what it takes.
            time: with a model, how it takes its time axis, as it was given to `from_torch`.
            args: with a model, further arguments of forward, as they were given to `from_torch`.
            neurons: with a model, neurons that were said to `from_torch`.

        Raises:
            InputError: the model is another one, or the network cannot take x.
            BackendError: Lava is missing, hung or crashed.
        """
        given = read_array(x)[:samples]
        shown = np.asarray(take(self.network.input.host_part, given, host))
        missing = self.explain_missing(model, lava)
        library = {}
        if "library" not in missing:
            library = load("natives", "torch")(model, given, self.source, time, args, neurons)
            shown = library.pop(self.network.input.name, shown)  # what its encoders drew
        runs = self.record_runs(shown, missing, progress=progress, timeout_s=timeout_s)
        if "library" not in missing:
            runs["library"] = self._select_kept(library)
        return self.compare_runs(runs, missing)

    def record_runs(
        self,
        shown: ArrayLike,
        missing: Mapping[str, str],
        *,
        progress: Progress | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the outputs of every population in each run of `verify` but the library's.

        Args:
            shown: spikes of shape (samples, steps, *input.shape).
            missing: runs that are left out, with the reason.
            progress: called with (samples done, samples in all) of the Lava run.
            timeout_s: time limit of the Lava run.
        """
        backends = {"integer": load("backends", "reference"), "lava": load("backends", "lava")}
        run = backends["integer"].spike_trains
        runs = {"integer": run(self.network, shown, progress=progress)}
        if "float" not in missing:
            runs["float"] = self._select_kept(run(self.source, shown, progress=progress))
        if "lava" not in missing:
            runs["lava"] = backends["lava"].spike_trains(
                self.network, shown, progress=progress, timeout_s=timeout_s
            )
        return runs

    def compare_runs(
        self, runs: Mapping[str, dict[str, NDArray[Any]]], missing: Mapping[str, str]
    ) -> Verification:
        """Return the verification of runs that were recorded, with the bounds for their steps."""
        verification = verify_runs(self.network, runs, missing, self._list_scales())
        return replace(verification, proof=self._warn(verification.steps, stacklevel=4))

    def _select_kept(self, spike_trains: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs of the neurons that were kept."""
        return {
            name: train[..., self.kept[name]] if name in self.kept else train
            for name, train in spike_trains.items()
        }

    def _list_scales(self) -> dict[str, float]:
        """Return integer per float output of readouts and of neurons that send values."""
        return output_scales(self.source, self.quantized) if self.source else {}

    def explain_missing(self, model: Any, lava: bool) -> dict[str, str]:
        """Return the reason for each missing run of a verification."""
        missing = {}
        if self.source is None:
            if model is not None:
                raise InputError(
                    "this Program was compiled from integers, which no library runs; verify it"
                    " without a model"
                )
            missing["float"] = missing["library"] = "the network came as integers"
        elif model is None:
            missing["library"] = "no model was given"
        return missing if lava else missing | {"lava": "Lava was left out"}

    @accept_old_names(model="timing", rules="account")
    def estimate(
        self,
        x: ArrayLike,
        costs: str | None = None,
        *,
        timing: str = "fast",
        account: str = "chip",
        progress: Progress | None = None,
        host: Any = None,
    ) -> Estimate:
        """Return energy and latency per inference, with the activity of x.

        Args:
            x: spikes of shape (samples, steps, *input.shape).
            costs: name of a cost set of the chip; None for its default.
            timing: `fast` (closed form, a lower bound of the time) or `cycle` (follows every
                message through cores, queues and links; where messages meet, a slower link or a
                smaller buffer can make a step faster, see `backends/energy/cycle_kernels.py`).
            account: `chip`, or `sanafe` for SANA-FE's account of a step: its simple one with
                timing `fast`, its detailed one with `cycle`.
            progress: called with (samples done, samples in all).
            host: the torch module, if the host computes layers of it; x is then what it takes.
                What the host spends is not in the estimate.

        Raises:
            InputError: the chip has no such cost set, or no such timing or account is known.
            UnsupportedError: SANA-FE's account knows one chip.
            FitError: SANA-FE's account needs more cores for the input than are free.
        """
        shown = read_array(take(self.network.input.host_part, x, host))
        result: Estimate = load("estimators", timing)(
            self, shown, costs=costs, account=account, progress=progress
        )
        return replace(result, proof=self._warn(shown.shape[1], stacklevel=4))

    def report(
        self, x: ArrayLike | None = None, label: ArrayLike | None = None, **more: Any
    ) -> Page:
        """Return the report: one HTML page on fit, loss, time, energy and what would help.

        `program.report(x, label).write("report.html")` saves it; a notebook shows it.

        Args:
            x: input, shape (samples, steps, *input.shape); without it time and energy are unknown.
            label: class of each sample.
            **more: `samples` to run (32, from the first), `seconds` for trying changes (60; 0:
                none), `lava` (False), `costs`, `timing` as of `estimate`, `host`, and `progress`,
                called with what is done and the share that is done. For converted networks
                `images`, shape (samples, *shape), in place of x, and `model`, the trained module,
                with which other methods of conversion are tried.

        Raises:
            InputError: plotly is missing (`pip install 'snncompile[report]'`), the network cannot
                take x, or the arguments do not go together.
        """
        page: Page = load("reports", "html")(self, x, label, **more)
        return page

    def at_clock(self, mhz: float | None) -> Program:
        """Return the Program with its chip at a clock, where the user of the chip chooses it.

        Args:
            mhz: megahertz; None for the Program as it is.

        Raises:
            InputError: the clock is not above 0, or no time of the chip depends on it.
        """
        if mhz is None:
            return self
        if not 0 < mhz < float("inf"):
            raise InputError(f"a clock needs more than 0 MHz, got {mhz:g}")
        if not self.chip.has_cycles:
            raise InputError(f"{self.chip.name} has no times that depend on a clock")
        return replace(self, chip=self.chip.at_clock(mhz))

    def emit(
        self,
        path: str | Path,
        backend: str = "lava",
        *,
        reader: str | None = None,
        progress: Say | None = None,
    ) -> None:
        """Write files for another system.

        Args:
            path: the folder or file to write.
            backend: `lava` (a folder that stands alone), `netx` (a lava-dl `.net` file with the
                integer network) or `nir` (a NIR file with the float network it was made of).
            reader: what the files are for. With `nir`, the importer that is to read the file as it
                is meant: `snntorch`, `norse`, `sinabs` or `spyx`; see `snncompile.to_nir`. With
                `lava`, `hardware`: a folder prepared for Loihi 2, see docs/hardware.md.
            progress: called with what is written and the share that is, by backends that say so.

        Raises:
            InputError: no such backend or reader, or the folder holds something else.
            BackendError, UnsupportedError: the backend cannot express the network.
        """
        emitter = load("emitters", backend)
        taken = signature(emitter).parameters
        if reader is not None and "reader" not in taken:
            raise InputError(f"a reader is named with backend nir or lava, not {backend!r}")
        options: dict[str, Any] = {} if reader is None else {"reader": reader}
        if "progress" in taken:
            options["progress"] = progress
        emitter(self, Path(path), **options)

    @property
    def meaning(self) -> str:
        """SHA-256 of network, mapping and chip, the same whatever version, title, log or prices."""
        return self.hash_meaning()["all"]

    def hash_meaning(self) -> dict[str, str]:
        """Return the SHA-256 of the meaning of `network`, `mapping`, `chip` and `all` of them."""
        return hash_meaning(self.network, self.mapping, self.chip)

    def usage(self) -> tuple[CoreUsage, ...]:
        """Return the use of each resource by each core."""
        return measure_usage(self.network, self.chip, self.mapping)

    def save(self, path: str | Path) -> None:
        """Write the Program to a folder: `program.json` and `arrays.npz`, no pickle.

        Raises:
            InputError: the folder holds something else, or cannot be written.
        """
        network, arrays = network_file.to_record(self.network)
        source = None
        if self.source is not None:
            source, of_source = network_file.to_record(self.source)
            arrays |= {SOURCE + name: array for name, array in of_source.items()}
        arrays |= {KEPT + name: neurons for name, neurons in self.kept.items()}
        mapping, routes = mapping_file.to_record(self.mapping)
        record = {
            "format": "snncompile program",
            **versions.make_head("program", versions.PROGRAM_PARTS),
            "network": network,
            "mapping": mapping,
            "chip": self.chip.model_dump(mode="json"),
            "options": self.options.model_dump(mode="json"),
            "quantized": [q.model_dump(mode="json") for q in self.quantized],
            "bounds": [b.model_dump(mode="json") for b in self.bounds],
            "log": list(self.log),
            "hashes": self.hashes,
            "source": source,
            "passes": self.passes,
            "loss": self.loss.model_dump(mode="json"),
            "warnings": list(self.warnings),
        }
        folder.write_folder(Path(path), PROGRAM, record, arrays | routes)

    @property
    def plot(self) -> Any:
        """Figures for papers: `program.plot.cores()`, `.raster(x)`, `.energy(x)`; matplotlib.

        See `snncompile/report/plots.py`.
        """
        return load("reports", "plots")(self)

    def _list_facts(self) -> list[tuple[str, object]]:
        """Return what a short text shows of the Program."""
        return [
            ("title", self.network.title),
            ("chip", self.chip.full_name),
            ("cores", self.mapping.cores),
            ("chips", self.mapping.chips),
            ("layers", len(self.network.populations)),
            ("neurons", sum(p.size for p in self.network.populations)),
            ("warnings", len(self.warnings)),
        ]

    def __repr__(self) -> str:
        """One line; `str` has all of it."""
        return format_line("Program", self._list_facts())

    def _repr_html_(self) -> str:
        more = [("loss", str(self.loss)), *(("warning", text) for text in self.warnings)]
        return format_rows("Program", [*self._list_facts(), *more])

    def __str__(self) -> str:
        """Text form: the chip, the network, the mapping."""
        return f"chip {self.chip.name}\n{self.network}{self.mapping}"
