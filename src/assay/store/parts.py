"""A study on several data sets, as records of the study on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from ..errors import Problem, SpecError, nearest
from ..spec import DATA, without_data
from .columns import BriefRuns, RunColumns
from .records import ArmRecord, RunRecord, StudyRecord


def parts_of(study: StudyRecord) -> dict[str, StudyRecord]:
    """The study on each of its data sets, by the data set's name; the study itself, under "", where it has one only."""
    if parts_of not in study.cached:
        study.cached[parts_of] = {name: part_on(study, name) for name in study.sets} or {"": study}
    result: dict[str, StudyRecord] = study.cached[parts_of]
    return result


def part_on(study: StudyRecord, name: str) -> StudyRecord:
    """The study on one of its data sets: arms are called as without the others, and looks are left out.

    Verdicts are the whole study's: a part by itself would not know what else shares the 5 %.

    Raises:
        SpecError: The study has no such data set.
    """
    if name not in study.sets:
        what = f'study "{study.name}" has no data set "{name}"'
        raise SpecError(Problem(what, nearest(name, study.sets), "data.name"))
    arms = {arm.name: _renamed(study, arm) for arm in study.arms if arm.levels.get(DATA) == name}
    names = {old: arm.name for old, arm in arms.items()}
    retrained = tuple(replace(run, arm=names[run.arm]) for run in study.retrained if run.arm in names)
    return replace(
        study,
        spec=study.design.on(name).model_dump(mode="json", exclude_none=True),
        data=study.data_on(name),
        arms=tuple(arms.values()),
        runs=_runs_of(study.runs, names),
        retrained=retrained,
        verdict_looks=(),
    )


def part_of_arm(study: StudyRecord, arm: str) -> tuple[StudyRecord, str]:
    """The part that an arm belongs to, and what it is called there; the study itself where it has one data set."""
    for record in study.arms:
        if record.name == arm and DATA in record.levels and study.sets:
            return parts_of(study)[record.levels[DATA]], _renamed(study, record).name
    return study, arm


def part_of_run(study: StudyRecord, run: RunRecord) -> tuple[StudyRecord, RunRecord]:
    """The part that a run belongs to, and the run as it is called there."""
    part, arm = part_of_arm(study, run.arm)
    return part, (run if part is study else replace(run, arm=arm))


def _renamed(study: StudyRecord, arm: ArmRecord) -> ArmRecord:
    name = without_data(arm.name, arm.levels, study.name)
    levels = {factor: level for factor, level in arm.levels.items() if factor != DATA}
    return ArmRecord(name, arm.position, levels, {**arm.spec, "name": name, "levels": levels})


def _runs_of(runs: Sequence[RunRecord], names: dict[str, str]) -> Sequence[RunRecord]:
    if not isinstance(runs, BriefRuns):
        return tuple(replace(run, arm=names[run.arm]) for run in runs if run.arm in names)
    columns = runs.columns
    kept = np.flatnonzero(np.isin(columns.arm, [at for at, arm in enumerate(columns.arms) if arm in names]))
    values = {one.name: getattr(columns, one.name) for one in fields(RunColumns)}
    arrays = {name: value[kept] for name, value in values.items() if isinstance(value, np.ndarray)}
    ids = [columns.ids[at] for at in kept.tolist()]
    return BriefRuns(RunColumns(ids=ids, arms=[names.get(arm, arm) for arm in columns.arms], **arrays))
