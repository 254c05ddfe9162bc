"""A study's plans, one after another: one, or one for each batch of seeds that is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from ..analysis.measured import as_asked, run_values
from ..analysis.standings import SpreadOf, Standing, first_plan, scores_of_runs, spread_by_arm, standing
from ..data import Dataset
from ..errors import DataError, NoSuchStudy
from ..measures import ACCURACY, measure_called
from ..spec import Device, Study
from ..store import RunRecord, StoreReader, StoreWriter
from .plan import Plan, make_plan, make_plan_on_each


def plans(
    study: Study,
    dataset: Dataset | Mapping[str, Dataset],
    folder: Path,
    reader: StoreReader,
    writer: StoreWriter,
    *,
    device: Device = "cpu",
) -> Iterator[Plan]:
    """What to run next, asked for again after each plan has ended, until nothing is left.

    A study that stops by itself is replayed from the store each time, by the plan that its first look wrote down.
    What is decided is written down as an event too, which nothing reads: scores and plan alone say it.
    """
    if isinstance(dataset, Mapping):
        yield make_plan_on_each(study, dataset, folder, device=device)
        return
    whole = make_plan(study, dataset, folder, device=device)
    if study.seeds.stop is None:
        yield whole
        return
    measure = measure_called(study.measured, dataset.info.classes)
    is_accuracy, classes = measure == ACCURACY, dataset.info.num_classes
    chance = float(whole.data["largest_class"]) if is_accuracy else measure.chance(classes)
    is_evaluated = False
    before: Standing | None = None
    offered: set[str] = set()
    while True:
        try:
            record = reader.study(study.name, is_brief=True)
            known, planned = {run.id: run for run in record.runs}, first_plan(record)
            record = as_asked(record, study)
            values = dict(zip(record.columns.ids, run_values(record, "validation").tolist(), strict=True))
            spread: SpreadOf | None = spread_by_arm(record)
        except NoSuchStudy:  # it has never been run
            known, planned, spread, values = {}, study.seeds.planned, None, {}
        except DataError:  # predictions that an earlier version did not keep are evaluated after each plan
            if is_evaluated:
                raise
            is_evaluated = True
            yield make_plan(study, dataset, folder, seeds=_trained(whole, known), device=device)
            continue
        ended = [(arm, task.seed, known[task.id]) for arm, task in whole.members if task.id in known]
        arms = [arm.name for arm in whole.arms]
        now = standing(
            arms, scores_of_runs(arms, ended, values), study.seeds, planned=planned, chance=chance, spread=spread,
            scale=measure.unit.scale, higher_is_better=measure.higher_is_better,
        )  # fmt: skip
        if before is not None:
            for decision in now.decisions[len(before.decisions) :]:
                facts = {key: value for key, value in asdict(decision).items() if value != ""}
                writer.put_event(study.name, "decided", facts)
            if now.is_over and now.seeds == before.seeds:
                return
        settled = frozenset(run for run in offered if run in known and known[run].is_failed)
        plan = make_plan(study, dataset, folder, seeds=now.seeds, device=device)
        offered |= {task.id for task in plan.tasks}
        yield replace(plan, settled=settled)
        before = now


def _trained(whole: Plan, known: Mapping[str, RunRecord]) -> dict[str, int]:
    """Seeds of each arm, by name, up to the first whose run has not finished."""
    counts = dict.fromkeys([arm.name for arm in whole.arms], 0)
    for arm, task in whole.members:
        is_next = task.seed == whole.study.seeds.start + counts[arm]
        if is_next and task.id in known and known[task.id].state == "finished":
            counts[arm] += 1
    return counts
