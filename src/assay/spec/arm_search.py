"""An arm that is a whole search: each of its seeds searches anew, and its run is of what that search has chosen.

So tuning's own luck is part of how much the arm's runs differ (Bouthillier et al. 2021, "Accounting for variance in
machine learning benchmarks", MLSys).
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import Problem
from .base import Spec
from .metric import objective_of
from .network import BaseTemplate, Lines
from .search import Choice, Parameter, Search, Value, is_active

# Seeds of the searches' own runs, far from a study's: of a study's seed 3 they begin at 10 billion + 300.
_FIRST_SEED, _SEEDS_EACH = 10_000_000_000, 100


class ArmSearch(Spec):
    """The search that an arm is.

    Args:
        search: Space, sampler and budget; ``seed`` and ``finalists`` are the arm's affair.
        layers, training, base: With a placeholder for each parameter of the space.
        metric: The study's; ``None`` where it is accuracy.
        chosen: What each seed's search has chosen: values by parameter, by seed; filled in when the search is over.
    """

    search: Search
    layers: Lines = ()
    training: dict[str, Any] = {}
    base: BaseTemplate = None
    metric: str | None = None
    chosen: dict[str, dict[str, Value]] = {}

    def identity(self) -> dict[str, Any]:
        """What the searches depend on, as JSON values; not what they have chosen."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"chosen"})

    def search_of(self, seed: int) -> Search:
        """The search of one seed, with seeds of its own."""
        return self.search.model_copy(update={"seed": _FIRST_SEED + _SEEDS_EACH * seed, "finalists": 1})


def problems_of_arm_search(search: Search) -> list[Problem]:
    """What the search of an arm cannot have: it is run once for each seed, and one candidate is trained anew."""
    problems = []
    for key, what in (
        ("seed", "each seed of the arm has a search with seeds of its own"),
        ("finalists", "the best candidate of each search is trained anew, with the arm's seed"),
    ):
        if getattr(search, key) != Search.model_fields[key].default:
            problems.append(Problem(what, "leave it out", f"search.{key}"))
    if len(search.objective) > 1:
        what = f"the arm is the best candidate, and of {len(search.objective)} objectives none is the best"
        problems.append(Problem(what, "give one objective, and constraints", "search.objective"))
    return problems


def first_values(search: Search) -> dict[str, Value]:
    """One candidate of a space, to show what its networks look like: the first levels and lowest numbers."""
    chosen: dict[str, Value] = {}
    for name, parameter in search.space.items():
        if is_active(parameter, chosen):
            chosen[name] = _first(parameter)
    return chosen


def _first(parameter: Parameter) -> Value:
    return next(iter(parameter.levels)) if isinstance(parameter, Choice) else parameter.low


def search_name(study: str, arm: str, seed: int) -> str:
    """What the search of an arm's seed is called in the store."""
    return re.sub(r"[^\w.-]+", "-", f"{study}.{arm}")[:66].rstrip("-.") + f".seed{seed}"


def arms_with_objective(arms: Any, metric: str | None) -> Any:
    """A study's arms, whose searches go by the study's metric unless they say otherwise."""
    if not isinstance(arms, list | tuple):
        return arms
    return [_with_objective(arm, metric) for arm in arms]


def _with_objective(arm: Any, metric: str | None) -> Any:
    search = arm.get("search") if isinstance(arm, dict) else getattr(arm, "search", None)
    if isinstance(search, Search):
        given = search.objective if "objective" in search.model_fields_set else None
        objective = objective_of(given, metric)
        search = search if objective is None else search.model_copy(update={"objective": objective})
    elif isinstance(search, dict):
        objective = objective_of(search.get("objective"), metric)
        search = search if objective is None else {**search, "objective": objective}
    else:
        return arm
    return {**arm, "search": search} if isinstance(arm, dict) else arm.model_copy(update={"search": search})
