"""A study's plans, one after another: one, or one for each batch of seeds that is still needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from ..analysis.standings import SpreadOf, Standing, first_plan, scores_of_runs, spread_by_arm, standing
from ..data import Dataset
from ..errors import NoSuchStudy
from ..spec import Device, Study
from ..store import StoreReader, StoreWriter
from .plan import Plan, make_plan


def plans(
    study: Study,
    dataset: Dataset,
    folder: Path,
    reader: StoreReader,
    writer: StoreWriter,
    *,
    device: Device = "cpu",
) -> Iterator[Plan]:
    """What to run next, asked for again after each plan has ended, until nothing is left.

    A study that stops when decided is replayed from the store each time, by the plan that its first look wrote down.
    What is decided is written down as an event too, which nothing reads: scores and plan alone say it.
    """
    whole = make_plan(study, dataset, folder, device=device)
    if study.seeds.stop is None:
        yield whole
        return
    before: Standing | None = None
    offered: set[str] = set()
    while True:
        try:
            record = reader.study(study.name, is_brief=True)
            known, planned = {run.id: run for run in record.runs}, first_plan(record)
            spread: SpreadOf | None = spread_by_arm(record)
        except NoSuchStudy:  # it has never been run
            known, planned, spread = {}, study.seeds.planned, None
        ended = [(arm, task.seed, known[task.id]) for arm, task in whole.members if task.id in known]
        arms = [arm.name for arm in whole.arms]
        now = standing(
            arms, scores_of_runs(arms, ended), study.seeds, planned=planned, chance=whole.data["largest_class"],
            spread=spread,
        )  # fmt: skip
        if before is not None:
            for decision in now.decisions[len(before.decisions) :]:
                writer.put_event(study.name, "decided", asdict(decision))
            if now.is_over and now.seeds == before.seeds:
                return
        settled = frozenset(run for run in offered if run in known and known[run].is_failed)
        plan = make_plan(study, dataset, folder, seeds=now.seeds, device=device)
        offered |= {task.id for task in plan.tasks}
        yield replace(plan, settled=settled)
        before = now
