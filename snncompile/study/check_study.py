"""What is wrong with a study as a whole: what lacks, contradicts something or has no effect."""

from __future__ import annotations

from collections.abc import Iterator

from snncompile.conversion.convert import find_method
from snncompile.errors import InputError
from snncompile.hwmodels import chips
from snncompile.study.points import count_points, make_method
from snncompile.study.records import Search, Study

MOST = 100_000
"""Points of a grid; more are for a search."""
Problem = tuple[tuple[str, ...], str]
"""Path of the key that is wrong, and what is wrong with it."""


def list_problems(study: Study) -> list[Problem]:
    """Return all that is wrong with a study."""
    problems = [
        *_check_names(study),
        *_check_data(study),
        *_check_methods(study),
        *_check_costs(study),
    ]
    if study.search is not None:
        return problems + list(_check_search(study.search, study.objectives, study.samples))
    if (count := count_points(study)) > MOST:
        reason = (
            f"the grid has {count:,} points, at most {MOST:,} are run; add search: {{trials: N}}"
        )
        problems.append((("models",), reason))
    return problems


def _check_names(study: Study) -> Iterator[Problem]:
    for kind, labels, remedy in (
        ("chips", [chip.label for chip in study.chips], "give one a name"),
        ("methods", [choice.label for choice in study.choices], "list their steps together"),
    ):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        yield from (((kind,), f"two are called {label}; {remedy}") for label in twice)


def _check_data(study: Study) -> Iterator[Problem]:
    answered = {"accuracy", "agreement", "energy", "latency"} & study.wanted
    for name, model in study.models.items():
        if answered and model.data is None and study.data is None:
            yield ("models", name), f"{', '.join(sorted(answered))} need data"
        if model.is_ann and model.calibration is None and study.calibration is None:
            yield ("models", name), "an ann needs calibration"


def _check_methods(study: Study) -> Iterator[Problem]:
    if not any(model.is_ann for model in study.models.values()):
        for key in ("methods", "steps"):
            if key in study.model_fields_set and getattr(study, key) is not None:
                yield (key,), "is for models that are an ann, and none is"
        return
    for choice in study.choices:
        try:
            make_method(choice)
        except InputError as error:
            yield ("methods",), str(error)
    own = [c.steps is not None or find_method(c.method).longest_window == 1 for c in study.choices]
    if study.steps is not None and all(own):
        yield ("steps",), "no method takes them: each has steps of its own, or none"


def _check_costs(study: Study) -> Iterator[Problem]:
    for choice in study.chips if study.costs is not None else ():
        known = chips.load_chip(choice.extends).costs
        if study.costs not in known:
            reason = (
                f"{choice.label} has no costs called {study.costs!r}; it has {', '.join(known)}"
            )
            yield ("costs",), reason


def _check_search(
    search: Search, objectives: tuple[str, ...], samples: int | None
) -> Iterator[Problem]:
    if search.pruner is None or search.rungs is None:
        return
    if len(objectives) > 1:
        yield (
            ("search", "pruner"),
            f"compares one objective, there are {len(objectives)}; give one objective and budgets"
            " for the others, or drop the pruner",
        )
    if samples is not None and search.rungs[-1] >= samples:
        yield ("search", "rungs"), f"must stay below samples ({samples})"
