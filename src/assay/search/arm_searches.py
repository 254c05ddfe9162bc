"""Studies with arms that are searches: each seed's search, then one run of what it has chosen, with the arm's seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..data import Dataset
from ..runner.plan import Plan, make_plan
from ..spec import Device, Study
from ..spec.search import Value
from ..store import StoreReader, StoreWriter
from .facts import current_step, finalists, scores_of
from .halving import design_of
from .search_plans import search_plans

Chosen = dict[tuple[str, int], dict[str, Value]]


def plans_with_searches(
    study: Study,
    dataset: Dataset,
    folder: Path,
    reader: StoreReader,
    writer: StoreWriter,
    *,
    device: Device = "cpu",
    note: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Plan]:
    """What to train next, asked for again after each plan has ended, until nothing is left.

    First the arms that are no searches, with the runs of searches that are over; then one search after another, each a
    study of its own in the store; then all runs. A resumed study goes on in the search that it was in.

    Args:
        study: Some of its arms are searches.
        dataset: Its data, prepared.
        folder: The store's.
        reader, writer: Of the store.
        device: What trains the runs.
        note: Takes sentences for whoever follows.
    """
    searches = {
        (arm.name, seed): study.searched(arm, seed)
        for seed in range(study.seeds.start, study.seeds.start + study.seeds.planned)
        for arm in study.expand()
        if arm.search is not None
    }
    chosen: Chosen = {}
    for place, search in searches.items():
        values = choice_of(search, reader)
        if values is not None:
            chosen[place] = values
    waiting = [place for place in searches if place not in chosen]
    if waiting:
        yield make_plan(study, dataset, folder, device=device, chosen=chosen)
    for number, place in enumerate(waiting, start=1):
        arm, seed = place
        note(f'search {number:,} of {len(waiting):,}: arm "{arm}", seed {seed}')
        yield from search_plans(searches[place], dataset, folder, reader, writer, device=device, has_finalists=False)
        values = choice_of(searches[place], reader)
        if values is None:
            note(f'arm "{arm}", seed {seed}: none of its search\'s trials has finished, so it has no run')
        else:
            chosen[place] = values
    yield make_plan(study, dataset, folder, device=device, chosen=chosen)


def choice_of(search: Study, reader: StoreReader) -> dict[str, Value] | None:
    """What a search has chosen: its best trial's values; ``None`` where it is not over, or no trial has a score."""
    if search.name not in reader.study_names():
        return None
    record = reader.study(search.name).search
    if record is None:
        return None
    step = current_step(search, record)
    if step.jobs or step.num_trials > len(record.trials):
        return None
    best = finalists(search, record, step, scores_of(search, record, design_of(search)))
    return dict(record.trials[best[0]].chosen) if best else None
