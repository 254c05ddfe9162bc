"""Checks the rest of a study that is a search: its network, training, seeds and data."""

from __future__ import annotations

from typing import Any

from ..errors import Problem, nearest
from .data import Data
from .factors import placeholders
from .network import Network, plain
from .search import FRESH, Choice, Halving, Search
from .seeds import Seeds


def problems_of_search(
    search: Search, *, network: Network, training: dict[str, Any], seeds: Seeds, data: Data, planned_epochs: int
) -> list[Problem]:
    """The problems of a study that is a search: settings that a search forbids or lacks.

    Args:
        search: The study's search.
        network, training: With a placeholder for each parameter of the space.
        seeds, data: The study's.
        planned_epochs: The most epochs that a run may take.
    """
    names_used = placeholders([plain(network.layers), training, network.base])
    for parameter in search.space.values():
        names_used |= placeholders(parameter.levels) if isinstance(parameter, Choice) else set()
    used = _used_by(search, network, training)
    problems = [
        Problem(f'"{{{name}}}" names no parameter', nearest(name, list(search.space)), "search.space")
        for name in sorted(names_used - set(search.space))
    ]
    problems += [
        Problem("no placeholder uses this parameter", f'write "{{{name}}}" in a layer or in [training]', key)
        for name in search.space
        if name not in used and (key := f"search.space.{name}")
    ]
    if seeds.stop:
        what = "finalists are compared with a fixed number of seeds"
        problems.append(Problem(what, "give count instead of stop", "seeds.stop"))
    fresh = seeds.start or FRESH
    first = max(fresh, search.seed)
    if first < min(fresh + seeds.planned, search.seed + search.replicates):
        what = f"seed {first} trains the search's own runs, so it is not fresh"
        problems.append(Problem(what, "give another start, or leave it out", "seeds.start"))
    if training.get("distillation") not in (None, "none"):
        what = "a search has no other arms, and so no teacher"
        problems.append(Problem(what, "leave it out; let the best arm learn from a teacher", "training.distillation"))
    if data.num_folds:
        what = "a search trains on one split"
        problems.append(Problem(what, "give a share of validation images", "data.validation"))
    if data.is_leaky:
        what = "a search must not see the test images"
        problems.append(Problem(what, "give a share of validation images", "data.validation"))
    if search.halving is not None:
        problems += _problems_of_halving(search.halving, training, planned_epochs)
    return problems


def _used_by(search: Search, network: Network, training: dict[str, Any]) -> set[str]:
    """The parameters that layers or training depend on: named there, in a level in use, or as its condition."""
    used: set[str] = set()
    new = placeholders([plain(network.layers), training, network.base])
    while new:
        used |= new
        parameters = [search.space[name] for name in new if name in search.space]
        new = {name for parameter in parameters for name in parameter.when}
        new |= {n for parameter in parameters if isinstance(parameter, Choice) for n in placeholders(parameter.levels)}
        new -= used
    return used


def _problems_of_halving(halving: Halving, training: dict[str, Any], planned: int) -> list[Problem]:
    if placeholders([training.get("epochs"), training.get("stop_after")]):
        what = "epochs are what halving gives out, so they cannot be a parameter"
        return [Problem(what, "give a number, or leave out halving", "training.epochs")]
    most = halving.max_epochs or planned
    if most > planned:
        return [Problem(f"runs have {planned} epochs", "give no more", "search.halving.max_epochs")]
    if most < halving.min_epochs * halving.reduction:
        what = f"{halving.min_epochs} to {most} epochs leave no room for a reduction of {halving.reduction}"
        return [Problem(what, "train for more epochs, or give a smaller reduction", "search.halving")]
    return []
