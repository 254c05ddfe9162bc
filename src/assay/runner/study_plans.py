"""A study's plans, one after another: one, or one for each batch of seeds that is still needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from ..analysis.looks import Standing, scores_of_runs, standing
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

    A study that stops when decided is replayed from the store each time. What is decided is written down as an event
    too, which nothing reads: the scores alone say it.
    """
    whole = make_plan(study, dataset, folder, device=device)
    if study.seeds.stop is None:
        yield whole
        return
    before: Standing | None = None
    offered: set[str] = set()
    while True:
        try:
            known = {run.id: run for run in reader.study(study.name, is_brief=True).runs}
        except NoSuchStudy:  # it has never been run
            known = {}
        ended = [(arm, task.seed, known[task.id]) for arm, task in whole.members if task.id in known]
        arms = [arm.name for arm in whole.arms]
        now = standing(arms, scores_of_runs(arms, ended), study.seeds)
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
